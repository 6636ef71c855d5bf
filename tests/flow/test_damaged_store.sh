#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whatever stands in the place of the store's own files and folders, the next update leads back to the
# right set, or says what to do; and nothing outside the store is touched.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"

d() {
    defupd --state-dir "$PWD/state" --source "file://$PWD/repo" "$@"
}

# begin: release 1 and then 2 installed, release 2 is the newest; kept as prepared. Made once.
begin() {
    state=$PWD/state
    if [ ! -d "$t_kept/begun" ]; then
        make_rules
        make_repo repo 1
        want 0 d --trusted-root repo/metadata/1.root.json update
        make_repo repo 2
        want 0 d update
        mv state prepared
        mkdir outside
        echo precious >outside/file
        cp -a . "$t_kept/begun"
    else
        cp -a "$t_kept/begun/." .
    fi
}

# harm COMMAND: a fresh copy of the store, in which COMMAND has run.
harm() {
    rm -rf state
    cp -a prepared state
    (cd state && eval "$1") || fail "cannot do the harm: $1"
}

is_mended() {
    is_at 2 || fail "not the newest set after: $1"
    want 0 d verify
    [ "$(cat outside/file)" = precious ] && [ "$(ls outside)" = file ] || fail "outside was touched by: $1"
}

a_switch_that_leads_nowhere_is_made_anew() {
    local harm
    begin
    for harm in 'rm current' 'ln -sfn generations/99 current' 'ln -sfn nowhere current' \
        'ln -sfn ../outside current' 'rm current; mkdir current; touch current/x' \
        'rm current; touch current' 'rm -r generations/2' 'rm -r generations' \
        'rm -r generations/2; touch generations/2'; do
        harm "$harm"
        want 0 d update
        is_mended "$harm"
        # Offline, from what is on disk.
        case $harm in
        'rm current' | *'-r generations') ;;
        *)
            harm "$harm"
            want 0 defupd --state-dir "$state" verify --repair
            [ -L state/current ] && [ -d state/current/alpha ] || fail "no repair after: $harm"
            ;;
        esac
    done
}

what_is_no_folder_does_not_keep_updates_out() {
    local name harm harms=('mkfifo')
    begin
    [ -z "${DEFUPD_LONG-}" ] || harms+=('touch' 'ln -s nowhere')
    for name in downloads staging trial trust/roots versions versions/alpha versions/beta/2 generations/1 holds; do
        for harm in "${harms[@]}"; do
            harm "rm -r $name; $harm $name"
            want 0 d --trusted-root repo/metadata/1.root.json update
            want 0 d verify --repair
            is_mended "$harm $name"
        done
        harm "rm -r $name; ln -s ../outside $name; [ -d $name ] || ln -sfn ../../outside $name; [ -d $name ] || ln -sfn ../../../outside $name"
        want 65 d update
        says "$name is a link to a folder"
        [ "$(cat outside/file)" = precious ] && [ "$(ls outside)" = file ] || fail "outside was touched by $name"
    done
}

a_folder_in_the_place_of_a_file_goes() {
    local name
    begin
    for name in host-id cancel trust/seen trust/timestamp.json trust/alpha.manifest.xml \
        trust/roots/1.root.json schedule/alpha trust/seen.tmp; do
        harm "rm -f $name; mkdir -p $name/x"
        want 0 d --trusted-root repo/metadata/1.root.json update
        is_mended "$name"
    done
    harm 'rm versions/beta/2.index; mkdir -p versions/beta/2.index/x versions/beta/2.index.tmp/x'
    want 0 d verify --repair
    is_mended 2.index
    harm 'mkdir -p holds/alpha/x'
    want 0 d unhold alpha
    [ ! -e state/holds/alpha ] || fail 'the hold is still there'
    for name in 'mkdir' 'mkfifo' 'ln -s ../../outside/file'; do
        rm -rf state
        want 0 d --trusted-root repo/metadata/1.root.json download
        (cd state/downloads && for object in *; do rm "$object" && $name "$object"; done)
        want 0 d update
        is_mended "$name in downloads"
    done
}

a_lock_that_is_no_file_is_named() {
    begin
    harm 'rm lock; mkdir lock'
    want 73 d update
    says "$PWD/state/lock is not a regular file: remove it"
    is_at 2 || fail 'the set has changed'
}

t_run a_switch_that_leads_nowhere_is_made_anew
t_run what_is_no_folder_does_not_keep_updates_out
t_run a_folder_in_the_place_of_a_file_goes
t_run a_lock_that_is_no_file_is_named
t_done
