"""cc_test under the name that newer Bazel wants; Bazel 4.2 has it built in."""

cc_test = native.cc_test
