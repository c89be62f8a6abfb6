#!/usr/bin/env bash
# docs/OPTIONS.md is what the table of options gives.
set -euo pipefail
if ! diff -u docs/OPTIONS.md <(docs/print_options); then
  echo "docs/OPTIONS.md is not what the code says; bring it up to date with: bazel run //docs:options"
  exit 1
fi
