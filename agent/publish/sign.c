/* SPDX-License-Identifier: Apache-2.0 */
/* Signing elsewhere. */
#include <string.h>
#include <unistd.h>

#include "tool.h"

static void show(void *user, const char *line)
{
    (void)user;
    (void)printf("%s\n", line);
}

defupd_code pt_sign_export(const struct pt_args *args, defupd_error *err)
{
    defupd_repo *repo = NULL;
    defupd_code rc = pt_open(&repo, args, pt_say, NULL, err);

    if (rc == DEFUPD_OK)
        rc = defupd_repo_pending_export(repo, args->word[0], err);
    if (rc == DEFUPD_OK)
        (void)printf("written  %s\n", args->word[0]);
    pt_close(repo);
    return rc;
}

defupd_code pt_sign_import(const struct pt_args *args, defupd_error *err)
{
    int is_pending = 0;
    defupd_repo *repo = NULL;
    defupd_code rc = pt_open(&repo, args, pt_say, NULL, err);

    if (rc == DEFUPD_OK)
        rc = defupd_repo_pending_import(repo, args->word[0], &is_pending, err);
    if (rc == DEFUPD_OK)
        (void)printf("%s\n", is_pending != 0 ? "pending: signatures are missing" : "live");
    pt_close(repo);
    return rc;
}

struct lines {
    size_t count;
};

static void show_counted(void *user, const char *line)
{
    struct lines *lines = user;

    lines->count++;
    show(NULL, line);
}

defupd_code pt_sign_list(const struct pt_args *args, defupd_error *err)
{
    struct lines lines = { 0 };
    defupd_repo *repo = NULL;
    defupd_code rc = pt_open(&repo, args, pt_say, NULL, err);

    if (rc == DEFUPD_OK)
        rc = defupd_repo_pending_list(repo, show_counted, &lines, err);
    if (rc == DEFUPD_OK && lines.count == 0)
        (void)printf("nothing is pending\n");
    pt_close(repo);
    return rc;
}

defupd_code pt_sign_drop(const struct pt_args *args, defupd_error *err)
{
    defupd_repo *repo = NULL;
    defupd_code rc = pt_open(&repo, args, pt_say, NULL, err);

    if (rc == DEFUPD_OK)
        rc = defupd_repo_pending_drop(repo, err);
    if (rc == DEFUPD_OK)
        (void)printf("dropped\n");
    pt_close(repo);
    return rc;
}

/* Only the word itself: an Enter too many signs nothing. */
static int confirm(void *user)
{
    char answer[16];
    bool cut;

    (void)user;
    (void)printf("Sign this? Type yes: ");
    return fflush(stdout) == 0 && pt_read_line(STDIN_FILENO, answer, sizeof answer, &cut) &&
           strcmp(answer, "yes") == 0 && !cut;
}

defupd_code pt_sign(const struct pt_args *args, defupd_error *err)
{
    defupd_repo *repo = NULL;
    defupd_code rc = pt_open(&repo, args, pt_say, NULL, err);

    if (rc == DEFUPD_OK)
        rc = defupd_repo_sign(repo, args->word[0], show,
                              args->value[PT_OPT_YES] != NULL ? NULL : confirm, NULL, err);
    if (rc == DEFUPD_OK)
        (void)printf("signed   %s\n", args->word[0]);
    pt_close(repo);
    return rc;
}
