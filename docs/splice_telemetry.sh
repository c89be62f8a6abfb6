#!/usr/bin/env bash
# splice_telemetry.sh FILE: prints docs/TELEMETRY.md with the tables that the code gives, between the
# two lines that mark their place.
set -euo pipefail
sed -n '1,/^<!-- tables:/p' "$1"
docs/print_telemetry
echo
sed -n '/^<!-- end of the tables -->/,$p' "$1"
