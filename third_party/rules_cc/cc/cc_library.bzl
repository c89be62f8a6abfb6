"""cc_library under the name that newer Bazel wants; Bazel 4.2 has it built in."""

cc_library = native.cc_library
