#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Daily releases with their deltas: what is made, shown, found wrong, and left behind by a bad end.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/days.sh"

publish() {
    defupd-publish --repo repo "$@"
}

# manifest PYTHON: look at the published manifest as m, its releases (newest first) as r.
manifest() {
    /usr/bin/python3 - "$@" <<END || fail "the manifest is not as it should be"
import json, xml.etree.ElementTree as xml
def role(name):
    return json.load(open("repo/metadata/" + name))["signed"]
snapshot = role("%d.snapshot.json" % role("timestamp.json")["meta"]["snapshot.json"]["version"])
targets = role("%d.targets.json" % snapshot["meta"]["targets.json"]["version"])
digest = targets["targets"]["rules/manifest.xml"]["hashes"]["sha256"]
m = xml.parse("repo/targets/rules/%s.manifest.xml" % digest).getroot()
r = m.findall("release")
def deltas(release):
    return [int(d.get("from")) for d in release.findall("delta")]
$1
END
}

a_month_of_daily_releases_has_deltas_from_all_that_matters() {
    # The first ones without, to save time; all of them where there is time.
    if [ -n "${DEFUPD_LONG-}" ]; then
        days 1 33
    else
        days 1 32 --deltas 0
        days 33 33
    fi
    says 'deltas        12, '
    sed -n '/^delta from/,$p' out >table
    head -1 table | grep -Eqx 'delta from +bytes +of the bundle +seconds *' || fail "$(head -1 table)"
    tail -n +2 table | grep -Evq '^ +[0-9]+ +[0-9]+ +[0-9]+\.[0-9] % +[0-9]+\.[0-9] *$' && fail "$(cat table)"
    [ "$(tail -n +2 table | wc -l)" = 12 ] || fail "$(cat table)"
    days 34 34 --json
    /usr/bin/python3 -c 'import json
d = json.load(open("out"))
assert d["ok"] and len(d["deltas"]) == 12 and d["version"] == 34 and d["dropped"] == 1, d
assert all(x["state"] == "made" and 0 < x["share"] < 0.9 and len(x["object"]) == 64 for x in d["deltas"]), d
assert sum(x["bytes"] for x in d["deltas"]) == d["delta_bytes"], d' || fail "$(cat out)"
    manifest '
import glob, os
assert len(r) == 32 and r[0].get("version") == "34", [x.get("version") for x in r]
reach = set(deltas(r[0])) | set(deltas(r[1]))
assert len(deltas(r[0])) == len(deltas(r[1])) == 12 and {33, 32, 31} < set(deltas(r[0])), reach
assert {34 - behind for behind in [*range(1, 17), 20, 28, 29, 30, 31]} <= reach, reach
assert not any(deltas(x) for x in r[2:])
for x in r[:2]:
    full = int(x.find("full").get("bytes"))
    for d in x.findall("delta"):
        name = d.get("object")
        size = os.path.getsize("repo/objects/%s/%s" % (name[:2], name))
        assert size == int(d.get("bytes")) < 0.9 * full and d.get("codec") == "1"
# What a client reads of one update.
files = ["targets/rules/%s.manifest.xml" % digest, "metadata/timestamp.json",
         "metadata/%d.snapshot.json" % snapshot["version"], "metadata/%d.targets.json" % targets["version"]]
sizes = [os.path.getsize("repo/" + f) for f in files]
assert sizes[0] <= 16384 and sum(sizes) <= 20000, sizes
'
    want 0 publish verify
    says 'rules: 32 releases, newest 34, 56 objects of '
    says ', 24 deltas applied, signed by targets'
    want 0 publish verify --json
    /usr/bin/python3 -c 'import json
d = json.load(open("out"))
assert d["ok"] and [c["deltas"] for c in d["components"]] == [24], d' || fail "$(cat out)"
    # A week later deltas that no manifest names go, and nothing else that clients need.
    find repo -exec touch -d '8 days ago' {} +
    want 0 publish prune --json
    /usr/bin/python3 -c 'import json
d = json.load(open("out"))
assert d["ok"] and d["removed"] == len(d["files"]) > 60 and d["days"] == 7, d' || fail "$(cat out)"
    [ "$(find repo/objects -type f | wc -l)" = 56 ] || fail "$(find repo/objects -type f | wc -l) objects"
    want 0 publish verify
    says ', 24 deltas applied,'
    days 35 35 --deltas 2
    says 'deltas        2, '
    want 0 publish verify
}

