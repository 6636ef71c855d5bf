#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# docs/performance.md and its plots are what the figures beside them make.
. "$SOURCE/tests/tools/tap.sh"

the_page_is_made_from_its_figures() {
    python3 "$SOURCE/tests/bench/report.py" --check "$SOURCE/docs" >&3
}

an_edited_page_is_noticed() {
    cp -r "$SOURCE/docs/performance" "$SOURCE/docs/performance.md" .
    sed -i 's/5,426/5,425/' performance.md
    ! python3 "$SOURCE/tests/bench/report.py" --check "$PWD" >/dev/null
}

t_run the_page_is_made_from_its_figures
t_run an_edited_page_is_noticed
t_done
