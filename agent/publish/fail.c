/* SPDX-License-Identifier: Apache-2.0 */
/* How a failure is told: to people on standard error, to programs as JSON on standard output. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "../json.h"
#include "tool.h"

defupd_code pt_fail(defupd_error *err, defupd_code code, const char *format, ...)
{
    va_list args;

    err->code = code;
    err->sys_errno = 0;
    err->origin = "agent/publish";
    va_start(args, format);
    (void)vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return code;
}

/* The library's advice is for who runs an endpoint. Here the same codes want something else. */
static const char *advice_of(defupd_code code)
{
    static const struct {
        defupd_code code;
        const char *advice;
    } ours[] = {
        { DEFUPD_E_BUSY, "let the other one finish, then run it again" },
        { DEFUPD_E_CANCELLED, "readers see the repository as it was; run it again when wanted" },
        { DEFUPD_E_SIGNATURE, "sign nothing of it; ask whoever made the file" },
        { DEFUPD_E_ROLLBACK, "sign nothing of it; ask whoever made the file" },
        { DEFUPD_E_METADATA_FORMAT, "sign nothing of it; ask whoever made the file" },
        { DEFUPD_E_METADATA_LIMIT, "sign nothing of it; ask whoever made the file" },
        { DEFUPD_E_EXPIRED,
          "check this machine's clock; else it waited too long: drop it, and make it again" },
        { DEFUPD_E_LIMIT, "make it smaller: clients take no more" },
        { DEFUPD_E_CONNECT, "check that the address is this machine's and the port is free" },
        { DEFUPD_E_NO_RELEASE, "name one that the manifest lists; older ones nobody can take" },
        { DEFUPD_E_WITHDRAWN, "name one that is not withdrawn" },
        { DEFUPD_E_REPO_EXISTS, "it stays as it is; name another, or go on with this one" },
    };
    const char *advice = defupd_code_advice(code);

    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (ours[i].code == code)
            return ours[i].advice;
    return advice[0] != '\0' ? advice : defupd_code_text(code);
}

static const char *message_of(const defupd_error *err)
{
    return err->message[0] != '\0' ? err->message : defupd_code_text(err->code);
}

void pt_show_error(const defupd_error *err)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "defupd-publish: %s\n", message_of(err));
    (void)fprintf(stderr, "  %d %s: %s\n", (int)err->code, defupd_code_name(err->code),
                  advice_of(err->code));
    if (err->code == DEFUPD_E_BUG && err->origin != NULL)
        (void)fprintf(stderr, "  at %s:%d\n", err->origin, err->line);
}

defupd_code pt_json_end(json_t *doc, const struct pt_args *args, defupd_code rc, defupd_error *err)
{
    const bool failed = rc != DEFUPD_OK;
    char *text = NULL;
    bool done;

    done = ag_json_text(doc, "command", args->command != NULL ? args->command->name : "") &&
           ag_json_add(doc, "code", json_integer((json_int_t)rc)) &&
           ag_json_text(doc, "name", defupd_code_name(rc)) &&
           ag_json_text(doc, "text", failed ? message_of(err) : "") &&
           ag_json_text(doc, "advice", failed ? advice_of(rc) : "") &&
           ag_json_add(doc, "exit", json_integer(defupd_code_exit(rc))) &&
           ag_json_add(doc, "ok", json_boolean(!failed));
    if (done)
        text = json_dumps(doc, JSON_INDENT(2));
    json_decref(doc);
    if (text == NULL)
        return failed ? rc : pt_fail(err, DEFUPD_E_NOMEM, "no memory for the result");
    (void)printf("%s\n", text);
    free(text);
    return rc;
}

/* Whatever else is wrong with the command line, who wants JSON gets JSON. */
bool pt_wants_json(char *const *argv)
{
    for (; *argv != NULL && strcmp(*argv, "--") != 0; argv++)
        if (strcmp(*argv, "--json") == 0)
            return true;
    return false;
}
