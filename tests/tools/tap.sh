# SPDX-License-Identifier: Apache-2.0
# Tests of the programs as bash scripts, beside tests/t.h for C:
#
#     . "$SOURCE/tests/tools/tap.sh"
#     an_empty_store_says_never() {
#         want 0 defupd --state-dir "$PWD/state" status
#         says 'nothing is installed'
#     }
#     t_run an_empty_store_says_never
#     t_done
#
# Each test runs in a subshell, in an empty directory of its own, which stays when it fails. The
# first thing that is not as it should be ends it. Servers are ended with it.

PATH=$BUILD/agent:/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C.UTF-8
t_number=0
t_failed=0
# What tests of this file may leave for the next ones, to copy from.
t_kept=$(mktemp -d "${TMPDIR:-/tmp}/defupd-test-XXXXXX") || exit 1
trap 'rm -rf "$t_kept"' EXIT

t_run() {
    local dir
    dir=$(mktemp -d "${TMPDIR:-/tmp}/defupd-test-XXXXXX") || exit 1
    t_number=$((t_number + 1))
    if (
        cd "$dir" || exit 1
        servers=()
        trap t_end EXIT
        "$1"
    ) 3>&1; then
        chmod -R u+w "$dir" && rm -rf --one-file-system "$dir"
        echo "ok $t_number - $1"
    else
        echo "not ok $t_number - $1 # left in $dir"
        t_failed=$((t_failed + 1))
    fi
}

t_skip() { # NAME WHY
    t_number=$((t_number + 1))
    echo "ok $t_number - $1 # SKIP $2"
}

t_done() {
    echo "1..$t_number"
    exit $((t_failed > 0))
}

t_end() {
    local pid
    for pid in ${servers[@]+"${servers[@]}"}; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    return 0
}

# fail WORD...: this is not as it should be.
fail() {
    printf '# %s:%s: %s\n' "$(basename "$0")" "$(t_line)" "$*" >&3
    exit 1
}

# The line of the test that called a function of this file.
t_line() {
    local i
    for ((i = 1; i < ${#BASH_SOURCE[@]}; i++)); do
        if [[ ${BASH_SOURCE[i]} != *tools/tap.sh ]]; then
            echo "${BASH_LINENO[i - 1]}"
            return
        fi
    done
}

# want STATUS COMMAND...: it ends with this status. What it prints is in the files out and err.
want() {
    local status=0 expected=$1
    shift
    "$@" >out 2>err </dev/null || status=$?
    if [ "$status" != "$expected" ]; then
        sed 's/^/# out: /' out | head -40 >&3
        sed 's/^/# err: /' err | head -40 >&3
        fail "expected exit $expected, got $status: $*"
    fi
}

# says WORDS: the last command of want() printed them, on either stream.
says() {
    if [[ $(<out) != *"$1"* && $(<err) != *"$1"* ]]; then
        cat out err | sed 's/^/# said: /' | head -40 >&3
        fail "expected words: $1"
    fi
}

# same TREE TREE: same files, contents and execute bits.
same() {
    local difference
    difference=$(diff -r -- "$1" "$2" 2>&1) || fail "$1 and $2 differ: $(head -3 <<<"$difference")"
    # What both have stands there twice.
    difference=$(find "$1/" "$2/" -type f -perm -u+x -printf '%P\n' | sort | uniq -u)
    [ -z "$difference" ] || fail "execute bits of $1 and $2 differ: $(head -3 <<<"$difference")"
}

# free_port: a port of the loopback interface that nobody listens on.
free_port() {
    /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# lie REPO: start a server over it that obeys the file "rules" (see liar.py); its URL is in $url.
lie() {
    local i
    : >rules
    : >port
    "$SOURCE/tests/tools/liar.py" --dir "$1" --rules rules >port 2>server.out </dev/null &
    servers+=($!)
    for ((i = 0; i < 200; i++)); do
        url=http://127.0.0.1:$(<port)
        [ "$url" = http://127.0.0.1: ] || return 0
        sleep 0.05
    done
    fail "no server: $(cat server.out)"
}

# serve REPO: start the trial server over it; its URL is in $url.
serve() {
    local port i
    port=$(free_port)
    defupd-publish --repo "$1" serve --listen "127.0.0.1:$port" >server.out 2>&1 </dev/null &
    servers+=($!)
    url=http://127.0.0.1:$port
    for ((i = 0; i < 200; i++)); do
        (exec 4<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
        sleep 0.05
    done
    fail "no server at $url: $(cat server.out)"
}
