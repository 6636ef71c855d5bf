#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a policy says of reports reaches logs, posture and the manager.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"

d() {
    defupd --config "$PWD/policy.xml" --state-dir "$state" "$@"
}

# policy LINE...: one that names the repository, with these sections added.
policy() {
    printf '%s\n' '<policy format="1">' "<sources><server><url>$source</url></server></sources>" \
        "<trust><root>$PWD/repo/metadata/1.root.json</root></trust>" "$@" '</policy>' >policy.xml
    chmod 644 policy.xml
}

a_repository() {
    state=$PWD/state
    make_rules
    make_repo repo 1
    source=file://$PWD/repo
    chmod 755 .
}

posts() { # FILTER: of what the manager has got, as one line
    jq -c "$1" manager/posts | paste -sd' '
}

a_manager_that_was_away_gets_every_run_in_order() {
    a_repository
    mkdir manager
    policy "<report><url>http://127.0.0.1:$(free_port)/</url></report>"
    want 0 d update
    make_repo repo 2
    want 0 d update
    want 69 d deliver
    says 'CONNECT'
    [ "$(ls state/outbox/*.msg | wc -l)" = 2 ] || fail "$(ls state/outbox)"
    grep -q '\] reports: 2 wait until 2.*: -2102 CONNECT: http://127.0.0.1:' state/log/update.log || fail "$(cat state/log/update.log)"
    lie manager
    policy "<report><url>$url/reports</url></report>"
    want 0 d deliver
    says '2 sent, 0 refused, 0 left.'
    [ "$(posts '[.events[] | select(.id == 784) | .version] | max')" = '1 2' ] || fail "$(cat manager/posts)"
    [ "$(posts .posture.generation)" = '1 2' ] || fail "$(cat manager/posts)"
    # from now on each run brings its own
    want 0 d update
    [ "$(posts '.events | map(.id) | sort')" != '' ] && [ "$(wc -l <manager/posts)" = 3 ] || fail "$(cat manager/posts)"
    [ "$(tail -1 manager/posts | jq -c '[.events[].id] | unique')" = '[273,788]' ] || fail "$(tail -1 manager/posts)"
    # one that is refused for good goes, and is told
    echo '*=status:400' >rules
    want 0 d update
    grep -q '\] reports: 1 refused by the receiver' state/log/update.log || fail "$(cat state/log/update.log)"
    : >rules
    # and failures too
    rm -rf repo.away && mv repo repo.away && mkdir -p repo/metadata && cp repo.away/metadata/1.root.json repo/metadata
    want 69 d update
    [ "$(tail -1 manager/posts | jq -c '[.events[] | select(.id == 785) | .component]')" = '["alpha","beta"]' ] ||
        fail "$(tail -1 manager/posts)"
    [ "$(tail -1 manager/posts | jq -c .posture.lasterror_name)" = '"NOT_FOUND"' ] || fail "$(tail -1 manager/posts)"
}

without_a_url_nothing_is_queued() {
    a_repository
    policy
    want 0 d update
    [ ! -e state/outbox ] || fail "there is an outbox"
    want 78 d deliver
    says 'names no URL'
}

a_bad_policy_is_in_local_xml_until_it_is_mended() {
    a_repository
    policy '<schedule><interval>PT30S</interval></schedule>'
    want 78 d update
    policy
    want 0 d update
    policy '<schedule><interval>never</interval></schedule>'
    want 0 d update
    [ "$(xmllint --xpath 'string(//agent/lasterror)' state/local.xml)" = 4294964694 ] || fail "$(cat state/local.xml)"
    [ "$(jq -r .lasterror_name state/posture.json)" = POLICY ] || fail "$(cat state/posture.json)"
    [ "$(xmllint --xpath 'string(//alpha/lasterror)' state/local.xml)" = 0 ] || fail "$(cat state/local.xml)"
    policy
    want 0 d update
    [ "$(xmllint --xpath 'string(//agent/lasterror)' state/local.xml)" = 0 ] || fail "$(cat state/local.xml)"
}

