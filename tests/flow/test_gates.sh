#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The table of gates (docs/architecture.md), end to end: a policy as an administrator writes it, the
# agent that goes by it, releases that stand behind a gate. tests/gates.txt says which test shows
# which cell. The first column is a poll of the agent's own; the last is what becomes of an
# installed release that was withdrawn.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/agent.sh"

# policy SECTION...: in force from the next start or reload on.
policy() {
    cat >policy.new <<P
<policy format="1">
  <schedule>${schedule-<initial-delay>PT0S</initial-delay>}</schedule>
  <sources><server><url>${url:-file://$PWD/good}</url></server></sources>
  <trust><root>$PWD/good/metadata/1.root.json</root></trust>
  $*
</policy>
P
    mv policy.new policy.xml
}

agent_of() { # LOG: an agent on the policy, until it is ready
    : >"$1"
    "$BUILD/agent/defupd-agent" --config policy.xml --state-dir "$state" >>"$1" 2>&1 </dev/null &
    agent=$!
    servers+=($agent)
    until_true grep -q 'defupd-agent: ready' "$1"
}

# poll: one poll of the schedule by the policy as it is now, to its end. The agent runs on.
poll() {
    [ -z "${agent-}" ] || stop_agent
    rm -f "$state/agent.state"
    agent_of agent.log
    until_true polled
}

polled() {
    grep -qE 'update (is done|ended with)' agent.log
}

reload() {
    local before
    before=$(grep -c 'policy:' agent.log)
    kill -HUP "$agent"
    until_true more_than "$before"
}

more_than() {
    [ "$(grep -c 'policy:' agent.log)" -gt "$1" ]
}

at() { # COMPONENT: its installed version
    basename "$(readlink "$state/current/$1")"
}

# stays VERSION, goes VERSION: where alpha is after what came before.
stays() { [ "$(at alpha)" = "$1" ] || fail "alpha went to $(at alpha): $(cat out err agent.log)"; }
goes() { [ "$(at alpha)" = "$1" ] || fail "alpha stays at $(at alpha): $(cat out err agent.log)"; }

release() { # VERSION OPTION...: of alpha, with a tree of its own
    mkdir "t$1" && seq "$1" 3000 >"t$1/list" || fail "no tree $1"
    want 0 defupd-publish --repo good --level 3 add-release alpha "$1" "t$1" --deltas 0 "${@:2}"
}

amend() { # VERSION XML
    "$SOURCE/tests/tools/amend.py" good alpha "$1" "$2" || fail "alpha $1 cannot be amended"
}

withdraw() { # VERSION [REPLACE-BY]
    amend "$1" "<withdrawn at=\"2026-01-01T00:00:00Z\" reason=\"harm\"${2:+ replace-by=\"$2\"}/>"
}

# begin OPTION...: alpha 1 is there, and installed by a poll.
begin() {
    state=$PWD/state
    want 0 defupd-publish --repo good init
    release 1 "$@"
    policy
    poll
    goes 1
}

local_time() { # HOURS from now, as HH:MM
    date -d "$1 hours" +%H:%M
}

interval_window_and_back_off_bind_polls_alone() {
    local schedule
    begin
    stop_agent
    agent=
    # a window that is not now: no poll, whatever was missed
    schedule="<initial-delay>PT0S</initial-delay><window from=\"$(local_time 3)\" to=\"$(local_time 5)\"/>"
    release 2
    policy
    rm -f state/agent.state
    agent_of agent.log
    want 0 d status
    says 'next poll in'
    sleep 0.5
    [ "$(runs)" = 0 ] || fail "it polled outside its window: $(cat agent.log)"
    stays 1
    want 0 d update
    goes 2
    release 3
    want 0 d forceupdate alpha@3
    goes 3
    withdraw 3 2
    want 0 d update
    goes 2
    [ "$(runs)" = 3 ] || fail "it polled outside its window: $(cat agent.log)"
    stop_agent
    agent=
    # back-off: after a failure the next poll is not now
    schedule='<initial-delay>PT0S</initial-delay><back-off first="PT30M" max="PT2H"/>'
    mv good/metadata/timestamp.json away
    policy
    poll
    mv away good/metadata/timestamp.json
    release 4
    stays 2
    sleep 0.5
    [ "$(runs)" = 1 ] || fail "it polled at once after a failure: $(cat agent.log)"
    want 0 d update
    goes 4
    # interval: one is over, and none comes
    [ "$(runs)" = 2 ] || fail "it polled again: $(cat agent.log)"
    stop_agent
}

a_source_that_wants_to_be_left_alone_is_by_all() {
    begin
    release 2
    lie good
    policy
    echo 'metadata/timestamp.json=status:503:5000' >rules
    want 75 d update
    says MAINTENANCE
    : >rules
    poll
    stays 1
    want 75 d forceupdate
    says COOL_DOWN
    says 'until '
    want 75 d update alpha@2
    says COOL_DOWN
    withdraw 1 2
    poll
    stays 1
    stop_agent
}

# what_costs_too_much SECTION WORDS: the two gates of bytes behave alike.
what_costs_too_much() {
    release 2
    policy "$1"
    poll
    stays 1
    want 75 d update
    says "$2"
    stays 1
    want 75 d update alpha@2
    says BUDGET
    stays 1
    # a withdrawal obeys, and takes what costs nothing
    withdraw 1 2
    want 65 d update
    says NO_REPLACEMENT
    says "$2"
    stays 1
    policy
    reload
    want 0 d update
    goes 2
    policy "$1"
    release 3
    want 0 d update --over-budget alpha@3
    goes 3
    withdraw 3 2
    poll
    goes 2
    stop_agent
}

a_metered_connection_carries_no_bundle() {
    begin
    what_costs_too_much '<transfer><metered>yes</metered></transfer>' 'too dear'
}

the_bytes_of_a_day_are_the_limit() {
    begin
    what_costs_too_much '<transfer><bytes-per-day>10</bytes-per-day></transfer>' 'the day'
}

# what_is_not_for_this_host_yet WORDS XML: 2 is out, and not for this host by the policy in force.
what_is_not_for_this_host_yet() {
    poll
    stays 1
    want 0 d update
    says "$1"
    stays 1
    want 0 d --config policy.xml why alpha
    says "$1"
    want 0 d forceupdate
    stays 1
    want 0 d update alpha@2
    goes 2
    release 3
    [ -z "${2-}" ] || amend 3 "$2"
    withdraw 2 1
    poll
    goes 1
}

a_roll_out_reaches_one_host_after_the_other() {
    local late='<rollout start="2026-01-01T00:00:00Z"><step after="P3650D" permille="1000"/></rollout>'
    begin
    release 2
    amend 2 "$late"
    what_is_not_for_this_host_yet 'roll-out' "$late"
    withdraw 1 3
    poll
    goes 3
    stop_agent
}

a_ring_is_for_its_hosts() {
    local ring='<rollout start="2026-01-01T00:00:00Z"><ring name="pilot" after="PT0S"/></rollout>'
    begin
    release 2
    amend 2 "$ring"
    policy '<components><ring>office</ring></components>'
    what_is_not_for_this_host_yet 'roll-out' "$ring"
    policy '<components><ring>office</ring><component name="alpha"><ring>pilot</ring></component></components>'
    reload
    want 0 d update
    goes 3
    release 4
    amend 4 "$ring"
    policy '<components><ring>office</ring></components>'
    withdraw 3 4
    poll
    goes 4
    stop_agent
}

a_delay_lets_others_go_first() {
    begin
    release 2 --published "$(date -u -d '-2 hours' +%FT%TZ)"
    policy '<components><component name="alpha"><delay>PT3H</delay></component></components>'
    what_is_not_for_this_host_yet 'policy waits until'
    policy '<components><component name="alpha"><delay>PT1H</delay></component></components>'
    poll
    stays 1 # 2 is withdrawn, 3 is young
    withdraw 1 3
    poll
    goes 3
    stop_agent
}

what_a_rollback_left_is_not_taken_again_by_itself() {
    begin
    release 2
    want 0 d update
    goes 2
    want 0 d rollback
    goes 1
    poll
    stays 1
    want 0 d update
    says "skipped since the rollback; take it with 'defupd update alpha@2'"
    want 0 d forceupdate
    stays 1
    want 0 d update alpha@2
    goes 2
    want 0 d update
    ! grep -q skipped out || fail "the skip is still there: $(cat out)"
    want 0 d rollback
    withdraw 1 2
    poll
    goes 2
    stop_agent
}

# what_policy_keeps SETTING
what_policy_keeps() {
    begin
    release 2
    policy "<components><component name=\"alpha\">$1</component></components>"
    poll
    stays 1
    want 0 d update
    stays 1
    want 0 d forceupdate
    stays 1
    want 77 d update alpha@2
    says HELD
    want 77 d unhold alpha
    stays 1
    withdraw 1 2
    poll
    goes 2
    stop_agent
}

what_policy_holds_goes_only_when_withdrawn() {
    what_policy_keeps '<hold>yes</hold>'
}

what_policy_pins_goes_only_when_withdrawn() {
    what_policy_keeps '<pin>1</pin>'
}

what_a_person_holds_goes_only_when_withdrawn() {
    begin
    release 2
    want 0 d hold alpha
    poll
    stays 1
    want 0 d update
    stays 1
    want 77 d update alpha@2
    says HELD
    want 0 d unhold alpha
    want 0 d pin alpha@1
    want 77 d update alpha@2
    poll
    stays 1
    withdraw 1 2
    poll
    goes 2
    stop_agent
}

what_the_validator_refused_is_asked_for_by_name() {
    begin
    printf '#!/bin/sh\n[ ! -e %q ] || exit 0\n[ "$DEFUPD_NEW_VERSION" != 2 ] || { echo "rule 7 is harmful"; exit 1; }\n' \
        "$PWD/tolerant" >validator
    chmod 755 validator
    hooks="<hooks><validate><command>$PWD/validator</command><user>$(id -un)</user></validate></hooks>"
    release 2
    policy "$hooks"
    reload
    want 65 d update
    says VALIDATION
    says 'rule 7 is harmful'
    stays 1
    : >tolerant
    poll
    stays 1
    want 0 d update
    says quarantine
    want 0 d forceupdate
    stays 1
    want 77 d update alpha@2
    says QUARANTINED
    says '--accept-quarantined'
    stays 1
    # the next candidate takes its place
    release 3
    withdraw 1 2
    poll
    goes 3
    want 0 d update --accept-quarantined alpha@2
    goes 2
    stop_agent
}

a_licence_that_has_expired_stops_its_class_until_it_is_renewed() {
    local old='<licenses><license class="av" expires="2026-01-01T00:00:00Z"/></licenses>'
    local renewed='<licenses><license class="av" expires="2126-01-01T00:00:00Z"/></licenses>'
    begin --class av
    seq 9 >list && mkdir free && mv list free
    want 0 defupd-publish --repo good --level 3 add-release free 1 free
    release 2 --class av
    policy "$old"
    poll
    stays 1
    [ "$(at free)" = 1 ] || fail 'another class was stopped, too'
    [ "$(xmllint --xpath 'string(//alpha/state)' state/local.xml)" = unlicensed ] || fail "$(cat state/local.xml)"
    [ "$(xmllint --xpath 'string(//alpha/lasterrorname)' state/local.xml)" = UNLICENSED ] || fail "$(cat state/local.xml)"
    [ "$(xmllint --xpath 'string(//free/state)' state/local.xml)" = fresh ] || fail "$(cat state/local.xml)"
    want 77 d update
    says UNLICENSED
    want 77 d update alpha@2
    says UNLICENSED
    stays 1
    # a withdrawal passes
    withdraw 1 2
    poll
    goes 2
    release 3 --class av
    want 77 d forceupdate
    stays 2
    policy "$renewed"
    poll
    goes 3
    [ "$(xmllint --xpath 'string(//alpha/state)' state/local.xml)" = fresh ] || fail "$(cat state/local.xml)"
    [ "$(xmllint --xpath 'string(//alpha/lasterror)' state/local.xml)" = 0 ] || fail "$(cat state/local.xml)"
    stop_agent
}

a_licence_that_ends_while_the_agent_runs_counts_at_once() {
    local end
    begin --class av
    end=$(($(date +%s) + 4))
    policy "<licenses><license class=\"av\" expires=\"$(date -u -d "@$end" +%FT%TZ)\"/></licenses>"
    reload
    release 2 --class av
    want 0 d update
    goes 2
    release 3 --class av
    while [ "$(date +%s)" -le $end ]; do sleep 0.2; done
    want 77 d update
    stays 2
    stop_agent
}

# needs XML WORDS: release 2 stands behind it in every order.
needs() {
    release 2
    amend 2 "$1"
    poll
    stays 1
    want 0 d update
    says "$2"
    want 0 d forceupdate
    stays 1
    want 69 d update alpha@2
    says NEEDS
    withdraw 1 2
    want 65 d update
    says NO_REPLACEMENT
    stays 1
}

what_needs_another_engine_or_client_comes_to_nobody_else() {
    begin
    needs '<needs engine="scan" min="4.10"/>' scan
    policy '<components><installed-engine name="scan" version="4.9"/></components>'
    poll
    stays 1
    policy '<components><installed-engine name="scan" version="4.10"/></components>'
    poll
    goes 2
    stop_agent
}

what_needs_a_newer_client_comes_to_nobody_else() {
    begin
    needs '<needs engine="defupd" min="1000"/>' defupd
    stop_agent
}

what_comes_during_a_trial_waits_for_its_end() {
    begin
    policy '<trial><enabled>yes</enabled></trial>'
    release 2
    poll
    goes 2
    want 0 d --config policy.xml status
    says 'On trial'
    release 3
    poll
    stays 2
    [ -e state/versions/alpha/3/list ] || fail "what waits is not staged: $(cat agent.log)"
    want 0 d update
    stays 2
    want 0 d forceupdate
    stays 2
    says 'alpha: staged 2 -> 3'
    want 0 d --config policy.xml why alpha
    says 'trial of what is installed'
    want 0 d update alpha@3
    goes 3
    withdraw 3 2
    poll
    goes 2
    want 0 d --config policy.xml status
    ! grep -q 'On trial' out || fail "what goes back has nothing to prove: $(cat out)"
    stop_agent
}

what_is_withdrawn_is_taken_by_no_order() {
    begin
    release 2
    withdraw 2
    poll
    stays 1
    want 0 d update
    stays 1
    want 0 d forceupdate
    stays 1
    want 65 d update alpha@2
    says WITHDRAWN
    want 65 d update --accept-quarantined --over-budget alpha@2
    stays 1
    # nothing is left: it stays, and says so
    withdraw 1
    poll
    stays 1
    [ "$(xmllint --xpath 'string(//alpha/state)' state/local.xml)" = withdrawn ] || fail "$(cat state/local.xml)"
    release 3
    want 0 d update
    goes 3
    stop_agent
}

what_rots_is_repaired_by_the_schedule() {
    local schedule='<initial-delay>PT0S</initial-delay><verify>PT2S</verify>'
    begin
    policy
    reload
    for time in 1 2; do
        echo rot >>state/versions/alpha/1/list
        until_true same_as_signed
    done
    until_true grep -q 'verify is done' agent.log
    want 0 d verify
    stop_agent
}

# The host's slot is 0 here: what was missed is caught up at once, not within ten minutes.
a_week_later_all_is_verified_when_the_agent_starts() {
    make_rules
    make_repo good 1
    policy_is 'verify-s 604800'
    start_agent
    until_true is_at 1
    stop_agent
    echo rot >>state/versions/beta/1/list
    a_week_passes
    start_agent
    until_true is_at 1
    until_true grep -q 'verify is done' agent.log
    stop_agent
    echo rot >>state/versions/beta/1/list
    start_agent
    sleep 0.5
    ! grep -q 'verify begins' agent.log || fail "verified twice in a week: $(cat agent.log)"
    stop_agent
}

same_as_signed() {
    cmp -s t1/list state/versions/alpha/1/list
}

# For the agent that is not running: eight days since the last poll and verification, in another boot.
a_week_passes() {
    /usr/bin/python3 - state/agent.state <<'EOF' || fail 'the state cannot be changed'
import sys
lines = open(sys.argv[1]).read().split("\n")
for i, line in enumerate(lines):
    words = line.split(" ")
    if words[0] in ("polled", "verified"):
        lines[i] = " ".join([words[0], "another-boot", words[2], str(int(words[3]) - 8 * 86400)])
body = "\n".join(lines[:next(i for i, line in enumerate(lines) if line.startswith("sum "))]) + "\n"
total = 0xcbf29ce484222325
for byte in body.encode():
    total = (total ^ byte) * 0x100000001b3 % 2 ** 64
open(sys.argv[1], "w").write(f"{body}sum {total:016x}\n")
EOF
}

t_run interval_window_and_back_off_bind_polls_alone
t_run a_source_that_wants_to_be_left_alone_is_by_all
t_run a_metered_connection_carries_no_bundle
t_run the_bytes_of_a_day_are_the_limit
t_run a_roll_out_reaches_one_host_after_the_other
t_run a_ring_is_for_its_hosts
t_run a_delay_lets_others_go_first
t_run what_a_rollback_left_is_not_taken_again_by_itself
t_run what_policy_holds_goes_only_when_withdrawn
t_run what_policy_pins_goes_only_when_withdrawn
t_run what_a_person_holds_goes_only_when_withdrawn
t_run what_the_validator_refused_is_asked_for_by_name
t_run a_licence_that_has_expired_stops_its_class_until_it_is_renewed
t_run a_licence_that_ends_while_the_agent_runs_counts_at_once
t_run what_needs_another_engine_or_client_comes_to_nobody_else
t_run what_needs_a_newer_client_comes_to_nobody_else
t_run what_comes_during_a_trial_waits_for_its_end
t_run what_is_withdrawn_is_taken_by_no_order
t_run what_rots_is_repaired_by_the_schedule
t_run a_week_later_all_is_verified_when_the_agent_starts
t_done
