"""Compiler flags of our own code. Language standards and build modes are in .bazelrc."""

# Whether this repository is the one being built, rather than one that another depends on. The name
# of that other stands before the slashes, whatever Bazel's version.
IS_MAIN_REPOSITORY = str(Label("//:copts.bzl")).lstrip("@").startswith("//")

# Warnings are for us to mend. Those who depend on this repository see none, whatever they ask of
# their compiler (-w). Here they are errors only with --config=ci, so that a compiler of tomorrow,
# which warns of more, still builds everything.
_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wshadow",
    "-Wconversion",
    "-Wundef",
] if IS_MAIN_REPOSITORY else ["-w"]

# For C: `copts = HAK_COPTS`.
HAK_COPTS = _WARNINGS + ([
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
] if IS_MAIN_REPOSITORY else [])

# For benchmarks, in C++: `copts = HAK_CXX_COPTS`.
HAK_CXX_COPTS = _WARNINGS

# For tests, in C++: `copts = HAK_TEST_COPTS`. They are compiled once for each run of most of them, and
# optimising and describing them takes as long as all the rest. What they test is compiled as in use.
HAK_TEST_COPTS = _WARNINGS + [
    "-O0",
    "-g0",
    "-U_FORTIFY_SOURCE",
]
