#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What README.md shows works as it is printed there.
. "$SOURCE/tests/tools/tap.sh"

rules() { # NUMBER: a folder of rules
    mkdir -p "rules-$1/sub dir"
    printf 'rule %s\n' "$1" >"rules-$1/a.rule"
    printf '#!/bin/sh\n' >"rules-$1/sub dir/tool"
    chmod 755 "rules-$1/sub dir/tool"
    seq 1 5000 >"rules-$1/unchanged"
}

repository() {
    rules 1
    want 0 defupd-publish --repo repo init
    want 0 defupd-publish --repo repo add-release rules 1 ./rules-1/
}

the_program_in_the_readme_compiles_and_updates() {
    repository
    sed -n '/^```c$/,/^```$/p' "$SOURCE/README.md" | sed '/^```/d' >update.c
    [ -s update.c ] || fail 'no program in README.md'
    # shellcheck disable=SC2086 # CC may hold options
    want 0 $CC -std=gnu11 -Wall -Wextra -Werror $CFLAGS_TEST -I "$SOURCE/libdefupd/include" update.c \
        -o update -L "$BUILD/libdefupd" -Wl,-rpath,"$BUILD/libdefupd" -ldefupd
    want 0 ./update "$PWD/state" "file://$PWD/repo" repo/metadata/1.root.json
    says 'rules is now at 1'
    says "definitions: $PWD/state/generations/1"
    same rules-1 state/current/rules
    want 64 ./update
}

# The command is the one of docs/embedding.md, the folders are those of the build.
the_program_links_with_the_archive_as_embedding_says() {
    local command
    repository
    sed -n '/^```c$/,/^```$/p' "$SOURCE/README.md" | sed '/^```/d' >update.c
    command=$(sed -n '/^    cc update.c/,/[^\\]$/s/^    //p' "$SOURCE/docs/embedding.md")
    [ -n "$command" ] || fail 'no command in docs/embedding.md'
    command=${command/#cc/$CC $CFLAGS_TEST -L '"$BUILD/libdefupd"'}
    want 0 eval "${command/'$(pkg-config --cflags defupd)'/-I '"$SOURCE/libdefupd/include"'}"
    ! ldd ./update | grep -q libdefupd || fail 'it is linked with the shared library'
    want 0 ./update "$PWD/state" "file://$PWD/repo" repo/metadata/1.root.json
    same rules-1 state/current/rules
}

the_first_steps_of_the_readme_work() {
    repository
    want 0 defupd-publish --repo repo refresh
    serve repo
    d() { want "$1" defupd --state-dir "$PWD/state" --source "$url" "${@:2}"; }
    d 0 --trusted-root repo/metadata/1.root.json update
    same rules-1 state/current/rules
    d 0 check
    d 0 status
    says 'rules'
    rules 2
    want 0 defupd-publish --repo repo add-release rules 2 ./rules-2/
    d 0 update
    same rules-2 state/current/rules
    d 0 rollback rules
    same rules-1 state/current/rules
    d 0 update
    same rules-1 state/current/rules
    d 0 update rules@2
    same rules-2 state/current/rules
    d 0 verify
}

t_run the_program_in_the_readme_compiles_and_updates
t_run the_program_links_with_the_archive_as_embedding_says
t_run the_first_steps_of_the_readme_work
t_done
