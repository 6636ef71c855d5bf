#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The trial server as a client sees it.
. "$SOURCE/tests/tools/tap.sh"

# A folder that looks like a repository, served from port 0; $url is its address without the slash.
start() {
    mkdir -p site/metadata site/objects/ab 'site/targets/te tra'
    seq 1 100000 >site/objects/ab/abcd
    echo '{"a": 1}' >site/metadata/timestamp.json
    echo '{"b": 1}' >site/metadata/1.root.json
    echo text >'site/targets/te tra/x'
    : >site/empty
    echo secret >site/.lock
    echo secret >site/metadata/x.tmp
    echo secret >outside
    : >server.out
    defupd-publish --repo site serve --log log "$@" >server.out 2>server.err </dev/null &
    server=$!
    servers+=($server)
    local i
    for ((i = 0; i < 200; i++)); do
        url=$(sed -n 's,^serving site at \(http://127.0.0.1:[0-9]*\)/$,\1,p' server.out)
        [ -z "$url" ] || return 0
        sleep 0.05
    done
    fail "no address: $(cat server.out server.err)"
}

# get STATUS PATH ARGUMENT...: with curl; headers and body stay in the files head and body.
get() {
    local expected=$1 path=$2 status
    shift 2
    rm -f body
    : >body
    status=$(curl -q -sS --noproxy '*' --path-as-is -D head.crlf -o body -w '%{http_code}' "$@" \
        "$url$path") || fail "curl: $path"
    tr -d '\r' <head.crlf >head
    [ "$status" = "$expected" ] || fail "expected $expected, got $status: $path $*"
}

header() { # NAME VALUE
    grep -qixF -e "$1: $2" head || fail "no header $1: $2 in: $(cat head)"
}

etag() {
    sed -n 's/^etag: //Ip' head
}

files_come_whole() {
    start
    get 200 /objects/ab/abcd
    cmp -s body site/objects/ab/abcd || fail 'another content'
    header content-length "$(stat -c %s site/objects/ab/abcd)"
    header accept-ranges bytes
    get 200 /metadata/timestamp.json
    header content-type application/json
    get 200 '/targets/te%20tra/x'
    cmp -s body 'site/targets/te tra/x' || fail 'another content'
    get 200 /empty
    header content-length 0
    [ ! -s body ] || fail 'content of an empty file'
    get 200 '/empty?query=1'
}

head_is_get_without_the_content() {
    start
    get 200 /objects/ab/abcd
    local full
    full=$(etag)
    get 200 /objects/ab/abcd --head
    [ "$(etag)" = "$full" ] || fail 'another ETag'
    header content-length "$(stat -c %s site/objects/ab/abcd)"
    ! grep -q '^[0-9]' body || fail 'content after HEAD'
    get 404 /nothing --head
}

what_never_changes_may_be_cached_for_ever() {
    start
    get 200 /objects/ab/abcd
    header cache-control 'public, max-age=31536000, immutable'
    get 200 /metadata/1.root.json
    header cache-control 'public, max-age=31536000, immutable'
    get 200 /metadata/timestamp.json
    header cache-control 'public, max-age=5, must-revalidate'
    get 404 /metadata/2.root.json
    header cache-control no-store
}

