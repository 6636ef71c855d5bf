#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Relays before servers: attempts, groups, fallback, one that is behind, and each source's own way.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/agent.sh"

# A store at release 1; release 2 in the folder repo, 1 in old; liars with logs at ${urls[@]} over the
# folders that are named.
a_host() {
    local n=0 i
    state=$PWD/state
    mkdir tree
    seq 1 3000 >tree/hashes
    want 0 defupd-publish --repo repo init
    want 0 defupd-publish --repo repo --level 3 add-release tetra 1 tree
    want 0 d --source "file://$PWD/repo" --trusted-root repo/metadata/1.root.json update
    cp -r repo old
    seq 2 3000 >tree/hashes
    want 0 defupd-publish --repo repo --level 3 --deltas 0 add-release tetra 2 tree
    urls=()
    for folder; do
        n=$((n + 1))
        : >"rules$n"
        : >"log$n"
        "$SOURCE/tests/tools/liar.py" --dir "$folder" --rules "rules$n" --log "log$n" >"port$n" 2>"server$n.out" </dev/null &
        servers+=($!)
        for ((i = 0; i < 200; i++)); do
            [ -s "port$n" ] && break
            sleep 0.05
        done
        urls+=("http://127.0.0.1:$(cat "port$n")")
    done
}

policy() { # what stands in <sources>, then other sections
    local sources=$1
    shift
    printf '<policy format="1"><sources>%s</sources>%s</policy>\n' "$sources" "$*" >policy.xml
    chmod 644 policy.xml
}

p() {
    defupd --config "$PWD/policy.xml" --state-dir "$state" "$@"
}

installed() {
    xmllint --xpath 'string(//tetra/version)' "$state/local.xml"
}

a_relay_that_is_down_is_tried_three_times() {
    a_host repo repo
    echo '*=close' >rules1
    policy "<relays><relay>${urls[0]}</relay></relays><server><url>${urls[1]}</url></server>"
    want 0 p update
    [ "$(installed)" = 2 ] || fail "not at 2"
    [ "$(wc -l <log1)" = 3 ] || fail "not three attempts: $(cat log1)"
    grep -q 'objects/' log2 || fail "the server was not asked"
}

without_fallback_the_report_is_clear_and_nothing_changes() {
    a_host repo repo
    echo '*=close' >rules1
    policy "<relays><attempts>2</attempts><relay>${urls[0]}</relay></relays><fallback-to-servers>no</fallback-to-servers><server><url>${urls[1]}</url></server>"
    want 69 p update
    [ "$(grep -c '^defupd: ' err)" = 1 ] || fail "$(cat err)"
    says 'no relay will do, and servers are not to be asked' "${urls[0]}"
    [ "$(installed)" = 1 ] || fail "not at 1"
    [ ! -s log2 ] || fail "the server was asked"
    [ "$(wc -l <log1)" = 2 ] || fail "$(cat log1)"
    want 69 p --json doctor
    [ "$(jq '.sources | length' out)" = 1 ] || fail "the doctor asks the server: $(cat out)"
    : >rules1
    want 0 p update
    [ "$(installed)" = 2 ] || fail "not at 2"
}

a_group_is_tried_before_the_next() {
    local i first=0 second=0
    a_host repo repo repo
    policy "<relays><attempts>1</attempts><relay>${urls[0]}</relay><relay>${urls[1]}</relay></relays><server><url>${urls[2]}</url></server>"
    for ((i = 0; i < 100; i++)); do
        want 0 p check
        [ -s log1 ] && first=1
        [ -s log2 ] && second=1
        [ $first = 1 ] && [ $second = 1 ] && break
    done
    [ $((first * second)) = 1 ] || fail "one relay has all the work"
    echo '*=close' | tee rules1 rules2 >/dev/null
    want 0 p check
    [ -s log3 ] || fail "the server was not asked"
}

a_relay_that_is_behind_is_left_and_remembered() {
    a_host old repo
    want 0 d --source "${urls[1]}" update # the store has seen more than the relay has
    : >log2
    policy "<relays><relay>${urls[0]}</relay></relays><server><url>${urls[1]}</url></server>"
    want 0 p update
    [ "$(installed)" = 2 ] || fail "went back"
    [ -s log1 ] && [ -s log2 ] || fail "not both were asked"
    grep -q '^aside-until' "$state"/sources/* || fail "not remembered"
    : >log1
    want 0 p update
    [ ! -s log1 ] || fail "the relay is asked first again"
}

each_source_has_its_own_way() {
    a_host repo repo
    echo 'me:secret' >auth
    chmod 600 auth
    # The relay directly, the server through a proxy that is not there; objects from elsewhere.
    policy "<relays><relay>${urls[0]}</relay><proxy>none</proxy></relays><server><url>http://repo.test:${urls[1]##*:}</url><objects>${urls[0]}</objects><address>127.0.0.1</address><auth-file>$PWD/auth</auth-file><proxy>none</proxy></server>" "<proxy><url>http://127.0.0.1:1</url></proxy>"
    echo 'metadata/*=close' >rules1
    want 0 p update
    [ "$(installed)" = 2 ] || fail "not at 2"
    grep -q 'objects/' log1 || fail "objects did not come from their place: $(cat log1 log2)"
    ! grep -q 'objects/' log2 || fail "objects came from the server"
    grep -q 'timestamp.json .*auth=yes' log2 || fail "no credentials for the server"
    ! grep -q 'auth=yes' log1 || fail "credentials went elsewhere"
    ! grep -rq secret "$state" out err || fail "a secret is told"
}

t_run a_relay_that_is_down_is_tried_three_times
t_run without_fallback_the_report_is_clear_and_nothing_changes
t_run a_group_is_tried_before_the_next
t_run a_relay_that_is_behind_is_left_and_remembered
t_run each_source_has_its_own_way
t_done
