#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# clang-format decides on layout; .clang-format is its law. What was right and has not been touched
# since is not looked at again.
cd "$SOURCE" || exit 1
echo 1..1
stamp=$BUILD/layout.stamp
newer=()
if [ "$stamp" -nt .clang-format ] && [ "$stamp" -nt tests/unit/test_layout.sh ]; then
    newer=(-newercm "$stamp")
fi
touch "$stamp.new"
mapfile -t files < <(find libdefupd agent tests fuzz docs \( -name '*.c' -o -name '*.h' \) "${newer[@]}" 2>/dev/null)
if { [ ${#newer[@]} -gt 0 ] || [ ${#files[@]} -gt 20 ]; } &&
    { [ ${#files[@]} = 0 ] || out=$(clang-format --dry-run -Werror "${files[@]}" 2>&1); }; then
    mv "$stamp.new" "$stamp"
    echo 'ok 1 - every_file_is_laid_out_by_clang_format'
else
    rm -f "$stamp" "$stamp.new"
    printf '%s\n' "$out" | sed 's/^/# /' | head -40
    echo '# clang-format -i FILE mends it'
    echo 'not ok 1 - every_file_is_laid_out_by_clang_format'
    exit 1
fi
