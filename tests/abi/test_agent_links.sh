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

t_run the_service_links_the_c_library_alone
t_done
