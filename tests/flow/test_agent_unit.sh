#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The unit file: clean, hardened, and no tighter than the agent bears. No systemd runs where this is
# tested, so its walls are built by hand: file systems, user, capabilities, system calls, limits.
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

# "${walls[@]}" COMMAND...: behind all that the unit sets (tests/tools/walls.py). $PWD is /srv/here there,
# and state alone is writable.
prepare_walls() {
    chmod 755 .
    systemd-analyze syscall-filter >sets 2>sets.err || fail "$(cat sets.err)"
    mkdir state
    chown $user:$user state
    state=$PWD/state
    walls=("$SOURCE/tests/tools/walls.py" "$unit" sets "$BUILD" "$PWD" state $user)
}

# That something is refused here says that the wall stands, so that what is not refused counts.
the_walls_stand() {
    prepare_walls
    cat >probe.py <<'P'
import ctypes, errno, mmap, os, socket
def refused(what, code, call, *args):
    try:
        call(*args)
    except OSError as e:
        assert e.errno in code, (what, e)
    else:
        raise SystemExit(what + " is allowed")
libc = ctypes.CDLL(None, use_errno=True)
def sys(name, *args):
    if getattr(libc, name)(*args) != 0:
        raise OSError(ctypes.get_errno(), name)
denied = (errno.EPERM, errno.EACCES)
refused("writing", (errno.EROFS,), open, "/srv/here/x", "w")
refused("writing below /etc", (errno.EROFS, errno.EACCES), open, "/etc/x", "w")
refused("homes", denied, os.listdir, "/root")
refused("devices", (errno.ENOENT,), open, "/dev/mem")
refused("packets", (errno.EAFNOSUPPORT,), socket.socket, socket.AF_PACKET, socket.SOCK_RAW)
refused("writable code", denied, mmap.mmap, -1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, 7)
refused("name spaces", denied, sys, "unshare", 0x10000000)
refused("mounts", denied, sys, "mount", b"none", b"/tmp", b"tmpfs", 0, None)
refused("owners", denied, os.chown, "/srv/here/state", os.getuid(), -1)
refused("the set-user-id bit", denied, os.chmod, "/srv/here/state", 0o4755)
refused("real time", denied, os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1))
refused("personalities", denied, sys, "personality", 0x8)
refused("tracing", denied, sys, "ptrace", 0, 0, 0, 0)
refused("clocks", denied, sys, "settimeofday", b"\0" * 16, None)
assert not os.path.exists("/proc/1"), "other processes are visible"
open("state/x", "w").close()
os.unlink("state/x")
P
    want 0 "${walls[@]}" /usr/bin/python3 probe.py
    sed 's/^ProtectHome=.*/ProtectHome=tmpfs/' "$unit" >other.service
    walls[1]=other.service
    want 99 "${walls[@]}" /bin/true
    says 'no wall for ProtectHome=tmpfs'
}

walled_policy() { # SECTION...
    cat >policy.new <<P
<policy format="1">
  <schedule><initial-delay>PT0S</initial-delay></schedule>
  <sources><server><url>${url:-file:///srv/here/good}</url></server></sources>
  <trust><root>/srv/here/good/metadata/1.root.json</root></trust>
  $*
</policy>
P
    mv policy.new policy.xml
}

start_walled() {
    : >agent.log
    "${walls[@]}" /srv/build/agent/defupd-agent --config policy.xml --state-dir /srv/here/state >>agent.log 2>&1 </dev/null &
    agent=$!
    servers+=($agent)
    until_true ready
}

nobody_sleeps() {
    ! pgrep -u nobody -x -f 'sleep 1008'
}

inside_the_units_walls_all_of_it_works() {
    local hooks
    prepare_walls
    make_rules
    make_repo good 1
    mkdir hooks.d
    printf '#!/bin/sh\nid -u; cat /proc/self/status\nexit 0\n' >hooks.d/post
    printf '#!/bin/sh\nsleep 1008 &\nsleep 1008\n' >hooks.d/hangs
    chmod 755 hooks.d/*
    hooks="<hooks><post-install><command>/srv/here/hooks.d/post</command><user>nobody</user></post-install></hooks>"
    walled_policy "$hooks"
    start_walled
    # installation
    until_true is_at 1
    grep -q "^Uid:.$user" "/proc/$agent/status" || fail "$(cat "/proc/$agent/status")"
    grep -q '^NoNewPrivs:.1' "/proc/$agent/status" || fail 'new privileges are possible'
    grep -q "post: $(id -u nobody)\$" agent.log || fail "the hook was somebody else: $(cat agent.log)"
    # orders
    make_repo good 2
    want 0 d forceupdate
    is_at 2 || fail 'not updated'
    want 0 d rollback
    is_at 1 || fail 'not rolled back'
    echo x >>state/current/beta/list
    want 0 d verify --repair
    want 0 d verify
    want 0 d unhold alpha
    want 0 d unhold beta
    want 0 defupd-publish --repo good export-offline -o two.zip
    chmod 600 two.zip
    want 0 d import two.zip # by a name that the agent does not have
    is_at 2 || fail 'not imported'
    want 0 d clean
    # a new policy: its hook hangs, and is ended though it is another user
    walled_policy "<hooks><pre-install><command>/srv/here/hooks.d/hangs</command><user>nobody</user><timeout>PT1S</timeout></pre-install></hooks>"
    kill -HUP "$agent"
    until_true said 'policy: ' 2
    want 69 d rollback
    says 'took too long'
    is_at 2 || fail 'rolled back without its hook'
    until_true nobody_sleeps
    # a bad one
    walled_policy '<hooks/><nonsense/>'
    kill -HUP "$agent"
    until_true said nonsense
    [ "$(xmllint --xpath 'string(//agent/lasterror)' state/local.xml)" = 4294964694 ] || fail "$(cat state/local.xml)"
    # the end in mid-download, over the network
    cp -a alpha2 alpha3 && echo 3 >>alpha3/hashes.txt
    cp -a beta2 beta3 && echo 3 >>beta3/list
    make_repo good 3
    lie good
    echo "objects/*=gate:$PWD/open" >rules
    walled_policy
    kill -HUP "$agent"
    until_true said 'policy: ' 4
    d update >client.out 2>&1 &
    until_true [ -e open.met ]
    stop_agent
    wait $!
    [ $? = 75 ] || fail "$(cat client.out)"
    is_at 2 || fail 'half of an update'
    : >open
    start_walled
    want 0 d update
    is_at 3 || fail 'not updated'
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
for test in the_walls_stand inside_the_units_walls_all_of_it_works; do
    if [ "$SANITIZE" != none ]; then
        t_skip $test 'sanitizers need what the filter denies'
    elif can_unshare && command -v systemd-analyze >/dev/null && ldconfig -p | grep -qF libseccomp.so.2; then
        t_run $test
    else
        t_skip $test 'needs root, mount name spaces, systemd-analyze and libseccomp'
    fi
done
if [ "$SANITIZE" = none ]; then
    t_run workers_are_fenced_in
else
    t_skip workers_are_fenced_in 'sanitizers need what the filter denies'
fi
t_done
