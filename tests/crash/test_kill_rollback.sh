#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/kill.sh"

a_rollback_that_is_killed_anywhere_leaves_the_new_or_the_old_set() {
    make_rules
    make_repo repo 1
    want 0 defupd --state-dir "$PWD/prepared" --source "file://$PWD/repo" \
        --trusted-root repo/metadata/1.root.json update
    make_repo repo 2
    want 0 defupd --state-dir "$PWD/prepared" --source "file://$PWD/repo" update
    old_is() { is_at 2; }
    new_is() { is_at 1; }
    kill_spread 66 prepared rollback alpha@1 beta@1
}

t_run a_rollback_that_is_killed_anywhere_leaves_the_new_or_the_old_set
t_done
