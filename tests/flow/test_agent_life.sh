#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An agent that is stopped, killed, restarted, told lies about the time, and given other policies.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/agent.sh"

gated_source() {
    make_rules
    make_repo good 1
    lie good
    echo "$url" >source
    echo "${1:-metadata/timestamp.json}=gate:$PWD/open" >rules
}

no_children() {
    ! pgrep -P "$agent" >/dev/null
}

# write_policy SECTIONS: a real one, over the server or folder in $url.
write_policy() {
    cat >policy.new <<P
<policy format="1">
  <sources><server><url>${url:-file://$PWD/good}</url></server></sources>
  <trust><root>$PWD/good/metadata/1.root.json</root></trust>
  $*
</policy>
P
    mv policy.new policy.xml
}

start_real() {
    state=$PWD/state
    : >agent.log
    "$BUILD/agent/defupd-agent" --config policy.xml --state-dir "$state" >>agent.log 2>&1 </dev/null &
    agent=$!
    servers+=($agent)
    until_true ready
}

by_a_real_policy_it_polls_and_tells_who_is_outdated() {
    make_rules
    make_repo good 1
    printf '#!/bin/sh\necho "$DEFUPD_COMPONENT" >>%q\n' "$PWD/told" >hook
    chmod 755 hook
    write_policy '<schedule><interval>PT1H</interval><initial-delay>PT0S</initial-delay></schedule>
        <components><component name="alpha"><max-age>PT1S</max-age></component></components>' \
        "<hooks><on-outdated><command>$PWD/hook</command><user>$(id -un)</user></on-outdated></hooks>"
    start_real
    until_true is_at 1
    want 0 d posture
    grep -q '"running": true' out || fail "$(cat out)"
    want 0 d status
    says "Agent         process $agent"
    says 'next poll in'
    want 0 d --json status
    grep -q '"running": true' out || fail "$(cat out)"
    [ ! -e told ] || fail "told too early"
    mv good/metadata/timestamp.json away
    until_true outdated
    [ "$(sort -u told)" = alpha ] || fail "$(cat told)"
    want 69 d update
    [ "$(wc -l <told)" = 1 ] || fail "told again while it is the same: $(cat told)"
    mv away good/metadata/timestamp.json
    want 0 d update
    grep -q 'next-attempt\|nextattempt' state/local.xml || fail "$(cat state/local.xml)"
    stop_agent
}

outdated() {
    d update >/dev/null 2>&1
    [ -s told ]
}

debug_lines_end_by_themselves() {
    local end
    make_rules
    make_repo good 1
    end=$(($(date +%s) + 5))
    write_policy '<schedule><initial-delay>PT0S</initial-delay></schedule>' \
        "<debug><until>$(date -u -d "@$end" +%FT%TZ)</until></debug>"
    start_real
    until_true is_at 1
    grep -q 'debug fetch: ' state/log/transfer.log || fail "$(cat state/log/transfer.log)"
    want 0 d --config policy.xml status
    grep -q '^Debug         the logs are kept in detail until 20' out || fail "$(cat out)"
    while [ "$(date +%s)" -lt $end ]; do sleep 0.2; done
    : >state/log/transfer.log
    make_repo good 2
    want 0 d update
    is_at 2 || fail 'not updated'
    [ -s state/log/transfer.log ] || fail 'no log at all'
    ! grep -q debug state/log/transfer.log || fail 'debug lines after their time'
    want 0 d --config policy.xml status
    ! grep -q '^Debug' out || fail "$(cat out)"
    # For one run: by its order
    want 0 d -vv check
    grep -q '^debug   fetch: ' err || fail "$(cat err)"
    want 0 d -v check
    ! grep -q '^debug' err || fail "$(cat err)"
    want 0 d check
    [ ! -s err ] || fail "$(cat err)"
    stop_agent
}

a_bad_policy_keeps_the_one_before() {
    make_rules
    make_repo good 1
    write_policy '<schedule><enabled>no</enabled></schedule><user-update><everyone>yes</everyone></user-update>'
    start_real
    want 0 d update
    echo '<policy format="1"><nonsense/></policy>' >policy.new && mv policy.new policy.xml
    kill -HUP "$agent"
    until_true said 'nonsense'
    make_repo good 2
    want 0 d update
    is_at 2 || fail "the last good policy is not in force"
    want 0 d status
    says 'not valid when the agent read it: '
    says 'nonsense'
    want 0 d --config "$PWD/policy.xml" status
    says 'nonsense'
    [ "$(grep -c '^Policy ' out)" = 1 ] || fail "the same is told twice: $(cat out)"
    write_policy '<schedule><enabled>no</enabled></schedule>'
    kill -HUP "$agent"
    until_true said 'policy:' 3
    want 0 d status
    ! grep -q nonsense out || fail "$(cat out)"
    stop_agent
}

a_policy_replaced_in_mid_update_disturbs_nothing() {
    make_rules
    make_repo good 1
    lie good
    echo "objects/*=gate:$PWD/open" >rules
    write_policy '<schedule><enabled>no</enabled></schedule>'
    start_real
    d forceupdate >first 2>&1 </dev/null &
    first=$!
    until_true [ -e open.met ]
    write_policy '<schedule><enabled>no</enabled></schedule><components><only/></components>'
    kill -HUP "$agent"
    until_true said 'policy:' 2
    write_policy '<schedule><enabled>no</enabled></schedule>'
    kill -HUP "$agent"
    until_true said 'policy:' 3
    : >open
    wait $first || fail "$(cat first)"
    is_at 1 || fail "not updated"
    stop_agent
}

without_a_worker_that_reads_policy_it_does_not_start() {
    policy_is
    : >compile-fails
    state=$PWD/state
    : >agent.log
    run_agent
    status=0
    wait "$agent" || status=$?
    [ $status = 78 ] || fail "exit $status: $(cat agent.log)"
    rm compile-fails
    make_rules
    make_repo good 1
    start_agent
    : >compile-fails
    kill -HUP "$agent"
    until_true said 'config compile failed'
    want 0 d update
    is_at 1 || fail "the policy before is gone"
    stop_agent
}

sigterm_in_mid_download_ends_cleanly_and_the_next_start_updates() {
    gated_source 'objects/*'
    policy_is
    start_agent
    until_true [ -e open.met ]
    d update >joined 2>&1 </dev/null &
    joined=$!
    d hold beta >waiting 2>&1 </dev/null &
    waiting=$!
    until_true clients_are 2
    stop_agent
    for who in joined waiting; do
        wait "${!who}"
        status=$?
        [ $status = 75 ] || fail "$who ended with $status: $(cat $who)"
    done
    [ ! -e state/current ] || fail "half an update"
    : >open
    start_agent
    until_true is_at 1
    want 0 d verify
    stop_agent
}

clients_are() {
    [ "$(ls -l "/proc/$agent/fd" | grep -c socket:)" -ge $(($1 + 2)) ]
}

a_killed_worker_is_started_again_and_nobody_notices_but_by_a_warning() {
    gated_source 'objects/*'
    policy_is 'interval-s 0'
    start_agent
    d forceupdate >first 2>&1 </dev/null &
    first=$!
    until_true [ -e open.met ]
    kill -KILL "$(worker)"
    : >open
    wait $first || fail "the order is lost: $(cat first)"
    grep -q 'starting again' first || fail "$(cat first)"
    is_at 1 || fail "not updated"
    until_true no_children
    stop_agent
}

a_stopped_worker_is_ended_when_its_time_is_over() {
    gated_source 'objects/*'
    policy_is 'interval-s 0' 'run-timeout-s 2'
    start_agent
    d forceupdate >first 2>&1 </dev/null &
    first=$!
    until_true [ -e open.met ]
    kill -STOP "$(worker)"
    wait $first
    status=$?
    [ $status = 75 ] || fail "ended with $status: $(cat first)"
    said 'takes too long' || fail "$(cat agent.log)"
    : >open
    want 0 d update
    is_at 1 || fail "not updated"
    stop_agent
}

a_stopped_worker_does_not_keep_the_agent_from_ending() {
    gated_source 'objects/*'
    policy_is
    start_agent
    until_true [ -e open.met ]
    kill -STOP "$(worker)"
    stop_agent
}

a_killed_agent_takes_its_worker_along_and_the_next_one_updates() {
    killed_with_worker CONT
}

# Even a sleeper must not keep the store.
also_a_stopped_worker_goes_with_its_agent() {
    killed_with_worker STOP
}

killed_with_worker() {
    gated_source 'objects/*'
    policy_is
    start_agent
    until_true [ -e open.met ]
    one=$(worker)
    kill -"$1" "$one"
    d update >joined 2>&1 </dev/null &
    joined=$!
    until_true clients_are 1
    kill -KILL "$agent"
    wait "$agent"
    wait $joined
    status=$?
    [ $status = 69 ] || fail "who waited ends with $status: $(cat joined)"
    until_true [ ! -e "/proc/$one" ]
    ! grep -q 'STALLED\|CANCELLED' state/log/update.log || fail "it was left to itself: $(cat state/log/update.log)"
    : >open
    [ -e state/agent.sock ] || fail "there is no stale socket to meet"
    start_agent
    until_true is_at 1
    stop_agent
}

a_stopped_agent_goes_on_where_it_was() {
    gated_source
    policy_is 'interval-s 0'
    start_agent
    kill -STOP "$agent"
    d forceupdate >first 2>&1 </dev/null &
    first=$!
    : >open
    kill -CONT "$agent"
    wait $first || fail "$(cat first)"
    is_at 1 || fail "not updated"
    stop_agent
}

a_second_agent_is_refused() {
    policy_is 'interval-s 0'
    start_agent
    want 75 "$BUILD/agent/defupd-agent" --state-dir "$state" --defupd "$PWD/double"
    says 'another agent'
    want 0 d status
    says "process $agent"
    kill -STOP "$agent"
    want 0 d status
    says 'Agent         does not answer'
    kill -CONT "$agent"
    stop_agent
}

wrong_use_is_explained() {
    want 64 "$BUILD/agent/defupd-agent" --frob
    says 'unknown argument'
    want 64 "$BUILD/agent/defupd-agent" --config
    want 0 "$BUILD/agent/defupd-agent" --help
    says '--state-dir'
    want 0 "$BUILD/agent/defupd-agent" --version
    want 73 "$BUILD/agent/defupd-agent" --state-dir "$PWD/no/such/folder"
    says 'cannot make'
    if [ "$(id -u)" = 0 ]; then
        mkdir state
        chmod 711 .
        want 77 setpriv --reuid 65534 --regid 65534 --clear-groups "$BUILD/agent/defupd-agent" --state-dir "$PWD/state"
        says 'belongs to user 0'
        want 73 setpriv --reuid 65534 --regid 65534 --clear-groups "$BUILD/agent/defupd-agent" --state-dir "$PWD/none"
        says 'let root make it'
        chown 65534 state
        want 77 setpriv --bounding-set=-setuid --inh-caps=-all "$BUILD/agent/defupd-agent" --state-dir "$PWD/state"
        says 'start as that user, or as root with CAP_SETUID'
        want 77 setpriv --bounding-set=-setuid --inh-caps=-all defupd --state-dir "$PWD/state" clean
        says 'start as that user, or as root with CAP_SETUID'
    fi
}

back_off_and_retry_after_outlive_a_restart() {
    make_rules
    make_repo good 1
    lie good
    echo "$url" >source
    echo 'metadata/timestamp.json=status:503:5000' >rules
    policy_is 'back-off-s 1000 2000'
    start_agent
    until_true grep -q '^failures 1' state/agent.state
    retry=$(sed -n 's/^retry-s //p' state/agent.state)
    [ "$retry" -gt 4900 ] || fail "Retry-After was not obeyed: $retry"
    stop_agent
    : >rules
    start_agent
    want 0 d status
    says 'next poll in 8'
    kill -HUP "$agent"
    until_true said 'policy:' 2
    [ "$(runs)" = 0 ] || fail "it polled: $(cat agent.log)"
    want 75 d forceupdate # a source's wish counts for people, too
    stop_agent
}

the_attempt_that_is_told_is_the_one_that_comes() {
    local told comes
    make_rules
    make_repo good 1
    echo "file://$PWD/none" >source
    policy_is 'back-off-s 3000 90000'
    start_agent
    until_true grep -q '^failures 1' state/agent.state
    told=$(sed -n 's/^next-attempt //p' state/schedule/agent)
    comes=$(awk '/^polled/ { at = $4 } /^retry-s/ { print at + $2 }' state/agent.state)
    [ $((told - comes)) -ge -5 ] && [ $((told - comes)) -le 5 ] || fail "told $told, comes at $comes"
    stop_agent
}

a_damaged_state_means_due_now() {
    make_rules
    make_repo good 1
    policy_is
    start_agent
    until_true is_at 1
    until_true grep -q '^polled' state/agent.state
    stop_agent
    start_agent
    kill -HUP "$agent"
    until_true said 'policy:' 2
    [ "$(runs)" = 0 ] || fail "polled again: $(cat agent.log)"
    stop_agent
    sed -i 's/^polled ./polled x/' state/agent.state
    start_agent
    until_true said 'update is done'
    said 'agent.state is damaged' || fail "$(cat agent.log)"
    stop_agent
}

# The wall clock is libfaketime's; the boot-time clock stays the machine's.
wall_clock_jumps_do_no_harm() {
    make_rules
    make_repo good 1
    policy_is
    echo +0 >clock
    AGENT_UNDER="env LD_PRELOAD=$faketime FAKETIME_TIMESTAMP_FILE=$PWD/clock FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1"
    start_agent
    until_true is_at 1
    until_true grep -q '^polled' state/agent.state
    before=$(runs) count=1
    for jump in +10y -10y +3h -3h; do
        echo $jump >clock
        kill -HUP "$agent"
        count=$((count + 1))
        until_true said 'policy:' $count
    done
    [ "$(runs)" = "$before" ] || fail "a jump made it poll: $(cat agent.log)"
    echo +0 >clock
    want 0 d update
    stop_agent
}

descriptors_are() {
    [ "$(ls "/proc/$agent/fd" | wc -l)" = "$1" ]
}

nothing_is_left_behind_by_many_runs() {
    make_rules
    make_repo good 1
    policy_is 'interval-s 0'
    start_agent
    want 0 d update
    until_true no_children
    before=$(ls "/proc/$agent/fd" | wc -l)
    for i in $(seq 1 15); do
        want 0 d update
    done
    until_true no_children
    until_true descriptors_are "$before"
    [ "$(awk '/VmRSS/ { print $2 }' "/proc/$agent/status")" -lt 8192 ] || [ "$SANITIZE" != none ] ||
        fail "$(grep VmRSS "/proc/$agent/status")"
    stop_agent
}

ready_again() {
    [ "$(grep -c '^READY=1' "$heard")" -ge 2 ]
}

the_service_manager_is_told() {
    make_rules
    make_repo good 1
    policy_is
    local heard
    for where in "$PWD/notify" "@defupd-test-$$"; do
        heard=heard.${#servers[@]}
        /usr/bin/python3 - "$where" <<'P' >"$heard" &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace("@", "\0"))
print("listening", flush=True)
while True:
    print(s.recv(4096).decode(), flush=True)
P
        servers+=($!)
        until_true grep -q listening "$heard"
        AGENT_UNDER="env NOTIFY_SOCKET=$where WATCHDOG_USEC=400000"
        start_agent
        until_true grep -q '^READY=1' "$heard"
        until_true grep -q '^STATUS=Idle; next poll 20' "$heard"
        until_true grep -q '^WATCHDOG=1' "$heard"
        kill -HUP "$agent"
        until_true grep -q '^RELOADING=1' "$heard"
        until_true grep -q '^MONOTONIC_USEC=[0-9]' "$heard"
        until_true ready_again
        stop_agent
        until_true grep -q '^STOPPING=1' "$heard"
    done
}

for t in by_a_real_policy_it_polls_and_tells_who_is_outdated debug_lines_end_by_themselves \
    a_bad_policy_keeps_the_one_before \
    a_policy_replaced_in_mid_update_disturbs_nothing \
    without_a_worker_that_reads_policy_it_does_not_start \
    sigterm_in_mid_download_ends_cleanly_and_the_next_start_updates \
    a_killed_worker_is_started_again_and_nobody_notices_but_by_a_warning \
    a_stopped_worker_is_ended_when_its_time_is_over \
    a_stopped_worker_does_not_keep_the_agent_from_ending \
    a_killed_agent_takes_its_worker_along_and_the_next_one_updates \
    also_a_stopped_worker_goes_with_its_agent \
    a_stopped_agent_goes_on_where_it_was a_second_agent_is_refused wrong_use_is_explained \
    back_off_and_retry_after_outlive_a_restart the_attempt_that_is_told_is_the_one_that_comes \
    a_damaged_state_means_due_now \
    nothing_is_left_behind_by_many_runs the_service_manager_is_told; do
    t_run $t
done
faketime=$(find /usr/lib -name libfaketime.so.1 2>/dev/null | head -1)
if [ -n "$faketime" ] && [ "$SANITIZE" = none ]; then
    t_run wall_clock_jumps_do_no_harm
else
    t_skip wall_clock_jumps_do_no_harm 'needs libfaketime, which sanitizers do not get on with'
fi
t_done
