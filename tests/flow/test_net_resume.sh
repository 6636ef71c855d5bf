#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A large object over links that die: it arrives, no byte of it twice; also when each piece comes from
# another source, and when the process is killed each time. 10 MB; 100 MB with DEFUPD_LONG.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"
. "$SOURCE/tests/tools/agent.sh"

size=10000000
[ -z "${DEFUPD_LONG-}" ] || size=100000000
piece=$((size / 10))

# A repository with one release that does not compress, and an empty store.
a_host() {
    state=$PWD/state
    mkdir tree
    openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c "$size" >tree/blob
    want 0 defupd-publish --repo repo init
    want 0 defupd-publish --repo repo --level 1 add-release tetra 1 tree
    object=$(cd repo && find objects -type f)
    bytes=$(stat -c %s "repo/$object")
}

# liars N: N servers over the same files, at ${urls[@]}, that obey rules1 to rulesN.
liars() {
    local n i
    urls=()
    for n in $(seq "$1"); do
        : >"rules$n"
        "$SOURCE/tests/tools/liar.py" --dir repo --rules "rules$n" --log "log$n" >"port$n" 2>"server$n.out" </dev/null &
        servers+=($!)
        for ((i = 0; i < 200; i++)); do
            [ -s "port$n" ] && break
            sleep 0.05
        done
        urls+=("http://127.0.0.1:$(cat "port$n")")
    done
}

u() { # update from all of them
    d $(printf -- '--source %s ' "${urls[@]}") --trusted-root repo/metadata/1.root.json "$@" update
}

# In the background: the process itself, so that it can be killed.
exec_update() {
    exec defupd --state-dir "$state" --trusted-root repo/metadata/1.root.json "$@" update
}

# sent: bytes of the object that all servers together have sent, by their logs.
sent() {
    cat log* | awk -v o="/$object" '$3 == o { for (i = 4; i <= NF; i++) if ($i ~ /^bytes=[0-9]/) sum += substr($i, 7) } END { printf "%d", sum }'
}

arrived() {
    cmp -s tree/blob "$state/current/tetra/blob" || fail "the release is not in"
    [ -z "$(ls -A "$state/downloads" | grep -v "^$(basename "$object")\$")" ] ||
        fail "left over: $(ls "$state/downloads")"
}

a_link_that_dies_again_and_again() {
    a_host
    liars 1
    echo "objects/*=cut:$piece" >rules1
    want 0 u
    arrived
    [ "$(sent)" = "$bytes" ] || fail "$(sent) bytes were sent for $bytes"
    [ "$(grep -c "$object" log1)" -ge 10 ] || fail "the link did not die: $(cat log1)"
}

each_piece_from_another_source() {
    local n
    a_host
    liars 11
    for n in $(seq 10); do
        printf '%s\n' "objects/*=cut:$piece@1" 'objects/*=close' >"rules$n"
    done
    want 0 u
    arrived
    [ "$(sent)" = "$bytes" ] || fail "$(sent) bytes were sent for $bytes"
    for n in $(seq 10); do
        grep -q "$object.* bytes=$piece " "log$n" || fail "source $n gave nothing: $(cat "log$n")"
    done
}

# Killed in each tenth: what a dead process had asked for may have been on its way, and is lost.
killed_each_time() {
    local i part at have pid lost=0
    a_host
    liars 2
    echo "objects/*=stall:$piece" >rules1 # each answer stops after a tenth
    part=$state/downloads/$(basename "$object").part
    for i in $(seq 9); do
        exec_update $(printf -- '--source %s ' "${urls[@]}") >out 2>err </dev/null &
        pid=$!
        for ((at = 0; at < 1200; at++)); do
            have=$(stat -c %s "$part" 2>/dev/null || echo 0)
            [ "$have" -lt $((i * piece)) ] || break
            sleep 0.05
        done
        [ "$have" = $((i * piece)) ] || fail "after $i: $have bytes"
        kill -KILL "$pid"
        wait "$pid" 2>/dev/null
    done
    head -1 "${part%.part}.from" | grep -q '^defupd-fact 1$' || fail "nothing is remembered: $(ls "$state/downloads")"
    : >rules1
    want 0 u
    arrived
    [ "$(sent)" = "$bytes" ] || fail "$(sent) bytes were sent for $bytes"
    [ "$(grep -c "$object" log1)" = 10 ] || fail "$(cat log1)"
    # The same file of the same source is gone on with.
    [ "$(grep -c 'ifrange="' log1)" = 9 ] || fail "$(grep "$object" log1)"
    grep -q "$object" log2 && fail "the second source was asked"
    return 0
}

# A source that gave a wrong piece before the process was killed is known when it is back.
a_wrong_piece_is_found_after_a_kill() {
    local pid at have key
    a_host
    liars 2
    printf '%s\n' "objects/*=flip:7" >rules1
    # It tells the truth about nothing and stops in the middle.
    cp -r repo lying
    printf 'X' | dd of="lying/$object" bs=1 seek=7 conv=notrunc 2>/dev/null
    "$SOURCE/tests/tools/liar.py" --dir lying --rule "objects/*=stall:$piece" >port3 2>server3.out </dev/null &
    servers+=($!)
    for ((at = 0; at < 200; at++)); do
        [ -s port3 ] && break
        sleep 0.05
    done
    liar=http://127.0.0.1:$(cat port3)
    part=$state/downloads/$(basename "$object").part
    exec_update --source "$liar" --source "${urls[1]}" >out 2>err </dev/null &
    pid=$!
    for ((at = 0; at < 1200; at++)); do
        have=$(stat -c %s "$part" 2>/dev/null || echo 0)
        [ "$have" -lt "$piece" ] || break
        sleep 0.05
    done
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
    # Now the other one, which completes it; the mixture is wrong, so it is fetched anew, and then it
    # is known who was wrong.
    want 0 d --source "${urls[1]}" --source "$liar" update
    arrived
    key=$(printf %s "$liar" | sha256sum | cut -c1-32)
    grep -q '^aside-until [0-9]' "$state/sources/$key" || fail "not set aside: $(ls "$state/sources"; cat "$state"/sources/*)"
    [ "$(ls "$state/sources" | wc -l)" = 1 ] || fail "others are set aside, too"
    # For the rest of the day it is asked last.
    seq 9 >tree/more
    want 0 defupd-publish --repo repo --level 1 --deltas 0 add-release tetra 2 tree
    want 0 d --source "$liar" --source "${urls[1]}" -v update
    grep -q "from ${urls[1]}" out err || grep -q "${urls[1]}" "$state/local.xml" || fail "the other one was not asked first"
}

t_run a_link_that_dies_again_and_again
t_run each_piece_from_another_source
t_run killed_each_time
t_run a_wrong_piece_is_found_after_a_kill
t_done
