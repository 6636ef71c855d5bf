#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The public headers as an embedder's compiler meets them."""
import os
import re

import abi

WAYS = [("C99", "c", ("-std=c99",)), ("C11", "c", ("-std=c11",)),
        ("C++11", "c++", ("-std=c++11",)), ("C++20", "c++", ("-std=c++2a",))]


def alone(language, arguments):
    for header in abi.HEADERS:
        # Twice, for the guard; with all warnings, since an embedder may have them on.
        include = "#include <defupd/%s>\n" % os.path.basename(header)
        said = abi.compile_text(include * 2 + "extern int defupd_test;\n", "-Wconversion",
                                "-Wshadow", "-Wundef", *arguments, language=language)
        if said:
            yield said


def every_header_compiles_alone_as_c99():
    return alone("c", ("-std=c99", "-Wstrict-prototypes"))


def every_header_compiles_alone_as_c11():
    return alone("c", ("-std=c11", "-Wstrict-prototypes"))


def every_header_compiles_alone_as_cplusplus():
    yield from alone("c++", ("-std=c++11",))
    yield from alone("c++", ("-std=c++2a",))


def every_initialiser_fits_its_struct():
    initialisers = 0
    for header in abi.HEADERS:
        for macro in re.findall(r"#define (DEFUPD_\w+_INIT)\b", abi.text_of(header)):
            initialisers += 1
            struct = macro[:-len("_INIT")].lower()
            code = "#include <defupd/%s>\n%s made(void);\n%s made(void)\n{\n    %s o = %s;\n" \
                "    return o;\n}\n" % (os.path.basename(header), struct, struct, struct, macro)
            for _, language, arguments in WAYS:
                said = abi.compile_text(code, "-Wmissing-field-initializers", "-Wnarrowing" if
                                        language == "c++" else "-Wconversion", *arguments,
                                        language=language)
                if said:
                    yield said
    if initialisers < 4:
        yield "only %d initialisers found" % initialisers


def no_struct_has_a_hole():
    # A newer caller's field is told from chance bytes only if every byte of the struct is a field.
    for header in abi.HEADERS:
        said = abi.compile_text("#include <defupd/%s>\n" % os.path.basename(header), "-Wpadded",
                                "-std=c99", "-Wno-empty-translation-unit" if "clang" in abi.CC[0]
                                else "-Wno-pedantic")
        if said:
            yield said


def every_struct_that_grows_starts_with_its_size():
    for header in abi.HEADERS:
        for name, body in re.findall(r"typedef struct (defupd_\w+) \{(.*?)\n\}",
                                     abi.text_of(header), re.DOTALL):
            if name == "defupd_error":  # fixed for ever: callers allocate it
                continue
            if not body.strip().startswith("uint32_t struct_size;"):
                yield "%s: %s" % (os.path.basename(header), name)


def enum_values_are_written_out():
    for header in abi.HEADERS:
        for body in re.findall(r"\benum(?: \w+)? \{(.*?)\}", abi.text_of(header), re.DOTALL):
            code = re.sub(r"/\*.*?\*/", "", body, flags=re.DOTALL)
            for value in filter(None, (v.strip() for v in code.split(","))):
                if "=" not in value:
                    yield "%s: %s" % (os.path.basename(header), value)


def the_version_is_one():
    text = abi.text_of(os.path.join(abi.INCLUDE, "defupd", "version.h"))
    version = re.search(r'#define DEFUPD_VERSION "([^"]+)"', text).group(1)
    number = int(re.search(r"#define DEFUPD_VERSION_NUMBER (0x[0-9a-f]+)", text).group(1), 16)
    major, minor, patch = (int(part) for part in version.split("."))
    if version != os.environ["VERSION"]:
        yield "version.h says %s, meson.build %s" % (version, os.environ["VERSION"])
    if number != major << 16 | minor << 8 | patch:
        yield "%s is not 0x%06x" % (version, number)


def defupd_h_includes_all_that_an_embedder_needs():
    text = abi.text_of(os.path.join(abi.INCLUDE, "defupd", "defupd.h"))
    for header in map(os.path.basename, abi.HEADERS):
        wanted = header not in ("defupd.h", "publish.h", "visibility.h")
        if wanted != ("<defupd/%s>" % header in text):
            yield header


abi.main([every_header_compiles_alone_as_c99, every_header_compiles_alone_as_c11,
          every_header_compiles_alone_as_cplusplus, every_initialiser_fits_its_struct,
          no_struct_has_a_hole, every_struct_that_grows_starts_with_its_size,
          enum_values_are_written_out, the_version_is_one,
          defupd_h_includes_all_that_an_embedder_needs])
