"""Rules for what is installed. Bazel's own rules for packages would have to be downloaded."""

load("@rules_cc//cc:find_cc_toolchain.bzl", "CC_TOOLCHAIN_ATTRS", "find_cc_toolchain", "use_cc_toolchain")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")

def _archive_impl(ctx):
    tools = find_cc_toolchain(ctx)
    libraries = []
    for input in ctx.attr.library[CcInfo].linking_context.linker_inputs.to_list():
        for library in input.libraries:
            # Programs are position-independent by default on today's distributions.
            libraries.append(library.pic_static_library or library.static_library)

    # One object, so that a program which needs any of it gets all of it; and in it only the names
    # marked HAK_API are for the linker to see.
    object = ctx.actions.declare_file(ctx.label.name + ".o")
    ctx.actions.run_shell(
        outputs = [object],
        inputs = depset(libraries, transitive = [tools.all_files]),
        mnemonic = "LinkRelocatable",
        command = '"$1" -r -o "$3" --whole-archive "${@:4}" && "$2" --localize-hidden "$3"',
        arguments = [ctx.actions.args().add_all(
            [tools.ld_executable, tools.objcopy_executable, object] + libraries,
        )],
        use_default_shell_env = True,
    )
    archive = ctx.actions.declare_file(ctx.attr.archive)
    ctx.actions.run(
        outputs = [archive],
        inputs = depset([object], transitive = [tools.all_files]),
        mnemonic = "Archive",
        executable = tools.ar_executable,
        arguments = ["rcsD", archive.path, object.path],
    )
    return [DefaultInfo(files = depset([archive]), runfiles = ctx.runfiles([archive]))]

archive = rule(
    doc = "One static library of a cc_library and all that it depends on.",
    implementation = _archive_impl,
    attrs = dict(
        CC_TOOLCHAIN_ATTRS,
        archive = attr.string(mandatory = True, doc = "the file's name"),
        library = attr.label(mandatory = True, providers = [CcInfo]),
    ),
    toolchains = use_cc_toolchain(),
)

def _install_tree_impl(ctx):
    lines = ["link %s %s" % entry for entry in ctx.attr.links.items()]
    inputs = []
    for target, place in ctx.attr.files.items():
        files = target[DefaultInfo].files.to_list()
        inputs += files
        if not place.endswith("/") and len(files) != 1:
            fail("%s is %d files: its place must be a folder" % (target.label, len(files)))
        for file in files:
            name = place + file.basename if place.endswith("/") else place
            kind = "program" if name.startswith("bin/") or place in ctx.attr.programs else "file"
            lines.append("%s %s %s" % (kind, name, file.path))
    manifest = ctx.actions.declare_file(ctx.label.name + ".manifest")
    ctx.actions.write(manifest, "\n".join(lines) + "\n")
    tar = ctx.actions.declare_file(ctx.label.name + ".tar")
    ctx.actions.run(
        outputs = [tar],
        inputs = inputs + [manifest],
        mnemonic = "InstallTree",
        executable = ctx.executable._make_tree,
        arguments = [manifest.path, ctx.attr.version, tar.path],
        use_default_shell_env = True,
    )
    return [DefaultInfo(files = depset([tar]), runfiles = ctx.runfiles([tar]))]

install_tree = rule(
    doc = "A tar file of what is installed, relative to the prefix.",
    implementation = _install_tree_impl,
    attrs = {
        "files": attr.label_keyed_string_dict(
            allow_files = True,
            doc = "the place of each: a name, or a folder with a slash at its end. Of a file that " +
                  "ends in .in the version is filled in and the ending dropped",
        ),
        "links": attr.string_dict(doc = "symbolic links: what each points to"),
        "programs": attr.string_list(doc = "the folders, beside bin/, that hold programs"),
        "version": attr.string(mandatory = True),
        "_make_tree": attr.label(default = ":make_tree", executable = True, cfg = "exec"),
    },
)

def _deb_impl(ctx):
    deb = ctx.actions.declare_file(
        "%s_%s_%s.deb" % (ctx.attr.package, ctx.attr.version, ctx.attr.architecture),
    )
    ctx.actions.run(
        outputs = [deb],
        inputs = [ctx.file.tree, ctx.file.control, ctx.file.copyright],
        mnemonic = "Deb",
        executable = ctx.executable._make_deb,
        arguments = [
            ctx.file.tree.path,
            ctx.file.control.path,
            ctx.file.copyright.path,
            ctx.attr.version,
            ctx.attr.architecture,
            deb.path,
        ],
        use_default_shell_env = True,
    )
    return [DefaultInfo(files = depset([deb]), runfiles = ctx.runfiles([deb]))]

deb = rule(
    doc = "A Debian package that holds an install_tree under /usr.",
    implementation = _deb_impl,
    attrs = {
        "architecture": attr.string(mandatory = True, doc = "as Debian calls it"),
        "control": attr.label(mandatory = True, allow_single_file = True),
        "copyright": attr.label(mandatory = True, allow_single_file = True),
        "package": attr.string(mandatory = True),
        "tree": attr.label(mandatory = True, allow_single_file = True),
        "version": attr.string(mandatory = True),
        "_make_deb": attr.label(default = ":make_deb", executable = True, cfg = "exec"),
    },
)

_CompileLinesInfo = provider(
    doc = "How C sources are compiled.",
    fields = {"lines": "depset of lines: the source's path and its target's flags"},
)

def _compile_lines_aspect_impl(_target, ctx):
    lines = []
    for source in getattr(ctx.rule.files, "srcs", []):
        if source.extension == "c":
            lines.append(" ".join([source.short_path] + ctx.rule.attr.copts))
    deps = getattr(ctx.rule.attr, "deps", [])
    return [_CompileLinesInfo(lines = depset(
        lines,
        transitive = [dep[_CompileLinesInfo].lines for dep in deps if _CompileLinesInfo in dep],
    ))]

_compile_lines_aspect = aspect(
    implementation = _compile_lines_aspect_impl,
    attr_aspects = ["deps"],
)

def _compile_lines_impl(ctx):
    file = ctx.actions.declare_file(ctx.label.name + ".txt")
    lines = ctx.attr.library[_CompileLinesInfo].lines.to_list()
    ctx.actions.write(file, "".join([line + "\n" for line in sorted(lines)]))
    return [DefaultInfo(files = depset([file]), runfiles = ctx.runfiles([file]))]

compile_lines = rule(
    doc = "A text with a line for each C source of a cc_library and all that it depends on: its path " +
          "and the flags of its target.",
    implementation = _compile_lines_impl,
    attrs = {"library": attr.label(mandatory = True, aspects = [_compile_lines_aspect])},
)
