#!/usr/bin/env bash
# lint.sh COMMAND: checks the sources of the checkout that this script belongs to.
#
#   format        rewrites those in C and C++ as .clang-format says: `bazel run //:format`
#   check-format  names those that `format` would change: //:format_test
#   check-tidy    runs clang-tidy over those in C, as .clang-tidy says: //:tidy_test
#   check-roles   names those, of every language, that do not open with their role: //:roles_test
set -euo pipefail

# Versions of the formatter disagree with each other, so one is the project's.
readonly CLANG_FORMAT=clang-format-14

# Bazel runs this script through links, which lead back to the checkout.
cd "$(dirname "$(readlink -f "$0")")/.."

die() {
  printf '%s\n' "$@" >&2
  exit 1
}

# list_sources SUFFIX...: the files so named, each ended by a NUL: those that git tracks or would
# add; all of them where there is no git, or the checkout is not a repository of its own.
list_sources() {
  local git=(git -c safe.directory='*')
  if [[ $("${git[@]}" rev-parse --show-toplevel 2>/dev/null) == "$PWD" ]]; then
    "${git[@]}" ls-files -z --cached --others --exclude-standard --deduplicate -- "${@/#/*}"
  else
    find . \( -name '.?*' -o -path './bazel-*' \) -prune -o -type f -print0 |
      grep -zE "($(IFS='|' && echo "${*//./\\.}"))\$"
  fi
}

# need COMMAND: stops where it is not installed.
need() { command -v "$1" >/dev/null || die "lint.sh: $1 is not installed; ./bazelw test installs it"; }

# Sets files to what list_sources finds and the disk holds (git lists deleted files until the
# deletion is committed).
find_sources() {
  local file
  files=()
  while IFS= read -r -d '' file; do
    [[ ! -f $file ]] || files+=("$file")
  done < <(list_sources "$@")
  # A check of nothing would pass for ever.
  [[ ${#files[@]} -gt 0 ]] || die "lint.sh: no sources ($*) under $PWD"
}

check_format() {
  local file bad=()
  for file in "${files[@]}"; do
    "$CLANG_FORMAT" "$file" | cmp -s - "$file" || bad+=("$file")
  done
  [[ ${#bad[@]} -eq 0 ]] || die 'not formatted:' "${bad[@]/#/  }" 'to mend: bazel run //:format'
  echo "${#files[@]} files are formatted"
}

# A comment in words on the first line, or on the one behind #!.
check_roles() {
  local bad
  bad=$(printf '%s\0' "${files[@]}" | xargs -0 awk '
    FNR == 1 { is_open = 0 }
    FNR == 1 && /^#!/ { next }
    FNR <= 2 && /^((\/\/[\/!]?|#|\/\*) |""")["`\/[:alnum:]].*[[:alpha:]]/ { is_open = 1 }
    { if (!is_open) print "  " FILENAME; nextfile }')
  [[ -z $bad ]] || die 'these files do not open with a comment that says what they are for:' "$bad"
  echo "${#files[@]} files open with their role"
}

case ${1:-} in
  format | check-format)
    need "$CLANG_FORMAT"
    find_sources .c .h .cc
    if [[ $1 == format ]]; then "$CLANG_FORMAT" -i "${files[@]}"; else check_format; fi
    ;;
  check-tidy)
    need clang-tidy
    find_sources .c
    flags=(-std=gnu11 -I. -Ihakmem/include)
    printf '%s\0' "${files[@]}" |
      xargs -0 -I{} -P "$(nproc)" clang-tidy --quiet {} -- "${flags[@]}"
    echo "${#files[@]} files are tidy"
    ;;
  check-roles)
    find_sources .c .h .cc .def .rs .py .sh .bazel .bzl
    check_roles
    ;;
  *) die 'usage: lint.sh format | check-format | check-tidy | check-roles' ;;
esac
