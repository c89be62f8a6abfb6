"""The rule that makes a workload."""

load("@rules_cc//cc:defs.bzl", "cc_binary")
load("//:copts.bzl", "HAK_COPTS")

# Calls stay calls: the compiler must not remove a malloc whose block is freed again.
CALLS_STAY = [
    "-fno-builtin-malloc",
    "-fno-builtin-calloc",
    "-fno-builtin-realloc",
    "-fno-builtin-free",
    "-fno-builtin-aligned_alloc",
    "-fno-builtin-memalign",
]

def workload(name, deps = []):
    """Makes NAME.c into NAME_system, which is linked with no allocator and can be preloaded with any."""
    cc_binary(
        name = name + "_system",
        srcs = [name + ".c"],
        copts = HAK_COPTS + CALLS_STAY,
        linkopts = ["-lm"],
        visibility = ["//visibility:public"],
        deps = deps + ["//workloads/harness"],
    )
