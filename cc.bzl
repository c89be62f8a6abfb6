"""Targets of our own code: the rules of rules_cc, with our flags and with sources named as they are."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")
load(":copts.bzl", "HAK_COPTS", "HAK_TEST_COPTS")

# For tests of the process's own malloc: AddressSanitizer and ThreadSanitizer bring another.
OWN_MALLOC = [
    "noasan",
    "notsan",
]

def hak_library(name, srcs = None, hdrs = None, copts = HAK_COPTS, **attributes):
    """A library in C: NAME.c and NAME.h unless told otherwise."""
    cc_library(
        name = name,
        srcs = [name + ".c"] if srcs == None else srcs,
        hdrs = [name + ".h"] if hdrs == None else hdrs,
        copts = copts,
        **attributes
    )

def hak_program(name, srcs = None, copts = [], linkopts = [], **attributes):
    """A program in C, NAME.c unless told otherwise, without the C++ library that Bazel would link."""
    cc_binary(
        name = name,
        srcs = [name + ".c"] if srcs == None else srcs,
        copts = HAK_COPTS + copts,
        linkopts = ["-Wl,--as-needed"] + linkopts,
        **attributes
    )

def hak_test(
        name,
        srcs = None,
        size = "small",
        deps = [],
        main = "@googletest//:gtest_main",
        **attributes):
    """A test in C++ with GoogleTest: NAME.cc unless told otherwise. `main` holds its main function."""
    cc_test(
        name = name,
        size = size,
        srcs = [name + ".cc"] if srcs == None else srcs,
        copts = HAK_TEST_COPTS,
        deps = deps + [main],
        **attributes
    )

def source_test(name, srcs = None, size = "small", tags = [], **attributes):
    """A script that checks the sources, NAME.sh unless told otherwise.

    What is built of them is not tested, so that one run serves every configuration.
    """
    native.sh_test(
        name = name,
        size = size,
        srcs = [name + ".sh"] if srcs == None else srcs,
        tags = OWN_MALLOC + ["noubsan"] + tags,
        **attributes
    )
