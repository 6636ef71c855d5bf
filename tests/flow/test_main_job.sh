#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Publish, install, update, roll back and forward again: over HTTP, as an administrator does it.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"

d() {
    defupd --state-dir "$state" "$@"
}

requests() { # PATTERN: how many of them the server has seen
    grep -c -e "$1" requests.log || true
}

report() { # XPATH: the text there in local.xml
    xmllint --xpath "string($1)" "$state/local.xml"
}

releases_go_in_forward_back_and_forward_again() {
    state=$PWD/state
    make_rules
    make_repo repo 1
    serve repo
    want 0 d --source "$url" --trusted-root repo/metadata/1.root.json update
    same alpha1 state/current/alpha
    same beta1 state/current/beta
    make_repo repo 2
    want 0 d --source "$url" check
    says alpha
    is_at 1 || fail "check has changed the set"
    want 0 d --source "$url" update
    same alpha2 state/current/alpha
    same beta2 state/current/beta
    want 0 d rollback
    same alpha1 state/current/alpha
    same beta1 state/current/beta
    want 0 d --source "$url" update
    says skipped
    is_at 1 || fail "an update without a name has undone the rollback"
    want 0 d --source "$url" update alpha@2 beta@2
    same alpha2 state/current/alpha
    same beta2 state/current/beta
    want 0 d --source "$url" update
    want 0 d verify
    # every generation had a number of its own
    [ "$(readlink state/current)" = generations/4 ] || fail "current is $(readlink state/current)"
}

nothing_new_makes_no_generation_and_fetches_no_object() {
    local inode
    state=$PWD/state
    make_rules
    make_repo repo 1
    serve repo
    want 0 d --source "$url" --trusted-root repo/metadata/1.root.json update
    inode=$(stat -c %i state/generations/1)
    want 0 defupd-publish --repo repo refresh
    for i in 1 2 3; do
        want 0 d --source "$url" update
        want 0 d --source "$url" update --detailed-exitcode
    done
    [ "$(ls state/generations)" = 1 ] || fail "generations: $(ls state/generations)"
    [ "$(stat -c %i state/generations/1)" = "$inode" ] || fail "the generation was made anew"
    [ -z "$(ls -A state/downloads | grep -v -x -f <(find repo/objects -type f -printf '%f\n'))" ] ||
        fail "downloads: $(ls state/downloads)"
    make_repo repo 2
    want 2 d --source "$url" update --detailed-exitcode
}

a_reader_keeps_its_whole_set_to_the_end() {
    state=$PWD/state
    make_rules
    make_repo repo 1
    want 0 d --source "file://$PWD/repo" --trusted-root repo/metadata/1.root.json update
    exec 5<"$state/current/alpha/hashes.txt"
    cd "$(readlink -f state/current)" || exit 1
    flock -s 6 6<. || exit 1
    exec 7<.
    flock -s 7
    cd - >/dev/null || exit 1
    reader=/proc/$$/fd/7
    make_repo repo 2
    want 0 d --source "file://$PWD/repo" update
    cp -a alpha2 alpha3 && echo 3 >>alpha3/hashes.txt
    cp -a beta2 beta3
    make_repo repo 3
    want 0 d --source "file://$PWD/repo" update
    cp -a alpha3 alpha4 && echo 4 >>alpha4/hashes.txt
    cp -a beta3 beta4
    make_repo repo 4
    want 0 d --source "file://$PWD/repo" update
    is_at 4 || fail "the update did not go on while somebody reads"
    diff -r alpha1 "state/generations/1/alpha" >/dev/null || fail "the leased generation is not whole"
    diff -r beta1 "state/generations/1/beta" >/dev/null || fail "the leased generation is not whole"
    cmp alpha1/hashes.txt - <&5 || fail "the opened file changed"
    exec 7<&-
    cp -a alpha4 alpha5 && echo 5 >>alpha5/hashes.txt
    cp -a beta4 beta5
    make_repo repo 5
    want 0 d --source "file://$PWD/repo" update
    [ ! -e state/generations/1 ] || fail "the generation outlives its last reader"
    [ ! -e state/versions/alpha/1 ] || fail "the version outlives its last reader"
}

