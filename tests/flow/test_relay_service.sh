#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The agent and the server of its relay: started, looked after, told to end.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/agent.sh"
. "$SOURCE/tests/tools/relay.sh"

# start_relay: an agent whose policy wants a relay; the folder has a repository already.
start_relay() {
    make_rules
    make_repo good 1
    state=$PWD/state
    mkdir state
    cp -a good state/relay
    port=$(free_port)
    cat >relayer <<R
#!/bin/bash
echo \$\$ >>$PWD/relays
exec "$BUILD/agent/defupd-relay" "\$@" --listen 127.0.0.1:$port
R
    chmod 755 relayer
    policy_is 'relay mirror 1' "$@"
    start_agent --relay "$PWD/relayer"
    until_true answers
    first=$(pid)
}

answers() {
    curl -s -f -o /dev/null --noproxy '*' "http://127.0.0.1:$port/metadata/timestamp.json"
}

silent() {
    ! answers
}

pid() {
    tail -1 relays
}

another() { # than $first
    [ "$(pid)" != "$first" ] && answers
}

gone() { # PID
    [ ! -d "/proc/$1" ]
}

a_relay_begins_and_ends_with_its_agent() {
    start_relay
    want 0 defupd --state-dir "$PWD/client" --source "http://127.0.0.1:$port" \
        --trusted-root good/metadata/1.root.json update
    state=$PWD/client is_at 1 || fail 'the client is not at 1'
    [ "$(ps -o ppid= -p "$first" | tr -d ' ')" = "$agent" ] || fail 'another parent'
    stop_agent
    gone "$first" || fail 'the relay lives on'
    grep -q ' ends$' state/log/relay.log || fail "$(cat state/log/relay.log)"
    [ "$(served state pid)" = "$first" ] && [ "$(served state requests)" -gt 5 ] || fail "$(cat state/relay/served)"
}

one_that_dies_comes_back_later_each_time() {
    start_relay
    kill -9 "$first"
    until_true another
    grep -q 'the relay has ended (signal 9): starting it again in 1 s' agent.log || fail "$(cat agent.log)"
    kill -9 "$(pid)"
    until_true grep -q 'starting it again in 2 s' agent.log
    first=$(pid)
    until_true another
    want 0 d status # nothing else has suffered
    stop_agent
}

policy_decides_whether_and_which() {
    start_relay
    policy_is 'relay mirror 1' 'verify-s 86400'
    kill -HUP "$agent"
    until_true eval '[ $(grep -c "policy:" agent.log) -ge 1 ]'
    sleep 0.5
    [ "$(pid)" = "$first" ] || fail 'started anew for nothing'
    policy_is 'relay mirror 2'
    kill -HUP "$agent"
    until_true another
    ! grep -q 'starting it again' agent.log || fail "a wanted end is no death: $(cat agent.log)"
    first=$(pid)
    policy_is
    kill -HUP "$agent"
    until_true gone "$first"
    until_true silent
    policy_is 'relay cache 3'
    kill -HUP "$agent"
    until_true another
    stop_agent
}

a_hangup_makes_it_read_its_policy_anew() {
    start_relay
    kill -HUP "$first"
    until_true another
    stop_agent
}

one_that_does_not_hear_is_ended() {
    start_relay
    kill -STOP "$first" # as if it hung; the end comes all the same
    stop_agent
    gone "$first" || fail 'the relay lives on'
    printf '#!/bin/bash\ntrap "" TERM\necho $$ >>%q\nwhile :; do sleep 0.2; done\n' "$PWD/deaf" >relayer
    start_agent --relay "$PWD/relayer"
    until_true [ -s deaf ]
    stop_agent
    gone "$(cat deaf)" || fail 'it lives on'
}

an_agent_that_is_killed_takes_its_relay_with_it() {
    start_relay
    kill -9 "$agent"
    until_true gone "$first"
    want 69 "$BUILD/agent/defupd-relay" --state-dir "$state" --listen 127.0.0.1:0 --agent 1
    says 'the agent has ended'
}

one_that_cannot_be_started_does_not_disturb_the_rest() {
    make_rules
    make_repo good 1
    policy_is 'relay mirror 1'
    start_agent --relay "$PWD/nothing"
    until_true grep -q "cannot start $PWD/nothing" agent.log
    want 0 d forceupdate
    is_at 1 || fail 'not updated'
    stop_agent
}

for test in a_relay_begins_and_ends_with_its_agent one_that_dies_comes_back_later_each_time \
    policy_decides_whether_and_which a_hangup_makes_it_read_its_policy_anew \
    one_that_does_not_hear_is_ended an_agent_that_is_killed_takes_its_relay_with_it \
    one_that_cannot_be_started_does_not_disturb_the_rest; do
    t_run "$test"
done
t_done
