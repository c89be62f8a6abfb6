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

# For targets in C++, the tests and benchmarks: `copts = HAK_CXX_COPTS`.
HAK_CXX_COPTS = _WARNINGS
