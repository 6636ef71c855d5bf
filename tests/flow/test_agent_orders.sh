#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Orders to a running agent: who may give them, what joins what, what their answers are.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/agent.sh"

# A source that answers only when the file `open` is there.
gated_source() {
    make_rules
    make_repo good 1
    lie good
    echo "$url" >source
    echo "${1:-metadata/timestamp.json}=gate:$PWD/open" >rules
}

# clients_are N: so many are connected to the agent and have been heard.
clients_are() {
    [ "$(ls -l "/proc/$agent/fd" | grep -c socket:)" -ge $(($1 + 2)) ]
}

the_agent_updates_as_soon_as_it_starts_and_then_by_order() {
    make_rules
    make_repo good 1
    policy_is
    start_agent
    until_true is_at 1
    make_repo good 2
    want 0 d forceupdate
    says 'alpha'
    is_at 2 || fail "the order did nothing: $(cat out err agent.log)"
    want 0 d -forceupdate
    says 'Nothing new'
    want 0 d --forceupdate --detailed-exitcode
    [ "$(grep -c 'forceupdate begins' agent.log)" = 3 ] || fail "$(cat agent.log)"
    stop_agent
    [ ! -e state/agent.sock ] || fail "a socket is left"
}

json_and_exit_codes_are_those_of_the_update_itself() {
    make_rules
    make_repo good 1
    policy_is
    start_agent
    until_true is_at 1
    make_repo good 2
    want 2 d --json --detailed-exitcode update
    grep -q '"id":784' out || fail "no events: $(cat out)"
    tail -1 out | /usr/bin/python3 -c 'import json,sys; r=json.load(sys.stdin)["result"]; assert r["exit"]==0 and r["components"][0]["to"]==2, r' ||
        fail "no result: $(tail -1 out)"
    want 0 d --json -q update
    [ "$(wc -l <out)" = 1 ] || fail "more than the result: $(cat out)"
    want 0 d -q update
    [ ! -s out ] && [ ! -s err ] || fail "quiet is not: $(cat out err)"
    echo x >>state/current/alpha/hashes.txt
    want 65 d verify
    says 'hashes.txt'
    want 65 d --json verify
    /usr/bin/python3 -m json.tool out >json || fail "not JSON: $(cat out)"
    grep -q '"damaged_count": 1' json || fail "$(cat json)"
    want 0 d verify --repair
    rm good/metadata/timestamp.json
    want 69 d update
    grep -qE 'FORBIDDEN|NOT_FOUND' err || fail "no reason: $(cat err)"
    stop_agent
}

fifty_orders_at_once_are_one_run() {
    gated_source
    policy_is 'interval-s 0'
    start_agent
    for i in $(seq 1 50); do
        d forceupdate >"out.$i" 2>&1 </dev/null &
        pids[i]=$!
    done
    until_true clients_are 50
    : >open
    for i in $(seq 1 50); do
        wait "${pids[i]}" || fail "order $i ended with $?: $(cat "out.$i")"
        grep -q 'alpha' "out.$i" || fail "order $i has no answer: $(cat "out.$i")"
    done
    [ "$(runs)" = 1 ] || fail "$(runs) runs: $(cat agent.log)"
    is_at 1 || fail "not updated"
    [ "$(ls state/generations)" = 1 ] || fail "generations: $(ls state/generations)"
    stop_agent
}

an_order_joins_the_schedules_run_and_hears_all_of_it() {
    gated_source
    policy_is
    start_agent
    until_true worker
    d --json update >joined </dev/null &
    joined=$!
    until_true clients_are 1
    : >open
    wait $joined || fail "joined: $?: $(cat joined)"
    grep -q '"id":273' joined || fail "the beginning is missing: $(cat joined)"
    [ "$(runs)" = 1 ] || fail "$(runs) runs: $(cat agent.log)"
    stop_agent
}

another_order_waits_its_turn() {
    gated_source
    policy_is
    start_agent
    until_true worker
    d hold beta >held 2>&1 </dev/null &
    held=$!
    d verify >verified 2>&1 </dev/null &
    verified=$!
    until_true clients_are 2
    [ "$(runs)" = 1 ] || fail "two at once"
    : >open
    wait $held || fail "hold: $(cat held)"
    wait $verified || fail "verify: $(cat verified)"
    [ "$(runs)" = 3 ] || fail "$(cat agent.log)"
    want 0 d status
    says 'held'
    stop_agent
}

a_client_that_goes_away_stops_nothing() {
    gated_source 'objects/*'
    policy_is 'interval-s 0'
    start_agent
    defupd --state-dir "$state" forceupdate >left 2>&1 </dev/null &
    left=$!
    until_true [ -e open.met ]
    kill -TERM $left # shells let children in the background ignore SIGINT
    wait $left
    status=$?
    [ $status = 75 ] || fail "a client that no longer waits ends with $status: $(cat left)"
    grep -q 'the agent goes on' left || fail "it does not say so: $(cat left)"
    : >open
    until_true is_at 1
    stop_agent
}

cancel_ends_the_run_and_all_who_wait_for_it_hear_of_it() {
    gated_source 'objects/*'
    policy_is 'interval-s 0'
    start_agent
    d forceupdate >first 2>&1 </dev/null &
    first=$!
    until_true [ -e open.met ]
    want 0 d cancel
    says "$(worker)"
    wait $first
    [ $? = 75 ] || fail "the cancelled order ends with $?: $(cat first)"
    grep -q CANCELLED first || fail "$(cat first)"
    : >open
    want 0 d update
    is_at 1 || fail "the next order did not do it"
    stop_agent
}

