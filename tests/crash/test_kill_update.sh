#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/kill.sh"

an_update_that_is_killed_anywhere_leaves_the_old_or_the_new_set() {
    make_rules
    make_repo repo 1
    want 0 defupd --state-dir "$PWD/prepared" --source "file://$PWD/repo" \
        --trusted-root repo/metadata/1.root.json update
    make_repo repo 2
    cp -a prepared look
    want 0 defupd --state-dir "$PWD/look" --source "file://$PWD/repo" update --dry-run
    says 'alpha: would update 1 -> 2 [delta from 1, '
    says 'beta: would update 1 -> 2 [delta from 1, '
    old_is() { is_at 1; }
    new_is() { is_at 2; }
    kill_spread 67 prepared --source "file://$PWD/repo" update
}

t_run an_update_that_is_killed_anywhere_leaves_the_old_or_the_new_set
t_done
