#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a relay holds: filled by its own updates or by an archive, read by other hosts, in a chain, and
# kept through whatever its upstream does.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/agent.sh"

# release N: of component tetra, in the folder repo.
release() {
    mkdir -p tree
    seq "$1" 3000 >tree/hashes
    [ -d repo ] || want 0 defupd-publish --repo repo init
    want 0 defupd-publish --repo repo --level 3 add-release tetra "$1" tree
}

# policy NAME SOURCES SECTIONS: of the host NAME, whose store is the folder NAME.
policy() {
    printf '<policy format="1"><sources>%s</sources><trust><root>%s</root></trust>%s</policy>\n' \
        "$2" "$PWD/root.json" "${3-}" >"$1.xml"
    chmod 644 "$1.xml"
}

server() {
    echo "<server><url>$1</url></server>"
}

# p NAME WORD...: defupd on that host.
p() {
    local name=$1
    shift
    defupd --config "$PWD/$name.xml" --state-dir "$PWD/$name" "$@"
}

version() {
    xmllint --xpath 'string(//tetra/version)' "$1/local.xml"
}

# liar NAME FOLDER: a server over it with rules in NAME.rules and a log in NAME.log; URL in $url.
liar() {
    local i
    : >"$1.rules"
    : >"$1.log"
    "$SOURCE/tests/tools/liar.py" --dir "$2" --rules "$1.rules" --log "$1.log" >"$1.port" \
        2>"$1.out" </dev/null &
    servers+=($!)
    for ((i = 0; i < 200; i++)); do
        [ -s "$1.port" ] && break
        sleep 0.05
    done
    url=http://127.0.0.1:$(cat "$1.port")
}

# A publisher with release 1, whose server is at $upstream; the host hub, which is a relay and has
# done its first update; its folder is served at $relay.
a_relay() {
    release 1
    cp repo/metadata/1.root.json root.json
    liar upstream repo
    upstream=$url
    policy hub "$(server "$upstream")" "<relay>${1-}</relay>"
    want 0 p hub update
    liar relay hub/relay
    relay=$url
}

an_update_of_the_host_fills_it() {
    a_relay
    [ "$(version hub)" = 1 ] || fail "the relay itself is not at 1"
    [ "$(grep -c ' /objects/' upstream.log)" = 1 ] || fail "fetched twice: $(cat upstream.log)"
    grep -q '"id":1600' hub/log/events.jsonl && grep -q '"id":1601' hub/log/events.jsonl ||
        fail "$(cat hub/log/events.jsonl)"
    grep -q "sync: updated, timestamp [0-9]*, 1 objects here, 0 not, 0 bytes fetched, 0 files removed, from $upstream" \
        hub/log/relay.log || fail "$(cat hub/log/relay.log)"
    [ "$(jq '.relay.missing, .relay.objects, .relay.lasterror' hub/posture.json | xargs)" = '0 1 0' ] ||
        fail "$(cat hub/posture.json)"
    [ "$(jq -r '.relay.mode' hub/posture.json)" = mirror ] || fail "$(cat hub/posture.json)"
    grep -q '^defupd_relay_objects 1$' hub/metrics/defupd.prom || fail "no metrics"
    want 0 p hub status
    says 'Relay         mirror, timestamp'
    says '1 of 1 objects'
    want 0 p hub --json status
    [ "$(jq .relay.named out)" = 1 ] || fail "$(cat out)"
    want 0 p hub posture --nagios
    says "'relay_lag'="
    want 0 p hub preflight --csv
    says 'relay,ok,0,"serves timestamp'

    policy leaf "$(server "$relay")"
    want 0 p leaf update
    same tree leaf/current/tetra
    release 2
    want 0 p leaf update
    [ "$(version leaf)" = 1 ] || fail "where from?"
    want 0 p hub forceupdate
    want 0 p leaf update
    same tree leaf/current/tetra
    # By its delta, as from the publisher himself.
    [ "$(grep -c ' /objects/' relay.log)" = 2 ] || fail "$(cat relay.log)"
}

no_relay_where_policy_says_no() {
    a_relay '<enabled>no</enabled>'
    [ ! -e hub/relay/metadata ] || fail "it is one"
    [ "$(jq 'has("relay")' hub/posture.json)" = false ] || fail "it says it is"
    ! grep -q '"id":160' hub/log/events.jsonl || fail "events"
}

what_only_looks_or_tries_fills_nothing() {
    a_relay
    release 2
    want 0 p hub check
    want 0 p hub update --dry-run
    want 0 p hub update tetra
    ! cmp -s repo/metadata/timestamp.json hub/relay/metadata/timestamp.json || fail "it did"
    want 0 p hub update
    cmp repo/metadata/timestamp.json hub/relay/metadata/timestamp.json || fail "it does not"
}

