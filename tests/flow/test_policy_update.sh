#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A host that is run by its policy.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"

# policy [SECTIONS]: p.xml with the repository as its source.
policy() {
    cat >p.xml <<END
<policy format="1">
  <sources><server><url>$url</url></server></sources>
  <trust><root>$PWD/root.json</root></trust>
  ${1-}
</policy>
END
}

d() { want "$1" defupd --config p.xml --state-dir "$PWD/state" "${@:2}"; }

lasterror() { xmllint --xpath "//$1/lasterror/text()" state/local.xml; }

prepare() {
    umask 022
    state=$PWD/state
    make_rules
    make_repo repo 1
    cp repo/metadata/1.root.json root.json
    serve repo
}

a_policy_is_all_that_an_update_needs() {
    prepare
    policy
    d 0 config test
    d 0 update
    is_at 1 || fail 'release 1 is not installed'
    [ -s state/policy.last.xml ] || fail 'the policy was not kept'
    xmllint --noout --relaxng "$SOURCE/agent/policy/policy.rng" state/policy.last.xml 2>/dev/null || fail 'what was kept does not fit the schema'
    rm root.json # it is pinned by now
    make_repo repo 2
    d 0 update
    is_at 2 || fail 'release 2 is not installed'
}

a_bad_policy_keeps_the_last_good_one_in_force_and_is_told() {
    prepare
    policy
    d 0 update
    make_repo repo 2
    policy '<schedule><interval>never</interval></schedule>'
    d 0 update
    is_at 2 || fail 'release 2 is not installed'
    [ "$(lasterror agent)" = 4294964694 ] || fail "lasterror is $(lasterror agent)"
    [ "$(lasterror alpha)" = 0 ] || fail 'the component itself is in order'
    d 0 status
    says 'the last good one is in force'
    d 78 config test
    policy
    d 0 update
    [ "$(lasterror agent)" = 0 ] || fail "lasterror is $(lasterror agent)"
    [ "$(stat -c %a state/policy.last.xml)" = 644 ] || fail 'mode of policy.last.xml'
}

what_policy_holds_only_policy_releases() {
    prepare
    policy
    d 0 update
    make_repo repo 2
    policy '<components><component name="alpha"><hold>yes</hold></component></components>'
    d 0 update
    [ -e state/versions/beta/2 ] && [ ! -e state/versions/alpha/2 ] || fail 'alpha is held, beta is not'
    d 77 unhold alpha
    policy
    d 0 update
    is_at 2 || fail 'release 2 is not installed'
}

relays_are_asked_before_servers() {
    prepare
    cat >p.xml <<END
<policy format="1">
  <sources>
    <relays><attempts>2</attempts><relay>http://127.0.0.1:1/</relay><relay>http://127.0.0.1:2/</relay></relays>
    <server><url>$url</url></server>
  </sources>
  <trust><root>$PWD/root.json</root></trust>
</policy>
END
    d 0 update
    is_at 1 || fail 'release 1 is not installed'
    sed -i '/<server>/d; s|<attempts>|<!-- no server --><attempts>|' p.xml
    d 69 check
}

others_have_no_hand_in_it() {
    prepare
    policy
    chmod 666 p.xml
    d 78 update
    [ ! -e state/current ] || fail 'something was installed'
    chmod 644 p.xml
    d 0 update
}

t_run a_policy_is_all_that_an_update_needs
t_run a_bad_policy_keeps_the_last_good_one_in_force_and_is_told
t_run what_policy_holds_only_policy_releases
t_run relays_are_asked_before_servers
t_run others_have_no_hand_in_it
t_done
