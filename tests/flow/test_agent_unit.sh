#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The unit file: clean, hardened, and no tighter than the agent bears. No systemd runs where this is
# tested, so its walls are built by hand: read-only file systems but the store, a
# user of its own, three capabilities, no new privileges.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/agent.sh"

unit=$BUILD/agent/defupd-agent.service
user=65532

the_unit_is_clean() {
    sed "s|^ExecStart=.*|ExecStart=$BUILD/agent/defupd-agent|; s|^Documentation=.*||" "$unit" >defupd-agent.service
    want 0 systemd-analyze verify "$PWD/defupd-agent.service"
    [ ! -s err ] || fail "$(cat err)"
}

the_unit_is_hardened() {
    want 0 systemd-analyze security --offline=true --no-pager --threshold=30 "$unit"
    grep -qE 'Overall exposure level.* (OK|SAFE|PERFECT)' out || fail "$(tail -1 out)"
}

accounts_and_folders_are_those_of_the_unit() {
    local files=$SOURCE/agent/service/files
    grep -q '^User=defupd$' "$unit" || fail 'another user'
    grep -q '^StateDirectory=defupd$' "$unit" || fail 'another store'
    want 0 systemd-sysusers --dry-run "$files/sysusers.conf"
    says defupd
    echo 'defupd:x:65532:65532::/:/bin/false' >passwd
    mkdir -p root/etc root/var/lib
    cp passwd root/etc/passwd
    echo 'defupd:x:65532:' >root/etc/group
    echo 'root:x:0:0::/:/bin/sh' >>root/etc/passwd
    echo 'root:x:0:' >>root/etc/group
    want 0 systemd-tmpfiles --root="$PWD/root" --create "$files/tmpfiles.conf"
    [ "$(stat -c '%u %a' root/var/lib/defupd)" = '65532 755' ] || fail "$(stat root/var/lib/defupd)"
    [ "$(stat -c '%u %a' root/etc/defupd/policy.d)" = '0 755' ] || fail "$(stat root/etc/defupd/policy.d)"
}

# in_walls COMMAND...: as the unit does it, with $state alone writable.
cat_walls() {
    cat <<'W'
#!/bin/bash
# walls STATE USER COMMAND...
state=$1 user=$2
shift 2
mount --make-rprivate / || exit 90
mount --bind "$state" "$state" || exit 91
while read -r _ where type _; do
    case $where in
    "$state" | /proc | /proc/* | /dev | /dev/* | /sys | /sys/*) continue ;;
    esac
    mount -o remount,bind,ro "$where" 2>/dev/null
done < <(tac /proc/self/mounts)
for try in 1 2 3 4 5 6 7 8 9; do # busy while somebody writes there
    mount -o remount,bind,ro /dev/shm && break
    sleep 0.2
done
touch "${state%/*}/writable" 2>/dev/null && exit 93
exec setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs \
    --bounding-set=-all,+setuid,+setgid,+kill --inh-caps=-all,+setuid,+setgid,+kill \
    --ambient-caps=-all,+setuid,+setgid,+kill "$@"
W
}

inside_the_units_walls_it_updates_rolls_back_and_runs_hooks() {
    chmod 711 .
    make_rules
    make_repo good 1
    mkdir hooks.d
    printf '#!/bin/sh\nid -u; cat /proc/self/status\nexit 0\n' >hooks.d/post
    chmod 755 hooks.d/post
    policy_is "hook post-install user=nobody timeout-s=9 memory-bytes=0 $PWD/hooks.d/post" 'user-update none'
    mkdir state
    chown $user:$user state
    state=$PWD/state
    cat_walls >walls
    chmod 755 walls
    AGENT_UNDER="unshare -m -- $PWD/walls $state $user"
    start_agent
    until_true is_at 1
    grep -q "^Uid:.$user" "/proc/$agent/status" || fail "$(cat "/proc/$agent/status")"
    grep -q '^NoNewPrivs:.1' "/proc/$agent/status" || fail 'new privileges are possible'
    grep -q "post: $(id -u nobody)\$" agent.log || fail "the hook was somebody else: $(cat agent.log)"
    make_repo good 2
    want 0 d update
    is_at 2 || fail 'not updated'
    want 0 d rollback
    is_at 1 || fail 'not rolled back'
    echo x >>state/current/beta/list
    want 0 d verify --repair
    want 0 d verify
    [ "$(find state ! -uid $user | head -1)" = '' ] || fail "not its own: $(find state ! -uid $user | head -3)"
    stop_agent
}

workers_are_fenced_in() {
    make_rules
    make_repo good 1
    lie good
    echo "$url" >source
    echo "objects/*=gate:$PWD/open" >rules
    policy_is
    start_agent
    until_true [ -e open.met ]
    status=/proc/$(worker)/status
    grep -q '^Seccomp:.2' "$status" || fail "$(cat "$status")"
    grep -q '^NoNewPrivs:.1' "$status" || fail "$(cat "$status")"
    grep -q '^CapEff:.0000000000000000' "$status" || fail "$(cat "$status")"
    : >open
    until_true is_at 1
    stop_agent
}

# Whether a mount name space can be had.
can_unshare() {
    [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null
}

if command -v systemd-analyze >/dev/null; then
    t_run the_unit_is_clean
    t_run the_unit_is_hardened
    t_run accounts_and_folders_are_those_of_the_unit
else
    t_skip the_unit_is_clean 'needs systemd-analyze'
fi
if can_unshare; then
    t_run inside_the_units_walls_it_updates_rolls_back_and_runs_hooks
else
    t_skip inside_the_units_walls_it_updates_rolls_back_and_runs_hooks 'needs root and mount name spaces'
fi
if [ "$SANITIZE" = none ]; then
    t_run workers_are_fenced_in
else
    t_skip workers_are_fenced_in 'sanitizers need what the filter denies'
fi
t_done