upstream_down_is_told_and_what_is_held_stays() {
    a_relay
    echo '*=close' >upstream.rules
    want 69 p hub update
    [ "$(jq .relay.lasterror hub/posture.json)" != 0 ] || fail "$(jq .relay hub/posture.json)"
    grep -q 'sync failed, what is served stays' hub/log/relay.log || fail "$(cat hub/log/relay.log)"
    grep -q '"id":1602' hub/log/events.jsonl || fail "no event"
    grep -q '^defupd_relay_lag_seconds [0-9]' hub/metrics/defupd.prom || fail "no lag"
    want 0 p hub status
    says 'not up to date:'
    p hub preflight --csv >out 2>err </dev/null || :
    says 'relay,warning,-'
    policy leaf "$(server "$relay")"
    want 0 p leaf update
    same tree leaf/current/tetra
    # Only objects lack: the host is not updated, and the relay knows what it has not.
    release 2
    echo 'objects/*=status:500' >upstream.rules
    want 69 p hub update
    [ "$(jq '.relay.lasterror_name' hub/posture.json)" = '"HTTP_STATUS"' ] || fail "$(jq .relay hub/posture.json)"
    want 0 p leaf update
    [ "$(version leaf)" = 1 ] || fail "the relay serves what it has not"
    : >upstream.rules
    want 0 p hub update
    want 0 p leaf update
    same tree leaf/current/tetra
    [ "$(jq .relay.lasterror hub/posture.json)" = 0 ] || fail "the alert stays"
}

a_failure_of_the_relay_alone_is_the_runs() {
    a_relay
    release 2
    rm -r hub/relay/targets
    : >hub/relay/targets
    want 74 p hub update
    says 'relay: '
    [ "$(version hub)" = 2 ] || fail "the host itself is not at 2"
    [ "$(xmllint --xpath 'string(//agent/lasterror)' hub/local.xml)" = 0 ] || fail "its own outcome is lost"
    rm hub/relay/targets
    want 0 p hub update
    policy leaf "$(server "$relay")"
    want 0 p leaf update
    same tree leaf/current/tetra
}

a_lying_upstream_changes_nothing() {
    local kind
    a_relay
    find hub/relay/metadata hub/relay/targets hub/relay/objects -type f -exec sha256sum {} + | sort >before
    cp -r repo old
    release 2
    # In the order of steps: what became trusted before the lie is not asked for again.
    for kind in '*timestamp.json=endless' '*timestamp.json=flip:30' '*snapshot.json=flip:30' '*targets.json=endless' \
        '*manifest.xml=flip:10' '*manifest.xml=endless' 'objects/*=flip:40' 'objects/*=endless' 'objects/*=truncate:20'; do
        echo "$kind" >upstream.rules
        rm -rf --one-file-system hub/downloads
        p hub --quiet update >/dev/null 2>&1 && fail "a success with $kind"
        find hub/relay/metadata hub/relay/targets hub/relay/objects -type f -exec sha256sum {} + | sort >after
        # What is whole and verified may come; what was there stays, and the timestamp is the old one.
        [ -z "$(comm -23 before after)" ] || fail "$kind: $(comm -23 before after)"
        rm -rf --one-file-system hub/sources
    done
    : >upstream.rules
    want 0 p hub update
    cp hub/relay/metadata/timestamp.json newest
    # A rollback: what upstream had before.
    for folder in metadata targets objects; do
        rm -r repo/$folder
        cp -r old/$folder repo/
    done
    want 75 p hub update
    cmp newest hub/relay/metadata/timestamp.json || fail "it went back"
    policy leaf "$(server "$relay")"
    want 0 p leaf update
    [ "$(version leaf)" = 2 ] || fail "the leaf is not at 2"
}

a_relay_that_is_behind_is_waited_for_or_gone_round() {
    a_relay
    policy leaf "<relays><relay>$relay</relay></relays>$(server "$upstream")"
    release 2
    # The host has seen the publisher's newest: the relay's is no attack, but old.
    want 0 defupd --state-dir "$PWD/leaf" --source "$upstream" --trusted-root root.json check
    policy leaf "<relays><relay>$relay</relay></relays><fallback-to-servers>no</fallback-to-servers>$(server "$upstream")"
    want 75 p leaf update
    says 'no relay will do, and servers are not to be asked'
    [ ! -e leaf/current ] || fail "it went back"
    policy leaf "<relays><relay>$relay</relay></relays>$(server "$upstream")"
    want 0 p leaf update
    [ "$(version leaf)" = 2 ] || fail "not from the server"
    # Waiting: it comes when the relay has it.
    release 3
    want 0 defupd --state-dir "$PWD/leaf" --source "$upstream" --trusted-root root.json check
    policy leaf "<relays><relay>$relay</relay></relays><fallback-to-servers>no</fallback-to-servers>$(server "$upstream")"
    want 75 p leaf update
    want 0 p hub update
    want 0 p leaf update
    [ "$(version leaf)" = 3 ] || fail "not from the relay"
}

