"""What the allocator's layers have in common: a folder each, one target that bears its name."""

load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("//:cc.bzl", "hak_test")
load("//:copts.bzl", "HAK_COPTS")

# Only what is marked HAK_API is exported. Fortified functions are other functions of libc, each of
# which may bring 64 KiB of libc's text into a small program. And hak_prefetch_write is to be one for
# writing: x86-64 has had that instruction, or takes it for none, for as long as there is x86-64 Linux.
#
# Bazel's default mode, fastbuild, does not optimise: ours does, since an allocator that is not
# optimised serves nobody. Who asks for dbg gets it.
LIBRARY_COPTS = HAK_COPTS + [
    "-fvisibility=hidden",
    "-U_FORTIFY_SOURCE",
] + select({
    "//hakmem:fastbuild": ["-O2"],
    "//conditions:default": [],
}) + select({
    "@platforms//cpu:x86_64": ["-mprfchw"],
    "//conditions:default": [],
})

# For layers that no program spends its time in: what they take of memory counts, in every process.
SMALL_COPTS = LIBRARY_COPTS + ["-Os"]

def layer(name, modules, deps = [], srcs = [], hdrs = [], copts = LIBRARY_COPTS, **attributes):
    """A layer, in the folder of its name: the .c and .h of each module, and what has only one of them.

    `deps` are the layers that its files may include, by folder, and nothing else: layers_test holds
    every include to it. Since its functions are hidden it cannot be a shared library, which Bazel
    would make of it for tests: hence linkstatic.
    """
    cc_library(
        name = name,
        srcs = sorted([module + ".c" for module in modules] + srcs),
        hdrs = sorted([module + ".h" for module in modules] + hdrs),
        copts = copts,
        linkstatic = True,
        deps = deps,
        **attributes
    )

    # What the layer is made of, and what it may include: for the tests that read the sources.
    native.filegroup(
        name = "sources",
        # Not every layer has files of each kind.
        srcs = native.glob(
            [
                "*.c",
                "*.h",
                "*.def",
            ],
            allow_empty = True,
        ) + [":deps.txt"],
    )
    native.genrule(
        name = "deps",
        outs = ["deps.txt"],
        cmd = "echo %s: %s >$@" % (name, " ".join([dep.split("/")[-1].split(":")[0] for dep in deps])),
    )

def test_header(name, deps):
    """What tests of a layer and of those above it share: NAME.h."""
    cc_library(
        name = name,
        testonly = True,
        hdrs = [name + ".h"],
        linkstatic = True,
        deps = deps,
    )

def layer_tests(tests, long = []):
    """A test beside each source: by the source's name, what its test needs beside its own layer.

    Those of `long` may take more than a minute on a busy machine, or under a sanitizer.
    """
    for source, deps in tests.items():
        hak_test(
            name = source + "_test",
            size = "medium" if source in long else "small",
            linkstatic = True,  # the layers' functions are hidden
            deps = deps + ["//hakmem/testing:support"],
        )