holds_pins_and_named_versions_do_what_they_say() {
    state=$PWD/state
    make_rules
    cp -a alpha2 alpha3 && echo 3 >>alpha3/hashes.txt
    cp -a beta2 beta3
    make_repo repo 1 2
    source=file://$PWD/repo
    want 0 d --source "$source" --trusted-root repo/metadata/1.root.json update alpha@1 beta@1
    is_at 1 || fail "named versions were not taken"
    want 0 d hold alpha
    want 0 d --source "$source" update
    same alpha1 state/current/alpha
    same beta2 state/current/beta
    want 77 d --source "$source" update alpha@2
    says alpha
    want 0 d status
    says held
    want 0 d unhold alpha
    want 0 d pin alpha@2
    make_repo repo 3
    want 0 d --source "$source" update
    same alpha2 state/current/alpha
    same beta3 state/current/beta
    want 0 d unhold alpha
    want 0 d --source "$source" update
    is_at 3 || fail "unhold did not release it"
    want 65 d --source "$source" update alpha@99
    says 99
    want 65 d --source "$source" update gamma
    says gamma
    want 64 d --source "$source" update 'Al/pha'
}

download_and_install_are_two_halves() {
    state=$PWD/state
    make_rules
    make_repo repo 1
    want 0 d --source "file://$PWD/repo" --trusted-root repo/metadata/1.root.json download
    [ ! -e state/current ] || fail "download has installed"
    [ -z "$(report '//alpha/lastsuccess')" ] || fail "a download alone counts as up to date"
    mv repo away
    want 0 d install
    is_at 1 || fail "install did not use the download"
    [ -n "$(report '//alpha/lastsuccess')" ] || fail "an installation without network is no success"
    mv away repo
    make_repo repo 2
    want 0 d --source "file://$PWD/repo" check
    mv repo away
    want 65 d install alpha@2
    says alpha
    is_at 1 || fail "it installed what was not downloaded"
    mv away repo
    want 0 d --source "file://$PWD/repo" download
    want 0 d clean
    [ -z "$(ls -A state/downloads state/staging | grep -v :)" ] || fail "clean left something"
    want 0 d --source "file://$PWD/repo" update
    is_at 2 || fail "after clean it did not update"
}

# A source with good metadata and no objects was reached all the same.
a_contact_counts_also_when_the_download_fails() {
    state=$PWD/state
    make_rules
    make_repo repo 1
    mv repo/objects objects
    want 69 d --source "file://$PWD/repo" --trusted-root repo/metadata/1.root.json update
    [ -n "$(report //agent/lastcontact)" ] || fail "$(cat state/local.xml)"
    mv objects repo/objects
    mv repo/targets targets
    rm -r state
    want 69 d --source "file://$PWD/repo" --trusted-root repo/metadata/1.root.json update
    [ -n "$(report //agent/lastcontact)" ] || fail "$(cat state/local.xml)"
    rm -r state
    want 69 d --source "file://$PWD/nowhere" --trusted-root repo/metadata/1.root.json update
    [ -z "$(report //agent/lastcontact)" ] || fail "$(cat state/local.xml)"
}

a_skip_is_told_until_something_newer_is_installed() {
    state=$PWD/state
    make_rules
    cp -a alpha2 alpha3 && echo 3 >>alpha3/hashes.txt
    cp -a beta2 beta3
    make_repo repo 1
    want 0 d --source "file://$PWD/repo" --trusted-root repo/metadata/1.root.json update
    make_repo repo 2
    want 0 d --source "file://$PWD/repo" update
    want 0 d rollback
    want 0 d status
    says 'alpha: 2 is skipped since a rollback'
    make_repo repo 3
    want 0 d --source "file://$PWD/repo" update
    is_at 3 || fail "a skip keeps a newer release away"
    want 0 d status
    ! grep -q skipped out || fail "$(cat out)"
}

