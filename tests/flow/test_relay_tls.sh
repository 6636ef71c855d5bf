#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nginx with exactly the block of docs/serving/relay.md in front of a relay, with the policy from there.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/serving.sh"
. "$SOURCE/tests/tools/relay.sh"

# start FURTHER-POLICY: only addresses and folders are those of the test.
start() {
    make_rules
    deltas=2 make_repo repo 1
    mkdir state
    mv repo state/relay
    ln -s state/relay repo
    tls=$(free_port) plain=$(free_port)
    blocks relay.md nginx
    blocks relay.md xml
    section=$(grep -l '<trusted-proxy>' xml.*) || fail 'no policy in the page'
    {
        echo '<policy format="1">'
        sed "s|127.0.0.1:8090|127.0.0.1:$plain|; s|</relay>|$1</relay>|" "$section"
        echo '</policy>'
    } >policy.xml
    defupd-relay --config policy.xml --state-dir "$PWD/state" >relay.out 2>&1 </dev/null &
    relay=$!
    servers+=($relay)
    sed -i "s|listen 443 ssl http2;|listen 127.0.0.1:$tls ssl http2;|; s|127.0.0.1:8090|127.0.0.1:$plain|
        s|/etc/ssl/defupd|$PWD|" nginx.1
    ! grep -e '/etc/' -e 'listen [0-9]*;' -e 8090 nginx.1 || fail 'something stayed'
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out fullchain.pem -days 2 \
        -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null || fail 'no certificate'
    cat >nginx.conf <<CONF
$([ "$(id -u)" != 0 ] || echo 'user root;')
daemon off;
worker_processes 2;
pid $PWD/nginx.pid;
error_log $PWD/error.log;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $PWD/tmp1; proxy_temp_path $PWD/tmp2; fastcgi_temp_path $PWD/tmp3;
    uwsgi_temp_path $PWD/tmp4; scgi_temp_path $PWD/tmp5;
    include $PWD/nginx.1;
}
CONF
    nginx -p "$PWD" -c "$PWD/nginx.conf" -e "$PWD/error.log" >nginx.out 2>&1 &
    servers+=($!)
    listening "$plain" "$tls"
    ca=$PWD/fullchain.pem
    url=https://localhost:$tls
}

clients_update_through_tls_while_releases_come() {
    start ''
    publish_while_clients_update "$url"
    object=$(cd repo && find objects -type f | head -1)
    curl -s --cacert "$ca" -r 10-19 "$url/$object" | cmp - <(head -c 20 "repo/$object" | tail -c 10) || fail 'another range'
    [ "$(status_of --cacert "$ca" "$url/served")" = 404 ] || fail 'more than a repository'
}

limits_count_for_who_asks_nginx_whatever_he_says_himself() {
    local n status=200 get
    start '<requests-per-second>1</requests-per-second><connections-per-client>1</connections-per-client>'
    get=(--cacert "$ca" -H 'X-Forwarded-For: 192.0.2.1' "$url/metadata/timestamp.json")
    for ((n = 0; n < 30 && status == 200; n++)); do
        status=$(status_of --interface 127.0.0.5 "${get[@]}")
    done
    [ "$status" = 429 ] || fail "status $status"
    [ "$(status_of --interface 127.0.0.6 "${get[@]}")" = 200 ] || fail 'another one suffers'
    kill "$relay"
    wait "$relay"
    grep -q 'the last was 127.0.0.5' state/log/relay.log || fail "$(cat state/log/relay.log)"
}

for test in clients_update_through_tls_while_releases_come limits_count_for_who_asks_nginx_whatever_he_says_himself; do
    if command -v nginx >/dev/null; then
        t_run "$test"
    else
        t_skip "$test" 'no nginx here'
    fi
done
t_done
