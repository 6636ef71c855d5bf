#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Hosts that were off for days or a month: daily releases, and what it costs them to come back.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/days.sh"

NEWEST=33

# serve_logged: like serve, and each request is a line in the file "log".
serve_logged() {
    local port i
    port=$(free_port)
    defupd-publish --repo repo serve --listen "127.0.0.1:$port" --log log >server.out 2>&1 </dev/null &
    servers+=($!)
    url=http://127.0.0.1:$port
    for ((i = 0; i < 200; i++)); do
        (exec 4<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
        sleep 0.05
    done
    fail "no server at $url: $(cat server.out)"
}

update() { # STATE
    want 0 defupd --state-dir "$1" --source "$url" --trusted-root repo/metadata/1.root.json update
}

# Installs hosts at releases 2, 3, 17, 21, 28 and 32 on the way: 31, 30, 16, 12, 5 and 1 behind.
hosts_at_several_releases() {
    local at=0 next
    want 0 defupd-publish --repo repo init
    serve_logged
    for next in 2 3 17 21 28; do
        days $((at + 1)) $next --deltas 0
        update "state.$next"
        at=$next
    done
    # The newest two have deltas, and they lie as in a repository that always had them.
    days 29 31 --deltas 0
    days 32 32
    update state.32
    days 33 $NEWEST
}

a_host_that_was_off_comes_back_with_one_or_two_small_objects() {
    local behind version requests objects object_bytes other_bytes full
    hosts_at_several_releases
    full=$(sed -n "s/.*<full object=\"[0-9a-f]*\" bytes=\"\([0-9]*\)\".*/\1/p" repo/targets/rules/* | sort -n | tail -1)
    for behind in 1 5 12 16 30 31; do
        version=$((NEWEST - behind))
        : >log
        update "state.$version"
        same rules "state.$version/current/rules"
        want 0 defupd --state-dir "state.$version" verify
        requests=$(wc -l <log)
        objects=$(grep -c ' /objects/' log)
        object_bytes=$(awk '/ \/objects\// { n += $4 } END { print n + 0 }' log)
        other_bytes=$(awk '!/ \/objects\// { n += $4 } END { print n + 0 }' log)
        echo "# $behind behind: $requests requests, $objects objects of $object_bytes bytes ($full in full), $other_bytes bytes of metadata" >&3
        [ "$requests" -le 7 ] || fail "$behind behind: $(cat log)"
        [ "$objects" -ge 1 ] && [ "$objects" -le 2 ] || fail "$behind behind: $(cat log)"
        [ $((object_bytes * 4)) -lt "$full" ] || fail "$behind behind: $object_bytes bytes of $full"
        [ "$other_bytes" -le 20000 ] || fail "$behind behind: $other_bytes bytes of metadata"
        [ $behind != 1 ] && [ $behind != 30 ] || [ "$objects" = 1 ] || fail "$behind behind: $(cat log)"
    done
}

t_run a_host_that_was_off_comes_back_with_one_or_two_small_objects
t_done
