#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A publisher pulls releases back and rolls others out bit by bit; hosts do what they are told, and
# tell it.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/agent.sh"

publish() {
    defupd-publish --repo repo "$@"
}

# release VERSION OPTION...: of tetra, with that number in it.
release() {
    local version=$1
    shift
    [ -d repo ] || want 0 publish init
    mkdir -p tree
    seq "$version" 3000 >tree/hashes
    echo "$version" >tree/version
    want 0 publish add-release tetra "$version" tree --level 3 --deltas 1 "$@"
}

d() {
    defupd --state-dir "$state" --source "file://$PWD/repo" --trusted-root repo/metadata/1.root.json "$@"
}

# at VERSION: that is installed.
at() {
    [ "$(cat "$state/current/tetra/version" 2>/dev/null)" = "$1" ] ||
        fail "at $(cat "$state/current/tetra/version" 2>&1), not $1: $(cat out err)"
}

field() {
    xmllint --xpath "string(//tetra/$1)" "$state/local.xml"
}

hosts_leave_what_is_withdrawn() {
    state=$PWD/state
    release 1
    release 2
    want 0 d update
    release 3
    want 0 d update
    at 3
    want 0 publish withdraw tetra 3 --reason 'false positives on libc'
    says 'withdrawn     tetra 3'
    says 'replaced by   2'
    says 'state         live'
    want 0 publish verify
    want 0 d check
    says 'on disk'
    want 0 d update
    at 2
    says 'replaced 3 -> 2'
    grep -q '"id":787' "$state/log/events.jsonl" || fail "no event: $(tail -3 "$state/log/events.jsonl")"
    [ "$(field state)" = fresh ] || fail "$(field state)"
    # It cannot be had by its name either, and the reason is told.
    want 65 d update tetra@3
    says WITHDRAWN
    says 'false positives on libc'
    # A new host never meets it.
    state=$PWD/other
    want 0 d update
    at 2
    # Something newer is better than the one before.
    release 4
    want 0 d update
    at 4
    want 0 publish verify
}

another_replacement_is_named_later() {
    state=$PWD/state
    for n in 1 2 3; do release $n; done
    want 0 d update
    want 0 publish withdraw tetra 3 --replace-by 1
    says 'replaced by   1'
    want 0 d update
    at 1
    state=$PWD/late
    want 0 d update
    # One that comes now takes the newest that it may: nothing was withdrawn from it.
    at 2
    want 0 publish withdraw tetra 2 --json --reason 'bad, too'
    [ "$(jq -r '"\(.ok) \(.replaced_by) \(.pending) \(.version)"' out)" = 'true 1 false 2' ] || fail "$(cat out)"
    want 0 d update
    at 1
    # Nothing is left: it stays, and says so.
    want 0 publish withdraw tetra 1
    says 'nothing: hosts that have it keep it'
    want 65 d update
    says NO_REPLACEMENT
    at 1
    [ "$(field state)" = withdrawn ] || fail "$(field state)"
    release 4
    want 0 d update
    at 4
}

a_roll_out_reaches_hosts_bit_by_bit() {
    state=$PWD/state
    release 1
    want 0 d update
    # Nobody yet but the pilots; those who name it.
    release 2 --step 0=0% --step 1d=50% --step P2D=100% --ring pilot=0
    want 0 d update
    at 1
    want 0 d why tetra
    says 'roll-out'
    cp -a state named
    cp -a state pilot
    state=$PWD/named
    want 0 d update tetra@2
    at 2
    state=$PWD/pilot
    want 0 d --ring pilot update
    at 2
    # Faster than it was meant: all at once.
    state=$PWD/state
    want 0 publish rollout tetra 2 set --step 0=100%
    says 'roll-out      tetra 2: set'
    cp -a state paused
    want 0 d update
    at 2
    # Who has it keeps it, when it is paused; nobody else takes it.
    want 0 publish rollout tetra 2 pause
    want 0 d update
    at 2
    state=$PWD/paused
    want 0 d update
    at 1
    want 0 d why tetra
    says 'paused'
    want 0 publish rollout tetra 2 resume --json
    [ "$(jq -r '"\(.ok) \(.rollout) \(.start > 0)"' out)" = 'true resume true' ] || fail "$(cat out)"
    want 0 d update
    at 2
    # A start that lies ahead.
    release 3
    want 0 publish rollout tetra 3 set --step 0=100% --start 2100-01-01T00:00:00Z
    says 'start         2100-01-01T00:00:00Z'
    want 0 d update
    at 2
    want 0 publish verify
}

