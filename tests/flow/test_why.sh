#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `defupd why C`: one answer for each reason, from the store alone.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"

d() {
    defupd --state-dir "$state" "$@"
}

a_store() {
    state=$PWD/state
    make_rules
    make_repo repo 1
    source=file://$PWD/repo
    want 0 d --source "$source" --trusted-root repo/metadata/1.root.json update
}

facts() { # everything that the store knows, in one digest
    (cd "$state" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum | md5sum)
}

each_gate_is_named_with_what_passes_it() {
    a_store
    want 0 d why alpha
    says 'alpha is fresh: installed 1, newest known 1.'
    says 'Decision      stays: it is the newest'
    make_repo repo 2
    want 0 d --source "$source" check
    want 0 d why alpha
    says 'Decision      update to 2 by'
    says 'no gate is in the way'
    want 0 d hold alpha
    want 0 d why alpha
    says 'Decision      stays: 2 is held back'
    says "What passes   'defupd unhold alpha'"
    want 0 d unhold alpha
    want 0 d --source "$source" update
    want 0 d rollback
    want 0 d why alpha
    says 'Decision      stays:'
    says "What passes   'defupd update alpha@2', or 'defupd unhold alpha'"
    want 0 d pin beta@1
    want 0 d why beta
    says "What passes   'defupd unhold beta'"
    want 65 d why gamma
    says 'neither installed nor offered nor named'
    want 64 d why
}

the_last_error_is_told_with_what_helps() {
    a_store
    want 69 d --source "file://$PWD/nowhere" update
    want 0 d why alpha
    says 'failed: file://'
    says "-2114 NOT_FOUND: check that the source's URL names the repository's top folder"
    says 'Last success  2'
    want 0 d --json why alpha
    [ "$(jq -r .lasterror_name out)" = NOT_FOUND ] || fail "$(cat out)"
    [ "$(jq -r .decision.gate out)" = newest ] || fail "$(cat out)"
    want 0 d --source "$source" update
    want 0 d why alpha
    says ': succeeded'
}

the_answer_changes_nothing_and_waits_for_nobody() {
    local before
    a_store
    exec 8<"$state/lock"
    /usr/bin/python3 - "$state/lock" <<'EOF' &
import fcntl, struct, sys, time
file = open(sys.argv[1], "r+")
fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
open("locked", "w").close()
time.sleep(60)
EOF
    servers+=($!)
    for ((i = 0; i < 100; i++)); do
        [ -e locked ] && break
        sleep 0.05
    done
    [ -e locked ] || fail "the store could not be locked"
    want 75 d --source "$source" update
    before=$(facts)
    want 0 d why alpha
    says 'At work       process'
    [ "$before" = "$(facts)" ] || fail "the store has changed"
}

a_store_that_knows_nothing_says_so() {
    want 65 defupd --state-dir "$PWD/none" why alpha
    [ ! -e none ] || fail "a question made a store"
}

t_run each_gate_is_named_with_what_passes_it
t_run the_last_error_is_told_with_what_helps
t_run the_answer_changes_nothing_and_waits_for_nobody
t_run a_store_that_knows_nothing_says_so
t_done
