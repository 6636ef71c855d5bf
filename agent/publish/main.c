/* SPDX-License-Identifier: Apache-2.0 */
#include "tool.h"

#include <errno.h>
#include <string.h>

#include <defupd/version.h>

#include "../json.h"

static int wrong_use(const struct pt_args *args, char *const *argv, defupd_error *err)
{
    const defupd_code rc = err->code;

    if (pt_wants_json(argv))
        (void)pt_json_end(json_object(), args, rc, err);
    (void)fflush(stdout);
    (void)fprintf(stderr, "defupd-publish: %s\n  see 'defupd-publish --help'\n", err->message);
    return defupd_code_exit(rc);
}

int main(int argc, char **argv)
{
    char *const *words = argv + (argc > 0 ? 1 : 0);
    defupd_error err = { 0 };
    struct pt_args args;
    defupd_code rc = pt_args_parse(&args, words, &err);

    if (rc != DEFUPD_OK)
        return wrong_use(&args, words, &err);
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
