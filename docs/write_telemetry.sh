#!/usr/bin/env bash
# Rewrites the tables in docs/TELEMETRY.md of the checkout that `bazel run` was called in.
set -euo pipefail
file=$BUILD_WORKSPACE_DIRECTORY/docs/TELEMETRY.md
text=$(docs/splice_telemetry.sh "$file")
printf '%s\n' "$text" > "$file"
