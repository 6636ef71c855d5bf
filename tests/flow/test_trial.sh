#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Trials as an administrator and a product meet them: commands, agent, reports.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/agent.sh"

# policy SECTION...: a real one, over the folder good; without polls.
policy() {
    state=$PWD/state
    cat >policy.xml <<P
<policy format="1">
  <schedule><enabled>no</enabled></schedule>
  <sources><server><url>file://$PWD/good</url></server></sources>
  <trust><root>$PWD/good/metadata/1.root.json</root></trust>
  $*
</policy>
P
}

c() {
    defupd --config policy.xml --state-dir "$PWD/state" "$@"
}

install_1() {
    make_rules
    cp -a alpha2 alpha3
    cp -a beta2 beta3
    echo three | tee alpha3/three >beta3/three
    make_repo good 1
    want 0 c update
}

# Releases 1 confirmed, 2 on trial.
begin() {
    install_1
    make_repo good 2
    want 0 c update
    is_at 2 || fail "2 is not active"
}

# state_is STATE: that of alpha in all reports.
state_is() {
    [ "$(xmllint --xpath '//alpha/state/text()' state/local.xml)" = "$1" ] ||
        fail "local.xml: $(cat state/local.xml)"
    want 0 c posture
    grep -A12 '"name": "alpha"' out | grep -q "\"state\": \"$1\"" || fail "$(cat out)"
}

event_is() { # NAME VERSION
    grep -q "\"name\": *\"$1\".*\"component\": *\"alpha\".*\"version\": *$2" state/log/events.jsonl ||
        fail "no event $1: $(cat state/log/events.jsonl)"
}

a_trial_is_told_of_everywhere_and_ends_by_command() {
    policy '<trial><enabled>yes</enabled></trial>' '<retention><generations>5</generations></retention>'
    begin
    state_is trial
    event_is trial 2
    [ "$(xmllint --xpath '//alpha/trialleft/text()' state/local.xml)" -gt 3000 ] ||
        fail "$(cat state/local.xml)"
    want 0 c posture
    grep -q '"trial_left": 3[56][0-9][0-9]' out || fail "$(cat out)"
    want 0 c status
    says 'On trial      for 60 min of running time, 2 more starts'
    says "on trial until 'defupd confirm alpha', or 'defupd reject alpha'"
    want 0 c --json status
    grep -q '"trial_starts_left": 2' out || fail "$(cat out)"
    want 65 c confirm alpha@1
    says 'alpha@1 is not installed'
    make_repo good 3
    want 0 c update
    says 'alpha: staged 2 -> 3'
    want 0 c why alpha
    says 'only staged, until the trial of what is installed has ended'
    says "What passes   'defupd confirm' or 'defupd reject'"
    want 0 c --json why alpha
    grep -q '"gate": "trial"' out || fail "$(cat out)"
    want 0 c confirm alpha@2
    says 'alpha@2 is not on trial.'
    state_is fresh
    want 0 c confirm
    says 'Nothing is on trial.'
    event_is confirmed 2
    grep -q 'alpha: 2 is confirmed' state/log/update.log || fail "$(cat state/log/update.log)"
    want 65 c reject
    says "'defupd rollback' goes back"
    mv good away
    want 0 c install
    mv away good
    is_at 3 || fail "what was staged did not become active"
    want 0 c reject
    says 'alpha: rolled back 3 -> 2'
    is_at 2 || fail "not back"
    state_is quarantined
    [ "$(xmllint --xpath '//alpha/lasterror/text()' state/local.xml)" = 4294964592 ] ||
        fail "$(cat state/local.xml)"
    event_is 'rolled back' 2
    want 0 c rollback
    is_at 1 || fail "a rollback stops at what was confirmed"
}

a_product_that_does_not_come_up_finds_what_worked_before() {
    policy '<trial><enabled>yes</enabled><crashes-allowed>1</crashes-allowed></trial>'
    begin
    want 0 c early
    [ ! -s out ] || fail "$(cat out)"
    is_at 2 || fail "too early"
    echo '<policy' >policy.xml # nobody minds the policy here
    rm state/policy.last.xml
    want 0 c early
    says 'alpha: rolled back 2 -> 1'
    says 'Generation 3 is active.'
    is_at 1 || fail "still there"
    want 0 c early
    [ ! -s out ] || fail "$(cat out)"
    grep -q 'alpha: back at 1: ' state/log/update.log || fail "$(cat state/log/update.log)"
}

without_an_agent_the_next_update_sees_that_the_time_is_over() {
    policy '<trial><enabled>yes</enabled><confirm-within>PT1S</confirm-within></trial>'
    begin
    over() { c --json status | grep -q '"trial_left": 1,'; }
    until_true over
    until_true gone_back
    state_is quarantined
}

gone_back() {
    c update && is_at 1
}

the_agent_ends_a_trial_by_itself_and_what_waits_becomes_active() {
    policy '<trial><enabled>yes</enabled><confirm-within>PT3S</confirm-within>
        <on-expiry>confirm</on-expiry></trial>'
    install_1
    : >agent.log
    "$BUILD/agent/defupd-agent" --config policy.xml --state-dir "$state" >>agent.log 2>&1 </dev/null &
    agent=$!
    servers+=($agent)
    until_true ready
    make_repo good 2
    want 0 c forceupdate
    event_is trial 2
    make_repo good 3
    want 0 c forceupdate
    until_true is_at 3
    event_is confirmed 2
    said 'install begins (schedule)' || fail "$(cat agent.log)"
    want 0 c confirm alpha@3 beta@3
    kill -TERM $agent
    wait $agent || fail "$(cat agent.log)"
}

an_agent_that_comes_later_learns_of_the_trial() {
    policy '<trial><enabled>yes</enabled><confirm-within>PT2S</confirm-within></trial>'
    begin
    "$BUILD/agent/defupd-agent" --config policy.xml --state-dir "$PWD/state" >agent.log 2>&1 </dev/null &
    agent=$!
    servers+=($agent)
    until_true ready
    until_true is_at 1
    until_true quarantined
    kill -TERM $agent
    wait $agent || fail "$(cat agent.log)"
}

quarantined() {
    xmllint --xpath '//alpha/state/text()' state/local.xml | grep -q quarantined
}

t_run a_trial_is_told_of_everywhere_and_ends_by_command
t_run a_product_that_does_not_come_up_finds_what_worked_before
t_run without_an_agent_the_next_update_sees_that_the_time_is_over
t_run the_agent_ends_a_trial_by_itself_and_what_waits_becomes_active
t_run an_agent_that_comes_later_learns_of_the_trial
t_done
