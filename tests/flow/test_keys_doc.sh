#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The ceremony of docs/keys.md works as it is printed there: machines and sticks are folders.
. "$SOURCE/tests/tools/tap.sh"

d() {
    defupd --state-dir "$PWD/$1" --source "file://$PWD/repo" "${@:2}"
}

# In blocks, so that what each of them leaves can be looked at.
blocks() {
    awk '/^```sh$/ {n++; on = 1; next} /^```$/ {on = 0} on {print > sprintf("block.%02d", n)}' \
        "$SOURCE/docs/keys.md"
    ls block.*
}

anything_but_yes_signs_nothing() {
    local status=0
    cp change.json before.json
    echo y | defupd-publish --keys release sign change.json --passphrase-file pass >out 2>err ||
        status=$?
    [ $status = 75 ] || fail "exit $status: $(cat err)"
    says 'pending: delegate ips'
    says '  role ips speaks for ips/*'
    says 'Sign this? Type yes: '
    cmp change.json before.json || fail 'it was signed'
}

every_command_in_the_document_works() {
    local block count=0
    mkdir -p tree
    echo rule >tree/a.rule
    (umask 077 && echo 'correct horse battery staple' >pass)
    for block in $(blocks); do
        count=$((count + 1))
        # Who is asked whether to sign this types yes.
        if ! yes yes 2>/dev/null | bash -eu "$block" >out 2>err; then
            sed 's/^/# err: /' err >&3
            fail "$block: $(cat "$block")"
        fi
        if [ -e repo ]; then
            want 0 defupd-publish --repo repo verify
        fi
        case $count in
        3) # a client from the first day
            want 0 d early --trusted-root repo/metadata/1.root.json check
            ;;
        6)
            anything_but_yes_signs_nothing
            ;;
        esac
    done
    [ $count -ge 15 ] || fail "only $count blocks"
    [ ! -e repo.pending.json ] || fail 'something is pending'
    # what it was all about
    want 0 defupd-publish --repo repo key list
    says 'root       version 5, 2 of 3 keys sign, 0 here'
    says 'ips        version 3, 1 of 1 keys sign, 0 here'
    want 0 d early update
    want 0 d late --trusted-root repo/metadata/1.root.json update
    same tree early/current/ips
    same tree late/current/ips
    grep -q 'ENCRYPTED PRIVATE KEY' stick1/root-*.pem || fail 'a root key without a passphrase'
    # Nothing private has left its folder.
    ! grep -rlq 'PRIVATE KEY' repo change.json || fail 'a private key is where it should not be'
}

if [ -n "${DEFUPD_LONG-}" ]; then
    t_run every_command_in_the_document_works
else
    t_skip every_command_in_the_document_works "takes long: ./check full runs it"
fi
t_done
