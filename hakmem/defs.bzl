"""What the allocator's layers have in common."""

load("@rules_cc//cc:defs.bzl", "cc_library")
load("//:copts.bzl", "HAK_COPTS")

# Only what is marked HAK_API is exported. Fortified functions are other functions of libc, each of
# which may bring 64 KiB of libc's text into a small program. And hak_prefetch_write is to be one for
# writing: x86-64 has had that instruction, or takes it for none, for as long as there is x86-64 Linux.
LIBRARY_COPTS = HAK_COPTS + [
    "-fvisibility=hidden",
    "-U_FORTIFY_SOURCE",
] + select({
    "@platforms//cpu:x86_64": ["-mprfchw"],
    "//conditions:default": [],
})

# For layers that no program spends its time in: what they take of memory counts, in every process.
SMALL_COPTS = LIBRARY_COPTS + ["-Os"]

def layer(name, modules, srcs = [], hdrs = [], copts = LIBRARY_COPTS, **attributes):
    """One layer: the .c and the .h of each module, and what of it comes without the other.

    Since its functions are hidden it cannot be a shared library, which Bazel would make of it for
    tests: hence linkstatic.
    """
    cc_library(
        name = name,
        srcs = sorted([module + ".c" for module in modules] + srcs),
        hdrs = sorted([module + ".h" for module in modules] + hdrs),
        copts = copts,
        linkstatic = True,
        **attributes
    )