wrong_words_are_told_and_change_nothing() {
    release 1
    release 2
    want 0 publish withdraw tetra 1
    cp -a repo before
    while read -r status words; do
        # shellcheck disable=SC2086 # words
        want "$status" publish $words
        [ "$(grep -c '^defupd-publish: ' err)" = 1 ] || fail "$words: $(cat err)"
        ! grep -q "'defupd list'\|take the version" err || fail "advice for others: $(cat err)"
    done <<'W'
65 withdraw tetra 3
65 withdraw yara 1
65 withdraw tetra 2 --replace-by 1
65 withdraw tetra 2 --replace-by 7
64 withdraw tetra 2 --replace-by 2
64 withdraw tetra 2 --replace-by x
64 withdraw tetra
64 withdraw tetra 0
64 withdraw tetra 2 --step 0=1%
65 rollout tetra 1 pause
65 rollout tetra 7 pause
64 rollout tetra 2
64 rollout tetra 2 stop
64 rollout tetra 2 set
64 rollout tetra 2 set --start 2100-01-01T00:00:00Z
64 rollout tetra 2 set --start tomorrow --step 0=1%
64 rollout tetra 2 pause --step 0=1%
64 rollout tetra 2 resume
64 rollout tetra 2 set --step 1%
64 rollout tetra 2 set --step 0=101%
64 rollout tetra 2 set --step 0=1.25%
64 rollout tetra 2 set --step 0=
64 rollout tetra 2 set --step =1%
64 rollout tetra 2 set --step 6=1%
64 rollout tetra 2 set --step 6m1h=1%
64 rollout tetra 2 set --step PT=1%
64 rollout tetra 2 set --step P=1%
64 rollout tetra 2 set --step 10y=1%
64 rollout tetra 2 set --step 4000d=1%
64 rollout tetra 2 set --step 99999999999d=1%
64 rollout tetra 2 set --ring pilot
64 rollout tetra 2 set --ring pi/lot=0
64 add-release tetra 3 tree --step 1
W
    diff -r -x .lock repo before || fail 'something has changed'
    for after in 0 30m 6h 2d 90s 1d12h PT6H P1DT30M P2W P1W2DT3H4M5S; do
        want 0 publish rollout tetra 2 set --step "$after=12.5%" --step 3d=100
    done
    # shellcheck disable=SC2046
    grep -q 'after="P9DT3H4M5S" permille="125"' $(ls -t repo/targets/tetra/* | head -1) ||
        fail "$(cat $(ls -t repo/targets/tetra/* | head -1))"
}

every_command_of_the_page_works() {
    local block count=0
    state=$PWD/state
    for n in 1 2; do
        mkdir rules-$n
        seq $n 2000 >rules-$n/version
    done
    want 0 publish init
    awk '/^```sh$/ {n++; on = 1; next} /^```$/ {on = 0} on {print > sprintf("block.%d", n)}' \
        "$SOURCE/docs/publishing.md"
    for block in block.*; do
        count=$((count + 1))
        bash -eu "$block" >out 2>err </dev/null || fail "$block: $(cat "$block" err)"
        case $count in
        2)
            want 0 d --ring pilot update
            same rules-2 "$state/current/rules"
            ;;
        4) says 'set' ;;
        5)
            says 'replaced by   1'
            want 0 d update
            same rules-1 "$state/current/rules"
            ;;
        esac
    done
    [ $count = 6 ] || fail "$count blocks"
    says 'repository is right'
}

t_run hosts_leave_what_is_withdrawn
t_run another_replacement_is_named_later
t_run a_roll_out_reaches_hosts_bit_by_bit
t_run wrong_words_are_told_and_change_nothing
t_run every_command_of_the_page_works
t_done
