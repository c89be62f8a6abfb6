"""Tests of the sources themselves. No target that others depend on loads this file."""

load("@rules_shell//shell:sh_test.bzl", "sh_test")
load(":cc.bzl", "OWN_MALLOC")

def source_test(name, srcs = None, size = "small", tags = [], **attributes):
    """A script that checks the sources, NAME.sh unless told otherwise.

    What is built of them is not tested, so that one run serves every configuration.
    """
    sh_test(
        name = name,
        size = size,
        srcs = [name + ".sh"] if srcs == None else srcs,
        tags = OWN_MALLOC + ["noubsan"] + tags,
        **attributes
    )
