#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/kill.sh"

# Release 1 confirmed, 2 on trial, and one start more than may be.
prepare() {
    make_rules
    make_repo repo 1
    cat >policy.xml <<P
<policy format="1"><sources><server><url>file://$PWD/repo</url></server></sources>
<trust><root>$PWD/repo/metadata/1.root.json</root></trust>
<trial><enabled>yes</enabled><crashes-allowed>0</crashes-allowed></trial></policy>
P
    want 0 defupd --config policy.xml --state-dir "$PWD/prepared" update
    make_repo repo 2
    want 0 defupd --config policy.xml --state-dir "$PWD/prepared" update
    old_is() { is_at 2; }
    new_is() { is_at 1; }
    # Nothing is on trial any more, so the next look takes no lock and leaves the rest to others.
    next_run() { want 0 defupd --state-dir "$state" clean; }
}

an_early_look_that_is_killed_anywhere_leaves_the_new_or_the_old_set() {
    prepare
    kill_spread 66 prepared early
}

t_run an_early_look_that_is_killed_anywhere_leaves_the_new_or_the_old_set
t_done
