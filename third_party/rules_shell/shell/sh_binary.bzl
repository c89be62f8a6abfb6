"""sh_binary under the name that newer Bazel wants; Bazel 4.2 has it built in."""

sh_binary = native.sh_binary
