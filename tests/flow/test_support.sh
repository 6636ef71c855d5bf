#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# preflight, cluster-check and support-bundle, as support engineers use them.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"

d() {
    defupd --state-dir "$state" "$@"
}

a_store() {
    state=$PWD/state
    make_rules
    make_repo repo 1
    serve repo
    want 0 d --source "$url" --trusted-root repo/metadata/1.root.json update
}

result() { # CHECK RESULT: preflight --csv says so
    want_csv=$(grep -c "^$1,$2," out) || true
    [ "$want_csv" -ge 1 ] || fail "no $1,$2 in: $(cat out)"
}

facts() {
    (cd "$state" && find . | LC_ALL=C sort && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) | md5sum
}

preflight_finds_a_sound_host_sound_and_changes_nothing() {
    local before
    a_store
    before=$(facts)
    want 0 d --source "$url" preflight
    says 'root 1 is pinned'
    says "$url answers"
    says 'generation 1 is active'
    want 0 d --source "$url" preflight --csv
    for check in configuration state-dir store clock trust-root source licence leftovers running; do
        result $check ok
    done
    want 0 d --source "$url" --json preflight
    jq -e '.checks | length > 8' out >/dev/null || fail "$(cat out)"
    [ "$before" = "$(facts)" ] || fail "the store has changed"
    [ -z "$(ls -d "${TMPDIR:-/tmp}"/defupd-preflight-* 2>/dev/null)" ] || fail "a temporary folder is left"
}

preflight_names_what_would_fail() {
    a_store
    want 69 d --source "http://127.0.0.1:$(free_port)" preflight --csv
    result source failed
    grep -q '^source,failed,-2102,' out || fail "$(cat out)"
    # one source that answers is enough
    want 0 d --source "http://127.0.0.1:$(free_port)" --source "$url" preflight --csv
    result source warning
    result source ok
    want 78 defupd --state-dir "$PWD/none" --source "$url" preflight --csv
    result trust-root failed
    [ ! -e none ] || fail "a look made a store"
    if [ "${SANITIZE-none}" = none ]; then # which faketime does not get along with
        want 65 faketime -f '-300d' defupd --state-dir "$state" --source "$url" preflight --csv
        result clock failed
    fi
    mkdir state/staging/left
    want 0 d --source "$url" preflight --csv
    result leftovers warning
    # metadata that somebody forged is no source
    mkdir strange && cp -r repo strange/repo
    echo '{}' >strange/repo/metadata/timestamp.json
    want 65 d --source "file://$PWD/strange/repo" preflight --csv
    result source failed
    want 78 d preflight --csv
    says 'no source'
}

posture() { # FILE UUID JQ-FILTER: a posture like the sound one, changed
    jq ".agent_uuid = \"$2\" | $3" sound.json >"$1"
}

the_odd_hosts_of_a_cluster_are_named() {
    a_store
    want 0 d posture
    cp out sound.json
    for i in 1 2 3; do posture "h$i" "u$i" .; done
    want 0 defupd cluster-check h1 h2 h3
    says '3 hosts, all alike and well.'
    posture h4 u4 '.engines[0].definitions[0].version = 7'
    posture h5 u5 '.engines[1].definitions[0].state = "failing" | .engines[1].definitions[0].lasterror_name = "TIMEOUT"'
    posture h6 u6 'del(.engines[1])'
    posture h7 u7 '.connected = false'
    posture h8 u1 .
    posture h9 u9 '.time -= 999999 | .connector_version = "0.0.9"'
    echo '{}' >h10
    want 65 defupd cluster-check h1 h2 h3 h4 h5 h6 h7 h8 h9 h10 h11
    says 'h4: alpha is at 7, 8 of 9 hosts are at 1'
    says 'h5: beta is failing: TIMEOUT'
    says 'h6: does not know beta, which 8 hosts have'
    says 'h7: has had no contact'
    says 'h8: has the same identity as h1'
    says 'h9: its posture is of 2'
    says ', 11 d older than the newest'
    says 'h9: runs version 0.0.9, most run'
    says 'h10: cannot be compared: no posture'
    says 'h11: cannot be compared: cannot open h11'
    says '8 of 11 hosts are odd.'
    ! grep -qE '^h[123]:' out || fail "a sound host is odd: $(cat out)"
    want 65 defupd cluster-check h10
    says '1 of 1 host is odd.'
    want 65 defupd cluster-check h1 h2 h4
    says '1 of 3 hosts is odd.'
    want 65 defupd --json cluster-check h1 h2 h4
    [ "$(jq -c '[.odd, .count, .hosts[2].file]' out)" = '[1,3,"h4"]' ] || fail "$(cat out)"
    want 64 defupd cluster-check
}

a_bundle_holds_what_support_asks_for_and_no_secret() {
    a_store
    cp -r repo repo2
    want 69 d --source "http://joe:TOPSECRET@127.0.0.1:$(free_port)/" update
    echo 'http://joe:TOPSECRET@host/x and <a>https://a:TOPSECRET@b</a>' >>state/log/update.log
    head -c 3000000 /dev/zero | tr '\0' x >state/log/transfer.log.4
    want 0 d --source "$url" support-bundle -o bundle.tar.gz
    says 'contents.txt'
    mkdir unpacked && tar -xzf bundle.tar.gz -C unpacked --strip-components=1
    for file in contents.txt version.txt preflight.txt doctor.txt status.txt list.txt store.txt local.xml posture.json \
        metrics/defupd.prom log/update.log log/transfer.log log/events.jsonl schedule/alpha policy.xml; do
        [ -s "unpacked/$file" ] || fail "no $file: $(cat unpacked/contents.txt)"
    done
    grep -q '^metadata  *pass' unpacked/doctor.txt || fail "no doctor's run: $(cat unpacked/doctor.txt)"
    ! grep -rqF TOPSECRET unpacked || fail "a secret is in $(grep -rlF TOPSECRET unpacked)"
    grep -qF 'http://*************@host/x' unpacked/log/update.log || fail "$(tail -1 unpacked/log/update.log)"
    grep -q 'left out  log/transfer.log.4: its beginning' unpacked/contents.txt || fail "$(cat unpacked/contents.txt)"
    [ "$(stat -c %s unpacked/log/transfer.log.4)" = 1048576 ] || fail "$(ls -l unpacked/log)"
    [ ! -e unpacked/host-id ] || fail "host-id is in it"
    grep -q 'libcurl' unpacked/version.txt || fail "$(cat unpacked/version.txt)"
    [ "$(stat -c %a bundle.tar.gz)" = 600 ] || fail "others may read it"
    want 73 d support-bundle -o bundle.tar.gz
    says 'cannot create bundle.tar.gz'
    want 64 d support-bundle
    # a store that is not there is told about all the same
    want 0 defupd --state-dir "$PWD/none" support-bundle -o none.tar.gz
    tar -xzf none.tar.gz -O --wildcards '*/contents.txt' | grep -q 'left out  doctor.txt: no source' ||
        fail "nothing said of doctor.txt"
    tar -xzf none.tar.gz -O --wildcards '*/preflight.txt' | grep -q 'NO_ROOT' || fail "no preflight in it"
}

t_run preflight_finds_a_sound_host_sound_and_changes_nothing
t_run preflight_names_what_would_fail
t_run the_odd_hosts_of_a_cluster_are_named
t_run a_bundle_holds_what_support_asks_for_and_no_secret
t_done
