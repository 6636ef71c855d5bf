#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What must not get in does not get in: exit 65, one clear line that names what and where, `current` as
# it was, and the next update from a good source succeeds.
deltas=0 # what happens to bundles; deltas have tests of their own
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"

d() {
    defupd --state-dir "$state" "$@"
}

# A store at release 1 and a good repository at release 2; made once.
prepare() {
    state=$PWD/state
    if [ ! -d "$t_kept/prepared" ]; then
        make_rules
        make_repo good 1
        want 0 d --source "file://$PWD/good" --trusted-root good/metadata/1.root.json update
        make_repo good 2
        cp -a state state.before
        cp -a . "$t_kept/prepared"
    else
        cp -a "$t_kept/prepared/." .
    fi
}

flip() { # FILE OFFSET: change one bit of one byte
    /usr/bin/python3 - "$1" "$2" <<'P'
import sys
f = open(sys.argv[1], "r+b")
f.seek(int(sys.argv[2]))
b = f.read(1)[0] ^ 1
f.seek(int(sys.argv[2]))
f.write(bytes([b]))
P
}

# refused STATUS WORDS: the bad repository is refused so; a good one then does it.
refused() {
    local status=$1
    shift
    want "$status" d --source "file://$PWD/bad" update
    [ "$(grep -c '^defupd: ' err)" = 1 ] || fail "not one line: $(cat err)"
    for words in "$@"; do
        says "$words"
    done
    is_at 1 || fail "the refused release is in"
    want 0 d verify
    want 0 d --source "file://$PWD/good" update
    is_at 2 || fail "the good source does not lead to the new set"
    rm -rf state bad
    cp -a state.before state
    cp -a good bad
}

newest() { # PATTERN: the newest of the bad repository's files
    find bad -path "bad/$1" -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2-
}

a_flipped_byte_in_any_metadata_file_is_refused() {
    local parts='2 8'
    [ -z "${DEFUPD_LONG-}" ] || parts='0 1 2 3 4 5 6 7 8 9'
    prepare
    cp -a good bad
    for file in metadata/timestamp.json 'metadata/*.snapshot.json' 'metadata/*.targets.json' \
        'targets/alpha/*.manifest.xml'; do
        size=$(stat -c %s "$(newest "$file")")
        for part in $parts; do
            victim=$(newest "$file")
            flip "$victim" $((size * part / 10))
            refused 65 "$(basename "$victim")"
        done
    done
}

# The objects of release 2 of alpha in the bad repository.
objects_of_alpha() {
    sed -n 's/.*<full object="\([0-9a-f]\{2\}\)\([0-9a-f]*\)".*/bad\/objects\/\1\/\1\2/p' \
        "$(newest 'targets/alpha/*.manifest.xml')" | head -1
}

