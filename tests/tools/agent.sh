# SPDX-License-Identifier: Apache-2.0
# A real defupd-agent in tests, over tap.sh and rules.sh.
#
#     make_rules; make_repo good 1
#     policy_is 'interval-s 7200' 'user-update none'
#     start_agent
#     want 0 d forceupdate
#     stop_agent
#
# The store is in $state, made by start_agent; the policy comes as the service reads it (file
# `compiled`), so that tests can say anything, and its file for workers is options of the program
# `double`: $source (a URL, default: the folder good) with its root.

state=${state-}

# policy_is LINE...: what `config compile` tells from now on; reload or start makes it count.
policy_is() {
    {
        echo 'defupd-agent-config 1'
        echo "policy $PWD/policy.xml"
        printf '%s\n' 'interval-s 7200' 'initial-delay-s 0' 'slot-s 0' 'run-missed yes' \
            'back-off-s 60 3600' 'verify-s 0' 'user-update none' 'run-timeout-s 0' "$@"
        echo end
    } >compiled.new
    mv compiled.new compiled
    [ -e double ] && return
    cat >double <<'D'
#!/bin/bash
cd "$(dirname "$0")"
case " $* " in
*' config compile '*)
    [ ! -e compile-fails ] || exit 70
    exec cat compiled
    ;;
esac
[ ! -e source ] || url=$(cat source)
exec "$BUILD/agent/defupd" "$@" --source "${url:-file://$PWD/good}" \
    --trusted-root "$PWD/good/metadata/1.root.json"
D
    chmod 755 double
}

d() {
    defupd --state-dir "$state" "$@"
}

# until_true COMMAND...: wait for it; 60 s are for the slowest machine.
until_true() {
    local i
    for ((i = 0; i < 1200; i++)); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    sed 's/^/# agent: /' agent.log | tail -20 >&3
    fail "in vain waited for: $*"
}

# start_agent WORD...: in the background, until it is ready; $agent is its pid. AGENT_UNDER is what
# starts it, such as setpriv with arguments.
start_agent() {
    state=${state:-$PWD/state}
    : >agent.log
    run_agent "$@"
    until_true ready
}

run_agent() {
    ${AGENT_UNDER-} "$BUILD/agent/defupd-agent" --state-dir "$state" --defupd "$PWD/double" "$@" \
        >>agent.log 2>&1 </dev/null &
    agent=$!
    servers+=($agent)
}

ready() {
    grep -q 'defupd-agent: ready' agent.log || { [ -d "/proc/$agent" ] || fail "the agent does not start: $(cat agent.log)"; false; }
}

# stop_agent: by SIGTERM; it ends with 0.
stop_agent() {
    local status=0
    kill -TERM "$agent"
    wait "$agent" || status=$?
    [ $status = 0 ] || fail "the agent ended with $status: $(tail -5 agent.log)"
}

# said TEXT [TIMES]: the agent's log holds it (so often).
said() {
    [ "$(grep -cF -e "$1" agent.log)" -ge "${2:-1}" ]
}

# worker: pid of the worker at work; fails when there is none.
worker() {
    pgrep -P "$agent" -f -- '--worker 3' | head -1 | grep .
}

# runs: how many workers were started.
runs() {
    grep -cE ': [a-z]+ begins ' agent.log
}
