# SPDX-License-Identifier: Apache-2.0
"""Pairs of trees made from a seed: the same bytes on every machine. For the scripts of this folder.

    rules      a set of text rules: some edited, some moved, renamed, new
    binary     one compiled-rules-like file: tables of 4-byte offsets that all shift
    db         one hash list as ClamAV's (hash:size:Name), 1 % of its lines inserted, deleted, changed
    db-sorted  the same, sorted
    many       tiny files, of which few change
"""
import os
import random
import struct

DB_BYTES = 200_000_000
FAMILIES = ["Agent", "Downloader", "Dropper", "Emotet", "Generic", "Injector", "Keylogger", "Miner",
            "Packed", "Qakbot", "Ransom", "Spyware", "Stealer", "Trickbot", "Virut", "Zbot"]
PLATFORMS = ["Win.Trojan", "Win.Malware", "Win.Worm", "Unix.Trojan", "Doc.Dropper", "Js.Coinminer",
             "Osx.Adware", "Html.Phishing", "Pdf.Exploit", "Andr.Spyware"]
WORDS = ["process", "registry", "powershell", "encoded", "command", "service", "creation", "remote",
         "thread", "image", "parent", "suspicious", "network", "connection", "dns", "query", "file",
         "event", "access", "lsass", "memory", "dump", "scheduled", "task", "persistence", "run",
         "key", "driver", "load", "signature", "kernel", "module", "pipe", "named", "token", "user"]


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, 0o644)


def write_tree(top, files):
    for path, data in files.items():
        write(os.path.join(top, path), data)


# --- text rules ---

def _rule(rnd, number):
    words = " ".join(rnd.choices(WORDS, k=rnd.randint(6, 16)))
    strings = "".join(f"    $s{i} = \"{rnd.choice(WORDS)}_{rnd.getrandbits(40):x}\" ascii\n"
                      for i in range(rnd.randint(1, 6)))
    return (f"rule {rnd.choice(PLATFORMS).replace('.', '_')}_{rnd.choice(FAMILIES)}_{number}\n{{\n"
            f"  meta:\n    description = \"{words}\"\n    id = \"{rnd.getrandbits(128):032x}\"\n"
            f"    severity = {rnd.randint(1, 5)}\n    license = \"CC0\"\n"
            f"  strings:\n{strings}  condition:\n    any of them and filesize < "
            f"{rnd.randint(1, 900)}KB\n}}\n\n").encode()


