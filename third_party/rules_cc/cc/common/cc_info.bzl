"""CcInfo under the name that newer Bazel wants."""

load(":builtin.bzl", "builtin_cc_info")

CcInfo = builtin_cc_info
