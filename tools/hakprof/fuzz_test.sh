#!/usr/bin/env bash
# Fuzzes hakprof, from the decoder to the pictures, for a few seconds with libFuzzer, AddressSanitizer
# and UndefinedBehaviorSanitizer, from a profile of each message.
# Longer: bazel run //tools/hakprof:fuzz_test -- -max_total_time=3600
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-g -O1 -I. -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all)
objects=()
for file in tools/hakprof/{flame,listing,profile,reports,tree}.c tools/hakplot/{strings,table}.c; do
  object=$work/${file//\//_}.o
  clang "${flags[@]}" -std=gnu11 -c "$file" -o "$object"
  objects+=("$object")
done
clang++ "${flags[@]}" -std=c++17 tools/hakprof/hakprof_fuzzer.cc "${objects[@]}" -ljansson -lunistring -lz -lm \
  -o "$work/fuzzer"
mkdir "$work/corpus" "$work/seeds"
python3 - >"$work/seeds/all.pb" <<'PYTHON'
# Two stacks with ten values each, of named and inlined functions and of an address alone.
import sys

def field(number, content):
    return bytes([number << 3 | 2, len(content)]) + content

def numbers(**values):
    return b"".join(bytes([int(name[1:]) << 3, value]) for name, value in values.items())

strings = ["", "bytes", "count", "/bin/p", "a1b2", "main", "std::f", "p.cc"]
for kind in ["alloc", "inuse", "peak", "freed_1ms", "freed_1s", "freed_1min", "freed_later"]:
    strings += [kind + "_objects", kind + "_space"]
out = b""
for i in range(8, len(strings)):
    out += field(1, numbers(_1=i, _2=2 - i % 2))
out += field(2, field(1, bytes([1, 2])) + field(2, bytes([1, 99] * 7)))
out += field(2, numbers(_1=3) + field(2, bytes([2, 100] * 7)))
out += field(3, numbers(_1=1, _2=16, _3=99, _4=0, _5=3, _6=4))
out += field(4, numbers(_1=1, _2=1, _3=20) + field(4, numbers(_1=2, _2=7)) + field(4, numbers(_1=1, _2=9)))
out += field(4, numbers(_1=2, _2=1, _3=30) + field(4, numbers(_1=1, _2=8)))
out += field(4, numbers(_1=3, _3=40))
out += field(5, numbers(_1=1, _2=5, _4=7)) + field(5, numbers(_1=2, _2=6, _4=7))
out += b"".join(field(6, text.encode()) for text in strings)
out += numbers(_9=1, _12=64)
sys.stdout.buffer.write(out)
PYTHON
(($# > 0)) || set -- -max_total_time=10
"$work/fuzzer" -timeout=10 -rss_limit_mb=2048 -max_len=16384 -verbosity=0 -print_final_stats=1 \
  -artifact_prefix="${TEST_UNDECLARED_OUTPUTS_DIR:-$work}/" "$@" "$work/corpus" "$work/seeds"
