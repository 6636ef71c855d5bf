#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# defupd-publish from the command line.
. "$SOURCE/tests/tools/tap.sh"

publish() {
    defupd-publish --repo repo "$@"
}

tree() { # NAME TEXT
    mkdir -p "$1/sub dir"
    printf '%s\n' "$2" >"$1/rules"
    seq 1 2000 >"$1/sub dir/same"
    printf '#!/bin/sh\n' >"$1/tool"
    chmod 755 "$1/tool"
}

a_release_is_made_and_told() {
    tree one 1
    want 0 publish init
    says 'trusted root  repo/metadata/1.root.json'
    want 0 publish add-release tetra 1003 one --label 297.0.0.0 --class antimalware --note 'a note' \
        --level 3 --published 2026-01-02T03:04:05Z
    says 'files         3'
    says "bytes         $(cat one/rules one/tool 'one/sub dir/same' | wc -c)"
    says 'versions      1, from 1003 to 1003'
    says 'trusted root  repo/metadata/1.root.json'
    object=$(sed -n 's/^object *//p' out)
    [ "$(sha256sum <"repo/$object" | cut -c1-64)" = "$(basename "$object")" ] || fail "$object"
    says "bundle        $(stat -c %s "repo/$object") bytes"
    grep -q 'version="1003" label="297.0.0.0" published="2026-01-02T03:04:05Z"' \
        repo/targets/tetra/*.xml || fail "$(cat repo/targets/tetra/*.xml)"
    want 0 publish verify
    says 'tetra: 1 release'
    says 'repository is right'
    mkdir unpacked
    tar --zstd -C unpacked -xf "repo/$object" || fail 'tar cannot unpack it'
    same one unpacked
}

options_stand_anywhere_and_with_an_equals_sign() {
    tree one 1
    want 0 defupd-publish init --repo=repo --keys=secret
    [ -d secret ] || fail 'no folder of keys'
    want 0 defupd-publish --keys secret add-release --label=x --repo repo -- tetra 1 one
    want 0 defupd-publish refresh --repo repo --keys secret
    says 'signed timestamp version 3, valid until'
}

a_wrong_command_line_is_told_and_ends_with_64() {
    tree one 1
    want 64 defupd-publish
    want 64 defupd-publish --repo repo
    want 64 defupd-publish init
    says '--repo DIR is needed'
    want 64 publish nonsense
    says 'no such command: nonsense'
    want 64 publish key
    want 64 publish key nonsense
    want 64 publish init more
    says 'init: expected no words, 1 given'
    want 64 publish add-release tetra 1
    want 64 publish add-release tetra 1 one two three
    want 64 publish --nonsense init
    want 64 publish -x init
    want 64 publish init --label x
    says 'init takes no --label'
    want 64 publish init --repo again
    want 64 publish init --keys
    want 64 publish verify --json=yes
    want 64 publish key generate mirrors
    want 64 publish key generate root --type dsa
    want 64 publish key generate
    want 64 publish key generate root --component ips
    want 64 publish key generate --component root
    want 64 publish key generate ips
    want 64 publish key threshold root
    want 64 publish key threshold root 0
    want 64 publish key rotate root --new 01234567 --type rsa
    want 64 publish init --threshold 2
    want 64 publish init --threshold root=0
    want 64 publish init --expires root=3651
    want 64 publish init --expires =3
    want 64 publish init --expires tetra=3
    [ ! -e repo ] || fail 'something was made'
    want 0 publish init
    local bad
    for bad in 0 01 -1 1.5 abc '' 9007199254740992 99999999999999999999; do
        want 64 publish add-release tetra "$bad" one
    done
    for bad in 0 20 x; do
        want 64 publish add-release tetra 1 one --level "$bad"
    done
    for bad in 2026-01-02 2026-02-30T00:00:00Z 2026-01-02T03:04:05+00:00 1970-01-01T00:00:00Z \
        2026-1-2T03:04:05Z now 2999-01-01T00:00:00Z; do
        want 64 publish add-release tetra 1 one --published "$bad"
    done
    want 64 publish add-release Tetra 1 one
    want 64 publish add-release tetra 1 nothing
}

an_error_is_one_line_and_its_advice() {
    tree one 1
    ln -s rules one/link
    want 0 publish init
    want 65 publish add-release tetra 1 one
    [ "$(wc -l <err)" = 2 ] || fail "$(cat err)"
    [ ! -s out ] || fail "$(cat out)"
    head -1 err | grep -q '^defupd-publish: tetra 1: tree one: .*link' || fail "$(cat err)"
    tail -1 err | grep -qx '  -2403 TREE_FORBIDDEN: remove or rename what the message names' ||
        fail "$(cat err)"
}

each_failure_has_its_exit_code() {
    tree one 1
    want 65 publish refresh
    want 0 publish init
    want 73 publish init
    want 0 publish add-release tetra 2 one
    want 65 publish add-release tetra 2 one
    says 'not newer than the published version 2'
    chmod 0750 repo.keys
    want 77 publish refresh
    says 'repo.keys has mode 0750'
    chmod 0700 repo.keys
    rm repo.keys/timestamp-*
    want 77 publish refresh
    want 73 defupd-publish --repo no/such/place init
    want 73 publish key generate root
    echo x >>repo/metadata/timestamp.json
    want 65 publish verify
    says 'defect: repository repo: metadata/timestamp.json'
}

keys_are_listed_and_never_shown() {
    want 0 publish key generate root --type ed25519
    local id
    id=$(cat out)
    [[ $id =~ ^[0-9a-f]{64}$ ]] || fail "$id"
    want 0 publish key list
    says "root       ed25519  private  unused  $id  root-${id:0:8}.pem"
    want 0 publish init
    cat out err >all
    want 0 publish key list
    cat out err >>all
    says "root       ed25519  private  in-use  $id  root-${id:0:8}.pem"
    says 'root       version 1, 1 of 1 keys sign, 1 here, valid until 2'
    [ "$(wc -l <out)" = 8 ] || fail "$(cat out)"
    mv repo.keys/root-* .
    want 0 publish key list
    says "root       ed25519  public   in-use  $id  -"
    # No line of a private key's PEM is in what was printed or published.
    grep -hv -e '-----' root-*.pem repo.keys/*.pem >secret
    ! grep -rqFf secret all repo || fail 'a private key was shown'
}

# An independent reading of the specification: Python writes the canonical form, OpenSSL verifies.
other_tools_can_check_every_signature() {
    tree one 1
    want 0 publish key generate root --type rsa
    want 0 publish init
    want 0 publish add-release tetra 1 one
    cat >check.py <<'END'
import glob, hashlib, json, subprocess

def text(value):
    if isinstance(value, dict):
        return "{%s}" % ",".join(text(k) + ":" + text(value[k]) for k in sorted(value))
    if isinstance(value, list):
        return "[%s]" % ",".join(map(text, value))
    if isinstance(value, str):  # only these two are escaped, newlines stand as they are
        return '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')
    return json.dumps(value)

def canonical(value):
    return text(value).encode()

def verifies(key, message, signature):
    public = key["keyval"]["public"]
    if key["keytype"] == "ed25519":
        der = bytes.fromhex("302a300506032b6570032100" + public)
        open("key", "wb").write(der)
        how = ["pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", "key"]
    else:
        open("key", "w").write(public)
        how = ["pkeyutl", "-verify", "-rawin", "-digest", "sha256", "-pubin", "-inkey", "key"]
        if key["keytype"] == "rsa":
            how += ["-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:auto"]
    open("message", "wb").write(message)
    open("signature", "wb").write(signature)
    return subprocess.run(["openssl"] + how + ["-in", "message", "-sigfile", "signature"],
                          capture_output=True).returncode == 0

root = json.load(open("repo/metadata/1.root.json"))["signed"]
types = set()
for name, key in root["keys"].items():
    assert hashlib.sha256(canonical(key)).hexdigest() == name, name
files = sorted(glob.glob("repo/metadata/*.json"))
assert len(files) == 6, files
for path in files:
    document = json.load(open(path))
    signed = document["signed"]
    role = root["roles"][signed["_type"]]
    assert [s["keyid"] for s in document["signatures"]] == role["keyids"], path
    for signature in document["signatures"]:
        key = root["keys"][signature["keyid"]]
        types.add(key["keytype"])
        raw = bytes.fromhex(signature["sig"])
        assert verifies(key, canonical(signed), raw), path
        assert not verifies(key, canonical(signed) + b" ", raw), path
assert types == {"ed25519", "ecdsa", "rsa"}, types

def stated(facts, path):
    content = open(path, "rb").read()
    assert facts["length"] == len(content), path
    assert facts["hashes"]["sha256"] == hashlib.sha256(content).hexdigest(), path
    return content

snapshot = json.load(open("repo/metadata/timestamp.json"))["signed"]["meta"]["snapshot.json"]
content = stated(snapshot, "repo/metadata/%d.snapshot.json" % snapshot["version"])
targets = json.loads(content)["signed"]["meta"]["targets.json"]
content = stated(targets, "repo/metadata/%d.targets.json" % targets["version"])
for name, facts in json.loads(content)["signed"]["targets"].items():
    assert name == "tetra/manifest.xml", name
    stated(facts, "repo/targets/tetra/%s.manifest.xml" % facts["hashes"]["sha256"])
END
    want 0 /usr/bin/python3 check.py
}

two_at_once_publish_one_after_the_other_or_are_told() {
    local i busy=0 done=0 status pids=()
    tree one 1
    # Random bytes compress slowly, so that the runs meet.
    head -c 6000000 /dev/urandom >one/big
    want 0 publish init
    for i in 1 2 3 4 5 6; do
        defupd-publish --repo repo add-release "c$i" 1 one >"out.$i" 2>"err.$i" &
        pids+=($!)
    done
    for i in 1 2 3 4 5 6; do
        status=0
        wait "${pids[i - 1]}" || status=$?
        case $status in
        0) done=$((done + 1)) ;;
        75)
            busy=$((busy + 1))
            grep -q 'in use by another publisher' "err.$i" || fail "$(cat "err.$i")"
            ;;
        *) fail "exit $status: $(cat "err.$i")" ;;
        esac
    done
    [ $done -ge 1 ] || fail 'nobody published'
    [ $((done + busy)) = 6 ] || fail "$done and $busy"
    want 0 publish verify
    [ "$(grep -c ': 1 release' out)" = $done ] || fail "$(cat out)"
}

# Killed at any time: the repository verifies, and the next run goes on.
a_killed_publisher_leaves_a_repository_that_verifies() {
    local i times='1 4 7 10'
    [ -z "${DEFUPD_LONG-}" ] || times='1 2 3 4 5 6 7 8 9 10'
    tree one 1
    head -c 300000 /dev/urandom >one/big
    want 0 publish init
    for i in $times; do
        echo "$i" >one/rules
        defupd-publish --repo repo add-release --level 1 tetra "$((2 * i))" one >/dev/null 2>&1 &
        sleep "0.0$((i - 1))"
        kill -KILL $! 2>/dev/null
        wait $! 2>/dev/null
        want 0 publish verify
        want 0 publish add-release --level 1 tetra "$((2 * i + 1))" one
    done
    want 0 publish verify
}

verify_tells_defects_as_json_too() {
    tree one 1
    want 0 publish init
    want 0 publish add-release tetra 1 one
    want 0 publish verify --json
    /usr/bin/python3 -c 'import json, sys
d = json.load(open("out"))
assert [r.pop("role") for r in d["roles"]] == ["root", "targets", "snapshot", "timestamp"], d
assert all(r["threshold"] == r["keys"] == r["private"] == r["signatures"] == 1
           for r in d["roles"]), d
assert all(r["expires_in_days"] in (r["days"] - 1, r["days"]) for r in d["roles"]), d
del d["roles"]
assert [(c["component"], c["role"], c["releases"], c["newest"], c["objects"])
        for c in d.pop("components")] == [("tetra", "targets", 1, 1, 1)], d
assert d == {"repository": "repo", "defects": [], "warnings": [], "command": "verify", "code": 0,
             "name": "OK", "text": "", "advice": "", "exit": 0, "ok": True}, d' || fail "$(cat out)"
    want 0 publish verify --json --within 8
    /usr/bin/python3 -c 'import json, sys
d = json.load(open("out"))
assert [w.split()[0] for w in d["warnings"]] == ["snapshot", "timestamp"], d' || fail "$(cat out)"
    want 0 publish verify --within 1
    grep -q 'warning: timestamp version 2 expires in 2[34] hours, at' err || fail "$(cat err)"
    says 'root       version 1, signed by 1 of 1 keys (1 needed), expires in 36'
    says 'tetra: 1 release, newest 1, 1 object of '
    rm -r repo/objects/*/*
    want 65 publish verify --json
    /usr/bin/python3 -c 'import json, sys
d = json.load(open("out"))
assert not d["ok"] and d["code"] == -2901 and len(d["defects"]) == 1, d
assert "tetra 1: open objects/" in d["defects"][0], d
assert d["name"] == "REPO" and d["exit"] == 65 and d["text"] == "repository repo: 1 defect", d
assert len(d["roles"]) == 4, d' || fail "$(cat out)"
}

