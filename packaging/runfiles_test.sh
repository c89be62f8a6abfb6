#!/usr/bin/env bash
# The tools find the files that belong to them beside the program, under either name that Bazel has
# for this repository in a runfiles tree: `hakmem` (Bazel 4), `_main` (Bazel 7 and later).
set -euo pipefail
files=$PWD
unset RUNFILES_DIR TEST_SRCDIR

for repository in hakmem _main; do
  folder=$(mktemp -d)
  cp -L "$files"/tools/hakrun/hakrun "$files"/tools/hakplot/hakplot "$folder"
  for tool in hakrun hakplot; do
    mkdir "$folder/$tool.runfiles"
    ln -s "$files" "$folder/$tool.runfiles/$repository"
  done
  cd "$folder"
  [[ $(./hakrun --list) == *smoke* ]] || { echo "$repository: hakrun finds no experiments"; exit 1; }
  [[ $(./hakplot --format term) == */testdata/report* ]] ||
    { echo "$repository: hakplot finds no recordings"; exit 1; }
done
