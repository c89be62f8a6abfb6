#!/usr/bin/env bash
# Rewrites the tables of README.md and docs/BENCHMARKS.md in the checkout that `bazel run` was called in.
set -euo pipefail
program=$PWD/docs/standing.py
cd "$BUILD_WORKSPACE_DIRECTORY"
python3 "$program"
