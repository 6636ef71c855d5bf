#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The service stays in memory for months: it holds no parser, no TLS, nothing but the C library.
. "$SOURCE/tests/tools/tap.sh"

the_service_links_the_c_library_alone() {
    needed=$(readelf -d "$BUILD/agent/defupd-agent" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
        grep -vE '^(libc|ld-linux.*)\.(so.*|musl.*)$')
    if [ "$SANITIZE" = none ]; then
        [ -z "$needed" ] || fail "it needs $needed"
    fi
    ! nm -g "$BUILD/agent/defupd-agent" | grep -E ' (du_|defupd_|xml|curl_|json_)' ||
        fail 'something of the library is in it'
}

its_man_page_and_its_help_tell_of_the_same_options() {
    same_options defupd-agent
}

that_of_the_relay_too() {
    same_options defupd-relay
}

same_options() { # PROGRAM
    local page=$SOURCE/docs/man/$1.8 option
    grep -q "\"defupd $VERSION\"" "$page" || fail "the page is of another version"
    want 0 "$BUILD/agent/$1" --help
    for option in $(grep -o -e '--[a-z-]*' out | sort -u); do
        grep -qF -e "${option//-/\\-}" "$page" || fail "the page does not tell of $option"
    done
    for option in $(sed 's/\\-/-/g' "$page" | grep -oP '^\\fB\K--[a-z-]+'); do
        grep -qF -e "$option" out || fail "--help does not tell of $option"
    done
}

t_run its_man_page_and_its_help_tell_of_the_same_options
t_run that_of_the_relay_too
t_run the_service_links_the_c_library_alone
t_done
