#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An archive is handed to the running agent, whose worker lives behind a fence.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/agent.sh"

descriptors_are() {
    [ "$(find "/proc/$agent/fd" -mindepth 1 | wc -l)" = "$1" ]
}

the_running_agent_takes_archives_and_folders() {
    make_rules
    make_repo good 1
    policy_is
    start_agent
    until_true is_at 1
    make_repo good 2
    want 0 defupd-publish --repo good export-offline -o two.zip
    # by a path from here, which is not the agent's
    want 0 d import two.zip
    says 'Generation 2 is active'
    is_at 2 || fail "$(cat out err agent.log)"
    grep -q 'import begins' agent.log || fail "not by the agent: $(cat agent.log)"
    cp -a alpha2 alpha3 && echo 3 >>alpha3/hashes.txt
    cp -a beta2 beta3 && echo 3 >>beta3/list
    make_repo good 3
    cp -r good stick
    want 0 d import stick
    is_at 3 || fail "$(cat out err agent.log)"
    # what only root may read, and what has another name for the agent or none
    cp -a alpha3 alpha4 && echo 4 >>alpha4/hashes.txt
    cp -a beta3 beta4 && echo 4 >>beta4/list
    make_repo good 4
    want 0 defupd-publish --repo good export-offline -o four.zip
    if [ "$(id -u)" = 0 ]; then
        stop_agent
        chown -R 65532:65532 state
        chmod 755 .
        start_agent
        before=$(find "/proc/$agent/fd" -mindepth 1 | wc -l)
        mkdir private && mv four.zip private && chmod 700 private && chmod 600 private/four.zip
        want 0 d import private/four.zip
        is_at 4 || fail "$(cat out err agent.log)"
        cp -a alpha4 alpha5 && echo 5 >>alpha5/hashes.txt
        cp -a beta4 beta5 && echo 5 >>beta5/list
        make_repo good 5
        cp -r good private/stick
        want 0 d import private/stick
        is_at 5 || fail "$(cat out err agent.log)"
        [ "$(grep -c 'import is done' agent.log)" = 2 ] || fail "not by the agent: $(cat agent.log)"
        until_true descriptors_are "$before"
    fi
    [ "$(id -u)" = 0 ] && now=5 || now=3
    want 74 d import nothing.zip
    says 'cannot open'
    head -c 1000 two.zip >cut.zip
    want 65 d import cut.zip
    says 'is cut short or damaged'
    want 75 d import two.zip
    says SOURCE_BEHIND
    is_at $now || fail 'the set has changed'
    stop_agent
}

t_run the_running_agent_takes_archives_and_folders
t_done
