#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Put elements into a published release: amend.py REPO COMPONENT VERSION XML...

Roll-outs, needs and withdrawals, to the letter as a test wants them. The manifest is signed anew,
and all above it, with the keys in REPO.keys.
"""
import glob
import hashlib
import json
import os
import subprocess
import sys
import tempfile

REPO, COMPONENT, VERSION, *XML = sys.argv[1:]


def text(value):
    """Canonical JSON, as TUF signs it."""
    if isinstance(value, dict):
        return "{%s}" % ",".join(text(key) + ":" + text(value[key]) for key in sorted(value))
    if isinstance(value, list):
        return "[%s]" % ",".join(map(text, value))
    if isinstance(value, str):
        return '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')
    return json.dumps(value)


def metadata(name):
    with open(os.path.join(REPO, "metadata", name), encoding="utf-8") as file:
        return json.load(file)["signed"]


def put(path, data):
    """A reader finds the old or the new file."""
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.rename(path + ".new", path)
    return {"length": len(data), "hashes": {"sha256": hashlib.sha256(data).hexdigest()}}


def sign(role, part, name):
    root = metadata(os.path.basename(max(glob.glob(REPO + "/metadata/*.root.json"),
                                         key=lambda path: int(os.path.basename(path).split(".")[0]))))
    keyid = root["roles"][role]["keyids"][0]
    key = f"{REPO}.keys/{role}-{keyid[:8]}.pem"
    digest = [] if root["keys"][keyid]["keytype"] == "ed25519" else ["-digest", "sha256"]
    with tempfile.TemporaryDirectory() as folder:
        message, signature = folder + "/message", folder + "/signature"
        with open(message, "w", encoding="utf-8") as file:
            file.write(text(part))
        subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", *digest, "-inkey", key,
                        "-in", message, "-out", signature], check=True)
        with open(signature, "rb") as file:
            sig = file.read().hex()
    whole = {"signatures": [{"keyid": keyid, "sig": sig}], "signed": part}
    facts = put(os.path.join(REPO, "metadata", name), json.dumps(whole).encode())
    return {"version": part["version"], **facts}


def main():
    timestamp = metadata("timestamp.json")
    snapshot = metadata("%d.snapshot.json" % timestamp["meta"]["snapshot.json"]["version"])
    targets = metadata("%d.targets.json" % snapshot["meta"]["targets.json"]["version"])
    path = COMPONENT + "/manifest.xml"
    folder = f"{REPO}/targets/{COMPONENT}/"
    with open(folder + targets["targets"][path]["hashes"]["sha256"] + ".manifest.xml", "rb") as file:
        manifest = file.read().decode()
    head, mark, rest = manifest.partition(f'<release version="{VERSION}"')
    if not mark:
        sys.exit(f"{REPO} has no {COMPONENT} {VERSION}")
    body, end, rest = rest.partition("</release>")
    manifest = (head + mark + body + "".join(XML) + end + rest).encode()
    digest = hashlib.sha256(manifest).hexdigest()
    targets["targets"][path] = put(folder + digest + ".manifest.xml", manifest)
    targets["version"] += 1
    snapshot["meta"]["targets.json"] = sign("targets", targets, "%d.targets.json" % targets["version"])
    snapshot["version"] += 1
    timestamp["meta"]["snapshot.json"] = sign("snapshot", snapshot,
                                              "%d.snapshot.json" % snapshot["version"])
    timestamp["version"] += 1
    sign("timestamp", timestamp, "timestamp.json")


main()
