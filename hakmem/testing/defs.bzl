"""The kinds of tests that this folder has, and of programs that they run."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("//:cc.bzl", "OWN_MALLOC", "hak_test")
load("//:copts.bzl", "HAK_COPTS", "HAK_TEST_COPTS")

def library_test(name, data = [], tags = [], deps = [], **attributes):
    """A test that runs programs on libhakmem.so, or reads it."""
    hak_test(
        name = name,
        data = data + ["//hakmem:libhakmem.so"],
        tags = OWN_MALLOC + tags,
        deps = deps + ["//hakmem/testing:command"],
        **attributes
    )

def malloc_test(name, tags = [], **attributes):
    """A test whose own malloc is hakmem: preloaded, unless it is linked with it."""
    hak_test(
        name = name,
        main = ":preloaded_main",
        tags = OWN_MALLOC + tags,
        deps = [
            ":command",
            "@googletest//:gtest",
        ],
        **attributes
    )

def program(name, srcs = None, copts = ["-fno-builtin"], **attributes):
    """What a test runs: NAME.c, or what `srcs` says. The compiler must leave its mallocs alone."""
    srcs = [name + ".c"] if srcs == None else srcs
    language_copts = HAK_COPTS if srcs[0].endswith(".c") else HAK_TEST_COPTS
    cc_binary(
        name = name,
        srcs = srcs,
        copts = language_copts + copts,
        **attributes
    )
