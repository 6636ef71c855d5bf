#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two at once, somebody who changes his mind, and disks that are full.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"

d() {
    defupd --state-dir "$state" "$@"
}

# Start an update that waits in the middle: its source is a server that sends nothing.
start_slow() {
    port=$(free_port)
    /usr/bin/python3 - "$port" <<'P' &
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen(9)
held = []
while True:
    held.append(s.accept())
P
    servers+=($!)
    for ((i = 0; i < 200; i++)); do
        (exec 4<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
        sleep 0.05
    done
    defupd --state-dir "$state" --source "http://127.0.0.1:$port" \
        --trusted-root good/metadata/1.root.json update >slow.out 2>slow.err &
    slow=$!
    for ((i = 0; i < 200; i++)); do
        [ -s state/lock ] && return
        sleep 0.05
    done
    fail "the slow update does not start"
}

the_second_of_two_updates_is_told_who_is_at_work() {
    state=$PWD/state
    make_rules
    make_repo good 1
    start_slow
    want 75 d --source "file://$PWD/good" update
    says "$slow"
    says 'in use'
    want 0 d status
    says "At work       process $slow"
    kill -TERM "$slow"
    wait "$slow"
    [ $? = 75 ] || fail "a terminated update ends with $?: $(cat slow.err)"
    want 0 d --source "file://$PWD/good" --trusted-root good/metadata/1.root.json update
    is_at 1 || fail "after the first had ended, the second did not do it"
}

waiting_for_the_other_is_possible() {
    state=$PWD/state
    make_rules
    make_repo good 1
    start_slow
    d --source "file://$PWD/good" --trusted-root good/metadata/1.root.json update --wait 60 >waiting.out 2>&1 &
    waiting=$!
    kill -TERM "$slow"
    wait "$waiting" || fail "waiting did not help: $(cat waiting.out)"
    is_at 1 || fail "who waited did not do it"
}

cancel_ends_the_other_update() {
    state=$PWD/state
    make_rules
    make_repo good 1
    want 0 d cancel
    says 'No process'
    start_slow
    want 0 d cancel
    wait "$slow"
    [ $? = 75 ] || fail "a cancelled update ends with $?: $(cat slow.err)"
    grep -q -i cancelled slow.err || fail "it does not say so: $(cat slow.err)"
    want 0 d --source "file://$PWD/good" --trusted-root good/metadata/1.root.json update
    is_at 1 || fail "a stale request has cancelled the next update"
}

many_updates_at_once_make_one_generation() {
    state=$PWD/state
    make_rules
    make_repo good 1
    for i in $(seq 1 12); do
        d --source "file://$PWD/good" --trusted-root good/metadata/1.root.json update >"out.$i" 2>&1 &
        pids[i]=$!
    done
    done_=0
    for i in $(seq 1 12); do
        wait "${pids[i]}"
        case $? in
        0) done_=$((done_ + 1)) ;;
        75) grep -q 'in use' "out.$i" || fail "$(cat "out.$i")" ;;
        *) fail "ended otherwise: $(cat "out.$i")" ;;
        esac
    done
    [ $done_ -ge 1 ] || fail "nobody did it"
    is_at 1 || fail "the set is not whole"
    [ "$(ls state/generations)" = 1 ] || fail "generations: $(ls state/generations)"
}

# A disk with little room: at each fill level the update either succeeds or leaves the old set, and
# says that there is no space.
a_full_disk_leaves_the_old_set_and_says_so() {
    local room rooms refusals=0 successes=0 deltas=0
    mkdir disk
    truncate -s 24M image
    mkfs.ext4 -q -F -m 0 -O ^has_journal image || fail "no ext4"
    mount -o loop image disk || fail "cannot mount"
    mounted=$PWD/disk
    trap 'umount -l "$mounted"; t_end' EXIT
    state=$PWD/disk/state
    make_rules
    head -c 3000000 /dev/urandom >alpha1/noise
    head -c 3000000 /dev/urandom >alpha2/noise
    make_repo good 1
    want 0 d --source "file://$PWD/good" --trusted-root good/metadata/1.root.json update
    make_repo good 2
    cp -a disk/state before
    # from no room at all to enough, in steps that meet every stage
    rooms='0 4 16 64 512 2048 3000 3200 5000 6200 9000'
    [ -z "${DEFUPD_LONG-}" ] ||
        rooms+=' 8 32 128 1024 2900 3100 4000 5900 6000 6100 6400 7000'
    for room in $rooms; do
        rm -rf disk/* && cp -a before disk/state
        free=$(($(stat -f -c '%a * %S' disk) / 1024))
        [ $((free - room)) -le 0 ] || fallocate -l $(((free - room) * 1024)) disk/filler || fail "cannot fill"
        d --source "file://$PWD/good" update >out 2>err
        case $? in
        0)
            successes=$((successes + 1))
            is_at 2 || fail "room $room KiB: done, but not the new set"
            ;;
        74 | 73)
            refusals=$((refusals + 1))
            is_at 1 || fail "room $room KiB: neither done nor the old set"
            [ "$(grep '^defupd: ' err | grep -vc warning)" = 1 ] ||
                fail "room $room KiB: not one line: $(cat err)"
            grep -q -i 'no space' err || fail "room $room KiB: no word of space: $(cat err)"
            ;;
        *) fail "room $room KiB: ended otherwise: $(cat err)" ;;
        esac
        want 0 d verify
        rm -f disk/filler
        want 0 d --source "file://$PWD/good" update
        is_at 2 || fail "room $room KiB: with space again it does not complete"
        [ -z "$(ls -A disk/state/staging)" ] || fail "room $room KiB: left in staging: $(ls disk/state/staging)"
    done
    echo "# $refusals refusals, $successes successes" >&3
    [ $refusals -gt 5 ] && [ $successes -gt 0 ] || fail "$refusals refusals, $successes successes"
}

# Root in a container may be refused all of it.
can_mount() {
    local dir status=1
    dir=$(mktemp -d) && mkdir "$dir/disk" && truncate -s 2M "$dir/image" &&
        mkfs.ext4 -q -F "$dir/image" && mount -o loop "$dir/image" "$dir/disk" &&
        umount "$dir/disk" && status=0
    rm -rf "$dir"
    return $status
}

t_run the_second_of_two_updates_is_told_who_is_at_work
t_run waiting_for_the_other_is_possible
t_run cancel_ends_the_other_update
t_run many_updates_at_once_make_one_generation
if [ "$(id -u)" = 0 ] && can_mount >/dev/null 2>&1; then
    t_run a_full_disk_leaves_the_old_set_and_says_so
else
    t_skip a_full_disk_leaves_the_old_set_and_says_so 'needs root and loop-mounted disks'
fi
t_done
