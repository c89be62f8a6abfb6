#!/usr/bin/env bash
# The tables in docs/TELEMETRY.md are what the code gives.
set -euo pipefail
if ! diff -u docs/TELEMETRY.md <(docs/splice_telemetry.sh docs/TELEMETRY.md); then
  echo "docs/TELEMETRY.md is not what the code says; bring it up to date with: bazel run //docs:telemetry"
  exit 1
fi
