# SPDX-License-Identifier: Apache-2.0
# Two small components in two releases each, and a repository of them.

# make_rules: folders alpha1 alpha2 beta1 beta2. Some files change, some stay, one comes, one goes, one
# becomes executable.
make_rules() {
    local i
    mkdir -p alpha1/sub alpha1/bin beta1
    for i in 1 2 3 4 5 6; do
        printf 'rule r%d { condition: %d }\n' $i $i >alpha1/sub/"rule $i.yar"
    done
    seq 1 20000 >alpha1/hashes.txt
    printf '#!/bin/sh\nexit 0\n' >alpha1/bin/check
    chmod 755 alpha1/bin/check
    : >alpha1/empty
    cp -a alpha1 alpha2
    printf 'rule r3 { condition: 33 }\n' >'alpha2/sub/rule 3.yar'
    seq 1 20001 >alpha2/hashes.txt
    rm 'alpha2/sub/rule 6.yar'
    printf 'new\n' >alpha2/sub/new.yar
    chmod 755 alpha2/empty
    printf 'one\n' >beta1/list
    printf 'same\n' >beta1/same
    cp -a beta1 beta2
    printf 'two\n' >beta2/list
}

# make_repo DIR VERSION...: a repository with these releases of both components. A new one is made
# once for all tests of a file that want it under this name, of these trees: with the same keys.
make_repo() {
    local repo=$1 version trees=() kept
    shift
    if [ -d "$repo" ]; then
        add_releases "$repo" "$@"
        return
    fi
    for version in "$@"; do
        trees+=("alpha$version" "beta$version")
    done
    kept=$(tar --sort=name --mtime=@0 -cf - "${trees[@]}" | sha256sum) || fail "no ${trees[*]}"
    kept="$t_kept/${repo//\//_} ${deltas-} $* ${kept%% *}"
    if [ ! -d "$kept" ]; then
        want 0 defupd-publish --repo "$repo" init
        add_releases "$repo" "$@"
        mkdir "$kept"
        cp -a "$repo" "$kept/repo"
        cp -a "$repo.keys" "$kept/keys"
    else
        cp -a "$kept/repo" "$repo"
        cp -a "$kept/keys" "$repo.keys"
    fi
}

add_releases() { # DIR VERSION...
    local repo=$1 version
    shift
    for version in "$@"; do
        want 0 defupd-publish --repo "$repo" --level 3 ${deltas:+--deltas "$deltas"} add-release alpha "$version" "alpha$version"
        want 0 defupd-publish --repo "$repo" --level 3 ${deltas:+--deltas "$deltas"} add-release beta "$version" "beta$version"
    done
}

# is_at N: both components are at release N in $state, all of it.
is_at() {
    [ "$(cd "$state/current" 2>/dev/null && echo *)" = 'alpha beta generation.xml' ] &&
        diff -r "alpha$1" "$state/current/alpha" >/dev/null &&
        diff -r "beta$1" "$state/current/beta" >/dev/null
}
