#!/usr/bin/env bash
# aarch64_test.sh FILE...: cross-compiles those of the files that end in .c for aarch64, warnings
# being errors, and runs the program under qemu. It prints "done" when all is well.
set -euo pipefail

readonly CC=aarch64-linux-gnu-gcc
for tool in "$CC" qemu-aarch64; do
  command -v "$tool" >/dev/null || { echo "$tool is missing; ./bazelw test installs it" >&2; exit 1; }
done

sources=()
for file in "$@"; do [[ $file != *.c ]] || sources+=("$file"); done

"$CC" -std=gnu11 -O2 -I. -Ihakmem/include -Wall -Wextra -Wshadow -Wconversion -Wundef -Werror \
  -fvisibility=hidden -static -pthread "${sources[@]}" -o "$TEST_TMPDIR/program"
output=$(timeout 60 qemu-aarch64 "$TEST_TMPDIR/program")
echo "$output"
[[ $output == "done" ]]
