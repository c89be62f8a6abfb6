#!/usr/bin/env bash
# Makes the records anew from which README's table and docs/BENCHMARKS.md are written, and writes them:
# some two hours on a machine that does nothing else.
#
#   bazel run //docs:record -- [LABEL=LIBRARY,...]     # allocators that Debian has not, to be preloaded
set -euo pipefail
hakrun=$PWD/tools/hakrun/hakrun
misuse=$PWD/docs/misuse
standing=$PWD/docs/standing.py
hakmem=$PWD/hakmem/libhakmem.so
others=${1:-}
cd "$BUILD_WORKSPACE_DIRECTORY"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for plan in peers:3 remote:5 sweep:3 call_latency:7 fork:7; do
  name=${plan%:*}
  # Failed runs are in the records, marked: the exit code is 1.
  "$hakrun" "$name" --runs "${plan#*:}" ${others:+--also "$others"} --out "$work" || [[ $? -eq 1 ]]
  mv "$work/$name"/*.jsonl "testdata/machine/$name.jsonl"
done

IFS=, read -ra libraries <<<"hakmem=$hakmem,system=${others:+,$others}"
for file in libmimalloc.so.2 libjemalloc.so.2 libtcmalloc_minimal.so.4; do
  label=${file#lib}
  path=$(ldconfig -p | awk -v file="$file" '$1 == file { print $NF; exit }')
  [[ -z $path ]] || libraries+=("${label%%[._]*}=$path")
done
for library in "${libraries[@]}"; do
  LD_PRELOAD=${library#*=} "$misuse" "${library%%=*}"
done >"$work/misuse.jsonl"
mv "$work/misuse.jsonl" testdata/machine/misuse.jsonl
python3 "$standing"
