#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A host without any network interface lives on archives: the first whole, then what its own
# receipts ask for. One wrong file of each kind leaves it as it was.
#
# All of it runs where no interface is up and nothing can be reached: making such a place for each
# command takes longer than the command.
if [ -z "${AIR_GAP-}" ] && unshare -n true 2>/dev/null; then
    AIR_GAP=yes exec unshare -n -- "$0"
fi
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"

# The host.
air() {
    defupd --state-dir "$state" "$@"
}

# four releases of two components; the rest comes from rules.sh
make_releases() {
    make_rules
    cp -a alpha2 alpha3 && seq 1 20500 >alpha3/hashes.txt
    cp -a alpha3 alpha4 && seq 5 20500 >alpha4/hashes.txt && echo four >alpha4/four
    cp -a beta2 beta3 && echo three >beta3/list
    cp -a beta3 beta4 && echo four >beta4/list
}

# spoil KIND FROM TO: a wrong file made from a right one.
spoil() {
    /usr/bin/python3 - "$@" <<'PYTHON'
import io, os, re, struct, sys, tarfile, zipfile
kind, source, target = sys.argv[1:]
members = []
if source.endswith(".zip"):
    with zipfile.ZipFile(source) as z:
        members = [(i.filename, z.read(i)) for i in z.infolist()]
else:
    with tarfile.open(source) as t:
        members = [(i.name, t.extractfile(i).read()) for i in t.getmembers()]
is_object = [name.startswith("objects/") for name, _ in members]
first = is_object.index(True)

def flip(name, data):
    at = len(data) // 2
    return name, data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]

def zipped(list_, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(target, "w", method) as z:
        for name, data in list_:
            z.writestr(zipfile.ZipInfo(name), data, method)

def tarred(list_, extra=()):
    with tarfile.open(target, "w") as t:
        for name, data in list_:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
        for info in extra:
            t.addfile(info)

def patch(pattern, offset, value):
    raw = bytearray(open(target, "rb").read())
    for match in re.finditer(re.escape(pattern), bytes(raw)):
        raw[match.start() + offset:match.start() + offset + len(value)] = value
    open(target, "wb").write(raw)

# Longer than all that is signed, and than a file of metadata may be.
ZEROS = bytes((64 if os.environ.get("DEFUPD_LONG") else 6) << 20) if kind in ("bomb", "metabomb", "liar") else b""
if kind == "object":         # a changed byte in each object
    zipped([flip(*m) if o else m for m, o in zip(members, is_object)])
elif kind == "timestamp":
    zipped([flip(*m) if m[0].endswith("timestamp.json") else m for m in members])
elif kind == "manifest":
    zipped([flip(*m) if m[0].endswith("manifest.xml") else m for m in members])
elif kind == "lost":         # what metadata states is not there
    zipped([m for m in members if not m[0].endswith("snapshot.json")])
elif kind == "up":
    zipped([("../../evil.json", b"{}")] + members)
elif kind == "top":
    zipped([("/tmp/evil.json", b"{}")] + members)
elif kind == "inside":
    zipped([("metadata/../evil.json", b"{}")] + members)
elif kind == "stranger":
    zipped(members[:first] + [("readme.txt", b"hello")] + members[first:])
elif kind == "unsigned":     # an object that nothing names
    zipped(members + [("objects/ab/ab" + "0" * 62, b"hello")])
elif kind == "long":         # longer than signed
    zipped([(n, d + b"x") if o else (n, d) for (n, d), o in zip(members, is_object)])
elif kind == "bomb":         # objects of nothing but zeros, small in the archive
    zipped([(n, ZEROS) if o else (n, d) for (n, d), o in zip(members, is_object)],
           zipfile.ZIP_DEFLATED)
elif kind == "metabomb":
    zipped([("metadata/9.alpha.json", ZEROS)] + members, zipfile.ZIP_DEFLATED)
elif kind == "liar":         # says the signed length, holds more
    bombs = [(n, ZEROS) if o else (n, d) for (n, d), o in zip(members, is_object)]
    zipped(bombs, zipfile.ZIP_DEFLATED)
    for (name, data), o in zip(members, is_object):
        if o:
            raw = bytearray(open(target, "rb").read())
            for m in re.finditer(re.escape(name.encode()), bytes(raw)):
                for start, at in ((30, b"PK\3\4"), (46, b"PK\1\2")):
                    if raw[m.start() - start:m.start() - start + 4] == at:
                        off = m.start() - start + (22 if start == 30 else 24)
                        raw[off:off + 4] = struct.pack("<I", len(data))
            open(target, "wb").write(raw)
elif kind == "many":
    zipped([("metadata/%d.alpha.json" % i, b"") for i in range(5000)] + members)
elif kind == "twice":
    zipped(members + [members[-1]])
elif kind == "metatwice":
    zipped([members[0]] + members)
elif kind == "order":
    zipped(members[first:] + members[:first])
elif kind == "encrypted":    # the bit that says so
    zipped(members)
    patch(b"PK\3\4", 6, b"\1")
    patch(b"PK\1\2", 8, b"\1")
elif kind == "directory":    # the end of the zip points elsewhere
    zipped(members)
    patch(b"PK\5\6", 16, b"\0\0\0\0")
elif kind == "symlink":
    info = tarfile.TarInfo("metadata/9.alpha.json")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    tarred(members[:first], [info])
elif kind == "hardlink":
    info = tarfile.TarInfo("metadata/9.alpha.json")
    info.type, info.linkname = tarfile.LNKTYPE, "metadata/1.root.json"
    tarred(members[:first], [info])
elif kind == "device":
    info = tarfile.TarInfo("metadata/9.alpha.json")
    info.type, info.devmajor, info.devminor = tarfile.CHRTYPE, 1, 5
    tarred(members[:first], [info])
else:
    sys.exit("no such kind: " + kind)
PYTHON
}

