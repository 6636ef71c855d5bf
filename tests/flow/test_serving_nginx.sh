#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nginx with exactly the blocks of docs/serving/nginx.md: a mirror, a cache before it, TLS in front.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/serving.sh"

# Only addresses and folders are those of the test.
start_nginx() {
    local n
    static=$(free_port) cache=$(free_port) tls=$(free_port)
    blocks nginx.md nginx
    sed -i "s|listen 80;|listen 127.0.0.1:$static;|; s|/srv/defupd|$PWD/repo|" nginx.1
    sed -i "s|listen 80;|listen 127.0.0.1:$cache;|; s|/var/cache/nginx/defupd|$PWD/cached|
        s|origin.example:80|127.0.0.1:$static|" nginx.2
    sed -i "s|listen 443 ssl http2;|listen 127.0.0.1:$tls ssl http2;|; s|127.0.0.1:8080|127.0.0.1:$cache|
        s|/etc/ssl/defupd|$PWD|" nginx.3
    [ "$(ls nginx.[0-9])" = "$(printf 'nginx.%s\n' 1 2 3)" ] || fail "blocks: $(ls nginx.*)"
    ! grep -h -e '/srv/' -e '/var/' -e '/etc/' -e 'listen [0-9]*;' nginx.[123] || fail 'something stayed'
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
    log_format brief '\$server_port \$status \$upstream_cache_status \$request_uri';
    access_log $PWD/access.log brief;
    client_body_temp_path $PWD/tmp1; proxy_temp_path $PWD/tmp2; fastcgi_temp_path $PWD/tmp3;
    uwsgi_temp_path $PWD/tmp4; scgi_temp_path $PWD/tmp5;
    include $PWD/nginx.1;
    include $PWD/nginx.2;
    include $PWD/nginx.3;
}
CONF
    nginx -t -p "$PWD" -c "$PWD/nginx.conf" -e "$PWD/error.log" >nginx.out 2>&1 || fail "$(cat nginx.out)"
    nginx -p "$PWD" -c "$PWD/nginx.conf" -e "$PWD/error.log" >nginx.out 2>&1 &
    servers+=($!)
    listening "$static" "$cache" "$tls"
}

start() {
    make_rules
    deltas=2 make_repo repo 1
    start_nginx
}

the_mirror_serves_a_repository_and_nothing_else() {
    start
    headers_are_right "http://127.0.0.1:$static"
    no_time_stands_for_content "$static"
}

# Two timestamps of one second and one length are not taken for one.
no_time_stands_for_content() { # PORT
    local name=metadata/timestamp.json date
    [ -z "$(header "http://127.0.0.1:$1/$name" etag)$(header "http://127.0.0.1:$1/$name" last-modified)" ] ||
        fail "$(cat head)"
    date=$(date -u -r repo/$name '+%a, %d %b %Y %H:%M:%S GMT')
    [ "$(status_of -H "If-Modified-Since: $date" "http://127.0.0.1:$1/$name")" = 200 ] || fail 'a 304'
}

the_cache_serves_the_same_and_asks_the_origin_once() {
    local object n
    start
    headers_are_right "http://127.0.0.1:$cache"
    no_time_stands_for_content "$cache"
    object=$(cd repo && find objects -type f | head -1)
    for n in 1 2 3; do
        curl -s -o /dev/null "http://127.0.0.1:$cache/$object"
        curl -s -o /dev/null "http://127.0.0.1:$cache/metadata/2.root.json"
    done
    [ "$(grep -c "^$static 200 .* /$object" access.log)" = 1 ] || fail "$(grep "$object" access.log)"
    [ "$(grep -c "^$static 404 .* /metadata/2.root.json" access.log)" -le 2 ] || fail "$(grep 2.root access.log)"
    # Away from the origin, what never changes is still there; the timestamp is not pretended.
    mv repo away
    cmp <(curl -s "http://127.0.0.1:$cache/$object") "away/$object" || fail 'the cache has lost it'
    sleep 6
    [ "$(status_of "http://127.0.0.1:$cache/metadata/timestamp.json")" = 404 ] || fail 'an old timestamp'
}

clients_update_through_the_mirror_while_releases_are_published() {
    start
    publish_while_clients_update "http://127.0.0.1:$static"
}

clients_update_through_the_cache_while_releases_are_published() {
    start
    between=3 publish_while_clients_update "http://127.0.0.1:$cache"
    grep -q "^$cache 200 HIT /objects" access.log || fail 'nothing was served from the cache'
}

clients_update_through_tls_in_front_while_releases_are_published() {
    start
    ca=$PWD/fullchain.pem
    curl -s --http2 --cacert "$ca" -o /dev/null -w '%{http_version}' "https://localhost:$tls/metadata/timestamp.json" \
        --resolve "localhost:$tls:127.0.0.1" >version
    [ "$(cat version)" = 2 ] || fail "HTTP $(cat version)"
    [ "$(curl -s --tls-max 1.1 --cacert "$ca" "https://localhost:$tls/" -o /dev/null -w '%{http_code}')" = 000 ] ||
        fail 'TLS 1.1 is spoken'
    publish_while_clients_update "https://localhost:$tls"
}

if ! command -v nginx >/dev/null; then
    for name in the_mirror_serves_a_repository_and_nothing_else \
        the_cache_serves_the_same_and_asks_the_origin_once \
        clients_update_through_the_mirror_while_releases_are_published \
        clients_update_through_the_cache_while_releases_are_published \
        clients_update_through_tls_in_front_while_releases_are_published; do
        t_skip $name 'no nginx here'
    done
else
    t_run the_mirror_serves_a_repository_and_nothing_else
    t_run the_cache_serves_the_same_and_asks_the_origin_once
    t_run clients_update_through_the_mirror_while_releases_are_published
    t_run clients_update_through_the_cache_while_releases_are_published
    t_run clients_update_through_tls_in_front_while_releases_are_published
fi
t_done
