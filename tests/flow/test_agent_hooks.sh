#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Policy's commands around an update: in which order, as whom, with which limits, and what their
# answers do. Run by the agent, and by defupd alone.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/agent.sh"

me=$(id -un)

# hook NAME: a script from standard input that a policy can name.
hook() {
    {
        printf '#!/bin/bash\nexec 2>&1\nhere=%q\n' "$PWD"
        cat
    } >"$1"
    chmod 755 "$1"
}

# a hook that notes what it was told
noting() {
    hook "$1" <<'H'
env | LC_ALL=C sort | grep ^DEFUPD_ | tr '\n' ' ' >>"$here/told"
echo >>"$here/told"
H
}

prepare() {
    make_rules
    make_repo good 1
    policy_is 'interval-s 0' "$@"
}

hooks_come_in_order_with_their_facts() {
    noting pre; noting val; noting post
    prepare "hook pre-install user=$me timeout-s=9 memory-bytes=0 $PWD/pre" \
        "hook validate user=$me timeout-s=9 memory-bytes=0 $PWD/val" \
        "hook post-install user=$me timeout-s=9 memory-bytes=0 $PWD/post"
    start_agent
    want 0 d update alpha
    [ "$(grep -o 'DEFUPD_HOOK=[a-z-]*' told | cut -d= -f2 | tr '\n' ' ')" = 'validate pre-install post-install ' ] ||
        fail "$(cat told)"
    grep -q 'HOOK=validate .*TREE=/.*' told || fail "no tree: $(cat told)"
    : >told
    make_repo good 2
    want 0 d update alpha
    grep -q 'CODE=0 DEFUPD_COMPONENT=alpha DEFUPD_ERROR= DEFUPD_HOOK=post-install DEFUPD_NEW_VERSION=2 DEFUPD_OLD_VERSION=1' told ||
        fail "$(cat told)"
    stop_agent
}

a_product_may_postpone_and_is_asked_again() {
    hook pre <<'H'
[ -e "$here/busy" ] || exit 0
echo 'a scan is under way'
exit 75
H
    prepare "hook pre-install user=$me timeout-s=9 memory-bytes=0 $PWD/pre"
    : >busy
    start_agent
    want 75 d update
    says 'a scan is under way'
    says POSTPONED
    [ ! -e state/current ] || fail "installed all the same"
    rm busy
    rm -rf good/objects # what was fetched is kept
    want 0 d update
    is_at 1 || fail "not installed"
    stop_agent
}

a_validator_refuses_what_it_does_not_like() {
    hook val <<'H'
grep -q 33 "$DEFUPD_TREE/sub/rule 3.yar" || exit 0
echo 'rule 3: bad condition'
exit 1
H
    prepare "hook validate user=$me timeout-s=9 memory-bytes=0 $PWD/val"
    start_agent
    want 0 d update
    make_repo good 2
    want 65 d update
    says 'rule 3: bad condition'
    says VALIDATION
    cmp -s 'alpha1/sub/rule 3.yar' 'state/current/alpha/sub/rule 3.yar' || fail "it was installed"
    cmp -s beta2/list state/current/beta/list || fail "others did not go on"
    want 0 d list alpha
    says 'quarantine'
    stop_agent
}

a_hook_that_hangs_is_ended_with_all_it_started() {
    hook val <<'H'
sleep 1000 &
echo $! >"$here/child"
echo 'thinking'
sleep 1000
H
    prepare "hook validate user=$me timeout-s=1 memory-bytes=0 $PWD/val"
    start_agent
    want 65 d update alpha
    says 'too long'
    says 'thinking'
    until_true [ ! -e "/proc/$(cat child)" ]
    stop_agent
}

a_hook_that_cannot_be_started_stops_the_installation_alone() {
    prepare "hook validate user=$me timeout-s=9 memory-bytes=0 $PWD/missing"
    start_agent
    want 69 d update alpha
    says HOOK
    says missing
    policy_is 'interval-s 0'
    kill -HUP "$agent"
    until_true said 'policy:' 2
    want 0 d update alpha # nothing is in quarantine for that
    stop_agent
}

output_and_memory_are_bounded() {
    hook val <<'H'
head -c 3000000 /dev/zero | tr '\0' 'x' | fold -w 100
exec /usr/bin/python3 -c 'x = b"x" * (512 << 20)'
H
    prepare "hook validate user=$me timeout-s=60 memory-bytes=134217728 $PWD/val"
    start_agent
    want 65 d update alpha
    says 'MemoryError'
    [ "$(wc -c <agent.log)" -lt 200000 ] || fail "the log has $(wc -c <agent.log) bytes"
    said 'more output is not kept' || fail "nothing said of what was cut"
    stop_agent
}