an_object_that_is_flipped_cut_or_longer_is_refused() {
    prepare
    cp -a good bad
    rm -rf state.before/downloads/*
    for spoil in 'flip "$object" 9' 'truncate -s -1 "$object"' 'printf x >>"$object"' ': >"$object"'; do
        object=$(objects_of_alpha)
        [ -f "$object" ] || fail "no object"
        eval "$spoil"
        rm -rf state && cp -a state.before state
        status=0
        d --source "file://$PWD/bad" update alpha >out 2>err || status=$?
        [ "$status" = 65 ] || fail "$spoil: exit $status: $(cat err)"
        [ "$(grep -c '^defupd: ' err)" = 1 ] || fail "not one line: $(cat err)"
        says "$(basename "$object")"
        is_at 1 || fail "the refused release is in"
        want 0 d --source "file://$PWD/good" update
        is_at 2 || fail "the good source does not lead to the new set"
        rm -rf bad && cp -a good bad
    done
}

one_bad_component_does_not_keep_the_others() {
    prepare
    cp -a good bad
    flip "$(objects_of_alpha)" 9
    want 65 d --source "file://$PWD/bad" update
    says alpha
    same alpha1 state/current/alpha
    same beta2 state/current/beta
    want 0 d --source "file://$PWD/good" update
    is_at 2 || fail "the good source does not lead to the new set"
}

a_root_that_is_not_signed_by_the_old_one_is_refused() {
    prepare
    make_repo other 1
    cp -a good bad
    cp other/metadata/1.root.json bad/metadata/2.root.json
    refused 65 2.root.json
}

metadata_of_another_repository_is_refused() {
    prepare
    make_repo bad 1
    refused 65 timestamp.json
}

an_expired_timestamp_is_refused_and_named() {
    prepare
    cp -a good bad
    want 65 faketime '+3 days' defupd --state-dir "$state" --source "file://$PWD/bad" update
    says timestamp
    says expired
    is_at 1 || fail "expired metadata has led to an update"
    # what is verified stays usable
    want 0 faketime '+3 days' defupd --state-dir "$state" verify
    want 0 d --source "file://$PWD/good" update
    is_at 2 || fail "the good source does not lead to the new set"
    want 0 faketime '+30 days' defupd --state-dir "$state" rollback
    is_at 1 || fail "expiry has kept a rollback"
}

a_wrong_clock_is_told_apart_from_expiry() {
    prepare
    want 65 faketime '2020-01-01 00:00:00' defupd --state-dir "$state" --source "file://$PWD/good" update
    says clock
    ! grep -q expired err || fail "a clock in the past is called expiry: $(cat err)"
    is_at 1 || fail "a wrong clock has led to an update"
    want 0 d --source "file://$PWD/good" update
    is_at 2 || fail "one wrong clock has poisoned the store"
}

a_snapshot_that_contradicts_its_timestamp_is_refused() {
    prepare
    cp -a good bad
    old=$(find bad/metadata -name '*.snapshot.json' -printf '%T@ %p\n' | sort -n | head -1 | cut -d' ' -f2-)
    cp "$old" "$(newest 'metadata/*.snapshot.json')"
    refused 65 snapshot.json
}

a_manifest_for_another_component_is_refused() {
    prepare
    cp -a good bad
    cp "$(newest 'targets/beta/*.manifest.xml')" "$(newest 'targets/alpha/*.manifest.xml')"
    refused 65 manifest.xml alpha
}

# Only "there is none" ends the chain of roots: a source that hides the next root behind a failure has
# failed, and nothing it says below is taken.
a_failure_for_the_next_root_is_no_end_of_the_chain() {
    prepare
    lie good
    for answer in status:500 status:503 status:429 close garbage; do
        rm -rf state && cp -a state.before state # without a cool-down
        echo "metadata/2.root.json=$answer" >rules
        status=0
        d --source "$url" update >out 2>err || status=$?
        case $status in 69 | 75) ;; *) fail "$answer: exit $status: $(cat err)" ;; esac
        says 2.root.json
        is_at 1 || fail "$answer was taken for the end of the chain"
    done
    for answer in status:404 status:403; do
        rm -rf state && cp -a state.before state
        echo "metadata/2.root.json=$answer" >rules
        want 0 d --source "$url" update
        is_at 2 || fail "$answer did not end the chain"
    done
}

a_source_that_is_behind_says_so_in_its_own_words() {
    prepare
    cp -a good behind
    want 0 d --source "file://$PWD/good" update
    want 0 defupd-publish --repo good refresh
    want 0 d --source "file://$PWD/good" update
    want 75 d --source "file://$PWD/behind" update
    says behind
    is_at 2 || fail "a source that is behind has changed the set"
    # the next source is asked
    want 0 d --source "file://$PWD/behind" --source "file://$PWD/good" update
}

a_bad_source_is_left_for_the_next_one() {
    prepare
    cp -a good bad
    flip bad/metadata/timestamp.json 40
    want 0 d --source "file://$PWD/bad" --source "file://$PWD/nowhere" --source "file://$PWD/good" update
    is_at 2 || fail "the good source was not asked"
    rm -rf state bad
    cp -a state.before state
    cp -a good bad
    for object in bad/objects/*/*; do
        flip "$object" 5
    done
    want 0 d --source "file://$PWD/bad" --source "file://$PWD/good" update
    is_at 2 || fail "the object was not fetched from the good source"
}

forbidden() { # WORDS SCRIPT...: the publisher refuses the tree that the script makes, naming the path
    rm -rf tree
    mkdir tree
    echo ok >tree/ok
    (cd tree && eval "$2") || fail "cannot make the tree: $2"
    want 65 defupd-publish --repo good add-release gamma 1 tree
    says "$1"
    [ -z "$(find good/targets -name gamma)" ] || fail "a refused tree left something"
}

trees_that_the_rules_forbid_are_refused_with_their_path() {
    make_rules
    make_repo good 1
    forbidden "'link'" 'ln -s ok link'
    forbidden "'sub/pipe'" 'mkdir sub; mkfifo sub/pipe'
    forbidden "'void'" 'mkdir void'
    forbidden "'suid'" 'echo x >suid; chmod 4755 suid'
    forbidden "'sgid'" 'echo x >sgid; chmod 2755 sgid'
    forbidden "'sticky'" 'echo x >sticky; chmod 1644 sticky'
    forbidden 'control' 'echo x >"$(printf "a\nb")"'
    forbidden 'backslash' 'echo x >"a\\b"'
    forbidden 'UTF-8' 'echo x >"$(printf "\377")"'
    forbidden 'case' 'echo x >Rule; echo y >rule'
    forbidden 'case' 'mkdir Dir dir; echo x >Dir/a; echo y >dir/b'
    forbidden 'longer' 'p=$(printf "p%.0s" $(seq 250)); d=.; for i in 1 2 3 4 5; do d=$d/$p; mkdir -p "$d"; done; echo x >"$d/f"'
    forbidden 'no file' 'rm ok'
    forbidden "'sock'" '/usr/bin/python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\"sock\")"'
}

t_run a_flipped_byte_in_any_metadata_file_is_refused
t_run an_object_that_is_flipped_cut_or_longer_is_refused
t_run one_bad_component_does_not_keep_the_others
t_run a_root_that_is_not_signed_by_the_old_one_is_refused
t_run metadata_of_another_repository_is_refused
t_run an_expired_timestamp_is_refused_and_named
t_run a_wrong_clock_is_told_apart_from_expiry
t_run a_snapshot_that_contradicts_its_timestamp_is_refused
t_run a_manifest_for_another_component_is_refused
t_run a_failure_for_the_next_root_is_no_end_of_the_chain
t_run a_source_that_is_behind_says_so_in_its_own_words
t_run a_bad_source_is_left_for_the_next_one
t_run trees_that_the_rules_forbid_are_refused_with_their_path
t_done
