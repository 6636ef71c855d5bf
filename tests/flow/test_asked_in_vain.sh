#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A person's mistake is told to that person, and raises no alarm at whoever watches the host.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"

d() {
    defupd --state-dir "$state" "$@"
}

in_report() { # XPATH: the text there in local.xml
    xmllint --xpath "string($1)" "$state/local.xml"
}

is_well() {
    [ "$(in_report //alpha/state)" = fresh ] || fail "alpha is $(in_report //alpha/state)"
    [ "$(in_report //alpha/lasterror)" = 0 ] || fail "$(in_report //alpha/lasterrortext)"
    [ "$(in_report //agent/lasterror)" = 0 ] || fail "agent: $(in_report //agent/lasterror)"
    [ "$(ls "$state/schedule" | tr '\n' ' ')" = 'agent alpha beta ' ] ||
        fail "schedule holds $(ls "$state/schedule")"
    want 0 d posture
    ! grep -q failing out || fail 'the posture says failing'
}

prepare() {
    state=$PWD/state
    make_rules
    make_repo repo 1
    want 0 d --source "file://$PWD/repo" --trusted-root repo/metadata/1.root.json update
}

what_a_person_asks_in_vain_raises_no_alarm() {
    local source=file://$PWD/repo
    prepare
    want 65 d --source "$source" update alpha@99
    says 99
    is_well
    want 65 d --source "$source" update nosuch
    says nosuch
    is_well
    want 65 d --source "$source" update nosuch alpha
    is_well
    want 65 d rollback alpha
    is_well
    want 65 d rollback
    is_well
    want 0 defupd-publish --repo repo --level 3 add-release alpha 2 alpha2
    want 0 d hold alpha
    want 77 d --source "$source" update alpha@2
    want 0 d unhold alpha
    want 65 d --source "$source" update alpha@99
    is_well
    # What is wrong with the host still counts, and a slip does not clear it.
    want 69 d --source "file://$PWD/none" update
    [ "$(in_report //alpha/state)" = failing ] || fail "alpha is $(in_report //alpha/state)"
    want 69 d --source "file://$PWD/none" update nosuch
    [ ! -e "$state/schedule/nosuch" ] || fail 'something is kept of a name that nobody knows'
    want 65 d --source "$source" update alpha@99
    [ "$(in_report //alpha/lasterrorname)" = NOT_FOUND ] || fail "$(in_report //alpha/lasterrorname)"
    want 0 d --source "$source" update
    is_well
}

an_update_that_is_called_off_raises_no_alarm() {
    local pid
    prepare
    make_repo repo 2
    want 0 d clean
    lie repo
    echo 'objects/*=stall:1' >rules
    defupd --state-dir "$state" --source "$url" update >out 2>err </dev/null &
    pid=$!
    for ((i = 0; i < 400; i++)); do
        [ -z "$(ls state/downloads 2>/dev/null)" ] || break
        sleep 0.05
    done
    kill -TERM "$pid"
    wait "$pid"
    [ $? = 75 ] || fail "it ended otherwise: $(cat err)"
    is_well
}

a_hold_of_what_is_not_known_yet_is_shown() {
    prepare
    want 0 d hold tertra
    want 0 d pin ips@7
    want 0 d status
    says 'tertra: held'
    says 'ips: pinned to 7'
    want 0 d status --json
    /usr/bin/python3 -c 'import json
rows = {row["component"]: row for row in json.load(open("out"))["components"]}
assert rows["tertra"]["state"] == "held" and rows["tertra"]["version"] == 0, rows' || fail 'not held'
    want 0 d unhold tertra
    want 0 d unhold ips
    want 0 d status
    ! grep -q tertra out || fail 'tertra is still there'
}

verbose_says_what_stays() {
    prepare
    want 0 d -v --source "file://$PWD/repo" update
    says 'alpha: stays at 1'
    says 'beta: stays at 1'
    says "Nothing new at file://$PWD/repo."
    want 0 d --source "file://$PWD/repo" update
    [ "$(cat out)" = 'Nothing new.' ] || fail "$(cat out)"
}

t_run what_a_person_asks_in_vain_raises_no_alarm
t_run an_update_that_is_called_off_raises_no_alarm
t_run a_hold_of_what_is_not_known_yet_is_shown
t_run verbose_says_what_stays
t_done
