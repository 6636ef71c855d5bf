#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What docs/relay.md prints works as it is printed there: policies are taken, commands run.
. "$SOURCE/tests/tools/tap.sh"
. "$SOURCE/tests/tools/rules.sh"

page=$SOURCE/docs/relay.md

# blocks LANGUAGE: each block of the page into block.NN.
blocks() {
    awk -v fence="^\`\`\`$1\$" '$0 ~ fence {n++; on = 1; next} /^```$/ {on = 0}
        on {print > sprintf("block.%02d", n)}' "$page"
}

every_policy_is_taken() {
    local block
    blocks xml
    for block in block.*; do
        if grep -q '<sources>\|<relay>$' "$block" && ! grep -q '^<relays>' "$block"; then
            printf '<policy format="1">%s</policy>\n' "$(<"$block")" >policy.xml
        else
            printf '<policy format="1"><sources>%s</sources></policy>\n' "$(<"$block")" >policy.xml
        fi
        want 0 defupd config test "$PWD/policy.xml"
    done
    [ "$(ls block.* | wc -l)" = 3 ] || fail "$(ls)"
}

the_air_gapped_relay_works() {
    local block
    make_rules
    mkdir outside stick
    make_repo outside/repo 1
    cp outside/repo/metadata/1.root.json stick/
    printf '<policy format="1"><trust><root>%s</root></trust><relay/></policy>\n' \
        "$PWD/stick/1.root.json" >relay.xml
    chmod 644 relay.xml
    blocks sh
    for block in block.*; do
        if ! bash -eu "$block" >out 2>err </dev/null; then
            sed 's/^/# err: /' err >&3
            fail "$block: $(cat "$block")"
        fi
    done
    [ "$(ls block.* | wc -l)" = 3 ] || fail "$(ls)"
    same alpha1 leaf/current/alpha
    same beta1 leaf/current/beta
}

every_file_that_is_named_is_there() {
    local name
    for name in $(grep -oE '\]\([a-z/.]+\.md\)' "$page" "$SOURCE/docs/formats/relay.md" | sed 's/.*(\(.*\))/\1/'); do
        [ -e "$SOURCE/docs/$name" ] || [ -e "$SOURCE/docs/formats/$name" ] || fail "$name"
    done
}

t_run every_policy_is_taken
t_run the_air_gapped_relay_works
t_run every_file_that_is_named_is_there
t_done