hooks_run_as_their_users_without_rights() {
    chmod 711 .
    mkdir -m 777 out.d
    hook post <<'H'
{
    id -u
    grep -E '^(CapEff|CapPrm|CapAmb|NoNewPrivs):' /proc/self/status
    ls /proc/self/fd | wc -l
    pwd
} >"$here/out.d/post"
H
    prepare "hook post-install user=nobody timeout-s=9 memory-bytes=0 $PWD/post"
    chown -R 65533:65533 good double
    mkdir state
    chown 65533:65533 state
    chmod 755 good
    start_agent
    grep -q '^Uid:.65533.65533.65533' "/proc/$agent/status" || fail "the agent is not the store's owner"
    grep -qE '^CapEff:.00000000000000e0' "/proc/$agent/status" || fail "$(grep Cap "/proc/$agent/status")"
    want 0 d update alpha
    [ "$(head -1 out.d/post)" = "$(id -u nobody)" ] || fail "$(cat out.d/post)"
    [ "$(grep -c 'Cap.*0000000000000000' out.d/post)" = 3 ] || fail "$(cat out.d/post)"
    grep -q 'NoNewPrivs:.1' out.d/post || fail "$(cat out.d/post)"
    [ "$(tail -2 out.d/post | head -1)" -le 4 ] || fail "descriptors: $(cat out.d/post)"
    [ "$(tail -1 out.d/post)" = / ] || fail "$(cat out.d/post)"
    stop_agent
}

a_product_that_was_quiesced_hears_of_the_end_whatever_happens() {
    noting post
    hook pre <<'H'
echo pre >>"$here/told"
echo $PPID >"$here/parent"
: >"$here/pre.met"
while [ ! -e "$here/go" ]; do sleep 0.02; done
H
    prepare "hook pre-install user=$me timeout-s=600 memory-bytes=0 $PWD/pre" \
        "hook post-install user=$me timeout-s=9 memory-bytes=0 $PWD/post"
    start_agent
    d update alpha >first 2>&1 </dev/null &
    first=$!
    until_true [ -e pre.met ]
    kill -KILL "$(worker)"
    : >go
    wait $first || fail "it was not taken up again: $(cat first)"
    grep -q 'ended by signal 9' first || fail "$(cat first)"
    until_true grep -q 'HOOK=post-install' told
    # and when the agent itself is lost in between, the next one tells
    rm go pre.met
    make_repo good 2
    d update alpha >second 2>&1 </dev/null &
    until_true [ -e pre.met ]
    kill -KILL "$agent"
    wait "$agent"
    : >go
    : >told
    start_agent
    until_true grep -q 'COMPONENT=alpha DEFUPD_ERROR=the update was interrupted DEFUPD_HOOK=post-install' told
    want 0 d update alpha
    stop_agent
}

failures_and_old_age_are_told() {
    noting onerr
    noting old
    prepare "hook on-error user=$me timeout-s=9 memory-bytes=0 $PWD/onerr" \
        "hook on-outdated user=$me timeout-s=9 memory-bytes=0 $PWD/old"
    start_agent
    want 0 d update
    [ ! -e told ] || fail "told of nothing: $(cat told)"
    rm good/metadata/timestamp.json
    want 69 d update
    until_true grep -q 'DEFUPD_CODE=-21.*DEFUPD_HOOK=on-error' told
    stop_agent
}

write_policy() {
    cat >policy.xml <<P
<policy format="1">
  <sources><server><url>file://$PWD/good</url></server></sources>
  <trust><root>$PWD/good/metadata/1.root.json</root></trust>
  <hooks>$1</hooks>
</policy>
P
}

# defupd alone, by a real policy
without_an_agent_defupd_runs_them_itself() {
    noting val; noting post; noting onerr
    hook pre <<'H'
[ ! -e "$here/busy" ] || exit 75
H
    make_rules
    make_repo good 1
    state=$PWD/state
    write_policy "$(for h in pre-install:pre validate:val post-install:post on-error:onerr; do
        echo "<${h%:*}><command>$PWD/${h#*:}</command><user>$me</user></${h%:*}>"
    done)"
    : >busy
    want 75 d --config policy.xml update alpha
    says POSTPONED
    rm busy
    want 0 d --config policy.xml update alpha
    grep -q 'HOOK=validate' told || fail "$(cat told)"
    grep -q 'HOOK=post-install DEFUPD_NEW_VERSION=1' told || fail "$(cat told)"
    rm good/metadata/timestamp.json
    want 69 d --config policy.xml update
    grep -q 'HOOK=on-error' told || fail "$(cat told)"
}

t_run hooks_come_in_order_with_their_facts
t_run a_product_may_postpone_and_is_asked_again
t_run a_validator_refuses_what_it_does_not_like
t_run a_hook_that_hangs_is_ended_with_all_it_started
t_run a_hook_that_cannot_be_started_stops_the_installation_alone
t_run output_and_memory_are_bounded
t_run a_product_that_was_quiesced_hears_of_the_end_whatever_happens
t_run failures_and_old_age_are_told
t_run without_an_agent_defupd_runs_them_itself
if [ "$(id -u)" = 0 ]; then
    t_run hooks_run_as_their_users_without_rights
else
    t_skip hooks_run_as_their_users_without_rights 'needs root'
fi
t_done
