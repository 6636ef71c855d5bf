/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the man page, or compares it with a file: `defupd-man [FILE]`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

static int compare(const char *path, const char *want)
{
    FILE *file = fopen(path, "r");
    char got[4096];
    unsigned number = 1;
    int result = 0;

    if (file == NULL) {
        perror(path);
        return 1;
    }
    while (result == 0 && fgets(got, sizeof got, file) != NULL) {
        if (strncmp(want, got, strlen(got)) != 0)
            result = 1;
        else
            want += strlen(got), number++;
    }
    if (result != 0 || *want != '\0') {
        (void)fprintf(stderr, "%s:%u: differs from the tables; expected: %.*s\n", path, number,
                      (int)strcspn(want, "\n"), want);
        result = 1;
    }
    (void)fclose(file);
    return result;
}

int main(int argc, char **argv)
{
    char *page = NULL;
    size_t size = 0;
    FILE *out = argc > 1 ? open_memstream(&page, &size) : stdout;
    int result = 0;

    if (out == NULL)
        return 1;
    ag_man(out);
    if (argc > 1) {
        result = fclose(out) == 0 ? compare(argv[1], page) : 1;
        free(page);
    }
    return result;
}
