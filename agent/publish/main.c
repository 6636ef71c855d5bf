/* SPDX-License-Identifier: Apache-2.0 */
#include "tool.h"

#include <errno.h>
#include <string.h>

#include <defupd/version.h>

void pt_show_error(const defupd_error *err)
{
    const char *advice = defupd_code_advice(err->code);

    (void)fflush(stdout);
    (void)fprintf(stderr, "defupd-publish: %s\n",
                  err->message[0] != '\0' ? err->message : defupd_code_text(err->code));
    (void)fprintf(stderr, "  %d %s: %s\n", (int)err->code, defupd_code_name(err->code),
                  advice[0] != '\0' ? advice : defupd_code_text(err->code));
    if (err->code == DEFUPD_E_BUG && err->origin != NULL)
        (void)fprintf(stderr, "  at %s\n", err->origin);
}

int main(int argc, char **argv)
{
    defupd_error err = { 0 };
    struct pt_args args;
    defupd_code rc = pt_args_parse(&args, argv + (argc > 0 ? 1 : 0), &err);

    if (rc != DEFUPD_OK) {
        (void)fprintf(stderr, "defupd-publish: %s\n  see 'defupd-publish --help'\n", err.message);
        return defupd_code_exit(rc);
    }
    if (args.value[PT_OPT_HELP] != NULL)
        pt_help(stdout, args.command);
    else if (args.value[PT_OPT_VERSION] != NULL)
        (void)printf("defupd-publish %s\n", DEFUPD_VERSION);
    else
        rc = args.command->run(&args, &err);
    if (rc == DEFUPD_OK && fflush(stdout) != 0)
        rc = pt_fail(&err, DEFUPD_E_IO, "write to standard output: %s", strerror(errno));
    if (rc != DEFUPD_OK)
        pt_show_error(&err);
    return defupd_code_exit(rc);
}