# Object stores answer 403 for files that they do not have.
an_access_that_is_refused_is_told_as_that() {
    state=$PWD/state
    make_rules
    make_repo repo 1
    lie repo
    echo 'metadata/*.root.json=status:403' >rules
    want 0 d --source "$url" --trusted-root repo/metadata/1.root.json update
    is_at 1 || fail "403 for the next root keeps everything away"
    echo '*=status:403' >rules
    want 69 d --source "$url" update
    says FORBIDDEN
    says timestamp.json
}

reports_tell_what_happened() {
    state=$PWD/state
    make_rules
    make_repo repo 1
    want 0 d --source "file://$PWD/repo" --trusted-root repo/metadata/1.root.json update
    [ "$(xmllint --xpath '//alpha/lasterror/text()' state/local.xml)" = 0 ] || fail "$(cat state/local.xml)"
    [ "$(xmllint --xpath '//alpha/version/text()' state/local.xml)" = 1 ] || fail "$(cat state/local.xml)"
    [ "$(xmllint --xpath '//beta/state/text()' state/local.xml)" = fresh ] || fail "$(cat state/local.xml)"
    mv repo away
    want 69 d --source "file://$PWD/repo" update
    [ "$(xmllint --xpath '//alpha/lasterrorname/text()' state/local.xml)" = NOT_FOUND ] || fail "$(cat state/local.xml)"
    [ "$(xmllint --xpath '//alpha/state/text()' state/local.xml)" = failing ] || fail "$(cat state/local.xml)"
    mv away repo
    want 0 d --source "file://$PWD/repo" update
    [ "$(xmllint --xpath '//alpha/lasterror/text()' state/local.xml)" = 0 ] || fail "$(cat state/local.xml)"
    rm state/local.xml
    echo garbage >state/posture.json
    want 0 d --source "file://$PWD/repo" update
    /usr/bin/python3 -c 'import json, sys; p = json.load(open("state/posture.json"))
assert [e["name"] for e in p["engines"]] == ["alpha", "beta"], p
assert p["engines"][0]["definitions"][0]["version"] == 1, p' || fail "$(cat state/posture.json)"
    want 0 d posture
    /usr/bin/python3 -c 'import json; json.load(open("out"))' || fail "$(cat out)"
}

verify_finds_every_damage_and_repairs_it() {
    state=$PWD/state
    make_rules
    make_repo repo 1
    source=file://$PWD/repo
    want 0 d --source "$source" --trusted-root repo/metadata/1.root.json update
    tree=$(readlink -f state/current/alpha)
    printf X | dd of="$tree/hashes.txt" bs=1 seek=777 conv=notrunc status=none
    rm "$tree/sub/rule 1.yar"
    chmod 755 "$tree/sub/rule 2.yar"
    rm "$tree/sub/rule 4.yar" && ln -s /etc/passwd "$tree/sub/rule 4.yar"
    echo more >"$tree/sub/extra"
    mkdir "$tree/void"
    want 65 d verify
    says hashes.txt
    says 'sub/rule 1.yar'
    says 'sub/rule 2.yar'
    says 'sub/rule 4.yar'
    says 'sub/extra'
    says 'void'
    want 0 d --source "$source" verify --repair
    want 0 d verify
    is_at 1 || fail "the repaired tree is not the release"
    rm -r "$tree"
    want 65 d verify
    want 0 d --source "$source" verify --repair
    is_at 1 || fail "the repaired tree is not the release"
    echo junk >state/versions/alpha/1.index
    want 65 d verify
    want 0 d --source "$source" verify --repair
    want 0 d verify
}

t_run releases_go_in_forward_back_and_forward_again
t_run nothing_new_makes_no_generation_and_fetches_no_object
t_run a_reader_keeps_its_whole_set_to_the_end
t_run holds_pins_and_named_versions_do_what_they_say
t_run download_and_install_are_two_halves
t_run a_contact_counts_also_when_the_download_fails
t_run a_skip_is_told_until_something_newer_is_installed
t_run an_access_that_is_refused_is_told_as_that
t_run reports_tell_what_happened
t_run verify_finds_every_damage_and_repairs_it
t_done
