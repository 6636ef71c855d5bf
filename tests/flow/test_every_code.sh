#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a support engineer reads: the code of each failure, caused for real, in local.xml, and 0
# after the next success. tests/codes.txt names the test of every code.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/agent.sh"

# A store with tetra 1 installed, and a repository with tetra 2 behind a server that obeys "rules".
a_host() {
    state=$PWD/state
    mkdir -p tree
    seq 1 30000 >tree/hashes
    want 0 defupd-publish --repo repo init
    want 0 defupd-publish --repo repo --level 3 add-release tetra 1 tree
    want 0 d --source "file://$PWD/repo" --trusted-root repo/metadata/1.root.json update
    newer 2
    lie repo
}

newer() { # VERSION: publish it
    seq "$1" 30000 >tree/hashes
    want 0 defupd-publish --repo repo --level 3 --deltas 0 add-release tetra "$1" tree
}

code() { # NUMBER: as the issue of support engineers has it
    local got
    got=$(xmllint --xpath "//tetra/lasterror/text()" "$state/local.xml")
    [ "$got" = "$1" ] || fail "expected $1 in local.xml, got $got: $(grep -h lasterrortext "$state/local.xml")"
    [ "$(xmllint --xpath 'string(//agent/lasterror)' "$state/local.xml")" = "$1" ] ||
        fail "agent/lasterror is not $1"
}

name() { # CODE'S NAME, without DEFUPD_E_
    local got
    got=$(xmllint --xpath 'string(//tetra/lasterrorname)' "$state/local.xml")
    [ "$got" = "$1" ] || fail "expected $1, got $got: $(grep -h lasterrortext "$state/local.xml")"
}

cleared() { # the next success
    : >rules
    want 0 d --source "$url" update
    code 0
}

tiny() { # LINE...: start tinyproxy with these lines added
    local i
    proxy=$(free_port)
    printf '%s\n' "Port $proxy" "Listen 127.0.0.1" "Timeout 20" "MaxClients 20" "$@" >tiny.conf
    tinyproxy -d -c tiny.conf >tiny.out 2>&1 </dev/null &
    servers+=($!)
    for ((i = 0; i < 200; i++)); do
        (exec 4<>"/dev/tcp/127.0.0.1/$proxy") 2>/dev/null && return
        sleep 0.05
    done
    fail "no proxy: $(cat tiny.out)"
}

a_proxy_that_is_down_refuses_us_or_dies_has_three_numbers() {
    a_host
    want 69 d --source "$url" --proxy "http://127.0.0.1:$(free_port)" update
    code 4294965193
    name PROXY_CONNECT
    tiny 'BasicAuth joe right'
    want 69 d --source "$url" --proxy "http://joe:wrong@127.0.0.1:$proxy" update
    code 4294965196
    name PROXY_AUTH
    want 69 d --source "$url" --proxy "http://127.0.0.1:$proxy" update
    code 4294965196
    echo 'objects/*=reset:100' >rules
    want 69 d --source "$url" --proxy "http://joe:right@127.0.0.1:$proxy" update
    code 4294965187
    name PROXY_DOWNLOAD
    : >rules
    want 0 d --source "$url" --proxy "http://joe:right@127.0.0.1:$proxy" update
    code 0
    [ "$(xmllint --xpath 'string(//tetra/version)' "$state/local.xml")" = 2 ] || fail "not at 2"
    ! grep -rqE 'joe|right|wrong' "$state" || fail "credentials are in $(grep -rlE 'joe|right|wrong' "$state")"
}

# A server that greets in clear text, as mail servers do; its port is in $port.
speaks_first() {
    port=$(free_port)
    /usr/bin/python3 -c 'import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
open("greets", "w").close()
while True:
    server.accept()[0].sendall(b"220 hello\r\n")' "$port" &
    servers+=($!)
    until_true [ -e greets ]
}

each_way_in_which_a_source_fails_has_its_code() {
    a_host
    want 69 d --source http://nowhere.invalid/ update
    name RESOLVE
    want 69 d --source "http://127.0.0.1:$(free_port)/" update
    name CONNECT
    speaks_first
    want 69 d --source "https://127.0.0.1:$port" update
    name TLS
    for rule in 'cut:100 69 INTERRUPTED' 'status:418 69 HTTP_STATUS' 'status:404 69 NOT_FOUND' \
        'status:403 69 FORBIDDEN' 'loop 69 REDIRECT' 'more:5 65 TOOLARGE'; do
        set -- $rule
        echo "objects/*=$1" >rules
        want "$2" d --source "$url" update
        name "$3"
    done
    for rule in 'status:503 75 MAINTENANCE' 'status:429 75 RATE_LIMITED'; do
        set -- $rule
        echo "metadata/timestamp.json=$1" >rules
        want "$2" d --source "$url" update
        name "$3"
        rm -rf "$state/schedule" # whoever waits as long as was asked for
    done
    cleared
}

