#!/usr/bin/env bash
# Fuzzes hakplot, from the parsers to the scripts, for a few seconds with libFuzzer, AddressSanitizer
# and UndefinedBehaviorSanitizer, from the recordings of testdata/perf and records of each schema.
# Longer: bazel run //tools/hakplot:fuzz_test -- -max_total_time=3600
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-g -O1 -I. -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all)
objects=()
for source in record stats text dataset perf_run read read_json read_perf group metric figure charts \
  charts_latency charts_phases charts_sweeps charts_time table verdict gnuplot gnuplot_run \
  gnuplot_shapes page term; do
  file=tools/hakplot/$source.c
  [[ -e $file ]] || file=tools/common/$source.c
  clang "${flags[@]}" -std=gnu11 -c "$file" -o "$work/$source.o"
  objects+=("$work/$source.o")
done
clang++ "${flags[@]}" -std=c++17 tools/hakplot/hakplot_fuzzer.cc "${objects[@]}" -ljansson -lgsl -lgslcblas -lunistring -lm \
  -o "$work/fuzzer"
mkdir "$work/corpus" "$work/seeds"
cp testdata/perf/*.{csv,json,txt} tools/hakplot/testing/*.jsonl "$work/seeds"
for file in testdata/perf/synthetic/*; do cp "$file" "$work/seeds/synthetic_${file##*/}"; done
(($# > 0)) || set -- -max_total_time=10
"$work/fuzzer" -timeout=10 -rss_limit_mb=2048 -max_len=16384 -verbosity=0 -print_final_stats=1 \
  -artifact_prefix="${TEST_UNDECLARED_OUTPUTS_DIR:-$work}/" "$@" "$work/corpus" "$work/seeds"
