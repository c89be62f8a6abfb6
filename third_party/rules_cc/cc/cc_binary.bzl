"""cc_binary under the name that newer Bazel wants; Bazel 4.2 has it built in."""

cc_binary = native.cc_binary
