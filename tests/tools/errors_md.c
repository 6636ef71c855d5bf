/* SPDX-License-Identifier: Apache-2.0 */
/* Prints docs/errors.md from the one table of codes, through the functions an embedder has.
 * tests/abi/test_errors.sh compares; tests/tools/update-docs writes. */
#include <stdio.h>
#include <string.h>

#include <defupd/error.h>

static const char *group_word(defupd_group group)
{
    switch (group) {
    case DEFUPD_GROUP_NONE: return "-";
    case DEFUPD_GROUP_CALLER: return "caller";
    case DEFUPD_GROUP_MACHINE: return "machine";
    case DEFUPD_GROUP_SOURCE: return "source";
    case DEFUPD_GROUP_LATER: return "later";
    case DEFUPD_GROUP_ALARM: return "alarm";
    }
    return "?";
}

static const char *heading(int code)
{
    switch (code / 100) {
    case -21: return "The way to a source";
    case -22: return "Trust";
    case -23: return "Manifest and plan";
    case -24: return "Deltas and bundles";
    case -25: return "Store and disk";
    case -26: return "Policy, licence, busy";
    case -27: return "Validation, trial, withdrawal";
    case -28: return "The caller's mistakes";
    case -29: return "Publishing";
    default: return "Success";
    }
}

static const char intro[] =
    "# Errors\n"
    "\n"
    "Every failure has one number. Programs get it as `defupd_code`, `local.xml` shows it as\n"
    "`lasterror` (the 32-bit two's complement, as an unsigned decimal), messages show its name, "
    "and\n"
    "commands end with its exit code. Numbers are never given a second meaning.\n"
    "\n"
    "**Group** is what a program should do (`defupd_code_group()`):\n"
    "\n"
    "| group | what to do |\n"
    "|---|---|\n"
    "| caller | mend the call, the program or its configuration, then repeat |\n"
    "| machine | mend this machine (disk, clock, memory), then repeat |\n"
    "| source | this source is at fault; the next one may do |\n"
    "| later | nothing is wrong that time does not mend; try later |\n"
    "| alarm | keep what is installed and tell a person |\n"
    "\n"
    "**Exit codes** are those of sysexits(3): 64 usage, 65 bad or untrusted data, 69 unavailable,\n"
    "70 internal, 73 cannot create, 74 input or output, 75 try later, 77 not permitted,\n"
    "78 configuration.\n"
    "\n"
    "This file is made from `libdefupd/base/codes.def` by `tests/tools/update-docs`.\n";

int main(void)
{
    const char *last = "";

    (void)fputs(intro, stdout);
    for (unsigned i = 0; defupd_code_at(i) != 1; i++) {
        const defupd_code code = (defupd_code)defupd_code_at(i);

        if (strcmp(heading((int)code), last) != 0) {
            last = heading((int)code);
            printf("\n## %s\n\n| code | in local.xml | name | group | exit | meaning | what to do "
                   "|\n|---|---|---|---|---|---|---|\n",
                   last);
        }
        printf("| %d | %u | `%s` | %s | %d | %s | %s |\n", (int)code, defupd_code_unsigned(code),
               defupd_code_name(code), group_word(defupd_code_group(code)), defupd_code_exit(code),
               defupd_code_text(code), defupd_code_advice(code));
    }
    return 0;
}