is_json() { # NAME EXIT [KEY]: one document, saying so
    /usr/bin/python3 -c 'import json, sys
d = json.load(open("out"))
d = d[sys.argv[3]] if sys.argv[3:] else d
assert d["name"] == sys.argv[1] and d["exit"] == int(sys.argv[2]) and d["text"] and d["code"], d' \
        "$@" || fail "$(cat out)"
}

who_wants_json_gets_json_also_for_a_wrong_command_line() {
    local words
    for words in '--json' 'nonsense --json' '--json cancel more' 'verify --json --repo' \
        '--json --nonsense' 'refresh --json'; do
        # shellcheck disable=SC2086 # words
        want 64 defupd-publish --repo repo $words
        is_json INVALID 64
        [ -s err ] || fail 'nothing on standard error'
        # shellcheck disable=SC2086 # words
        want 64 defupd $words
        is_json INVALID 64
        [ -s err ] || fail 'nothing on standard error'
    done
    want 64 defupd --json update --nonsense
    is_json INVALID 64 result
    want 64 publish nonsense -- --json
    [ ! -s out ] || fail "$(cat out)"
    want 65 publish verify --json
    is_json REPO 65
    want 0 publish init
    want 73 env TMPDIR=/proc/self defupd-publish --repo repo verify --json
    is_json CANNOT_CREATE 73
}

