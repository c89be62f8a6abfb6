#!/usr/bin/env python3
"""layers_test.py DESIGN.md FILE...: holds the includes of the allocator to its layers.

The files are those of hakmem/, and of each layer the line `LAYER: DEPS` that Bazel wrote
(hakmem/defs.bzl). A file may include headers of its own layer and of the layers that this one names
as direct dependencies. Inside a layer no module (NAME.h and NAME.c) may, over others, include
itself. The table of layers in DESIGN.md names all of them, each below those that it depends on, and
all of their modules.
"""

import pathlib
import re
import sys

INCLUDE = re.compile(r'^#include "hakmem/([a-z_]+)/([^"]+)"', re.M)


def read_arguments(paths):
    sources, deps = {}, {}
    for path in map(pathlib.Path, paths):
        if path.name == "deps.txt":
            layer, names = path.read_text().split(":")
            deps[layer] = set(names.split())
        else:
            parts = path.parts
            layer = parts[parts.index("hakmem") + 1]
            sources.setdefault(layer, {})[path.name] = path.read_text()
    return sources, deps


def circle(graph):
    """A circle in a graph {node: nodes}, as a list; None when there is none."""
    done = set()

    def visit(node, trail):
        if node in trail:
            return trail[trail.index(node):] + [node]
        if node in done:
            return None
        done.add(node)
        for other in sorted(graph.get(node, ())):
            found = visit(other, trail + [node])
            if found:
                return found
        return None

    for node in sorted(graph):
        found = visit(node, [])
        if found:
            return found
    return None


def check_includes(sources, deps):
    for layer, files in sources.items():
        graph = {}
        for name, text in files.items():
            module = name.split(".")[0]
            for other, header in INCLUDE.findall(text):
                if other == layer:
                    graph.setdefault(module, set()).add(header.split(".")[0])
                elif other not in deps.get(layer, set()):
                    yield f"hakmem/{layer}/{name} includes hakmem/{other}/{header}, but {layer} does not depend on {other}"
        for module, others in graph.items():
            others.discard(module)
        found = circle(graph)
        if found:
            yield f"hakmem/{layer}: a circle of includes: {' -> '.join(found)}"


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
    problems = [*check_includes(sources, deps), *check_table(design, sources, deps)]
    print("\n".join(problems) or "the layers hold")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
