/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the reference of docs/formats/policy.md from the one table of settings.
 * tests/unit/test_policy_doc.sh compares; tests/tools/update-docs writes. */
#include <stdio.h>
#include <string.h>

#include "policy/table.h"

static const char *many(const struct ag_setting *setting, char out[64])
{
    out[0] = '\0';
    if ((setting->flags & AG_SET_NEEDED) != 0)
        (void)strcat(out, "needed");
    if ((setting->flags & AG_SET_MANY) != 0)
        (void)sprintf(out + strlen(out), "%sup to %u", out[0] != '\0' ? ", " : "", setting->most);
    return out;
}

/* "|" ends a cell. */
static void cell(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            (void)putchar('\\');
        (void)putchar(*text);
    }
}

static void row(const struct ag_setting *setting)
{
    const char *name = strchr(setting->path, '/');
    char allowed[200], often[64];

    ag_value_allowed(setting, allowed, sizeof allowed);
    (void)printf("| `%s` | ", name != NULL ? name + 1 : setting->path);
    cell(setting->type == AG_GROUP ? "a group" : allowed);
    if (many(setting, often)[0] != '\0')
        (void)printf("%s%s", setting->type == AG_GROUP ? ", " : "; ", often);
    (void)printf(" | %s%s%s | ", setting->standard != NULL ? "`" : "",
                 setting->standard != NULL ? setting->standard : "-",
                 setting->standard != NULL ? "`" : "");
    cell(setting->text);
    if ((setting->flags & AG_SET_UNSUPPORTED) != 0)
        (void)printf(" *Not supported by this version.*");
    (void)printf(" |\n");
}

int main(void)
{
    static const char head[] = "| setting | allowed | default | what it is |\n|---|---|---|---|\n";
    const struct ag_setting *section = NULL;

    while ((section = ag_setting_next(NULL, section)) != NULL) {
        (void)printf("### %s\n", section->path);
        if (section->type != AG_GROUP) {
            (void)fputs(head, stdout);
            row(section);
        } else {
            (void)printf("%s\n\n%s", section->text, head);
            for (const struct ag_setting *at = section + 1;
                 at->path != NULL && strchr(at->path, '/') != NULL; at++)
                row(at);
        }
        (void)printf("\n");
    }
    return 0;
}