def rules(rnd, scale):
    """Old and new: files of rules."""
    number = 0
    old = {}
    for i in range(max(4, int(400 * scale))):
        body = []
        for _ in range(rnd.randint(5, 60)):
            body.append(_rule(rnd, number))
            number += 1
        old[f"{rnd.choice(WORDS)}/{i:04d}_{rnd.choice(FAMILIES).lower()}.yar"] = body
    new = {path: list(body) for path, body in old.items()}
    paths = sorted(new)
    for path in rnd.sample(paths, max(2, len(paths) // 15)):
        for _ in range(rnd.randint(1, 4)):
            what, body = rnd.randrange(4), new[path]
            at = rnd.randrange(len(body))
            if what == 0:
                body.insert(at, _rule(rnd, number))
            elif what == 1 and len(body) > 1:
                del body[at]
            elif what == 2:
                body[at] = body[at].replace(b"severity = ", b"severity = 1")
            else:  # a rule that moves to another file
                new[rnd.choice(paths)].append(body[at])
            number += 1
    for path in rnd.sample(paths, max(1, len(paths) // 100)):
        new["renamed/" + os.path.basename(path)] = new.pop(path)
    new["added/new.yar"] = [_rule(rnd, number + i) for i in range(20)]
    return ({path: b"".join(body) for path, body in old.items()},
            {path: b"".join(body) for path, body in new.items()})


# --- a compiled binary ---

def _compile(entries):
    """Header, a table of records with offsets, a second table of references, the pool."""
    table, references, pool = [], [], bytearray()
    base = 64 + 20 * len(entries)
    base += 8 * len(entries)
    for i, (identity, text, code) in enumerate(entries):
        at = base + len(pool)
        table.append(struct.pack("<IIIII", identity, at, len(text), at + len(text), len(code)))
        references.append(struct.pack("<II", 64 + 20 * i, at))
        pool += text + code
    head = b"RULES\0\0\1" + struct.pack("<III", len(entries), base, len(pool))
    return head.ljust(64, b"\0") + b"".join(table) + b"".join(references) + bytes(pool)


def binary(rnd, scale):
    def entry(i):
        text = (f"{rnd.choice(PLATFORMS)}.{rnd.choice(FAMILIES)}-{i}\0"
                + " ".join(rnd.choices(WORDS, k=rnd.randint(3, 9)))).encode() + b"\0"
        code = b"".join(bytes([rnd.choice((0x0d, 0x16, 0x31, 0x2b))])
                        + struct.pack("<Q", rnd.choice((0, 1, 2, 16, rnd.getrandbits(32))))
                        for _ in range(rnd.randint(2, 12)))
        return i, text, code

    count = max(40, int(50_000 * scale))
    old = [entry(i) for i in range(count)]
    new = list(old)
    for i in range(max(2, count // 100)):
        at, what = rnd.randrange(len(new)), rnd.randrange(3)
        if what == 0:
            new.insert(at, entry(count + i))
        elif what == 1:
            del new[at]
        else:
            new[at] = entry(new[at][0])
    return {"rules.bin": _compile(old)}, {"rules.bin": _compile(new)}


# --- a hash list ---

def _line(rnd, number):
    return (f"{rnd.getrandbits(128):032x}:{int(2 ** rnd.uniform(9, 24))}:{rnd.choice(PLATFORMS)}."
            f"{rnd.choice(FAMILIES)}-{number}-0\n")


def churn(rnd, lines, part, number):
    """The next release: of `part` of the lines 40 % inserted, 30 % deleted, 30 % changed (half of
    these get a new hash, half a new name)."""
    edits = {}
    for at in rnd.sample(range(len(lines)), max(3, int(len(lines) * part))):
        edits[at] = rnd.random()
    new = []
    for at, line in enumerate(lines):
        dice = edits.get(at)
        if dice is None:
            new.append(line)
            continue
        number += 1
        if dice < 0.4:
            new += [_line(rnd, number), line]
        elif dice >= 0.7:
            head, size, name = line.split(":")
            fresh = _line(rnd, number).split(":")
            new.append(f"{fresh[0]}:{size}:{name}" if dice < 0.85 else f"{head}:{size}:{fresh[2]}")
    return new, number


def hash_list(rnd, size):
    count = int(size / 67.7)
    return [_line(rnd, number) for number in range(count)]


def db(rnd, scale, in_order):
    lines = hash_list(rnd, DB_BYTES * scale)
    new, _ = churn(rnd, lines, 0.01, len(lines))
    if in_order:
        lines.sort()
        new.sort()
    return {"daily.hdb": "".join(lines).encode()}, {"daily.hdb": "".join(new).encode()}


# --- many files ---

def many(rnd, scale):
    old = {}
    for i in range(max(50, int(100_000 * scale))):
        old[f"{i % 331:03d}/rule-{i:06d}.txt"] = (
            f"id: {i}\nname: {rnd.choice(FAMILIES)}\nhash: {rnd.getrandbits(128):032x}\n").encode()
    new = dict(old)
    paths = sorted(old)
    for path in rnd.sample(paths, max(3, len(paths) // 1000)):
        new[path] = old[path] + f"note: {rnd.choice(WORDS)}\n".encode()
    return old, new


PAIRS = {
    "rules": (rules, "synthetic text rules, edited, moved, renamed"),
    "binary": (binary, "synthetic compiled rules with shifted offsets"),
    "db": (lambda rnd, scale: db(rnd, scale, False),
           "synthetic hash list like ClamAV's, 1 % churn"),
    "db-sorted": (lambda rnd, scale: db(rnd, scale, True), "the same, sorted"),
    "many": (many, "100,000 tiny files, 100 changed"),
}


def make(name, top, scale=1.0, seed=1):
    """Write top/old and top/new; what they are."""
    build, about = PAIRS[name]
    # The name is no part of the seed: db and db-sorted hold the same lines.
    old, new = build(random.Random(seed), scale)
    write_tree(os.path.join(top, "old"), old)
    write_tree(os.path.join(top, "new"), new)
    return about if scale == 1.0 else f"{about}, at {scale:g} of its size"
