#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Headers, symbol map, libraries and documentation name the same functions."""
import glob
import os
import re
import subprocess
import tempfile

import abi

MAP = os.path.join(abi.TOP, "libdefupd", "libdefupd.map")
LIBRARY = os.path.join(abi.BUILD, "libdefupd", "libdefupd.so.0")
ARCHIVE = os.path.join(abi.BUILD, "libdefupd", "libdefupd.a")
PUBLISH = os.path.join(abi.BUILD, "libdefupd", "libdefupd-publish.a")
STRIPPED_MAX = 300 * 1024

FUNCTIONS = abi.functions()
ENDPOINT = {f.name for f in FUNCTIONS if f.header != "publish.h"}
PUBLISHER = {f.name for f in FUNCTIONS if f.header == "publish.h"}


def different(have, want, where):
    for name in sorted(want - have):
        yield "%s is not in %s" % (name, where)
    for name in sorted(have - want):
        yield "%s is in %s without a public declaration" % (name, where)


def defined(path, *options):
    """Names of the symbols that a library defines for others."""
    names = set()
    for line in abi.run("nm", "--defined-only", "--extern-only", "--format=posix", *options,
                        path).splitlines():
        fields = line.split()
        if len(fields) >= 3 and fields[1] in "TDBRVWGCSi":
            names.add(fields[0])
    return names


def nodes_of_the_map():
    text = re.sub(r"/\*.*?\*/", "", abi.text_of(MAP), flags=re.DOTALL)
    return re.findall(r"(DEFUPD_[\d.]+)\s*\{(.*?)\}\s*([\w.]*)\s*;", text, re.DOTALL)


def the_map_names_what_the_headers_declare():
    names = set()
    for _, body, _ in nodes_of_the_map():
        listed = re.findall(r"\b(defupd_\w+);", body)
        names |= set(listed)
        if listed != sorted(listed):
            yield "a node is not in order of names"
        if "*" in body.replace("local: *;", ""):
            yield "a node exports by pattern"
    yield from different(names, ENDPOINT, "libdefupd.map")


def every_function_says_since_when():
    nodes = {}
    for node, body, _ in nodes_of_the_map():
        for name in re.findall(r"\b(defupd_\w+);", body):
            nodes[name] = node[len("DEFUPD_"):]
    for function in FUNCTIONS:
        since = re.search(r"@since (\d+\.\d+)", function.doc)
        if not since:
            yield "%s: %s has no @since in the comment before it" % (function.header,
                                                                    function.name)
        elif nodes.get(function.name, since.group(1)) != since.group(1):
            yield "%s: @since %s, but %s in the map" % (function.name, since.group(1),
                                                        nodes[function.name])


def every_fallible_function_must_be_checked():
    for function in FUNCTIONS:
        if re.match(r"DEFUPD_API (DEFUPD_MUST_CHECK )?defupd_code ", function.declaration):
            if "DEFUPD_MUST_CHECK" not in function.declaration:
                yield function.name
            if not re.search(r"defupd_error \*error\)$", function.declaration):
                yield "%s does not end with defupd_error *error" % function.name


def no_function_is_declared_twice():
    names = [f.name for f in FUNCTIONS]
    for name in {n for n in names if names.count(n) > 1}:
        yield name


def the_shared_library_exports_the_map_and_nothing_else():
    names = {re.sub("@.*", "", n) for n in defined(LIBRARY, "--dynamic")}
    yield from different({n for n in names if not n.startswith("DEFUPD_")}, ENDPOINT,
                         "libdefupd.so")
    versions = {n for n in defined(LIBRARY, "--dynamic", "--with-symbol-versions") if "@@" in n}
    if not versions and ENDPOINT:
        yield "the symbols have no version"


def archives_define_what_the_headers_declare():
    for name in sorted(ENDPOINT - defined(ARCHIVE)):
        yield "%s is not in libdefupd.a" % name
    for name in sorted((ENDPOINT | PUBLISHER) - defined(PUBLISH)):
        yield "%s is not in libdefupd-publish.a" % name
    for name in sorted(PUBLISHER & defined(ARCHIVE)):
        yield "%s is in libdefupd.a: the endpoint does not sign" % name


def other_names_say_whose_they_are():
    # A static embedder sees them beside his own.
    for path in (ARCHIVE, PUBLISH):
        for name in sorted(defined(path)):
            if not re.match(r"(defupd|du|_?_?asan|_?_?odr_asan|__sanitizer|__ubsan)_", name):
                yield "%s defines %s" % (os.path.basename(path), name)


def nothing_is_writable_and_shared():
    # Two clients in one process must not meet in a variable.
    for line in abi.run("objdump", "--syms", ARCHIVE).splitlines():
        match = re.match(r"[0-9a-f]{16} .{7} (\S+)\s+[0-9a-f]{16} (?:\.hidden )?(\S+)$", line)
        if match and re.match(r"\.t?(data|bss)$|\*COM\*|\.(data|bss)\.(?!rel\.ro)", match.group(1)):
            name = match.group(2)
            if name != match.group(1) and not re.search(r"asan|ubsan|sancov|^__|DW\.ref|^\.L",
                                                        name):
                yield "%s is a writable variable" % name


def only_the_libraries_it_stands_on_are_linked():
    needed = set(re.findall(r"\(NEEDED\).*\[(.*?)\.so", abi.run("readelf", "-d", LIBRARY)))
    for name in needed - {"libc", "libm", "libmbedcrypto", "libsodium", "libcurl", "libarchive",
                          "libcrypto", "libxml2", "libjansson", "libzstd", "liblzma", "libpthread",
                          "ld-linux-x86-64",
                          "ld-linux-aarch64", "libasan", "libubsan"}:
        yield name


def it_is_small():
    if os.environ["SANITIZE"] != "none":
        yield abi.Skip("sanitizers make it larger")
        return
    with tempfile.TemporaryDirectory() as folder:
        stripped = os.path.join(folder, "libdefupd.so")
        subprocess.run(["strip", "-o", stripped, LIBRARY], check=True)
        size = os.path.getsize(stripped)
    print("# %d bytes, at most %d" % (size, STRIPPED_MAX))
    if size > STRIPPED_MAX:
        yield "%d bytes" % size


def documents_know_no_function_that_is_gone():
    names = {f.name for f in FUNCTIONS}
    for page in glob.glob(os.path.join(abi.TOP, "docs", "**", "*.md"), recursive=True) + [
            os.path.join(abi.TOP, "README.md")]:
        for name in re.findall(r"\b(defupd_(?:client|lease|repo|status|report|listing|code)_\w+)"
                               r"\(", abi.text_of(page)):
            if name not in names:
                yield "%s speaks of %s()" % (os.path.relpath(page, abi.TOP), name)


abi.main([the_map_names_what_the_headers_declare, every_function_says_since_when,
          every_fallible_function_must_be_checked, no_function_is_declared_twice,
          the_shared_library_exports_the_map_and_nothing_else,
          archives_define_what_the_headers_declare, other_names_say_whose_they_are,
          nothing_is_writable_and_shared, only_the_libraries_it_stands_on_are_linked,
          it_is_small, documents_know_no_function_that_is_gone])
