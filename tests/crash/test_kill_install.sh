#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/kill.sh"

an_install_that_is_killed_anywhere_leaves_nothing_or_the_whole_set() {
    make_rules
    make_repo repo 1
    mkdir prepared
    old_is() { [ ! -e "$state/current" ]; }
    new_is() { is_at 1; }
    kill_spread 67 prepared --source "file://$PWD/repo" --trusted-root repo/metadata/1.root.json update
}

t_run an_install_that_is_killed_anywhere_leaves_nothing_or_the_whole_set
t_done
