#!/usr/bin/env bash
# Does what README.md says, command by command, in an empty folder that stands for the checkout:
# bazel-bin leads to what Bazel built, ./bazelw to bazel_shim.sh and sudo to sudo_shim.sh. The
# commands themselves are not altered. Also: links in all pages lead to files that exist.
set -euo pipefail

export RUNFILES=$PWD
readme=$RUNFILES/README.md
work=$(mktemp -d)
mkdir "$work/bin" "$work/home" "$work/checkout"
out=$work/out line=0 n_blocks=0

finish() {
  local status=$?
  if [[ $status -ne 0 ]]; then
    printf 'FAILED: README.md:%s; the output up to there:\n' "$line"
    sed 's/^/  | /' "$out"
  fi
  jobs -p | xargs --no-run-if-empty kill 2>/dev/null || true
  rm -rf "$work"
} >&3
exec 3>&1
trap finish EXIT

# What the script that readme.awk makes calls.
at() { line=$1 n_blocks=$((n_blocks + 1)); }
holds() {
  local pattern=${2//…/*}
  line=$1
  # shellcheck disable=SC2053  # … stands for anything
  [[ $(<"$out") == *${pattern}* ]] || { echo "the output should hold: $2" && exit 1; }
}

for page in *.md docs/*.md; do
  for link in $(grep -o '](\([^)#]*\)' "$page" | cut -c3- | grep -v '^https\?:'); do
    [[ -e ${page%"${page##*/}"}$link ]] || { echo "$page: $link does not exist" && exit 1; }
  done
done >"$out"

awk -f packaging/testing/readme.awk "$readme" >"$work/script"
cd "$work/checkout"
ln -s "$RUNFILES" bazel-bin
ln -s "$RUNFILES/packaging/testing/bazel_shim.sh" bazelw
ln -s "$RUNFILES/packaging/testing/sudo_shim.sh" "$work/bin/sudo"
PATH=$work/bin:$PATH
export HOME=$work/home
unset RUNFILES_DIR TEST_SRCDIR TEST_WORKSPACE  # by which tools would find the build's files
# shellcheck source=/dev/null
source "$work/script"

[[ $n_blocks -ge 10 ]] || { echo "only $n_blocks blocks of commands found" && exit 1; }
echo "$n_blocks blocks of commands were run"
