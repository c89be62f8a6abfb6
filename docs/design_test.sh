#!/usr/bin/env bash
# Every function and constant that docs/DESIGN.md names in `code` exists in the sources, so that the
# walk through the code cannot go stale.
set -euo pipefail
names=$(grep -o '`\(hak_[a-z_]*\|HAK_[A-Z_]*\)`' docs/DESIGN.md | tr -d '`' | sort -u)
test "$(wc -w <<<"$names")" -gt 20
missing=0
for name in $names; do
  if [ "$name" = hak_ ]; then continue; fi
  if ! grep -Rqw -- "$name" hakmem --include=*.h --include=*.c; then
    echo "docs/DESIGN.md names $name, which is not in hakmem/"
    missing=1
  fi
done
exit "$missing"
