#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The workflow of docs/offline.md works as it is printed there: places are folders.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"

every_command_in_the_document_works() {
    local block count=0
    make_rules
    mkdir outside stick inside
    deltas=2 make_repo outside/repo 1
    awk '/^```sh$/ {n++; on = 1; next} /^```$/ {on = 0} on {print > sprintf("block.%02d", n)}' \
        "$SOURCE/docs/offline.md"
    for block in block.*; do
        count=$((count + 1))
        case $count in
        5) deltas=2 make_repo outside/repo 2 ;; # "when there are new releases"
        esac
        if ! bash -eu "$block" >out 2>err </dev/null; then
            sed 's/^/# err: /' err >&3
            fail "$block: $(cat "$block")"
        fi
        case $count in
        3) same alpha1 inside/state/current/alpha ;;
        5)
            says 'delta from 1'
            [ "$(stat -c %s stick/next.zip)" -lt "$(stat -c %s stick/first.zip)" ] || fail 'nothing was spared'
            ;;
        esac
    done
    [ $count = 7 ] || fail "$count blocks"
    same alpha2 inside/state/current/alpha
    same beta2 inside/state/current/beta
    jq -e '[.engines[].definitions[].version] == [2, 2]' stick/receipt.json >/dev/null || fail 'the receipt'
    # what is said of the receipt
    ! grep -q -e "$(hostname)" -e "$PWD" stick/receipt.json || fail "$(cat stick/receipt.json)"
    # the one for all
    want 0 defupd --state-dir "$PWD/other" --trusted-root stick/1.root.json import stick/first.zip
    want 0 defupd --state-dir "$PWD/other" import stick/all.zip
    same alpha2 other/current/alpha
    same beta2 other/current/beta
}

t_run every_command_in_the_document_works
t_done
