# SPDX-License-Identifier: Apache-2.0
# A small set of rules that changes a little every day, and a repository of its releases.

# day N: the folder "rules" as it is on that day; call it for 1, 2, 3, ... in turn.
day() {
    local i
    if [ ! -d rules ]; then
        mkdir -p rules/net rules/files
        for ((i = 1; i <= 20; i++)); do
            awk -v s=$i 'BEGIN { srand(s); for (i = 0; i < 60; i++)
                printf "alert tcp any -> any %d (content:\"%x\"; sid:%d;)\n", rand() * 65536, rand() * 1e9, i }' \
                >"rules/net/part $i.rules"
        done
        awk 'BEGIN { srand(99); for (i = 0; i < 2000; i++) printf "%08x%08x\n", rand() * 2^32, rand() * 2^32 }' \
            >rules/files/hashes
    fi
    awk -v s="$1" 'BEGIN { srand(1000 + s); for (i = 0; i < 8; i++) printf "%08x%08x\n", rand() * 2^32, rand() * 2^32 }' \
        >>rules/files/hashes
    sed -i "$((1 + $1 % 50))s/content:\"[0-9a-f]*\"/content:\"day$1\"/" "rules/net/part $((1 + $1 % 20)).rules"
    echo "$1" >rules/day
}

# days FIRST LAST OPTION...: publish these days, each as the version of its number. Keeps a copy of
# the folder for the days that $copies names.
days() {
    local first=$1 last=$2 n
    shift 2
    [ -d repo ] || want 0 defupd-publish --repo repo init
    for ((n = first; n <= last; n++)); do
        day "$n"
        want 0 defupd-publish --repo repo add-release --level 3 rules "$n" rules "$@"
        [[ " ${copies-} " != *" $n "* ]] || cp -a rules "rules.$n"
    done
}
