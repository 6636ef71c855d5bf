#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The life of a repository's keys, as clients meet it: roots that follow each other while a client
# is away, a component's own keys, one of them stolen and revoked.
. "$SOURCE/tests/tools/tap.sh"

publish() {
    want 0 defupd-publish --repo repo "$@"
}

c() { # CLIENT ARGUMENT...
    defupd --state-dir "$PWD/client-$1" --source "file://$PWD/$source" "${@:2}"
}

release() { # N: of both components
    mkdir -p "av$1" "ips$1"
    echo "pattern $1" >"av$1/patterns"
    echo "rule $1" >"ips$1/rules"
    publish add-release --deltas 0 av "$1" "av$1"
    publish add-release --deltas 0 ips "$1" "ips$1"
}

at() { # CLIENT N: both components are at N
    same "av$2" "client-$1/current/av"
    same "ips$2" "client-$1/current/ips"
}

root_of() { # CLIENT
    want 0 c "$1" --json trust show
    /usr/bin/python3 -c 'import json
print([r["version"] for r in json.load(open("out"))["roles"] if r["role"] == "root"][0])'
}

key_of() { # ROLE: the id of its first key in use
    defupd-publish --repo repo key list | awk -v role="$1" '$1 == role && $4 == "in-use" {print $5}' |
        head -n 1
}

# A 2-of-3 root, ips with a role of its own.
make_repo() {
    local i
    source=repo
    for i in 1 2 3; do
        publish key generate root --type ed25519
    done
    publish key generate targets --type ed25519
    publish key generate --component ips --type ed25519
    publish init --threshold root=2
    publish delegate ips
}

clients_that_are_one_two_and_five_roots_behind_catch_up() {
    local root=repo/metadata/1.root.json stolen
    make_repo
    release 1
    want 0 c five --trusted-root $root update
    at five 1
    publish key rotate root --old "$(key_of root)" --type ed25519 # 2
    publish key rotate targets --type ed25519                     # 3
    publish key rotate snapshot                                   # 4
    release 2
    want 0 c two --trusted-root $root update
    publish key add root --type ed25519 --threshold 3 # 5
    want 0 c one --trusted-root $root update
    stolen=$(key_of ips)
    publish key add ips --type ed25519
    publish key revoke "$stolen"
    publish key rotate timestamp # 6
    [ "$(root_of five) $(root_of two) $(root_of one)" = '1 4 5' ] || fail 'not as it was meant'
    release 3
    for client in five two one; do
        want 0 c $client update
        at $client 3
        [ "$(root_of $client)" = 6 ] || fail "$client is at root $(root_of $client)"
        says "$(key_of ips)"
        ! grep -q "$stolen" out || fail 'the stolen key is still trusted'
    done
    # Without trusting anything anew, and for one that comes now too.
    want 0 c new --trusted-root $root update
    at new 3
    publish verify
}

# With an independent signer: whoever holds the online keys and one of a component's makes a new
# version of that component's role, with a manifest of release 99, for a copy of the repository.
cat_forge() {
    cat <<'END'
import glob, hashlib, json, os, subprocess, sys

repo, keys, private, component = sys.argv[1:]

def text(value):
    if isinstance(value, dict):
        return "{%s}" % ",".join(text(k) + ":" + text(value[k]) for k in sorted(value))
    if isinstance(value, list):
        return "[%s]" % ",".join(map(text, value))
    if isinstance(value, str):
        return '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')
    return json.dumps(value)

def sign(part, pem):
    open("message", "wb").write(text(part).encode())
    subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", pem, "-in", "message",
                    "-out", "signature"], check=True)
    public = json.load(open(pem[:-4] + ".json"))
    keyid = hashlib.sha256(text(public).encode()).hexdigest()
    return {"signatures": [{"keyid": keyid, "sig": open("signature", "rb").read().hex()}],
            "signed": part}

def put(part, pem, name):
    raw = json.dumps(sign(part, pem)).encode()
    open(os.path.join(repo, "metadata", name), "wb").write(raw)
    return {"version": part["version"], "length": len(raw),
            "hashes": {"sha256": hashlib.sha256(raw).hexdigest()}}

def signed(name):
    return json.load(open(os.path.join(repo, "metadata", name)))["signed"]

def key_of(role):  # the one that root trusts now
    root = signed(sorted(glob.glob1(repo + "/metadata", "*.root.json"))[-1])
    return glob.glob("%s/%s-%.8s.pem" % (keys, role, root["roles"][role]["keyids"][0]))[0]

timestamp = signed("timestamp.json")
snapshot = signed("%d.snapshot.json" % timestamp["meta"]["snapshot.json"]["version"])
role = signed("%d.ips.json" % snapshot["meta"]["ips.json"]["version"])
targets = signed("%d.targets.json" % snapshot["meta"]["targets.json"]["version"])

