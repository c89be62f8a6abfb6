#!/usr/bin/env bash
# Fuzzes the allocator's functions against the model for a few seconds, with libFuzzer, all assertions
# and UndefinedBehaviorSanitizer.
# Longer: bazel run //hakmem/testing:fuzz_test -- -max_total_time=3600
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-g -O1 -I. -fsanitize=fuzzer-no-link,undefined -fno-sanitize-recover=all -DHAK_DEBUG=2)
sources=()
for file in hakmem/*/*.c; do
  case $file in hakmem/override/* | hakmem/nodeepbind/* | hakmem/testing/*) continue ;; esac
  sources+=("$file")
done
compile() {
  local object=$work/${1//\//_}.o
  clang "${flags[@]}" -std=gnu11 -c "$1" -o "$object"
}
export -f compile
export work
printf '%s\n' "${sources[@]}" | xargs -P 2 -I{} bash -c "flags=(${flags[*]}); compile {}"
clang++ "${flags[@]}" -std=c++17 -fsanitize=fuzzer hakmem/testing/model_fuzzer.cc "$work"/*.o \
  -lgtest -lpthread -ldl -o "$work/fuzzer"
mkdir "$work/corpus" "$work/seeds"
python3 -c '
import pathlib, random, sys
for i in range(8):
    random.seed(i)
    pathlib.Path(sys.argv[1], str(i)).write_bytes(random.randbytes(256 << i % 6))
' "$work/seeds"
(($# > 0)) || set -- -max_total_time=15
# Figures add up where no other thread is at work, and what is found can be found again.
export HAKMEM_BACKGROUND=never
"$work/fuzzer" -timeout=20 -rss_limit_mb=4096 -max_len=8192 -verbosity=0 -print_funcs=0 \
  -print_final_stats=1 -artifact_prefix="${TEST_UNDECLARED_OUTPUTS_DIR:-$work}/" "$@" "$work/corpus" \
  "$work/seeds"
