#!/usr/bin/env bash
# Fuzzes hakplot, from the parsers to the scripts, for a few seconds with libFuzzer, AddressSanitizer
# and UndefinedBehaviorSanitizer, from the recordings of testdata/perf and records of each schema.
# Longer: bazel run //tools/hakplot:fuzz_test -- -max_total_time=3600
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-g -O1 -I. -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all)
objects=()
for file in tools/common/*.c tools/hakplot/*.c; do
  # All but what reads files, takes arguments and runs: the fuzzer has a main function.
  case ${file##*/} in hakplot.c | compare.c | draw.c | locate.c) continue ;; esac
  object=$work/${file//\//_}.o
  clang "${flags[@]}" -std=gnu11 -c "$file" -o "$object"
  objects+=("$object")
done
clang++ "${flags[@]}" -std=c++17 tools/hakplot/hakplot_fuzzer.cc "${objects[@]}" -ljansson -lgsl -lgslcblas -lunistring -lm \
  -o "$work/fuzzer"
mkdir "$work/corpus" "$work/seeds"
cp testdata/perf/*.{csv,json} tools/hakplot/testing/*.jsonl "$work/seeds"
for file in testdata/perf/synthetic/*; do cp "$file" "$work/seeds/synthetic_${file##*/}"; done
(($# > 0)) || set -- -max_total_time=10
"$work/fuzzer" -timeout=10 -rss_limit_mb=2048 -max_len=16384 -verbosity=0 -print_final_stats=1 \
  -artifact_prefix="${TEST_UNDECLARED_OUTPUTS_DIR:-$work}/" "$@" "$work/corpus" "$work/seeds"
