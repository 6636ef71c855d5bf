#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Updates by delta, with the programs as they are: the ways there, what is said of them, and the ways
# round what fails.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"

d() {
    defupd --state-dir "$PWD/state" --source "${url-file://$PWD/repo}" "$@"
}

# A store at release 1 of both components, and a repository that goes on to release 2.
prepare() {
    make_rules
    state=$PWD/state
    make_repo repo 1
    want 0 d --trusted-root repo/metadata/1.root.json update
    make_repo repo 2
}

rot() { # FILE: a byte in the middle changes, and nothing else
    cp -p "$1" keep
    printf '\001' | dd of="$1" bs=1 seek=$(($(stat -c %s "$1") / 2)) conv=notrunc status=none
    touch -r keep "$1"
    rm keep
}

# The object of the newest release's delta from a version of a component.
delta_object() { # COMPONENT FROM
    local manifest
    manifest=$(ls -t repo/targets/"$1"/*.manifest.xml | head -1)
    sed -n "s/.*<delta from=\"$2\" object=\"\([0-9a-f]\{2\}\)\([0-9a-f]*\)\".*/repo\/objects\/\1\/\1\2/p" \
        "$manifest" | head -1
}

an_update_goes_by_delta_and_says_so() {
    prepare
    want 0 d check
    says 'alpha      1          2'
    says '  delta from 1, '
    says ' saved by deltas.'
    want 0 d update --dry-run
    says 'alpha: would update 1 -> 2 [delta from 1, '
    is_at 1 || fail 'a dry run changed something'
    want 0 d --json update
    says '"via":"delta","base":1,"through":0,"how":"delta from 1, '
    says '"id":276,"name":"downloading","component":"alpha"'
    is_at 2 || fail 'not at release 2'
    want 0 d verify
    want 0 d status
    says '  alpha: came by delta from 1, '
}

a_host_that_missed_releases_needs_one_or_two_objects() {
    local i
    prepare
    for i in 3 4 5 6; do
        cp -a "alpha$((i - 1))" "alpha$i"
        cp -a "beta$((i - 1))" "beta$i"
        seq $((i * 10)) $((20000 + i * 10)) >"alpha$i/hashes.txt"
        echo "$i" >"beta$i/list"
    done
    make_repo repo 3 4 5 6
    want 0 d --json update
    is_at 6 || fail 'not at release 6'
    says '"via":"delta'
    [ "$(ls state/versions/alpha)" = "$(printf '1\n1.index\n6\n6.index')" ] ||
        fail "a release between stayed: $(ls state/versions/alpha)"
}

the_two_halves_go_by_delta() {
    prepare
    want 0 d download
    says 'alpha: downloaded 1 -> 2 [delta from 1, '
    is_at 1 || fail 'a download changed something'
    url=file:///nowhere
    want 0 d install
    is_at 2 || fail 'not at release 2'
}

a_damaged_base_leads_to_the_full_bundle_in_the_same_run() {
    prepare
    rot state/current/alpha/hashes.txt
    want 0 d update
    says "warning: alpha: the delta from 1 cannot be used: alpha 1 on disk is damaged: 'hashes.txt'"
    says 'alpha: updated 1 -> 2 [full bundle, '
    says 'beta: updated 1 -> 2 [delta from 1, '
    is_at 2 || fail 'not at release 2'
    want 0 d verify
    # What was left behind is known to be damaged, and mended when it is wanted again.
    want 65 d rollback alpha
    says "'defupd update alpha@1' fetches it anew"
    want 0 d update alpha@1
    same alpha1 state/current/alpha
    want 0 d verify
}

a_damaged_unchanged_file_is_found_and_repaired() {
    prepare
    rot 'state/current/alpha/sub/rule 1.yar'
    want 0 d update
    says 'alpha: updated 1 -> 2 [delta from 1, '
    want 65 d verify
    says 'sub/rule 1.yar: content differs'
    want 0 d verify --repair
    is_at 2 || fail 'not mended'
    want 0 d verify
}

a_delta_that_no_source_has_is_gone_round() {
    prepare
    rm "$(delta_object alpha 1)"
    want 0 d update
    says 'warning: alpha: the delta from 1 cannot be used: '
    is_at 2 || fail 'not at release 2'
}

a_delta_that_is_damaged_on_the_way_is_gone_round() {
    prepare
    object=$(delta_object alpha 1)
    printf '\001' | dd of="$object" bs=1 seek=9 conv=notrunc status=none
    want 0 d update
    says 'warning: alpha: the delta from 1 cannot be used: '
    is_at 2 || fail 'not at release 2'
    [ ! -e state/distrust/alpha ] || fail 'what a source spoils is no knowledge to keep'
}

a_download_goes_on_where_it_stopped() {
    prepare
    object=$(delta_object alpha 1)
    head -c 9 "$object" >"state/downloads/$(basename "$object").part"
    chmod 600 state/downloads/*.part
    want 0 d check
    says "delta from 1, $(($(stat -c %s "$object") - 9)) of $(stat -c %s "$object") bytes"
    want 0 d update
    is_at 2 || fail 'not at release 2'
}

t_run an_update_goes_by_delta_and_says_so
t_run a_host_that_missed_releases_needs_one_or_two_objects
t_run the_two_halves_go_by_delta
t_run a_damaged_base_leads_to_the_full_bundle_in_the_same_run
t_run a_damaged_unchanged_file_is_found_and_repaired
t_run a_delta_that_no_source_has_is_gone_round
t_run a_delta_that_is_damaged_on_the_way_is_gone_round
t_run a_download_goes_on_where_it_stopped
t_done
