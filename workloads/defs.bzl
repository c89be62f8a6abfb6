"""The rule that makes a workload."""

load("@rules_cc//cc:defs.bzl", "cc_binary")
load("//:copts.bzl", "HAK_COPTS")

# Calls stay calls: the compiler must not remove a malloc whose block is freed again.
_CALLS_STAY = [
    "-fno-builtin-malloc",
    "-fno-builtin-calloc",
    "-fno-builtin-realloc",
    "-fno-builtin-free",
    "-fno-builtin-aligned_alloc",
]

def workload(name, srcs, deps = []):
    """Makes NAME_system, which is linked with no allocator and can be preloaded with any."""
    cc_binary(
        name = name + "_system",
        srcs = srcs,
        copts = HAK_COPTS + _CALLS_STAY,
        visibility = ["//visibility:public"],
        deps = deps + ["//workloads/harness"],
    )
