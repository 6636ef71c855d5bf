#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The first trusted root: what is given by mistake can be put right, what is pinned stands until a person
# says otherwise.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"

d() {
    defupd --state-dir "$state" --source "file://$PWD/repo" "$@"
}

prepare() {
    state=$PWD/state
    make_rules
    make_repo repo 1
    make_repo other 1
}

a_wrong_first_root_pins_nothing_and_the_right_one_is_then_taken() {
    prepare
    for command in check update download; do
        want 65 d --trusted-root other/metadata/1.root.json $command
        says timestamp.json
        [ -z "$(find state/trust -type f)" ] || fail "kept: $(find state/trust -type f)"
    done
    want 78 d update # nothing is pinned, nothing was given
    want 0 d --trusted-root repo/metadata/1.root.json update
    is_at 1 || fail "not installed"
    [ -f state/trust/roots/1.root.json ] || fail "not pinned"
    want 0 d update
}

a_file_that_is_no_root_is_named() {
    prepare
    printf 'not metadata\n' >text
    head -c 500 repo/metadata/1.root.json >half
    : >empty
    for file in text half empty repo/metadata/timestamp.json repo/metadata/1.targets.json; do
        want 65 d --trusted-root "$file" update
        [ "$(grep -c '^defupd: ' err)" = 1 ] || fail "not one line: $(cat err)"
        says "$file"
        [ -z "$(find state/trust -type f)" ] || fail "kept: $(find state/trust -type f)"
    done
    sed 's/"version": *1/"version": 2/' repo/metadata/1.root.json >forged
    cmp -s forged repo/metadata/1.root.json && fail "nothing was changed"
    want 65 d --trusted-root forged update
    says forged
    want 0 d --trusted-root repo/metadata/1.root.json update
}

a_pinned_root_stands_until_it_is_reset_on_purpose() {
    prepare
    want 0 d --trusted-root repo/metadata/1.root.json update
    want 77 d --trusted-root other/metadata/1.root.json update
    says other/metadata/1.root.json
    # the publisher starts anew, at version 1 of everything
    for i in 1 2 3; do
        want 0 defupd-publish --repo repo refresh
    done
    want 0 d update
    rm -rf repo repo.keys
    mv other repo
    mv other.keys repo.keys
    want 65 d update
    want 77 d --trusted-root repo/metadata/1.root.json update
    # a reset with something that is no root changes nothing
    cp -a state/trust before
    printf 'not metadata\n' >text
    want 65 d --trusted-root text trust reset
    says text
    diff -r before state/trust >&2 || fail "a refused reset changed what is trusted"
    want 64 d trust reset extra
    want 0 d --trusted-root repo/metadata/1.root.json trust reset
    cmp state/trust/roots/1.root.json repo/metadata/1.root.json || fail "not pinned"
    [ "$(find state/trust -type f ! -name checked)" = state/trust/roots/1.root.json ] || fail "old trust is left"
    is_at 1 || fail "what is installed has changed"
    want 0 d update
}

t_run a_wrong_first_root_pins_nothing_and_the_right_one_is_then_taken
t_run a_file_that_is_no_root_is_named
t_run a_pinned_root_stands_until_it_is_reset_on_purpose
t_done
