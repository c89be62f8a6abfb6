#!/usr/bin/env bash
# fill_options.sh PRINT_OPTIONS PAGE: the manual page with its line @OPTIONS@ replaced by the table
# that PRINT_OPTIONS writes in Markdown, one entry an option.
set -euo pipefail
rows=$("$1" | awk -F ' [|] ' '
  /^[|] `HAKMEM_/ {
    sub(/ [|]$/, "")
    gsub(/\\/, "\\e")
    gsub(/-/, "\\-")
    gsub(/^[|] `|`/, "", $1)
    printf ".TP\n.B %s\n%s\n(%s: %s%s)\n", $1, $5, $2, $4, $3 == "" ? "" : "; default " $3
  }')
[[ $rows == *HAKMEM_* ]] || { echo "fill_options.sh: $1 prints no options" >&2 && exit 1; }
while IFS= read -r line; do
  [[ $line == @OPTIONS@ ]] && line=$rows
  printf '%s\n' "$line"
done <"$2"
