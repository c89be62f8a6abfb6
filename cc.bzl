"""Targets of our own code: the rules of rules_cc, with our flags and with sources named as they are."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("@rules_cc//cc:cc_test.bzl", "cc_test")
load(":copts.bzl", "HAK_COPTS", "HAK_CXX_COPTS", "HAK_TEST_COPTS", "IS_MAIN_REPOSITORY")

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
    """A test in C++ with GoogleTest: NAME.cc unless told otherwise. `main` holds its main function.

    Only where this repository is the one being built: those that depend on it lack GoogleTest.
    """
    if not IS_MAIN_REPOSITORY:
        return
    cc_test(
        name = name,
        size = size,
        srcs = [name + ".cc"] if srcs == None else srcs,
        copts = HAK_TEST_COPTS,
        deps = deps + [main],
        **attributes
    )

def hak_benchmark(name, srcs, deps):
    """A benchmark in C++ with Google Benchmark. Not a test: `bazel test //...` never measures."""
    if not IS_MAIN_REPOSITORY:
        return
    cc_binary(
        name = name,
        testonly = True,
        srcs = srcs,
        copts = HAK_CXX_COPTS,
        tags = ["manual"],
        deps = deps + ["@google_benchmark//:benchmark_main"],
    )