path = component + "/manifest.xml"
facts = role["targets"].get(path) or targets["targets"][path]
manifest = open("%s/targets/%s/%s.manifest.xml" % (repo, component, facts["hashes"]["sha256"]),
                "rb").read().replace(b'version="3"', b'version="99"', 1)
digest = hashlib.sha256(manifest).hexdigest()
open("%s/targets/%s/%s.manifest.xml" % (repo, component, digest), "wb").write(manifest)
role["targets"][path] = {"length": len(manifest), "hashes": {"sha256": digest}}
role["version"] += 1
snapshot["meta"]["ips.json"] = put(role, private, "%d.ips.json" % role["version"])
snapshot["version"] += 1
timestamp["meta"]["snapshot.json"] = put(snapshot, key_of("snapshot"),
                                         "%d.snapshot.json" % snapshot["version"])
timestamp["version"] += 1
put(timestamp, key_of("timestamp"), "timestamp.json")
END
}

forge() { # PRIVATE_KEY COMPONENT: into the folder forged
    rm -rf forged
    cp -a repo forged
    cat_forge >forge.py
    want 0 /usr/bin/python3 forge.py forged repo.keys "$1" "$2"
}

# A user of its own, with a folder that holds the timestamp's key alone, in the group that may write
# the repository. Only root can act it out.
another_user_refreshes_with_the_online_key_alone() {
    local as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    chmod 0755 .
    publish init
    mkdir av1 && echo pattern >av1/patterns
    mkdir -m 0700 cron.keys
    cp repo.keys/timestamp-*.pem cron.keys
    chown -R 65534:65534 cron.keys
    chgrp -R 65534 repo && chmod g+ws repo repo/metadata
    publish add-release av 1 av1
    want 0 "${as[@]}" "$BUILD/agent/defupd-publish" --repo repo --keys cron.keys refresh
    says 'signed timestamp version 3'
    says 'root version 1 is pinned in cron.keys/root.json'
    # Each after the other, whoever made the files.
    publish add-release av 2 av1
    want 0 "${as[@]}" "$BUILD/agent/defupd-publish" --repo repo --keys cron.keys refresh
    [ "$(wc -l <out)" = 1 ] && [ ! -s err ] || fail "$(cat out err)"
    want 77 "${as[@]}" "$BUILD/agent/defupd-publish" --repo repo refresh
    says 'open keys directory repo.keys: Permission denied'
    mkdir -m 1777 tmp
    want 0 env TMPDIR="$PWD/tmp" "${as[@]}" "$BUILD/agent/defupd-publish" --repo repo verify
    source=repo
    want 0 c a --trusted-root repo/metadata/1.root.json update
    same av1 client-a/current/av
}

a_revoked_keys_metadata_is_refused() {
    forged_with_a_key_that_is revoked
}

a_rotated_keys_metadata_is_refused() {
    forged_with_a_key_that_is rotated
}

forged_with_a_key_that_is() { # revoked|rotated
    local root=repo/metadata/1.root.json stolen new
    make_repo
    release 1
    release 2
    stolen=repo.keys/ips-$(key_of ips | cut -c1-8).pem
    # One way to be rid of it, and the other.
    if [ "$1" = rotated ]; then
        publish key rotate ips --type ed25519
    else
        publish key add ips --type ed25519
        publish key revoke "$(basename "$stolen" .pem | cut -c5-)"
    fi
    new=repo.keys/ips-$(key_of ips | cut -c1-8).pem
    release 3
    want 0 c behind --trusted-root $root update
    cp -a client-behind client-control
    # The thief has the online keys too.
    forge "$stolen" ips
    source=forged
    want 65 c behind update
    says SIGNATURE
    at behind 3
    want 65 c fresh --trusted-root $root update
    [ ! -e client-fresh/current/ips ] || fail 'a forged release is installed'
    # The publisher does not sign with it either, though its private half is still there.
    mkdir -m 0700 thief.keys
    cp "$stolen" repo.keys/snapshot-*.pem repo.keys/timestamp-*.pem repo.keys/root.json thief.keys
    want 77 defupd-publish --repo repo --keys thief.keys add-release ips 4 ips1
    says "thief.keys holds 0 of the keys of role 'ips', which needs 1"
    # The same with the key that is trusted now goes through: so it was the key.
    forge "$new" ips
    want 0 c control update
    says 99
}

a_components_key_cannot_sign_another_component() {
    make_repo
    release 1
    release 2
    release 3
    want 0 c a --trusted-root repo/metadata/1.root.json update
    forge "repo.keys/ips-$(key_of ips | cut -c1-8).pem" av
    source=forged
    want 0 c a update
    at a 3
    want 0 c a list av
    ! grep -q 99 out || fail 'the forged release is offered'
    want 65 c a update av@99
    at a 3
}

