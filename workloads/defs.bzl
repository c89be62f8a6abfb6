"""The rule that makes a workload."""

load("//:cc.bzl", "hak_program")

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
    """Makes two programs of NAME.c.

    NAME is linked with hakmem. NAME_system is linked with no allocator: it runs on the C library's,
    or on any other that is preloaded.
    """
    for suffix, allocator in [("", ["//hakmem"]), ("_system", [])]:
        hak_program(
            name = name + suffix,
            srcs = [name + ".c"],
            copts = CALLS_STAY,
            linkopts = ["-lm"],
            visibility = ["//visibility:public"],
            deps = deps + ["//workloads/harness"] + allocator,
        )

_NAMES = [
    "call_latency",
    "dry",
    "empirical",
    "false_sharing",
    "peak_shrink",
    "producer_consumer",
    "random_mixed",
    "realloc_grow",
    "replay",
    "server",
    "thread_churn",
]

# All programs, for what runs them; and those without an allocator alone.
WORKLOADS_SYSTEM = ["//workloads:" + name + "_system" for name in _NAMES]
WORKLOADS = ["//workloads:" + name for name in _NAMES] + WORKLOADS_SYSTEM