# What a failure must leave: what was there, whole, and nothing half-done.
untouched() { # N
    is_at "$1" || fail "$what: the installed set is not what it was"
    [ "$(readlink "$state/current")" = "$current" ] || fail "$what: another generation"
    local now=$(unfinished)
    [[ $now != */staging/* ]] || fail "$what: left in staging: $now"
    [[ $now != *.part* ]] || fail "$what: a part was left: $now"
    [ "$now" = "$before" ] || fail "$what: left in downloads: $now, not $before"
}

unfinished() {
    find "$state/staging" "$state/downloads" -mindepth 1 | sort
}

# refused STATUS N WORDS FILE: importing it ends so, says so in one line, and changes nothing.
refused() {
    local what=$4 before current
    current=$(readlink "$state/current")
    before=$(unfinished)
    want "$1" air import "$4"
    says "$3"
    [ "$(grep -cP '^defupd: (?!warning: )' err)" = 1 ] || fail "$what: $(cat err)"
    untouched "$2"
}

# at STATE: what local.xml says of alpha
state_is() {
    [ "$(xmllint --xpath 'string(//alpha/state)' "$state/local.xml")" = "$1" ] ||
        fail "alpha is $(xmllint --xpath 'string(//alpha/state)' "$state/local.xml"), not $1"
}

three_receipts_bring_three_updates() {
    local n
    state=$PWD/state
    [ "$(ip -o link | grep -c -v ' lo: ')" = 0 ] || fail "a network: $(ip -o link)"
    ! (exec 4<>/dev/tcp/127.0.0.1/1) 2>err || fail 'something can be reached'
    grep -q unreachable err || fail "$(cat err)"
    make_releases
    make_repo repo 1
    want 0 defupd-publish --repo repo export-offline -o whole.zip
    want 0 air --trusted-root repo/metadata/1.root.json import whole.zip
    says 'Generation 1 is active'
    is_at 1 || fail 'the first import is not at 1'
    state_is fresh
    for n in 2 3 4; do
        want 0 air posture
        cp out receipt.json
        make_repo repo "$n"
        case $n in
        2) next=next2.zip ;;
        3) next=next3.tar ;;
        4) next=next4.tar.zst ;;
        esac
        want 0 defupd-publish --repo repo export-offline -o $next --since-posture receipt.json --json
        # one object each: a delta, or a bundle that is cheaper than that
        [ "$(jq -r '[.components[].objects] | @csv' out)" = 1,1 ] || fail "$n: $(cat out)"
        [ "$(jq -r '[.components[].from] | @csv' out)" = $((n - 1)),$((n - 1)) ] || fail "$(cat out)"
        jq -e '.components[0].how | startswith("delta from '$((n - 1))',")' out >/dev/null ||
            fail "$n: $(cat out)"
        # to be decided is not to be done
        want 0 air import --dry-run $next
        says "would update $((n - 1)) -> $n"
        is_at $((n - 1)) || fail 'a dry run has changed the set'
        want 2 air import $next --detailed-exitcode
        is_at $n || fail "the import of $next is not at $n"
        state_is fresh
        [ "$(readlink state/current)" = generations/$n ] || fail "current: $(readlink state/current)"
        want 0 air verify
        # again: nothing new, no generation
        want 0 air import $next --detailed-exitcode
        says 'Nothing new'
        [ "$(readlink state/current)" = generations/$n ] || fail 'a generation for nothing'
    done
    want 0 air rollback
    is_at 3 || fail 'no way back'
    # A receipt of who has all of it asks for nothing.
    want 0 air posture
    jq '.engines[].definitions[].version = 4' out >full.json
    want 0 defupd-publish --repo repo export-offline -o none.zip --since-posture full.json --json
    [ "$(jq .objects out)" = 0 ] || fail "$(cat out)"
}

one_wrong_file_of_each_kind_changes_nothing() {
    local kind size cut cuts
    state=$PWD/state
    make_releases
    make_repo repo 1
    want 0 defupd-publish --repo repo export-offline -o first.zip
    make_repo repo 2
    want 0 defupd-publish --repo repo export-offline -o second.zip
    want 0 air --trusted-root repo/metadata/1.root.json import second.zip
    make_repo repo 3
    for form in zip tar tar.zst; do
        want 0 defupd-publish --repo repo export-offline -o new.$form
    done
    is_at 2 || fail 'not at 2'

    # not an archive that is taken
    echo hello >text.zip
    : >empty.zip
    gzip -k new.tar
    xz -k new.tar
    bzip2 -k new.tar
    mkdir -p folder/metadata
    printf '7z\274\257\047\034 and more' >seven.zip
    refused 65 2 'is no archive that is known here' text.zip
    refused 65 2 'is empty' empty.zip
    refused 65 2 'is a gzip file; taken are .zip, .tar and .tar.zst' new.tar.gz
    refused 65 2 'is an xz file' new.tar.xz
    refused 65 2 'is a bzip2 file' new.tar.bz2
    refused 65 2 'is a 7z archive' seven.zip
    refused 65 2 'is a JSON document' repo/metadata/timestamp.json
    refused 65 2 'is a program' "$BUILD/agent/defupd"
    refused 65 2 'holds no repository' folder
    refused 65 2 'is neither a file nor a folder' /dev/zero
    refused 74 2 'No such file' nowhere.zip
    state_is fresh # a person took the wrong file: no alarm

    # somebody's hand was in it; in the order in which a client comes to know of it
    spoil timestamp new.zip wrong.zip
    refused 65 2 'metadata/timestamp.json' wrong.zip
    state_is failing # that is worth an alarm
    spoil lost new.zip wrong.zip
    refused 65 2 'the source does not have it' wrong.zip
    spoil manifest new.zip wrong.zip
    refused 65 2 'manifest.xml' wrong.zip
    spoil object new.zip wrong.zip
    refused 65 2 'has SHA-256' wrong.zip
    spoil liar new.zip wrong.zip
    refused 65 2 '' wrong.zip

    # cut short, at many places
    for form in zip tar tar.zst; do
        size=$(stat -c %s new.$form)
        cuts="1 100 512 $((size / 2)) $((size - 512)) $((size - 1))"
        [ -z "${DEFUPD_LONG-}" ] || cuts="$cuts 4 21 511 1024 4096 $((size / 4)) $((size - 1024))
            $((size - 513)) $((size - 22))"
        for cut in $cuts; do
            head -c $cut new.$form >cut.$form
            refused 65 2 '2407 ARCHIVE' cut.$form
        done
    done

    # changed, added, taken away
    while read -r kind words; do
        spoil "$kind" new.zip wrong.zip || fail "cannot make $kind"
        refused 65 2 "$words" wrong.zip
    done <<'KINDS'
up '../../evil.json'
top '/tmp/evil.json'
inside 'metadata/../evil.json'
stranger 'readme.txt' is no part of a repository
long ' has
bomb ' has
metabomb is larger than metadata may be
many more than 4096 files
twice is there twice
metatwice is there twice
order comes after objects
encrypted is encrypted
directory its directory is not where it says
KINDS
    for kind in symlink hardlink device; do
        spoil $kind new.tar wrong.tar || fail "cannot make $kind"
        refused 65 2 'is not a plain regular file' wrong.tar
    done
    { zstd -qdc new.tar.zst; head -c 400M /dev/zero; } | zstd -q -1 -c >padded.tar.zst
    refused 65 2 'which no archive of its size needs' padded.tar.zst

    # somebody else's repository
    (deltas=0 make_repo foreign 1)
    want 0 defupd-publish --repo foreign export-offline -o foreign.zip
    refused 65 2 'SIGNATURE' foreign.zip
    # older than what was seen
    refused 75 2 'SOURCE_BEHIND' first.zip
    refused 75 2 'SOURCE_BEHIND' second.zip
    # made for a host that has something else
    make_repo repo 4
    want 0 defupd-publish --repo repo export-offline -o other.zip --since alpha@3 --since beta@3
    refused 65 2 'it was not made for what this host has' other.zip

    # and the right one, in which somebody has put more: it is passed over
    want 0 defupd-publish --repo repo export-offline -o new.zip
    spoil unsigned new.zip more.zip
    want 0 air import more.zip
    [ ! -e "state/downloads/ab$(printf %062d 0)" ] || fail 'what nobody signed was taken'
    is_at 4 || fail 'not at 4'
    state_is fresh
}

a_folder_is_as_good_as_an_archive() {
    state=$PWD/state
    make_releases
    make_repo repo 1 2
    want 0 defupd-publish --repo repo export-offline -o whole.zip
    mkdir stick && (cd stick && unzip -q ../whole.zip)
    want 0 air --trusted-root repo/metadata/1.root.json import stick
    is_at 2 || fail 'not at 2'
    make_repo repo 3
    want 0 air import repo
    is_at 3 || fail 'not at 3'
    # repacked by another program, compressed, in the order that is needed
    make_repo repo 4
    (cd repo && zip -q -r ../repacked.zip metadata targets objects)
    want 0 air import repacked.zip
    is_at 4 || fail 'not at 4'
    rm -rf state
    (cd repo && tar -cf - metadata targets objects) | zstd -q -19 >repacked.tar.zst
    want 0 air --trusted-root repo/metadata/1.root.json import repacked.tar.zst
    is_at 4 || fail 'not at 4'
}

metadata_may_be_two_weeks_old() {
    if [ "$SANITIZE" != none ]; then
        echo "# faketime and sanitizers do not go together" >&3
        return
    fi
    state=$PWD/state
    make_releases
    make_repo repo 1
    want 0 defupd-publish --repo repo export-offline -o whole.zip
    want 65 faketime '+22 days' defupd --state-dir "$state" \
        --trusted-root repo/metadata/1.root.json import whole.zip
    says 'EXPIRED'
    [ ! -e state/current ] || fail 'it was taken'
    want 65 faketime '+10 days' defupd --state-dir "$state" \
        --trusted-root repo/metadata/1.root.json import --grace 1 whole.zip
    says 'EXPIRED'
    want 0 faketime '+10 days' defupd --state-dir "$state" \
        --trusted-root repo/metadata/1.root.json import whole.zip
    is_at 1 || fail 'not at 1'
    want 0 faketime '+22 days' defupd --state-dir "$state" \
        import --grace 30 whole.zip
    # The same by policy; what is said on the command line counts more.
    printf '<policy format="1"><sources><import-grace>%s</import-grace></sources></policy>\n' P30D >policy.xml
    chmod 644 policy.xml
    want 0 faketime '+22 days' defupd --config "$PWD/policy.xml" --state-dir "$state" import whole.zip
    want 65 faketime '+22 days' defupd --config "$PWD/policy.xml" --state-dir "$state" import --grace 14 whole.zip
    says 'EXPIRED'
    sed -i s/P30D/P2D/ policy.xml
    want 65 faketime '+10 days' defupd --config "$PWD/policy.xml" --state-dir "$state" import whole.zip
    says 'EXPIRED'
    # Without a word in it, two weeks.
    sed -i 's|<import-grace>.*</import-grace>||' policy.xml
    want 0 faketime '+10 days' defupd --config "$PWD/policy.xml" --state-dir "$state" import whole.zip
}

if [ -n "${AIR_GAP-}" ]; then
    t_run three_receipts_bring_three_updates
    t_run one_wrong_file_of_each_kind_changes_nothing
    t_run a_folder_is_as_good_as_an_archive
    t_run metadata_may_be_two_weeks_old
else
    for name in three_receipts_bring_three_updates one_wrong_file_of_each_kind_changes_nothing \
        a_folder_is_as_good_as_an_archive metadata_may_be_two_weeks_old; do
        t_skip $name 'no network namespaces here'
    done
fi
t_done
