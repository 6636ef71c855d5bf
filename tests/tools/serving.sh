# SPDX-License-Identifier: Apache-2.0
# What the tests of docs/serving share: configuration as it is printed there, and clients that
# update through it while somebody publishes.

# blocks PAGE LANGUAGE: each block of that language as the file LANGUAGE.N.
blocks() {
    awk -v language="$2" '$0 == "```" language {n++; on = 1; next} /^```$/ {on = 0}
        on {print > sprintf("%s.%d", language, n)}' "$SOURCE/docs/serving/$1"
    ls "$2".* >/dev/null || fail "no block in $1"
}

# on PORT...: wait until something listens there.
listening() {
    local port i
    for port in "$@"; do
        for ((i = 0; i < 400; i++)); do
            (exec 4<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
            sleep 0.05
        done
        [ $i -lt 400 ] || fail "nothing listens on $port: $(cat ./*.log 2>/dev/null | tail -5)"
    done
}

# header URL NAME: that header of the answer.
header() {
    curl -s -o body -D head "$1" || fail "$1 cannot be had"
    tr -d '\r' <head | sed -n "s/^$2: //Ip" | paste -s -d '|'
}

# status_of URL
status_of() {
    curl -s -o /dev/null -w '%{http_code}' "$@"
}

# The headers that follow from the names, and what is not served.
headers_are_right() { # URL
    local object root
    root=$(ls repo/metadata | sed -n 's/\([0-9]*\)\.root\.json/\1/p' | sort -n | tail -1)
    object=$(cd repo && find objects -type f | head -1)
    [ "$(header "$1/metadata/timestamp.json" cache-control)" = 'public, max-age=5, must-revalidate' ] ||
        fail "timestamp: $(cat head)"
    for name in "metadata/1.root.json" "$object" "$(cd repo && find targets -type f | head -1)" \
        "$(cd repo && find metadata -name '*.snapshot.json' | head -1)"; do
        [ "$(header "$1/$name" cache-control)" = 'public, max-age=31536000, immutable' ] ||
            fail "$name: $(cat head)"
        cmp body "repo/$name" || fail "$name has other bytes"
        [ -z "$(header "$1/$name" content-encoding)" ] || fail "$name: $(cat head)"
    done
    [ "$(status_of "$1/metadata/$((root + 1)).root.json")" = 404 ] || fail 'a root that is not there'
    ! grep -qi immutable <(curl -s -D - -o /dev/null "$1/metadata/$((root + 1)).root.json") ||
        fail 'what is not there is kept for ever'
    only_a_repository "$1"
    # a part, as an interrupted download asks for it
    [ "$(status_of -r 10-19 "$1/$object")" = 206 ] || fail 'no ranges'
    cmp <(curl -s -r 10-19 "$1/$object") <(head -c 20 "repo/$object" | tail -c 10) || fail 'another range'
}

only_a_repository() { # URL
    local name
    for name in '' .lock metadata/ objects/ objects/work.tmp/x metadata/timestamp.json.tmp ../repo.keys; do
        case $(status_of --path-as-is "$1/$name") in
        400 | 403 | 404) ;;
        *) fail "'$name' is served: $(status_of "$1/$name")" ;;
        esac
    done
    [ "$(status_of -X DELETE "$1/metadata/timestamp.json")" -ge 400 ] || fail 'DELETE is taken'
}

# publish_while_clients_update URL: from release 1 to 4 of both components, with polls all the time;
# none of them fails, none goes back, and all are at the end where the publisher is.
publish_while_clients_update() {
    local n c pid pids=() status
    for n in 2 3 4; do
        [ -d "alpha$n" ] || { cp -a "alpha$((n - 1))" "alpha$n" && echo "$n" >>"alpha$n/hashes.txt"; }
        [ -d "beta$n" ] || { cp -a "beta$((n - 1))" "beta$n" && echo "$n" >>"beta$n/list"; }
    done
    for c in 1 2 3; do
        (
            until [ -e published ]; do
                status=0
                defupd --state-dir "$PWD/client$c" --source "$1" ${ca:+--ca-file "$ca"} \
                    --trusted-root repo/metadata/1.root.json --json -q update >"out$c" 2>&1 || status=$?
                [ $status = 0 ] || { echo "exit $status: $(cat "out$c")" >>"failed$c"; break; }
                sleep 0.2
            done
        ) &
        pids+=($!)
    done
    for n in 2 3 4; do
        want 0 defupd-publish --repo repo --level 3 --deltas 2 add-release alpha $n alpha$n
        want 0 defupd-publish --repo repo refresh
        want 0 defupd-publish --repo repo --level 3 --deltas 2 add-release beta $n beta$n
        sleep "${between:-1}"
    done
    touch published
    for pid in "${pids[@]}"; do
        wait "$pid"
    done
    cat failed* 2>/dev/null | head -5 >&3
    ! ls failed* >/dev/null 2>&1 || fail 'a client failed'
    for ((n = 0; n < 100; n++)); do
        state=$PWD/client1
        want 0 defupd --state-dir "$state" --source "$1" ${ca:+--ca-file "$ca"} update
        ! is_at 4 || break
        sleep 0.3
    done
    for c in 1 2 3 new; do
        state=$PWD/client$c
        want 0 defupd --state-dir "$state" --source "$1" ${ca:+--ca-file "$ca"} \
            --trusted-root repo/metadata/1.root.json update
        is_at 4 || fail "client $c is not at 4: $(cat out err)"
    done
}
