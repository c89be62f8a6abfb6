"""The C and C++ rules under the name newer Bazel wants, for Bazel 4.2, where they are built in.

Debian's own bazel-rules-cc package does not fit the Bazel it ships. Bazel's own files load this one;
ours load a file each rule, which asks for less where rules_cc is the real one.
"""

cc_binary = native.cc_binary
cc_import = native.cc_import
cc_library = native.cc_library
cc_proto_library = native.cc_proto_library
cc_test = native.cc_test
cc_toolchain = native.cc_toolchain
cc_toolchain_suite = native.cc_toolchain_suite
fdo_prefetch_hints = native.fdo_prefetch_hints
fdo_profile = native.fdo_profile
objc_import = native.objc_import
objc_library = native.objc_library