a_file_that_cannot_be_used_is_in_the_reports_until_it_is_mended() {
    a_repository
    policy
    want 0 d update
    echo 'joe:TOPSECRET' >auth
    chmod 644 auth
    policy "<proxy><url>http://127.0.0.1:1</url><auth-file>$PWD/auth</auth-file></proxy>"
    want 78 d update
    says 'open to others'
    [ "$(xmllint --xpath 'string(//agent/lasterror)' state/local.xml)" = 4294964693 ] || fail "$(cat state/local.xml)"
    [ "$(jq -r .lasterror_name state/posture.json)" = POLICY_OWNER ] || fail "$(cat state/posture.json)"
    tail -1 state/log/update.log | grep -q 'end: -2603 POLICY_OWNER: .*auth-file.*open to others' ||
        fail "$(tail -3 state/log/update.log)"
    want 0 d status
    grep -q '^Last attempt  [a-z0-9 ]*: could not begin: .*auth-file.*open to others.*(-2603 POLICY_OWNER)$' out || fail "$(cat out)"
    want 0 d why alpha
    grep -q '^Since then    [a-z0-9 ]*: could not begin: ' out || fail "$(cat out)"
    want 0 d status --json
    jq -e '.store.unable.code == -2603 and .store.unable.name == "POLICY_OWNER"' out >/dev/null || fail "$(cat out)"
    # Nothing that does without that file ends it: neither the agent's look at the policy nor other commands.
    rm state/local.xml
    want 0 d config compile
    [ "$(xmllint --xpath 'string(//agent/lasterror)' state/local.xml)" = 4294964693 ] || fail "$(cat state/local.xml)"
    want 0 d verify
    [ "$(xmllint --xpath 'string(//agent/lasterror)' state/local.xml)" = 4294964693 ] || fail "$(cat state/local.xml)"
    [ "$(jq -r .lasterror_name state/posture.json)" = POLICY_OWNER ] || fail "$(cat state/posture.json)"
    want 0 d posture
    jq -e '.lasterror_name == "POLICY_OWNER"' out >/dev/null || fail "$(cat out)"
    chmod 600 auth
    want 0 d update # from a folder: no proxy is asked
    [ "$(xmllint --xpath 'string(//agent/lasterror)' state/local.xml)" = 0 ] || fail "$(cat state/local.xml)"
    want 0 d status
    ! grep -q 'Last attempt' out || fail "$(cat out)"
}

policy_names_engines_components_and_debug_lines() {
    a_repository
    policy '<schedule><interval>PT20M</interval></schedule>' \
        '<components><component name="alpha"><engine>av</engine></component><component name="beta"><engine>av</engine><enabled>no</enabled></component></components>' \
        '<debug><until>2100-01-01T00:00:00Z</until></debug>'
    want 0 d update
    [ "$(jq -c '[.interval, .engines[0].name, .engines[0].enabled, .engines[0].definitions[1].state]' state/posture.json)" = \
        '[1200,"av",true,"disabled"]' ] || fail "$(cat state/posture.json)"
    [ "$(xmllint --xpath 'string(//beta/state)' state/local.xml)" = disabled ] || fail "$(cat state/local.xml)"
    grep -q 'debug fetch: read' state/log/transfer.log || fail "$(cat state/log/transfer.log)"
    policy '<debug><until>2026-01-01T00:00:00Z</until></debug>'
    : >state/log/transfer.log
    want 0 d update
    ! grep -q debug state/log/transfer.log || fail "debug lines after their time"
}

t_run a_manager_that_was_away_gets_every_run_in_order
t_run without_a_url_nothing_is_queued
t_run a_bad_policy_is_in_local_xml_until_it_is_mended
t_run a_file_that_cannot_be_used_is_in_the_reports_until_it_is_mended
t_run policy_names_engines_components_and_debug_lines
t_done
