# SPDX-License-Identifier: Apache-2.0
# A relay's server by itself, over tap.sh.

# serve_relay DIR WORD...: defupd-relay over the store DIR; its URL is in $url, its pid in $relay.
serve_relay() {
    local dir=$1 i
    shift
    : >relay.out
    defupd-relay --state-dir "$dir" --listen 127.0.0.1:0 "$@" >relay.out 2>relay.err </dev/null &
    relay=$!
    servers+=($relay)
    for ((i = 0; i < 200; i++)); do
        url=$(sed -n 's,^serving .* at \(http://127.0.0.1:[0-9]*\)/$,\1,p' relay.out)
        [ -z "$url" ] || return 0
        [ -d "/proc/$relay" ] || break
        sleep 0.05
    done
    fail "no relay: $(cat relay.out relay.err)"
}

# served KEY: from the figures of the store $1.
served() { # DIR KEY
    sed -n "s/^$2 //p" "$1/relay/served"
}
