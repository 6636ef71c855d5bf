#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The uploads of docs/serving/cdn.md: `put` copies into a folder here; a reader at any instant finds
# a repository, also while somebody publishes and keys change.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/serving.sh"

upload() {
    rm -f cdn.[0-9]
    blocks cdn.md sh >/dev/null
    {
        echo 'put() {'
        echo "    printf '%s|%s\n' \"\$2\" \"\$3\" >>puts"
        echo '    mkdir -p "bucket/$(dirname "$2")" && cp "$1" "bucket/$2.putting" && mv "bucket/$2.putting" "bucket/$2"'
        echo '}'
        sed 's/^    sleep 10/    sleep 1/' sh.1
    } >upload.sh
    bash -eu upload.sh >upload.out 2>&1 || fail "upload: $(cat upload.out)"
}

client() { # NAME
    state=$PWD/$1
    want 0 defupd --state-dir "$state" --source "file://$PWD/bucket" \
        --trusted-root repo/metadata/1.root.json update
}

uploads_keep_the_order_and_say_what_never_changes() {
    make_rules
    deltas=2 make_repo repo 1
    upload
    client first
    is_at 1 || fail 'not at 1'
    [ "$(tail -1 puts)" = 'metadata/timestamp.json|public, max-age=5, must-revalidate' ] || fail "$(cat puts)"
    ! grep -v -e '|public, max-age=31536000, immutable$' -e '^metadata/timestamp.json|' puts || fail 'a header'
    diff -r repo/objects bucket/objects && diff -r repo/targets bucket/targets &&
        diff -r repo/metadata bucket/metadata || fail 'something is missing'
    # nothing twice
    : >puts
    deltas=2 make_repo repo 2
    upload
    [ "$(grep -c timestamp puts)" = 1 ] && ! sort puts | uniq -d | grep . || fail "$(cat puts)"
    [ "$(grep -n objects/ puts | tail -1 | cut -d: -f1)" -lt "$(grep -n targets/ puts | head -1 | cut -d: -f1)" ] ||
        fail "objects come first: $(cat puts)"
    client first
    is_at 2 || fail 'not at 2'
    # a new root comes after the timestamp
    : >puts
    want 0 defupd-publish --repo repo key rotate timestamp
    upload
    [ "$(tail -1 puts)" = 'metadata/2.root.json|public, max-age=31536000, immutable' ] || fail "$(cat puts)"
    client first
    client second
    is_at 2 || fail 'not at 2'
}

# "after a change of keys before anything else is published"
root_is_up() {
    local i root
    root=$(ls repo/metadata | sed -n 's/\([0-9]*\)\.root\.json/\1/p' | sort -n | tail -1)
    for ((i = 0; i < 1200; i++)); do
        [ ! -e "bucket/metadata/$root.root.json" ] || return 0
        sleep 0.05
    done
    fail "root $root is not uploaded: $(cat upload.out)"
}

a_reader_at_any_instant_finds_a_repository() {
    local n uploader
    make_rules
    cp -a alpha2 alpha3 && echo 3 >>alpha3/hashes.txt
    cp -a beta2 beta3 && echo 3 >>beta3/list
    deltas=2 make_repo repo 1
    upload
    (
        until [ -e published ]; do
            upload
        done
        upload
        touch uploaded-all
    ) &
    uploader=$!
    for n in 2 3; do
        deltas=2 make_repo repo $n
        client first
        want 0 defupd-publish --repo repo key rotate snapshot
        client first
        root_is_up
        want 0 defupd-publish --repo repo refresh
        client first
    done
    touch published
    until [ -e uploaded-all ] || [ ! -d /proc/$uploader ]; do
        client first
    done
    wait $uploader || fail "the uploader failed: $(cat upload.out)"
    client first
    is_at 3 || fail 'not at 3'
    client second
    is_at 3 || fail 'not at 3'
}

t_run uploads_keep_the_order_and_say_what_never_changes
t_run a_reader_at_any_instant_finds_a_repository
t_done
