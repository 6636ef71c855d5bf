#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# squid with exactly the block of docs/serving/squid.md, before the trial server and its headers.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/serving.sh"

# Only addresses, folders and what squid needs to run in a corner are the test's.
start_squid() {
    local origin=${url##*:}
    cache=$(free_port)
    blocks squid.md squid
    [ "$(ls squid.[0-9])" = squid.1 ] || fail "blocks: $(ls squid.*)"
    sed -i "s|^http_port 80 |http_port 127.0.0.1:$cache |; s|origin.example parent 80 |127.0.0.1 parent $origin |
        s|/var/spool/squid/defupd|$PWD/cached|" squid.1
    ! grep -e origin.example -e /var/ squid.1 || fail 'something stayed'
    cat >squid.conf <<CONF
pid_filename $PWD/squid.pid
cache_log $PWD/squid-cache.log
logformat brief %>Hs %Ss %rm %ru
access_log stdio:$PWD/squid-access.log brief
coredump_dir $PWD
pinger_enable off
netdb_filename none
shutdown_lifetime 0 seconds
visible_hostname localhost
$(cat squid.1)
CONF
    mkdir cached
    : >squid-cache.log
    : >squid-access.log
    if [ "$(id -u)" = 0 ]; then # squid gives up root's rights
        chmod 755 .
        chown proxy cached squid-cache.log squid-access.log
    fi
    squid -N -z -f squid.conf >squid.out 2>&1 || fail "$(cat squid.out)"
    squid -N -f squid.conf >squid.out 2>&1 &
    servers+=($!)
    listening "$cache"
    ! grep -i -e 'warning' -e 'error' squid-cache.log | grep -v -e 'file descriptors' -e pinger -e 'no_suid' \
        -e 'WARNING: Could not determine this machines public hostname' || fail "$(cat squid-cache.log)"
}

start() {
    make_rules
    deltas=2 make_repo repo 1
    serve repo
    start_squid
    url=http://127.0.0.1:$cache
}

squid_serves_a_repository_and_asks_the_origin_once() {
    local object n
    start
    for name in metadata/1.root.json metadata/timestamp.json $(cd repo && find objects targets -type f); do
        curl -s -o body "$url/$name" && cmp body "repo/$name" || fail "$name has other bytes"
    done
    only_a_repository "$url"
    object=$(cd repo && find objects -type f | head -1)
    for n in 1 2 3; do
        [ "$(header "$url/$object" cache-control)" = 'public, max-age=31536000, immutable' ] ||
            fail "$(cat head)"
    done
    # the first time it was asked for above
    [ "$(grep -c "TCP_MISS.*/$object" squid-access.log)" = 1 ] || fail "$(grep "$object" squid-access.log)"
    [ "$(grep -c "HIT.*/$object" squid-access.log)" = 3 ] || fail "$(grep "$object" squid-access.log)"
    [ "$(status_of -r 10-19 "$url/$object")" = 206 ] || fail 'no ranges'
    cmp <(curl -s -r 10-19 "$url/$object") <(head -c 20 "repo/$object" | tail -c 10) || fail 'another range'
}

clients_update_through_squid_while_releases_are_published() {
    start
    publish_while_clients_update "$url"
    grep -q 'HIT.*/objects/' squid-access.log || fail 'nothing was served from the cache'
}

if ! command -v squid >/dev/null || { [ "$(id -u)" = 0 ] && ! id proxy >/dev/null 2>&1; }; then
    for name in squid_serves_a_repository_and_asks_the_origin_once \
        clients_update_through_squid_while_releases_are_published; do
        t_skip $name 'no squid here'
    done
else
    t_run squid_serves_a_repository_and_asks_the_origin_once
    t_run clients_update_through_squid_while_releases_are_published
fi
t_done
