#!/usr/bin/env bash
# target_test.sh aarch64|musl FILE...: compiles those of the files that end in .c for another
# processor or another C library, warnings being errors, and runs the program: statically linked,
# under qemu for aarch64; for musl also with the allocator apart and preloaded. It prints "done" when
# all is well.
set -euo pipefail

readonly FLAGS=(-std=gnu11 -O2 -I. -Ihakmem/include -fvisibility=hidden -pthread
  -Wall -Wextra -Wshadow -Wconversion -Wundef -Werror)

target=$1
shift
case $target in
  aarch64) compile=(aarch64-linux-gnu-gcc) run=(qemu-aarch64) ;;
  musl)
    # musl's own folder of headers has none of the kernel's, which are the same for all.
    headers=$TEST_TMPDIR/headers
    mkdir -p "$headers"
    ln -s /usr/include/linux /usr/include/asm-generic "$headers"
    ln -s "/usr/include/$(gcc -print-multiarch)/asm" "$headers"
    compile=(musl-gcc -idirafter "$headers") run=(env)
    ;;
esac
for tool in "${compile[0]}" "${run[0]}"; do
  command -v "$tool" >/dev/null || { echo "$tool is missing; ./bazelw test installs it" >&2; exit 1; }
done

library=() programs=()
for file in "$@"; do
  case $file in
    */testing/*.c) programs+=("$file") ;;
    *.c) library+=("$file") ;;
  esac
done

# finish COMMAND...: fails unless the command says "done".
finish() {
  output=$(timeout 60 "$@")
  echo "$output"
  [[ $output == "done" ]]
}

# Objects for both kinds of linking.
root=$PWD
(cd "$TEST_TMPDIR" && "${compile[@]}" "${FLAGS[@]/#-I/-I$root/}" -fPIC -c "${library[@]/#/$root/}")
"${compile[@]}" "${FLAGS[@]}" -static "${programs[@]}" "$TEST_TMPDIR"/*.o -o "$TEST_TMPDIR/program"
finish "${run[@]}" "$TEST_TMPDIR/program"
[[ $target == musl ]] || exit 0

"${compile[@]}" -shared -Wl,-z,now -Wl,--version-script=hakmem/override/libhakmem.lds \
  "$TEST_TMPDIR"/*.o -o "$TEST_TMPDIR/libhakmem.so"
"${compile[@]}" "${FLAGS[@]}" "${programs[@]}" "$TEST_TMPDIR/libhakmem.so" -o "$TEST_TMPDIR/program"
telemetry=$TEST_TMPDIR/telemetry
finish env LD_PRELOAD="$TEST_TMPDIR/libhakmem.so" HAKMEM_TELEMETRY="$telemetry" \
  "$TEST_TMPDIR/program"
grep -q '"schema":"hakmem.telemetry.1"' "$telemetry"