an_etag_answers_304_until_the_file_is_replaced() {
    start
    get 200 /metadata/timestamp.json
    local old
    old=$(etag)
    [[ $old == \"*\" ]] || fail "not a strong ETag: $old"
    get 304 /metadata/timestamp.json -H "If-None-Match: $old"
    [ ! -s body ] || fail 'content with 304'
    [ "$(etag)" = "$old" ] || fail '304 without the ETag'
    get 304 /metadata/timestamp.json -H 'If-None-Match: *'
    get 200 /metadata/timestamp.json -H 'If-None-Match: "other"'
    # As a publisher does it; size and time stay the same.
    echo '{"a": 2}' >site/metadata/new
    touch -r site/metadata/timestamp.json site/metadata/new
    mv site/metadata/new site/metadata/timestamp.json
    get 200 /metadata/timestamp.json -H "If-None-Match: $old"
    grep -qF '{"a": 2}' body || fail 'the old content'
}

one_range_is_served_and_others_are_refused_or_ignored() {
    start
    local size
    size=$(stat -c %s site/objects/ab/abcd)
    get 206 /objects/ab/abcd -H 'Range: bytes=10-19'
    header content-range "bytes 10-19/$size"
    header content-length 10
    cmp -s body <(tail -c +11 site/objects/ab/abcd | head -c 10) || fail 'another part'
    get 206 /objects/ab/abcd -H "Range: bytes=$((size - 5))-"
    cmp -s body <(tail -c 5 site/objects/ab/abcd) || fail 'another end'
    get 206 /objects/ab/abcd -H 'Range: bytes=-7'
    cmp -s body <(tail -c 7 site/objects/ab/abcd) || fail 'another end'
    get 416 /objects/ab/abcd -H "Range: bytes=$size-"
    header content-range "bytes */$size"
    get 200 /objects/ab/abcd -H 'Range: bytes=0-1,5-6'
    cmp -s body site/objects/ab/abcd || fail 'not the whole'
    get 200 /objects/ab/abcd -H 'Range: bytes=5-4'
    # A download that was cut goes on.
    head -c 1000 site/objects/ab/abcd >part
    curl -q -sS --noproxy '*' -C - -o part "$url/objects/ab/abcd"
    cmp -s part site/objects/ab/abcd || fail 'not continued'
}

if_range_never_splices_two_states() {
    start
    get 200 /objects/ab/abcd
    local old
    old=$(etag)
    get 206 /objects/ab/abcd -H 'Range: bytes=10-19' -H "If-Range: $old"
    get 200 /objects/ab/abcd -H 'Range: bytes=10-19' -H 'If-Range: "other"'
    get 200 /objects/ab/abcd -H 'Range: bytes=10-19' -H "If-Range: W/$old"
    get 200 /objects/ab/abcd -H 'Range: bytes=10-19' -H 'If-Range: Sat, 21 Nov 2026 09:00:00 GMT'
    get 304 /objects/ab/abcd -H 'Range: bytes=10-19' -H "If-None-Match: $old"
}

nothing_but_the_folders_files_is_served() {
    local path
    start
    ln -s ../outside site/link
    ln -s .. site/up
    mkfifo site/pipe
    for path in /.lock /metadata/x.tmp /../outside /metadata/../../outside /%2e%2e/outside \
        /metadata/..%2f..%2foutside /link /up/outside /pipe / /metadata /metadata/ \
        //metadata/1.root.json /./metadata/1.root.json /nothing /metadata/1.root.json/x; do
        get 404 "$path"
        ! grep -q secret body || fail "$path was served"
    done
    get 400 /%00
    get 400 /%zz
    get 404 "/$(printf 'a%.0s' {1..300})"
    get 400 "/$(printf 'a%.0s' {1..1100})"
    chmod 0600 site/empty
    get 403 /empty # as with a web server that runs as another user
}

other_methods_are_refused() {
    start
    local method
    for method in POST PUT DELETE OPTIONS TRACE; do
        get 405 /metadata/1.root.json -X "$method"
        header allow 'GET, HEAD'
    done
    get 405 /metadata/1.root.json --data-binary @site/objects/ab/abcd
    get 200 /metadata/1.root.json
}

one_connection_serves_many_requests() {
    start
    curl -q -sS --noproxy '*' -o a -o b -o c -w '%{num_connects}\n' "$url/metadata/timestamp.json" \
        "$url/objects/ab/abcd" "$url/metadata/1.root.json" >connects
    [ "$(awk '{ n += $1 } END { print n }' connects)" = 1 ] ||
        fail "connections: $(paste -sd' ' connects)"
    cmp -s b site/objects/ab/abcd || fail 'another content'
}

the_log_has_a_line_for_each_request_before_its_answer() {
    start
    get 200 /metadata/1.root.json
    get 206 /objects/ab/abcd -H 'Range: bytes=0-9'
    get 200 /objects/ab/abcd --head
    get 404 '/no%20such%0afile'
    cat >want <<'END'
GET /metadata/1.root.json 200 9
GET /objects/ab/abcd 206 10
HEAD /objects/ab/abcd 200 0
GET /no%20such%0afile 404 13
END
    diff want log >difference || fail "$(cat difference)"
}

a_signal_ends_it_cleanly() {
    local signal status
    for signal in TERM INT; do
        start
        get 200 /empty
        kill -s "$signal" "$server"
        status=0
        wait "$server" || status=$?
        [ "$status" = 0 ] || fail "SIG$signal: exit $status"
        [ ! -s server.err ] || fail "$(cat server.err)"
        rm server.out
    done
}

addresses_that_cannot_be_had_are_told() {
    start
    want 69 defupd-publish --repo site serve --listen "${url#http://}"
    says "cannot listen on ${url#http://}"
    want 64 defupd-publish --repo site serve --listen 127.0.0.1:65536
    want 64 defupd-publish --repo site serve --listen 127.0.0.1:
    want 64 defupd-publish --repo site serve --listen 127.0.0.300:80
    want 74 defupd-publish --repo nowhere serve
    says nowhere
    want 74 defupd-publish --repo site serve --log no/such/folder/log
}

readers_that_hang_up_do_no_harm() {
    start
    head -c 30000000 /dev/zero >site/objects/ab/big
    local i
    for i in 1 2 3 4 5; do
        curl -q -sS --noproxy '*' "$url/objects/ab/big" 2>/dev/null | head -c 1000 >/dev/null || true
    done
    get 200 /metadata/1.root.json
}

for test in files_come_whole head_is_get_without_the_content \
    what_never_changes_may_be_cached_for_ever an_etag_answers_304_until_the_file_is_replaced \
    one_range_is_served_and_others_are_refused_or_ignored if_range_never_splices_two_states \
    nothing_but_the_folders_files_is_served other_methods_are_refused \
    one_connection_serves_many_requests the_log_has_a_line_for_each_request_before_its_answer \
    a_signal_ends_it_cleanly addresses_that_cannot_be_had_are_told readers_that_hang_up_do_no_harm; do
    t_run "$test"
done
t_done