advice_fits_the_publisher() {
    tree one 1
    want 0 publish init
    chmod 0777 repo.keys
    want 77 publish refresh
    says 'keys directory repo.keys has mode 0777: others may open it, expected 0700'
    says '-2903 KEY: check the keys directory, its mode and the passphrase'
    chmod 0700 repo.keys
    want 0 /usr/bin/python3 -c 'import fcntl, subprocess, sys
lock = open("repo/.lock", "r+")
fcntl.lockf(lock, fcntl.LOCK_EX)
result = subprocess.run(["defupd-publish", "--repo", "repo", "refresh"])
sys.exit(result.returncode != 75)'
    says 'in use by another publisher'
    says '-2600 BUSY: let the other one finish'
    want 65 publish sign export change
    says '-2905 PENDING: see '
    want 73 publish init
    says '-2900 REPO_EXISTS: it stays as it is'
    echo '{}' >bad
    want 65 defupd-publish --keys repo.keys sign bad
    says '-2203 METADATA_FORMAT: sign nothing of it'
    # Of another repository: what is served in the place of ours gets no signature.
    want 0 defupd-publish --repo other init
    cp repo.keys/timestamp-* repo.keys/snapshot-* other.keys
    rm -r repo/metadata && cp -a other/metadata repo
    want 65 publish refresh
    says 'is not the one pinned in repo.keys/root.json'
    says '-2904 PIN: sign nothing: put the right repository back'
    want 65 publish verify
    says 'defect: root version 1 of repository repo is not the one pinned'
}

