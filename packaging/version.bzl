"""The version, for file names, which Bazel must know before it reads any file.

The library says the same of itself, in HAK_VERSION_* of hakmem.h; install_test holds them together.
"""

VERSION = "0.1.0"

# The number in the soname: programs linked with one such library run with any other of this number.
INTERFACE_VERSION = "0"
