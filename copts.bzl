"""Compiler flags of our own code. Language standards and build modes are in .bazelrc."""

_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wshadow",
    "-Wconversion",
    "-Wundef",
    "-Werror",
]

# For C: `copts = HAK_COPTS`.
HAK_COPTS = _WARNINGS + [
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
]

# For benchmarks, in C++: `copts = HAK_CXX_COPTS`.
HAK_CXX_COPTS = _WARNINGS

# For tests, in C++: `copts = HAK_TEST_COPTS`. They are compiled once for each run of most of them, and
# optimising and describing them takes as long as all the rest. What they test is compiled as in use.
HAK_TEST_COPTS = _WARNINGS + [
    "-O0",
    "-g0",
    "-U_FORTIFY_SOURCE",
]
