#!/usr/bin/env bash
# Rewrites docs/OPTIONS.md of the checkout that `bazel run` was called in.
set -euo pipefail
docs/print_options > "$BUILD_WORKSPACE_DIRECTORY/docs/OPTIONS.md"