a_user_without_privilege_orders_only_what_policy_allows() {
    chmod 711 . # tests' folders are closed otherwise
    make_rules
    make_repo good 1
    policy_is
    start_agent
    until_true is_at 1
    as_user() { setpriv --reuid 65534 --regid 65534 "${groups[@]---clear-groups}" "$@"; }
    want 77 as_user "$BUILD/agent/defupd" --state-dir "$state" forceupdate
    says "user-update"
    says "65534"
    want 77 as_user "$BUILD/agent/defupd" --state-dir "$state" --json update
    tail -1 out | /usr/bin/python3 -c 'import json,sys; r=json.load(sys.stdin)["result"]; assert r["exit"]==77 and r["name"]=="NOT_PERMITTED", r' ||
        fail "$(cat out)"
    for allowed in 'user-update all' 'user-update users root nobody' 'user-update groups nogroup'; do
        policy_is "$allowed"
        kill -HUP "$agent"
        until_true as_user "$BUILD/agent/defupd" --state-dir "$state" update
        want 0 as_user "$BUILD/agent/defupd" --state-dir "$state" forceupdate alpha
        want 77 as_user "$BUILD/agent/defupd" --state-dir "$state" update alpha@1
        says 'root'
        want 77 as_user "$BUILD/agent/defupd" --state-dir "$state" rollback
        want 77 as_user "$BUILD/agent/defupd" --state-dir "$state" hold alpha
    done
    policy_is 'user-update groups root' 'user-update users daemon'
    kill -HUP "$agent"
    until_true refused as_user
    groups=(--groups 0)
    want 0 as_user "$BUILD/agent/defupd" --state-dir "$state" update
    stop_agent
}

refused() {
    "$@" "$BUILD/agent/defupd" --state-dir "$state" update
    [ $? = 77 ]
}

who_names_sources_updates_by_himself() {
    make_rules
    make_repo good 1
    policy_is 'interval-s 0'
    start_agent
    want 0 d --source "file://$PWD/good" --trusted-root good/metadata/1.root.json update
    is_at 1 || fail "not updated"
    [ "$(runs)" = 0 ] || fail "the agent was asked"
    stop_agent
}

descriptors_are() {
    [ "$(find "/proc/$agent/fd" -mindepth 1 | wc -l)" = "$1" ]
}

nonsense_on_the_socket_is_answered_and_harms_nothing() {
    make_rules
    make_repo good 1
    policy_is 'interval-s 0'
    start_agent
    before=$(find "/proc/$agent/fd" -mindepth 1 | wc -l)
    /usr/bin/python3 - "$state/agent.sock" >answers <<'P' || fail "$(cat answers agent.log)"
import os, socket, sys
hello = b"defupd-control 1\n"
for what, want in ((b"GET / HTTP/1.0\r\n\r\n", b"X 64 "), (hello + b"run\n", b"X 64 "),
                   (hello + b"run update\n", b"X 64 "), (hello + b"run update -x\n", b"X 64 "),
                   (hello + b"run update - --source=http://h\n", b"X 64 "),
                   (hello + b"run trust - reset\n", b"X 64 "),
                   (hello + b"run update - %00\n", b"X 64 "), (hello + b"run  update -\n", b"X 64 "),
                   (hello + b"run import given /x\n", b"X 64 "),
                   (hello + b"dance\n", b"X 64 "), (hello + b"run update - " + b"a" * 9000, b"X 64 "),
                   (b"\0" * 100 + b"\n", b"X 64 "), (os.urandom(100000), b""),
                   (hello + b"status\nstatus\ncancel\n", b"X 0 "), (hello + b"stat", None), (b"", None)):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(sys.argv[1])
        try:
            s.sendall(what)
        except OSError:
            pass
        if want is None:
            continue
        got = b""
        try:
            while chunk := s.recv(4096):
                got += chunk
        except ConnectionResetError:
            pass
        assert want in got, (what[:60], got)
# descriptors that nobody asked for are closed
for what in (b"status\n", b"run check given\n", b"run check -\n", b"status"):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(sys.argv[1])
        socket.send_fds(s, [hello + what], [0, 1])
        if what[-1:] == b"\n":
            while s.recv(4096):
                pass
P
    until_true descriptors_are "$before"
    want 0 d update
    is_at 1 || fail "not updated"
    stop_agent
}

the_number_of_clients_is_bounded() {
    make_rules
    make_repo good 1
    policy_is 'interval-s 0' 'user-update all'
    start_agent
    chmod 711 .
    setpriv --reuid 65534 --regid 65534 --clear-groups /usr/bin/python3 - "$state/agent.sock" <<'P' >many &
import socket, sys, time
held, full = [], 0
for i in range(200):
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    if b"X 75 " in s.recv(4096):
        full += 1
    else:
        held.append(s)
print(len(held), full, flush=True)
time.sleep(600)
P
    servers+=($!)
    until_true [ -s many ]
    [ "$(cat many)" = '64 136' ] || fail "$(cat many)"
    want 0 d update # others still come through
    stop_agent
}

t_run the_agent_updates_as_soon_as_it_starts_and_then_by_order
t_run json_and_exit_codes_are_those_of_the_update_itself
t_run fifty_orders_at_once_are_one_run
t_run an_order_joins_the_schedules_run_and_hears_all_of_it
t_run another_order_waits_its_turn
t_run a_client_that_goes_away_stops_nothing
t_run cancel_ends_the_run_and_all_who_wait_for_it_hear_of_it
t_run who_names_sources_updates_by_himself
t_run nonsense_on_the_socket_is_answered_and_harms_nothing
if [ "$(id -u)" = 0 ]; then
    t_run a_user_without_privilege_orders_only_what_policy_allows
    t_run the_number_of_clients_is_bounded
else
    t_skip a_user_without_privilege_orders_only_what_policy_allows 'needs root'
    t_skip the_number_of_clients_is_bounded 'needs root'
fi
t_done
