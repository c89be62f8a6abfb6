#!/usr/bin/env bash
# The tables of README.md and docs/BENCHMARKS.md are what the records in testdata/machine say, and a
# figure that is changed by hand is noticed.
set -euo pipefail
python3 docs/standing.py --check

cp -rL . "$TEST_TMPDIR/copy"
cd "$TEST_TMPDIR/copy"
chmod -R u+w .
sed -i '/^| One thread/s/ [0-9]/ 7/' README.md
if python3 docs/standing.py --check >/dev/null; then
  echo 'a figure of README.md was changed, and the check did not notice'
  exit 1
fi