progress_is_drawn_on_a_terminal_and_nowhere_else() {
    tree one 1
    head -c 3000000 /dev/urandom >one/big
    want 0 publish init
    want 0 publish add-release --level 1 tetra 1 one
    [ ! -s err ] || fail "$(cat err)"
    want 0 timeout 60 "$SOURCE/tests/tools/terminal.py" '' defupd-publish --repo repo add-release \
        --level 1 --note same tetra 2 one
    says 'reading tetra 2 '
    echo more >one/more
    want 0 timeout 60 "$SOURCE/tests/tools/terminal.py" '' defupd-publish --repo repo add-release \
        --level 1 tetra 3 one
    says 'reading tetra 3 '
    grep -q 'bundling tetra 3 \[[#.]*\] *[0-9]*%.* ETA' out || fail "$(cat out)"
    want 0 timeout 60 "$SOURCE/tests/tools/terminal.py" '' defupd-publish --repo repo verify
    grep -q 'checking tetra 3 \[[#.]*\] *[0-9]*%.* ETA' out || fail "$(cat out)"
    want 0 timeout 60 "$SOURCE/tests/tools/terminal.py" '' defupd-publish --repo repo verify --json
    ! grep -q ETA out || fail "$(cat out)"
    want 0 publish verify
    ! grep -q 'ETA\|checking' out err || fail "$(cat out err)"
}