relays_in_a_chain() {
    a_relay
    policy second "<relays><relay>$relay</relay></relays>" '<relay/>'
    want 0 p second update
    liar far second/relay
    policy leaf "$(server "$url")"
    want 0 p leaf update
    same tree leaf/current/tetra
    release 2
    want 0 p hub update
    want 0 p second update
    want 0 p leaf update
    same tree leaf/current/tetra
    [ "$(jq -r .relay.source second/posture.json)" = "$relay" ] || fail "$(jq .relay second/posture.json)"
}

an_archive_feeds_it() {
    release 1
    cp repo/metadata/1.root.json root.json
    want 0 defupd-publish --repo repo export-offline -o full.zip
    policy hub '' '<relay/>'
    want 0 p hub import full.zip
    [ "$(version hub)" = 1 ] || fail "the host itself"
    liar relay hub/relay
    policy leaf "$(server "$url")"
    want 0 p leaf update
    same tree leaf/current/tetra
    grep -q '"id":1601' hub/log/events.jsonl || fail "no event"

    # Only what a host at 1 needs: the delta. One that is new gets the bundle nowhere.
    release 2
    want 0 defupd-publish --repo repo export-offline -o next.tar.zst --since 1
    want 0 p hub import next.tar.zst
    want 0 p leaf update
    same tree leaf/current/tetra
    # An older archive changes nothing; a damaged one neither.
    cp hub/relay/metadata/timestamp.json newest
    want 75 p hub import full.zip
    release 3
    want 0 defupd-publish --repo repo export-offline -o third.zip
    head -c 2000 third.zip >cut.zip
    p hub import cut.zip >/dev/null 2>&1 && fail "half an archive is taken"
    cmp newest hub/relay/metadata/timestamp.json || fail "what is served has changed"
    want 0 p leaf update
    [ "$(version leaf)" = 2 ] || fail "the leaf is not at 2"
    want 0 p hub import third.zip
    want 0 p leaf update
    same tree leaf/current/tetra
}

hosts_update_while_it_is_brought_up_to_date() {
    local i n leaf failed=0
    a_relay
    for ((n = 1; n <= 4; n++)); do
        policy "leaf$n" "$(server "$relay")"
        want 0 p "leaf$n" update
    done
    for ((n = 1; n <= 4; n++)); do
        (
            for ((i = 0; i < 12; i++)); do
                p "leaf$n" --quiet update || touch "failed$n"
            done >"leaf$n.out" 2>&1
        ) &
        leaf[n]=$!
    done
    for ((i = 2; i <= 5; i++)); do
        release "$i"
        want 0 p hub update
    done
    for ((n = 1; n <= 4; n++)); do
        wait "${leaf[n]}"
        [ ! -e "failed$n" ] || fail "leaf$n: $(cat "leaf$n.out")"
        want 0 p "leaf$n" update
        same tree "leaf$n/current/tetra"
    done
}

# With the real service: its worker, behind its fence, does it.
the_service_does_it() {
    release 1
    cp repo/metadata/1.root.json root.json
    policy hub "$(server "file://$PWD/repo")" '<relay><listen>127.0.0.1:1</listen></relay>'
    mkdir -m 755 hub
    "$BUILD/agent/defupd-agent" --config "$PWD/hub.xml" --state-dir "$PWD/hub" \
        --defupd "$BUILD/agent/defupd" >agent.log 2>&1 </dev/null &
    servers+=($!)
    agent=$!
    until_true ready
    want 0 p hub forceupdate
    cmp repo/metadata/timestamp.json hub/relay/metadata/timestamp.json || fail "not filled: $(cat agent.log hub/log/*)"
    release 2
    want 0 defupd-publish --repo repo export-offline -o two.zip
    want 0 p hub import "$PWD/two.zip"
    cmp repo/metadata/timestamp.json hub/relay/metadata/timestamp.json || fail "not by import: $(cat agent.log hub/log/*)"
    stop_agent
}

t_run an_update_of_the_host_fills_it
t_run no_relay_where_policy_says_no
t_run what_only_looks_or_tries_fills_nothing
t_run upstream_down_is_told_and_what_is_held_stays
t_run a_failure_of_the_relay_alone_is_the_runs
t_run a_lying_upstream_changes_nothing
t_run a_relay_that_is_behind_is_waited_for_or_gone_round
t_run relays_in_a_chain
t_run an_archive_feeds_it
t_run hosts_update_while_it_is_brought_up_to_date
t_run the_service_does_it
t_done
