#!/usr/bin/env python3
"""layers_test.py DESIGN.md FILE...: holds the includes of the allocator to its layers.

The files are those of hakmem/, and of each layer the line `LAYER: DEPS` that Bazel wrote
(hakmem/defs.bzl). A file may include headers of its own layer and of the layers that this one names
as direct dependencies. Headers of tests (test_*.h) are none of theirs. No module, which is a .c with
its .h, reaches itself through includes of others. The table of layers in DESIGN.md names all layers,
each below those that it depends on, and all of their modules.
"""

import pathlib
import re
import sys

INCLUDE = re.compile(r'^#include "hakmem/([a-z_]+)/([^"]+)"', re.M)


# The module of which a file that is named otherwise is a part.
PARTS = {"platform/linux": "platform/platform"}


def read_arguments(paths):
    sources, deps = {}, {}
    for path in map(pathlib.Path, paths):
        if path.name == "deps.txt":
            layer, names = path.read_text().split(":")
            deps[layer] = set(names.split())
        else:
            parts = path.parts
            layer = parts[parts.index("hakmem") + 1]
            if path.name.startswith("test_"):
                continue
            sources.setdefault(layer, {})[path.name] = path.read_text()
    return sources, deps


def check_includes(sources, deps):
    for layer, files in sources.items():
        for name, text in files.items():
            for other, header in INCLUDE.findall(text):
                if other not in deps.get(layer, set()) | {layer}:
                    yield (f"hakmem/{layer}/{name} includes hakmem/{other}/{header}, "
                           f"but {layer} does not depend on {other}")


def find_circles(graph):
    """Circles of a graph {module: modules that it includes}, one at least where there are any."""
    done = set()
    for start in sorted(graph):
        path, open_edges = [start], [iter(sorted(graph[start]))]
        while path:
            module = next(open_edges[-1], None)
            if module is None:
                done.add(path.pop())
                open_edges.pop()
            elif module in path:
                yield path[path.index(module):] + [module]
            elif module not in done:
                path.append(module)
                open_edges.append(iter(sorted(graph.get(module, ()))))


def module_of(layer, name):
    module = f"{layer}/{name.split('.')[0]}"
    return PARTS.get(module, module)


def check_circles(sources):
    graph = {}
    for layer, files in sources.items():
        for name, text in files.items():
            module = module_of(layer, name)
            included = {module_of(other, header) for other, header in INCLUDE.findall(text)}
            graph.setdefault(module, set()).update(included - {module})
    for circle in find_circles(graph):
        yield "includes go in a circle: " + " -> ".join(circle)


def test_circles():
    """The check itself: a circle is found, through a .c and a .h alike, and only a circle."""
    def include(module):
        return f'#include "hakmem/{module}.h"\n'

    a = {"own.h": "", "own.c": include("a/own"), "top.c": include("a/own") + include("b/x")}
    b = {"x.h": include("a/own"), "x.c": include("b/x") + include("b/y"), "y.h": "", "y.c": ""}
    assert not list(check_circles({"a": a, "b": b}))
    b["y.c"] = include("b/z")
    b["z.h"] = include("b/x")
    assert list(check_circles({"a": a, "b": b})) == [
        "includes go in a circle: b/x -> b/y -> b/z -> b/x"]


def check_table(design, sources, deps):
    rows = re.findall(r"^\| `([a-z_]+)` \| ([^|]+) \|", design, re.M)
    order = [layer for layer, _ in rows]
    for layer in sources:
        if layer not in order:
            yield f"docs/DESIGN.md does not name the layer {layer}"
    for layer, modules in rows:
        for dep in deps.get(layer, ()):
            if dep in order and order.index(dep) > order.index(layer):
                yield f"docs/DESIGN.md has {dep} below {layer}, which depends on it"
        named = {re.sub(r"\(.*\)|\.def", "", module).split("/")[-1].split(".")[0]
                 for module in modules.replace(" ", "").split(",")}
        there = {name.split(".")[0] for name in sources.get(layer, {})} - {"platform", "kernel_calls"}
        for missing in sorted(there - named):
            yield f"docs/DESIGN.md does not name {missing} of the layer {layer}"
        for gone in sorted(named - there):
            yield f"docs/DESIGN.md names {gone} of the layer {layer}, which is not there"


def main():
    design = pathlib.Path(sys.argv[1]).read_text()
    sources, deps = read_arguments(sys.argv[2:])
    assert len(sources) > 10 and len(deps) > 10, "not all layers were given"
    test_circles()
    problems = [*check_includes(sources, deps), *check_circles(sources),
                *check_table(design, sources, deps)]
    print("\n".join(problems) or "the layers hold")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
