#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The relay's server as clients and administrators see it.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/serving.sh"
. "$SOURCE/tests/tools/relay.sh"

# A repository that is published right into the relay's folder, which is one.
start() {
    make_rules
    deltas=2 make_repo repo 1
    mkdir state
    mv repo state/relay
    ln -s state/relay repo
    serve_relay "$PWD/state" "$@"
}

# relay_policy SECTION OTHERS: what the relay's policy says; its sources are at $upstream.
relay_policy() {
    cat >policy.xml <<P
<policy format="1">
  <sources><server><url>${upstream:-file://$PWD/none}</url></server></sources>
  <trust><root>$PWD/repo/metadata/1.root.json</root></trust>
  <transfer><attempts>1</attempts></transfer>
  <relay>$1</relay>
  $2
</policy>
P
}

# Metadata and manifests as a cache has them before anybody asked for an object.
half_a_relay() {
    mkdir -p "$1"
    cp -a repo/metadata repo/targets "$1"
}

# The repository where the relay gets it, at $upstream; its requests are in upstream.log.
start_upstream() {
    local port
    port=$(free_port)
    defupd-publish --repo repo serve --listen "127.0.0.1:$port" --log upstream.log >/dev/null 2>&1 </dev/null &
    servers+=($!)
    listening "$port"
    upstream=http://127.0.0.1:$port
}

it_serves_a_repository_and_nothing_else() {
    start
    headers_are_right "$url"
    mkdir state/relay/parts
    echo secret | tee state/relay/figures state/relay/named state/relay/parts/x >/dev/null
    for name in figures named served parts/x lock; do
        [ "$(status_of "$url/$name")" = 404 ] || fail "$name is served"
    done
}

clients_update_through_it_while_releases_come() {
    start
    publish_while_clients_update "$url"
    [ "$(sed -n 's/^missing //p;s/^refused //p' state/relay/served | sort -n | head -1)" = 0 ] || fail "$(cat state/relay/served)"
}

# A hundred at once, each in a process of its own, from nothing to the newest, twice.
a_hundred_clients_and_none_fails() {
    local n pids=() pid
    start
    (
        until [ -e enough ]; do
            defupd-publish --repo repo refresh >/dev/null 2>&1 || echo refresh >>failed
            sleep 0.2
        done
    ) &
    servers+=($!)
    for ((n = 0; n < 100; n++)); do
        (
            for _ in 1 2; do
                defupd --state-dir "$PWD/c$n" --source "$url" -q \
                    --trusted-root repo/metadata/1.root.json update >"out$n" 2>&1 || cat "out$n" >>failed
            done
        ) &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid"
    done
    touch enough
    [ ! -e failed ] || fail "$(sort failed | uniq -c | head -5)"
    for ((n = 0; n < 100; n += 33)); do
        state=$PWD/c$n
        is_at 1 || fail "client $n"
    done
}

policy_limits_what_one_client_may() {
    local n status=200
    make_rules
    make_repo repo 1
    half_a_relay state/relay
    relay_policy '<requests-per-second>1</requests-per-second><listen>127.0.0.1:1</listen>'
    serve_relay "$PWD/state" --config policy.xml
    for ((n = 0; n < 30 && status == 200; n++)); do
        status=$(status_of "$url/metadata/timestamp.json")
    done
    [ "$status" = 429 ] || fail "status $status"
    # A client of ours knows what that means, and comes back when it may.
    want 75 defupd --state-dir "$PWD/c" --source "$url" --trusted-root repo/metadata/1.root.json update
    says 429
    kill "$relay"
    wait "$relay"
    grep -q 'a client asks too often, the last was 127.0.0.1' state/log/relay.log || fail "$(cat state/log/relay.log)"
    [ "$(served state limited)" -ge 2 ] || fail "$(cat state/relay/served)"
}

policy_says_who_may_ask() {
    make_rules
    make_repo repo 1
    half_a_relay state/relay
    relay_policy '<allow>192.0.2.0/24</allow><trusted-proxy>127.0.0.1</trusted-proxy>'
    serve_relay "$PWD/state" --config policy.xml
    [ "$(status_of "$url/metadata/timestamp.json" -H 'X-Forwarded-For: 192.0.2.9')" = 200 ] || fail 'not let in'
    [ "$(status_of "$url/metadata/timestamp.json" -H 'X-Forwarded-For: 192.0.3.9')" = 403 ] || fail 'let in'
}

a_cache_fetches_what_is_asked_for_and_only_once() {
    local object n
    make_rules
    make_repo repo 1
    start_upstream
    # What this host does not install itself it has not downloaded either.
    relay_policy '<mode>cache</mode>' '<components><component name="alpha"><enabled>no</enabled></component>
        <component name="beta"><enabled>no</enabled></component></components>'
    want 0 defupd --config policy.xml --state-dir "$PWD/state" update
    serve_relay "$PWD/state" --config policy.xml
    for n in 1 2; do
        want 0 defupd --state-dir "$PWD/c$n" --source "$url" --trusted-root repo/metadata/1.root.json update
        state=$PWD/c$n
        is_at 1 || fail 'not updated'
    done
    for object in $(cd repo && find objects -type f); do
        cmp "repo/$object" "state/relay/$object" || fail "$object"
    done
    [ "$(status_of "$url/objects/00/$(printf '0%.0s' {1..64})")" = 404 ] || fail 'what no manifest names'
    kill "$relay"
    wait "$relay"
    for object in $(cd repo && find objects -type f); do
        [ "$(grep -c "$object" upstream.log)" = 1 ] || fail "asked upstream: $(cat upstream.log)"
    done
    [ "$(served state misses)" = 3 ] && [ "$(served state hits)" = 2 ] || fail "$(cat state/relay/served)"
}

it_ends_with_what_is_under_way() {
    local i
    start
    head -c 60000000 /dev/urandom >state/relay/objects/big
    curl -s --limit-rate 30M -o big "$url/objects/big" &
    for ((i = 0; i < 100; i++)); do
        [ ! -s big ] || break
        sleep 0.02
    done
    kill "$relay"
    wait "$relay" || fail "exit $?"
    wait %?limit-rate || fail 'the answer was cut'
    cmp big state/relay/objects/big || fail 'another content'
}

what_is_wrong_is_told() {
    start
    want 69 defupd-relay --state-dir "$PWD/state" --listen "${url#http://}"
    says "cannot listen on ${url#http://}"
    want 64 defupd-relay --state-dir "$PWD/state" --listen 127.0.0.1:99999
    want 64 defupd-relay --state-dir "$PWD/state" --frobnicate 1
    says "unknown argument '--frobnicate'"
    want 64 defupd-relay --state-dir
    says 'a value is missing'
    want 74 defupd-relay --state-dir "$PWD/nothing" --listen 127.0.0.1:0
    says "$PWD/nothing"
    want 78 defupd-relay --state-dir "$PWD/state"
    says 'policy has no relay section'
    want 0 defupd-relay --help
    want 0 defupd-relay --version
    says "$VERSION"
}

for test in it_serves_a_repository_and_nothing_else clients_update_through_it_while_releases_come \
    a_hundred_clients_and_none_fails policy_limits_what_one_client_may policy_says_who_may_ask \
    a_cache_fetches_what_is_asked_for_and_only_once it_ends_with_what_is_under_way what_is_wrong_is_told; do
    t_run "$test"
done
t_done
