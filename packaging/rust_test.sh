#!/usr/bin/env bash
# The crate of rust/ with the system's cargo, without a network: its tests, linked with the shared
# library and with the archive; and a Rust program that hakmem is preloaded into.
set -euo pipefail
for tool in cargo rustc cc; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: ./bazelw test installs it"; exit 1; }
done

runfiles=$PWD work=$TEST_TMPDIR
mkdir "$work/prefix"
tar -C "$work/prefix" -xf packaging/tree.tar
cp -rL packaging/rust "$work/rust"
cd "$work/rust"
export CARGO_HOME=$work/cargo LIBHAKMEM_DIR=$work/prefix/lib LD_LIBRARY_PATH=$work/prefix/lib

grep --quiet "^version = \"$(sed -n 's/^VERSION = "\(.*\)"/\1/p' "$runfiles/packaging/version.bzl")\"" \
  Cargo.toml || { echo 'Cargo.toml and version.bzl disagree on the version'; exit 1; }

cargo test --offline --quiet
LD_LIBRARY_PATH='' cargo test --offline --quiet --features static

# Built without the crate: what serves it is what is preloaded.
rustc -O examples/preloaded.rs -o preloaded
said=$(HAKMEM_SS_DEBUG=1 LD_PRELOAD=$work/prefix/lib/libhakmem.so ./preloaded 2>events)
[[ $said == 400000 ]] || { echo "preloaded: $said"; exit 1; }
grep --quiet '^hakmem: reserved' events || { echo 'hakmem does not serve it:'; cat events; exit 1; }
