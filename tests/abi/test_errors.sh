#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
echo 1..1
if out=$(diff -u "$SOURCE/docs/errors.md" <("$BUILD/tests/errors_md")); then
    echo 'ok 1 - docs_errors_md_is_the_table_of_codes'
else
    printf '%s\n' "$out" | sed 's/^/# /'
    echo '# tests/tools/update-docs mends it'
    echo 'not ok 1 - docs_errors_md_is_the_table_of_codes'
    exit 1
fi