# signal SIGNAL FILE COMMAND...: run it, and send the signal as soon as FILE (a pattern) is there. Its
# exit status is in $status; 0 when it was faster.
signal() {
    local signal=$1 file=$2 pid i
    shift 2
    # Bash lets what it starts beside it ignore interrupts.
    env --default-signal=INT "$@" >out 2>err </dev/null &
    pid=$!
    for ((i = 0; i < 2000; i++)); do
        compgen -G "$file" >/dev/null && break
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.01
    done
    kill "-$signal" "$pid" 2>/dev/null
    status=0
    wait "$pid" 2>/dev/null || status=$?
}

a_signal_ends_the_work_and_leaves_nothing_behind() {
    local name i status names=TERM
    [ -z "${DEFUPD_LONG-}" ] || names='TERM INT HUP'
    mkdir one tmp
    head -c 40000000 /dev/urandom >one/big
    want 0 publish init
    cp -a repo before
    for name in $names; do
        for ((i = 0; i < 20; i++)); do
            rm -rf repo && cp -a before repo
            signal $name repo/objects/work.tmp/bundle defupd-publish --repo repo add-release tetra 1 one
            [ $status = 0 ] || break
        done
        [ $status = 75 ] || fail "SIG$name: exit $status: $(cat err)"
        says '-2601 CANCELLED: readers see the repository as it was'
        diff -r -x .lock before repo || fail 'something was published'
    done
    want 0 publish add-release --level 1 tetra 1 one
    for name in $names; do
        for ((i = 0; i < 20; i++)); do
            TMPDIR=$PWD/tmp signal $name 'tmp/defupd-verify-*' defupd-publish --repo repo verify
            [ -z "$(ls tmp)" ] || fail "left behind: $(ls tmp)"
            [ $status = 0 ] || break
        done
        [ $status = 75 ] || fail "SIG$name: exit $status: $(cat err)"
    done
    # One that is killed cannot clean up; the next one does, and leaves alone what is at work or not
    # of its kind.
    local killed=0
    mkdir -m 0700 tmp/defupd-verify-0123456789abcde tmp/defupd-verify-0123456789abcdeg tmp/other
    mkdir -m 0755 tmp/defupd-verify-0123456789abcdef
    for ((i = 0; i < 20 && killed == 0; i++)); do
        TMPDIR=$PWD/tmp signal KILL 'tmp/defupd-verify-*/tree' defupd-publish --repo repo verify
        [ $status = 0 ] || killed=1
    done
    [ $killed = 1 ] && [ "$(ls tmp | wc -l)" = 5 ] || fail "exit $status: $(ls tmp)"
    rmdir tmp/defupd-verify-0123456789abcdef
    mkdir -m 0700 tmp/defupd-verify-0123456789abcdef
    touch tmp/defupd-verify-0123456789abcdef/of-one-at-work
    TMPDIR=$PWD/tmp want 0 flock tmp/defupd-verify-0123456789abcdef defupd-publish --repo repo verify
    [ "$(ls tmp | tr '\n' ' ')" = 'defupd-verify-0123456789abcde defupd-verify-0123456789abcdef defupd-verify-0123456789abcdeg other ' ] ||
        fail "$(ls tmp)"
    TMPDIR=$PWD/tmp want 0 publish verify
    [ ! -e tmp/defupd-verify-0123456789abcdef ] && [ "$(ls tmp | wc -l)" = 3 ] || fail "$(ls tmp)"
    rm -r tmp && mkdir tmp
    # Who ignores hang-ups is not ended by one.
    TMPDIR=$PWD/tmp signal HUP 'tmp/defupd-verify-*' env --ignore-signal=HUP defupd-publish \
        --repo repo verify
    [ $status = 0 ] || fail "exit $status: a hang-up that is ignored: $(cat err)"
    [ -z "$(ls tmp)" ] || fail "left behind: $(ls tmp)"
}