a_stolen_repository_with_its_old_keys_is_refused() {
    local root=repo/metadata/1.root.json
    make_repo
    release 1
    cp -a repo stolen && cp -a repo.keys stolen.keys
    publish key rotate timestamp
    publish key rotate ips --type ed25519
    release 2
    want 0 c a --trusted-root $root update
    # What the thief took goes on by itself, under the root of its time, which clients have left.
    want 0 defupd-publish --repo stolen add-release ips 99 ips1
    source=stolen
    want 65 c a update
    says SIGNATURE
    at a 2
    # Nor does a publisher who finds this in the place of his repository sign it.
    want 65 defupd-publish --repo stolen --keys repo.keys refresh
    says 'ends with root version 1'
}

a_component_moves_to_its_own_role_for_clients_in_every_state() {
    local root=repo/metadata/1.root.json
    source=repo
    publish init
    release 1
    want 0 c old --trusted-root $root update
    publish key generate --component ips
    publish delegate ips
    want 0 c old update
    says 'Nothing new'
    want 0 c between --trusted-root $root update
    at between 1
    release 2
    for client in old between; do
        want 0 c $client update
        at $client 2
    done
    want 0 c new --trusted-root $root update
    at new 2
    # A role without a release yet is nobody's failure.
    publish key generate --component yara
    publish delegate yara
    want 0 c old update
    want 0 c newer --trusted-root $root update
    at newer 2
    publish add-release yara 1 av1
    want 0 c old update
    same av1 client-old/current/yara
}

passphrases_come_from_a_file_or_the_terminal() {
    (umask 077 && echo 'open sesame' >pass && echo wrong >wrong)
    publish key generate timestamp --passphrase-file pass
    publish init --passphrase-file pass
    grep -q 'ENCRYPTED PRIVATE KEY' repo.keys/timestamp-*.pem || fail 'the key is not encrypted'
    publish refresh --passphrase-file pass
    want 77 defupd-publish --repo repo refresh --passphrase-file wrong
    says 'the passphrase does not open it'
    want 77 defupd-publish --repo repo refresh --passphrase-file none
    chmod 0640 pass
    want 77 defupd-publish --repo repo refresh --passphrase-file pass
    says 'pass has mode 0640'
    # Keys that do not sign are not unlocked: no passphrase is needed to look, nor for targets alone.
    publish key list
    publish verify
    # Nobody to ask: setsid takes the terminal away.
    want 77 setsid -w defupd-publish --repo repo refresh
    says 'no terminal to ask'
    want 0 timeout 60 "$SOURCE/tests/tools/terminal.py" 'open sesame' defupd-publish --repo repo refresh
    says 'Passphrase of timestamp-'
    ! grep -q sesame out || fail 'it was echoed'
    want 0 timeout 60 "$SOURCE/tests/tools/terminal.py" 'very new|very new' defupd-publish --keys other \
        key generate root --passphrase
    grep -q 'ENCRYPTED PRIVATE KEY' other/root-*.pem || fail 'the key is not encrypted'
    want 77 timeout 60 "$SOURCE/tests/tools/terminal.py" 'very new|very old' defupd-publish --keys another \
        key generate root --passphrase
    says 'differ'
    [ -z "$(ls another)" ] || fail 'a key was stored'
    # The interrupt key at the prompt: the terminal is as before, and nothing was done.
    want 75 timeout 60 "$SOURCE/tests/tools/terminal.py" '^C' defupd-publish --repo repo refresh
    says 'cancelled'
    says '[echo]'
    want 75 timeout 60 "$SOURCE/tests/tools/terminal.py" 'very new|^C' defupd-publish --keys another \
        key generate root --passphrase
    says '[echo]'
    [ -z "$(ls another)" ] || fail 'a key was stored'
    want 77 timeout 60 "$SOURCE/tests/tools/terminal.py" "$(printf 'x%.0s' {1..1100})" \
        defupd-publish --repo repo refresh
    says 'the passphrase is longer than 1024 bytes'
}

if [ "$(id -u)" = 0 ] && setpriv --reuid 65534 --regid 65534 --clear-groups \
    test -x "${TMPDIR:-/tmp}" -a -x "$BUILD/agent/defupd-publish"; then
    t_run another_user_refreshes_with_the_online_key_alone
else
    t_skip another_user_refreshes_with_the_online_key_alone "needs root, and a TMPDIR for all"
fi
for test in clients_that_are_one_two_and_five_roots_behind_catch_up \
    a_revoked_keys_metadata_is_refused a_rotated_keys_metadata_is_refused a_components_key_cannot_sign_another_component \
    a_stolen_repository_with_its_old_keys_is_refused \
    a_component_moves_to_its_own_role_for_clients_in_every_state \
    passphrases_come_from_a_file_or_the_terminal; do
    t_run "$test"
done
t_done