a_source_that_tells_what_is_not_signed_has_its_code() {
    a_host
    cp -r repo old
    cleared
    newer 3
    jq '.signed.version += 1' repo/metadata/timestamp.json >repo/metadata/forged.json
    printf '{}' >repo/metadata/empty.json
    for rule in 'metadata/timestamp.json=other:metadata/forged.json 65 SIGNATURE' \
        'metadata/timestamp.json=other:metadata/empty.json 65 METADATA_FORMAT' \
        'metadata/*.snapshot.json=flip:40 65 METADATA_DIGEST' 'objects/*=flip:50 65 DIGEST'; do
        set -- $rule
        echo "$1" >rules
        want "$2" d --source "$url" update
        name "$3"
    done
    cleared
    want 75 d --source "file://$PWD/old" update
    name SOURCE_BEHIND
    cleared
}

a_wrong_clock_and_old_metadata_have_their_codes() {
    a_host
    cleared
    want 65 faketime -f '+30d' defupd --state-dir "$state" --source "$url" update
    name EXPIRED
    newer 3
    want 65 faketime -f '-30d' defupd --state-dir "$state" --source "$url" update
    name CLOCK
    cleared
}

what_the_disk_refuses_has_its_code() {
    a_host
    chmod 777 state
    want 77 d --source "$url" update
    says 'STORE_OWNER'
    chmod 755 state
    cleared
    printf 'spoilt' >state/current/tetra/hashes
    want 65 d verify
    says '-2506 DAMAGED'
    want 0 d --source "$url" verify --repair
    cleared
}

refused() { # STATUS NAME COMMAND...: it ends so, with that code
    local expected=$2
    want "$1" "${@:3}"
    says " $expected:"
}

what_a_person_asks_in_vain_has_its_code() {
    a_host
    cleared
    refused 78 NO_SOURCE d update
    refused 65 NO_RELEASE d --source "$url" update tetra@9
    refused 65 NO_COMPONENT d --source "$url" update gamma
    refused 65 NOT_INSTALLED d verify gamma
    newer 3
    want 0 d --source "$url" check
    refused 65 NOT_DOWNLOADED d install tetra@3
    cp -r "$state" other
    want 0 defupd --state-dir "$PWD/other" rollback
    refused 65 NO_PREVIOUS defupd --state-dir "$PWD/other" rollback
    want 0 d hold tetra
    want 77 d --source "$url" update tetra@1
    says ' HELD:'
    want 0 d unhold tetra
    code 0 # none of them tells anything about the host
    mkdir strange && want 0 defupd-publish --repo strange/repo init
    want 77 d --source "$url" --trusted-root strange/repo/metadata/1.root.json update
    says ' ROOT_MISMATCH:'
    want 78 defupd --state-dir "$PWD/third" --source "$url" update
    says ' NO_ROOT:'
}

an_agent_that_dies_under_an_order_has_its_code() {
    make_rules
    make_repo good 1
    lie good
    echo "$url" >source
    echo "metadata/timestamp.json=gate:$PWD/open" >rules
    policy_is 'interval-s 0'
    start_agent
    d forceupdate >first 2>&1 </dev/null &
    first=$!
    until_true [ -e open.met ]
    kill -KILL "$agent"
    wait $first
    [ $? = 69 ] || fail "the order ends with $?: $(cat first)"
    grep -q ' AGENT:' first || fail "$(cat first)"
    : >open
}

t_run an_agent_that_dies_under_an_order_has_its_code
t_run a_proxy_that_is_down_refuses_us_or_dies_has_three_numbers
t_run each_way_in_which_a_source_fails_has_its_code
t_run a_source_that_tells_what_is_not_signed_has_its_code
if [ "${SANITIZE-none}" = none ]; then
    t_run a_wrong_clock_and_old_metadata_have_their_codes
else
    t_skip a_wrong_clock_and_old_metadata_have_their_codes 'faketime gets in the way of the sanitizer'
fi
t_run what_the_disk_refuses_has_its_code
t_run what_a_person_asks_in_vain_has_its_code
t_done
