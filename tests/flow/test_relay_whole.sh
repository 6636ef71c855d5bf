#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An agent that is a relay, both halves of it, between a publisher and clients.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/agent.sh"
. "$SOURCE/tests/tools/relay.sh"
. "$SOURCE/tests/tools/serving.sh"

# The repository at $upstream; a line for each request in upstream.log.
start_upstream() {
    local port
    port=$(free_port)
    defupd-publish --repo repo serve --listen "127.0.0.1:$port" --log upstream.log >/dev/null 2>&1 </dev/null &
    upstream_pid=$!
    servers+=($upstream_pid)
    listening "$port"
    upstream=http://127.0.0.1:$port
}

# start SECTION: an agent whose policy makes it a relay at $url.
start() {
    make_rules
    deltas=2 make_repo repo 1
    start_upstream
    port=$(free_port)
    url=http://127.0.0.1:$port
    state=$PWD/state
    policy "$1"
    : >agent.log
    defupd-agent --config policy.xml --state-dir "$state" >>agent.log 2>&1 </dev/null &
    agent=$!
    servers+=($agent)
    until_true ready
    want 0 d forceupdate
    listening "$port"
}

policy() { # SECTION OTHERS
    cat >policy.new <<P
<policy format="1">
  <schedule><interval>PT30M</interval></schedule>
  <sources><server><url>$upstream</url></server></sources>
  <trust><root>$PWD/repo/metadata/1.root.json</root></trust>
  <relay><listen>127.0.0.1:$port</listen>$1</relay>
  $2
</policy>
P
    mv policy.new policy.xml
}

relay_pid() {
    pgrep -P "$agent" defupd-relay
}

# A hundred clients, three of whose updates each fall into the time in which releases come and the
# relay takes them.
a_hundred_clients_update_while_it_is_updated_and_none_fails() {
    local n pids=() pid
    start ''
    for n in 2 3; do
        [ -d "alpha$n" ] || { cp -a "alpha$((n - 1))" "alpha$n" && echo "$n" >>"alpha$n/hashes.txt"; }
        [ -d "beta$n" ] || { cp -a "beta$((n - 1))" "beta$n" && echo "$n" >>"beta$n/list"; }
    done
    for ((n = 0; n < 100; n++)); do
        (
            for _ in 1 2 3; do
                defupd --state-dir "$PWD/c$n" --source "$url" -q \
                    --trusted-root repo/metadata/1.root.json update >"out$n" 2>&1 || cat "out$n" >>failed
                sleep 0.5
            done
        ) &
        pids+=($!)
    done
    for n in 2 3; do
        add_releases repo $n
        want 0 d forceupdate
    done
    for pid in "${pids[@]}"; do
        wait "$pid"
    done
    [ ! -e failed ] || fail "$(sort failed | uniq -c | head -5)"
    for ((n = 0; n < 100; n++)); do
        want 0 defupd --state-dir "$PWD/c$n" --source "$url" -q update
        (state=$PWD/c$n && is_at 3) || fail "client $n is not at 3"
    done
    stop_agent
}

a_cache_holds_what_was_asked_for() {
    local object
    start '<mode>cache</mode>'
    find state/relay/objects -type f -delete # what this host has installed itself
    want 0 defupd --state-dir "$PWD/c1" --source "$url" --trusted-root repo/metadata/1.root.json update
    (state=$PWD/c1 && is_at 1) || fail 'not at 1'
    object=$(cd repo && find objects -type f | head -1)
    cmp "repo/$object" "state/relay/$object" || fail 'not kept'
    [ "$(status_of "$url/objects/00/$(printf '0%.0s' {1..64})")" = 404 ] || fail 'what no manifest names'
    # Upstream away, what was fetched is still served, also to new clients.
    kill "$upstream_pid"
    want 0 defupd --state-dir "$PWD/c2" --source "$url" --trusted-root repo/metadata/1.root.json update
    rm "state/relay/$object"
    [ "$(status_of "$url/$object")" = 502 ] || fail "status $(status_of "$url/$object")"
    stop_agent
    grep -q 'an object that was asked for cannot be had' state/log/relay.log || fail "$(cat state/log/relay.log)"
}

a_change_of_policy_changes_what_is_served() {
    start ''
    first=$(relay_pid)
    [ "$(status_of "$url/metadata/timestamp.json")" = 200 ] || fail 'not served'
    policy '<allow>192.0.2.0/24</allow>'
    kill -HUP "$agent"
    until_true forbidden
    [ "$(relay_pid)" != "$first" ] || fail 'the same process'
    policy '<enabled>no</enabled>'
    kill -HUP "$agent"
    until_true eval '! relay_pid'
    stop_agent
}

# Its folder is right and up to date, and nobody gets it: who looks at reports alone must see that.
a_server_that_cannot_begin_is_told_of_by_every_report() {
    local taken
    start ''
    taken=$(free_port)
    python3 -m http.server --bind 127.0.0.1 "$taken" >/dev/null 2>&1 </dev/null &
    servers+=($!)
    listening "$taken"
    port=$taken
    policy ''
    kill -HUP "$agent"
    until_true told
    want 0 d --config policy.xml status
    grep -q 'nobody is served' out || fail "$(cat out)"
    want 0 d --config policy.xml posture
    [ "$(jq -r .relay.lasterror out)" != 0 ] || fail "$(cat out)"
    port=$(free_port)
    url=http://127.0.0.1:$port
    policy ''
    kill -HUP "$agent"
    until_true mended
    want 0 d --config policy.xml posture
    [ "$(jq -r .relay.lasterror out)" = 0 ] || fail "$(cat out)"
    stop_agent
}

told() {
    [ "$(served state failed)" != 0 ]
}

mended() {
    [ "$(status_of "$url/metadata/timestamp.json")" = 200 ] && [ "$(served state failed)" = 0 ]
}

forbidden() {
    [ "$(status_of "$url/metadata/timestamp.json")" = 403 ]
}

for test in a_hundred_clients_update_while_it_is_updated_and_none_fails a_cache_holds_what_was_asked_for \
    a_change_of_policy_changes_what_is_served a_server_that_cannot_begin_is_told_of_by_every_report; do
    t_run "$test"
done
t_done
