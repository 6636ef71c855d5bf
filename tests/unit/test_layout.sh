#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# clang-format decides on layout; .clang-format is its law.
cd "$SOURCE" || exit 1
echo 1..1
mapfile -t files < <(find libdefupd agent tests fuzz docs \( -name '*.c' -o -name '*.h' \) 2>/dev/null)
if out=$(clang-format --dry-run -Werror "${files[@]}" 2>&1) && [ ${#files[@]} -gt 20 ]; then
    echo 'ok 1 - every_file_is_laid_out_by_clang_format'
else
    printf '%s\n' "$out" | sed 's/^/# /' | head -40
    echo '# clang-format -i FILE mends it'
    echo 'not ok 1 - every_file_is_laid_out_by_clang_format'
    exit 1
fi
