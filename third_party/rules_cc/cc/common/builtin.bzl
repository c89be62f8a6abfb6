"""Bazel 4.2's own CcInfo: a file that exports this name cannot also read it."""

builtin_cc_info = CcInfo
