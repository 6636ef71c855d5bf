#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The shape of the source tree: which module may include what, and what no file may hold.

docs/architecture.md shows the layers; this is what keeps the picture true.
"""
import os
import re
import sys

TOP = os.environ["SOURCE"]

# A module includes modules of lower layers, and itself.
LAYER = {
    "base": 0, "sys": 0,
    "crypto": 1, "xml": 1, "json": 1, "event": 1,
    "tree": 2,
    "trust": 3, "manifest": 3, "plan": 3, "fetch": 3, "delta": 3, "bundle": 3, "store": 3,
    "update": 4, "publish": 4,
    "client": 5,
    "relay": 6,
}
# Beside that, these: sys/ reports failures in base/'s words; plan/ decides over manifest/'s data.
ALSO = {"sys": {"base"}, "plan": {"manifest"}}

# Each dependency stands behind one door of the library; the agent has some of its own.
DOORS = {
    r"mbedtls/|psa/": {"crypto"},
    r"sodium": {"crypto"},
    r"jansson": {"json", "agent"},
    r"libxml/": {"xml", "agent"},
    r"curl/": {"fetch", "agent/report/post.c"},
    r"archive(_entry)?\.h": {"bundle", "agent/support/pack.c"},
    r"zstd|zdict": {"bundle"},
    r"lzma": {"bundle", "delta"},
    r"divsufsort": {"delta"},
    r"openssl/": {"publish", "crypto"},
    r"microhttpd": {"agent"},
    r"systemd/": {"agent"},
    r"seccomp": {"agent"},
}
# Who decides does not act: no clock, no disk, no network in these.
DECIDERS = {"trust", "manifest", "plan"}
ACTING = r"(unistd|fcntl|time|dirent|netdb|stdio_ext)\.h|sys/(stat|socket|time|file|types)\.h"

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^">]+)[">]', re.MULTILINE)
CODE = (".c", ".h", ".def", ".cpp", ".py", ".sh", ".map")
# Other people's bytes: inputs of parsers, not source.
DATA = re.compile(r"^(build[^/]*|play|\.git|tests/data|fuzz/corpus_[^/]*|(.*/)?__pycache__)(/|$)")


def walk():
    """Every source file, by its path below the top."""
    for folder, folders, files in os.walk(TOP):
        where = os.path.relpath(folder, TOP)
        where = "" if where == "." else where + "/"
        folders[:] = sorted(f for f in folders if not DATA.match(where + f))
        for name in sorted(files):
            if name != ".git" and not os.path.islink(os.path.join(folder, name)):
                yield where + name


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


FILES = {path: read(path) for path in walk()}


def sources(folder):
    for path, text in FILES.items():
        if path.startswith(folder + "/") and path.endswith((".c", ".h")):
            yield path, text


def includes(text):
    for match in INCLUDE.finditer(text):
        yield match.group(1), match.group(2)


def modules():
    """(module, path, text) of every file of the library that is not a public header."""
    for path, text in sources("libdefupd"):
        module = path.split("/")[1]
        if module != "include":
            yield module, path, text


def every_module_has_its_layer():
    for module in {m for m, _, _ in modules()} - set(LAYER):
        yield "libdefupd/%s is in no layer" % module


def arrows_point_down():
    for module, path, text in modules():
        for kind, name in includes(text):
            target = name.split("/")[0]
            if kind == '"' and target == module or name.startswith("defupd/"):
                continue
            if kind == "<" and target not in LAYER:
                continue
            if target not in LAYER:
                yield "%s includes \"%s\", which names no module" % (path, name)
            elif target in ALSO.get(module, ()):
                continue
            elif kind == '"' and LAYER[target] >= LAYER[module]:
                yield "%s (layer %d) includes %s (layer %d)" % (path, LAYER[module], name,
                                                              LAYER[target])


def a_neighbours_kitchen_stays_shut():
    for module, path, text in modules():
        for _, name in includes(text):
            if name.endswith("_priv.h") and name.split("/")[0] != module:
                yield "%s includes %s" % (path, name)


def dependencies_stay_behind_their_doors():
    everything = [(m, p, t) for m, p, t in modules()]
    everything += [("include", p, t) for p, t in sources("libdefupd/include")]
    everything += [("agent", p, t) for p, t in sources("agent")]
    for module, path, text in everything:
        for kind, name in includes(text):
            for pattern, doors in DOORS.items():
                if kind == "<" and re.match(pattern, name) and not {module, path} & doors:
                    yield "%s includes <%s>, which belongs to %s" % (path, name,
                                                                   " and ".join(sorted(doors)))


def deciders_have_no_hands():
    for module, path, text in modules():
        if module in DECIDERS:
            for kind, name in includes(text):
                if kind == "<" and re.fullmatch(ACTING, name):
                    yield "%s includes <%s>" % (path, name)
                if kind == '"' and name.startswith("sys/"):
                    yield "%s includes \"%s\"" % (path, name)


def public_headers_need_the_standard_alone():
    for path, text in sources("libdefupd/include"):
        for kind, name in includes(text):
            if kind == '"' or name not in ("stdint.h", "stddef.h") and not re.fullmatch(
                    r"defupd/\w+\.h", name):
                yield "%s includes %s" % (path, name)


def the_agent_uses_the_public_headers_alone():
    for path, text in sources("agent"):
        for kind, name in includes(text):
            beside = (os.path.join(os.path.dirname(path), name), os.path.join("agent", name))
            if kind == '"' and not any(os.path.normpath(b) in FILES for b in beside):
                yield "%s includes \"%s\", which is not the agent's" % (path, name)
            if name.startswith("libdefupd/") and name != "libdefupd/relay/relay.h":
                yield "%s includes <%s>" % (path, name)
            if kind == "<" and name.split("/")[0] in LAYER and os.path.normpath(
                    os.path.join("libdefupd", name)) in FILES:
                yield "%s includes <%s>" % (path, name)


def the_library_keeps_quiet_in_its_host():
    call = re.compile(r"(?<![\w.>])(printf|puts|perror|exit|abort|signal|sigaction|chdir|fork|"
                      r"system|setlocale|umask|setenv|putenv|curl_global_cleanup)\s*\(")
    for module, path, text in modules():
        code = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.DOTALL)
        code = re.sub(r'"(\\.|[^"\\])*"', '""', code)
        for number, line in enumerate(code.split("\n"), 1):
            match = call.search(line)
            if match:
                yield "%s:%d calls %s" % (path, number, match.group(1))


def files_are_of_a_readable_size():
    for path, text in FILES.items():
        lines = text.count("\n")
        if path.endswith(CODE) and lines > 800:
            yield "%s has %d lines" % (path, lines)


def nothing_is_put_off():
    words = re.compile(r"\b(%s)\b" % "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"]))
    for path, text in FILES.items():
        if path == "LICENSE" or path == os.path.relpath(os.path.abspath(__file__), TOP):
            continue
        for number, line in enumerate(text.split("\n"), 1):
            if words.search(line) and "XXXXXX" not in line:
                yield "%s:%d: %s" % (path, number, line.strip())


def no_file_knows_somebodys_machine():
    machine = re.compile(r"(?<![\w.])/(home|root|Users|work|mnt)/\w")
    for path, text in FILES.items():
        for number, line in enumerate(text.split("\n"), 1):
            if machine.search(line) and not path.endswith("test_layers.py"):
                yield "%s:%d: %s" % (path, number, line.strip())


def every_source_names_its_licence():
    for path, text in FILES.items():
        if path.endswith((".c", ".h", ".py", ".sh", ".cpp", ".map")) or text.startswith("#!"):
            if "SPDX-License-Identifier: Apache-2.0" not in "\n".join(text.split("\n")[:2]):
                yield path


TESTS = [every_module_has_its_layer, arrows_point_down, a_neighbours_kitchen_stays_shut,
         dependencies_stay_behind_their_doors, deciders_have_no_hands,
         public_headers_need_the_standard_alone, the_agent_uses_the_public_headers_alone,
         the_library_keeps_quiet_in_its_host, files_are_of_a_readable_size, nothing_is_put_off,
         no_file_knows_somebodys_machine, every_source_names_its_licence]

print("1..%d" % len(TESTS))
failed = 0
for number, test in enumerate(TESTS, 1):
    findings = list(test())
    for finding in findings:
        print("# " + finding)
    print("%sok %d - %s" % ("not " if findings else "", number, test.__name__))
    failed += bool(findings)
sys.exit(failed != 0)
