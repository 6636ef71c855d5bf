#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An archive is handed to the running agent, whose worker lives behind a fence.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/agent.sh"

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
    head -c 1000 two.zip >cut.zip
    want 65 d import cut.zip
    says 'is cut short or damaged'
    want 75 d import two.zip
    says SOURCE_BEHIND
    is_at 3 || fail 'the set has changed'
    stop_agent
}

t_run the_running_agent_takes_archives_and_folders
t_done