help_and_man_page_tell_the_same() {
    local man=$SOURCE/docs/man/defupd-publish.1 command option plain
    want 0 defupd-publish --version
    says 'defupd-publish '
    want 0 defupd-publish -h
    says Usage
    want 0 defupd-publish add-release -h
    says TREE_DIR
    want 0 defupd-publish --help
    sed -n '/^Commands/,/^$/s/^  \(key [a-z]*\|sign [a-z]*\|[a-z][a-z-]*\).*/\1/p' out |
        sed 's/ $//' >commands
    [ "$(wc -l <commands)" -ge 18 ] || fail "$(cat commands)"
    sed -n 's/^  \(--[a-z-]*\).*/\1/p' out >options
    plain=$(sed 's/\\-/-/g; s/"//g; s/^\.[A-Z]* //' "$man")
    while read -r command; do
        grep -q "^$command" <<<"$plain" || fail "not in the man page: $command"
        # shellcheck disable=SC2086 # a command of two words
        want 0 defupd-publish $command --help
        says "[OPTION]... $command"
        sed -n 's/^  \(--[a-z-]*\).*/\1/p' out >>options
    done <commands
    sort -u options >all
    grep -o '^--[a-z][a-z-]*' <<<"$plain" | sort -u >told
    diff all told >difference || fail "options of --help and of the man page: $(cat difference)"
    [ "$(wc -l <all)" -ge 24 ] || fail "$(cat all)"
    if command -v man >/dev/null; then
        want 0 man --warnings -E UTF-8 -l -Tutf8 -Z "$man"
        [ ! -s err ] || fail "$(cat err)"
    fi
}

for test in a_release_is_made_and_told options_stand_anywhere_and_with_an_equals_sign \
    a_wrong_command_line_is_told_and_ends_with_64 an_error_is_one_line_and_its_advice \
    each_failure_has_its_exit_code keys_are_listed_and_never_shown \
    other_tools_can_check_every_signature \
    two_at_once_publish_one_after_the_other_or_are_told \
    a_killed_publisher_leaves_a_repository_that_verifies verify_tells_defects_as_json_too \
    who_wants_json_gets_json_also_for_a_wrong_command_line advice_fits_the_publisher \
    progress_is_drawn_on_a_terminal_and_nowhere_else \
    a_signal_ends_the_work_and_leaves_nothing_behind \
    help_and_man_page_tell_the_same; do
    t_run "$test"
done
t_done
