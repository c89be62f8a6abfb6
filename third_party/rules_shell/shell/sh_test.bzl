"""sh_test under the name that newer Bazel wants; Bazel 4.2 has it built in."""

sh_test = native.sh_test