a_tampered_delta_is_named() {
    local object
    days 1 3
    object=$(sed -n 's/.*<delta from="1" object="\([0-9a-f]*\)".*/\1/p' repo/targets/rules/* | sort -u | tail -1)
    [ -n "$object" ] || fail 'no delta'
    cp -a repo good
    printf '\377\377\377' | dd of="repo/objects/${object:0:2}/$object" seek=10 bs=1 conv=notrunc status=none
    want 65 publish verify
    [ "$(grep -c '^defect: ' out)" = 1 ] || fail "$(cat out)"
    grep -q "^defect: rules [23]: delta from 1: objects/${object:0:2}/$object: " out || fail "$(cat out)"
    rm "repo/objects/${object:0:2}/$object"
    want 65 publish verify
    grep -q "^defect: rules [23]: delta from 1: open objects/${object:0:2}/$object: " out || fail "$(cat out)"
    # A source's bundle is looked at too, and what starts from it is then not applied.
    rm -rf repo && cp -a good repo
    object=$(/usr/bin/python3 -c 'import glob, re
print(re.findall(r"version=\"1\".*?<full object=\"(\w+)\"", open(max(glob.glob("repo/targets/rules/*"))).read(), re.S)[0])')
    rm "repo/objects/${object:0:2}/$object"
    want 65 publish verify
    says "defect: rules 1: open objects/${object:0:2}/$object: "
    [ "$(grep -c '^defect: ' out)" = 1 ] || fail "$(cat out)"
    # Publishing goes on without it.
    days 4 4
    manifest 'assert deltas(r[0]) == [3, 2], deltas(r[0])'
}

deltas_are_made_as_they_are_ordered() {
    days 1 5 --deltas 0
    says 'deltas        0'
    ! grep -q 'delta from' out || fail "$(cat out)"
    days 6 6 --deltas 2 --jobs 1 --memory 64M
    manifest 'assert deltas(r[0]) == [5, 4] and not deltas(r[1])'
    # What the list beside it does not cover is made up for.
    days 7 7 --jobs 3
    manifest 'assert deltas(r[0]) == [6, 5, 4, 3, 2, 1] and deltas(r[1]) == [5, 4], (deltas(r[0]), deltas(r[1]))'
    days 8 8
    manifest 'assert deltas(r[0]) == [7, 6, 5], deltas(r[0])'
    want 0 publish verify
    says ', 9 deltas applied,'
    local bad
    for bad in 13 -1 x ''; do
        want 64 publish add-release rules 8 rules --deltas "$bad"
    done
    for bad in 0 65 x; do
        want 64 publish add-release rules 8 rules --jobs "$bad"
    done
    for bad in 0 63M 1000 2T x M; do
        want 64 publish add-release rules 8 rules --memory "$bad"
    done
    for bad in 0 6 3651 x; do
        want 64 publish prune --keep "$bad"
    done
    want 64 publish prune --deltas 1
    want 64 publish refresh --deltas 1
}

# A megabyte and a half of text, so that making a delta takes a while.
large() {
    [ -f rules/large ] || seq 1000000 1 1200000 >rules/large
}

interrupts_leave_the_repository_as_it_was() {
    local name pid i status names=TERM
    [ -z "${DEFUPD_LONG-}" ] || names='INT TERM HUP'
    mkdir rules
    large
    want 0 publish init
    want 0 publish add-release --level 1 rules 1 rules
    sed -i 's/77$/78/' rules/large
    cp -a repo before
    for name in $names; do
        # Bash lets what it starts beside it ignore interrupts.
        env --default-signal=INT defupd-publish --repo repo add-release --level 1 rules 2 rules >out 2>err </dev/null &
        pid=$!
        for ((i = 0; i < 3000; i++)); do
            [ ! -e repo/objects/work.tmp/delta-0 ] || break
            sleep 0.01
        done
        kill "-$name" "$pid"
        status=0
        wait "$pid" || status=$?
        [ $status = 75 ] || fail "SIG$name: exit $status: $(cat err)"
        says '-2601 CANCELLED: readers see the repository as it was'
        diff -r -x .lock before repo || fail "SIG$name left something behind"
    done
    want 0 publish add-release --level 1 rules 2 rules
    says 'deltas        1, '
    want 0 publish verify
}

a_full_disk_leaves_the_repository_as_it_was() {
    mkdir rules
    large
    want 0 publish init
    want 0 publish add-release --level 1 rules 1 rules
    cp -a repo before
    sed -i 's/77$/78/' rules/large
    # Files may grow to 0.8 MB: room for the bundle, and not for the tree that it holds.
    want 74 bash -c 'trap "" XFSZ; ulimit -f 800; exec defupd-publish --repo repo add-release --level 1 rules 2 rules'
    says 'rules 2: delta from 1: '
    diff -r -x .lock before repo || fail 'something was left behind'
    want 0 publish add-release --level 1 rules 2 rules
    want 0 publish verify
}

# Killed at any time: the repository verifies, and the next run goes on.
a_killed_publisher_leaves_a_repository_that_verifies() {
    local times=2 total at i old=0 new=0
    [ -z "${DEFUPD_LONG-}" ] || times=40
    days 1 3 --deltas 0
    cp -a repo before
    day 4
    "$BUILD/tests/killat" 0 defupd-publish --repo repo add-release --level 1 --jobs 2 rules 4 rules >out 2>err ||
        fail "the work itself fails: $(cat err)"
    total=$(sed -n 's/^killat: //p' err)
    for ((i = 1; i <= times; i++)); do
        # The number of calls is not quite the same each time.
        at=$((total / 4 + (total * 3 / 4 - 6) * i / times))
        rm -rf repo
        cp -a before repo
        "$BUILD/tests/killat" $at defupd-publish --repo repo add-release --level 1 --jobs 2 rules 4 rules >out 2>err
        want 0 publish verify
        if grep -q 'newest 4' out; then
            new=$((new + 1))
            want 0 publish add-release --level 1 rules 5 rules
        else
            old=$((old + 1))
            want 0 publish add-release --level 1 rules 4 rules
        fi
        [ ! -e repo/objects/work.tmp ] || fail "killed at call $at of $total: left over: $(ls repo/objects/work.tmp)"
        want 0 publish verify
    done
    echo "# $times kills over $total system calls: $old times the old state, $new times the new" >&3
    [ $old != 0 ] || fail 'the kills never came before the end'
}

for test in a_month_of_daily_releases_has_deltas_from_all_that_matters a_tampered_delta_is_named \
    deltas_are_made_as_they_are_ordered interrupts_leave_the_repository_as_it_was \
    a_full_disk_leaves_the_repository_as_it_was a_killed_publisher_leaves_a_repository_that_verifies; do
    t_run "$test"
done
t_done
