#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# docs/formats/policy.md and the examples fit the table of settings and the schema.
page=$SOURCE/docs/formats/policy.md
echo 1..3
number=0 status=0

# result NAME [OUTPUT]: fails when there is any output.
result() {
    number=$((number + 1))
    if [ -z "${2-}" ]; then
        echo "ok $number - $1"
    else
        printf '%s\n' "$2" | sed 's/^/# /'
        echo "not ok $number - $1"
        status=1
    fi
}

result the_reference_is_the_table_of_settings "$(diff -u \
    <(sed -n '/^<!-- settings/,/^<!-- end of settings/p' "$page" | sed '1d;$d') \
    <("$BUILD/tests/policy_md") && exit; echo 'tests/tools/update-docs mends it')"

result every_example_fits_the_schema_that_is_installed "$(for file in "$SOURCE"/agent/policy/*.example; do
    xmllint --noout --nonet --relaxng "$SOURCE/agent/policy/policy.rng" "$file" 2>&1 | grep -v ' validates$'
done)"

# What the page shows is checked like a file.
dir=$(mktemp -d) || exit 1
awk -v dir="$dir" '/^```xml$/ { n++; on = 1; next } /^```$/ { on = 0 } on { print > (dir "/" n ".xml") }' "$page"
result every_policy_of_the_page_is_right "$(ls "$dir"/1.xml >/dev/null || echo 'no policy there'
for file in "$dir"/*.xml; do
    "$BUILD/agent/defupd" config test "$file" 2>&1 | grep -v -e ': OK$' -e 'No such file or directory' \
        -e ': [0-9]* errors*$' -e 'correct the file and line'
done)"
rm -rf "$dir"
exit $status
