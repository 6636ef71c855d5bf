# SPDX-License-Identifier: Apache-2.0
# Killing one kind of work at evenly spread system calls. Afterwards the store holds exactly the old
# or the new set, every byte of it, and the next run completes.
#
#     kill_spread TIMES PREPARED WORD...     PREPARED: a folder whose copy is the state directory
#
# A sixth of the times is enough for every day; all of them with DEFUPD_LONG.
# The caller defines old_is and new_is (functions that look at the state directory in $state), and
# next_run where the same work once more would not come to tidy up.
# Ends the test at the first thing that is not as it should be.

kill_spread() {
    local times=$1 prepared=$2 total i at old=0 new=0
    shift 2
    [ -n "${DEFUPD_LONG-}" ] || times=$(((times + 5) / 6))
    state=$PWD/state
    cp -a "$prepared" state
    "$BUILD/tests/killat" 0 defupd --state-dir "$state" "$@" >out 2>err || fail "the work itself fails: $(cat err)"
    total=$(sed -n 's/^killat: //p' err)
    new_is || fail "after the whole work the set is not the new one"
    for ((i = 1; i <= times; i++)); do
        at=$((1 + (total - 2) * i / times))
        rm -rf state
        cp -a "$prepared" state
        "$BUILD/tests/killat" "$at" defupd --state-dir "$state" "$@" >out 2>err
        if new_is; then
            new=$((new + 1))
        elif old_is; then
            old=$((old + 1))
        else
            cp -a state "state.killed"
            fail "killed at call $at of $total: neither the old nor the new set (see state.killed)"
        fi
        if [ -e state/current ]; then
            want 0 defupd --state-dir "$state" verify
        fi
        want 0 defupd --state-dir "$state" "$@"
        if declare -F next_run >/dev/null; then
            next_run
        fi
        new_is || fail "killed at call $at of $total: the next run did not complete"
        [ $((i % 8)) != 0 ] || want 0 defupd --state-dir "$state" verify
        # A report's is swept after an hour: reports are written without the lock, and another
        # writer may be at work.
        leftovers=$(find state/staging state/generations state -maxdepth 1 -name '*.tmp' \
            ! -name 'local.xml.*' ! -name 'posture.json.*' -o -path 'state/staging/*' | head -3)
        [ -z "$leftovers" ] || fail "killed at call $at of $total: left over: $leftovers"
    done
    echo "# $times kills over $total system calls: $old times the old set, $new times the new" >&3
    [ $((old * new)) != 0 ] || fail "the kills never met both sides of the switch"
}
