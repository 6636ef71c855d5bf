/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "publish/publish_priv.h"

#define LEVEL_DEFAULT 19
#define LEVEL_MAX 19
#define THREADS_MAX 64
#define LINE_MAX_BYTES 1024

void du_repo_say(const struct defupd_repo *repo, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;

    if (repo->on_say == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    repo->on_say(repo->say_user, line);
}

defupd_code du_repo_go_on(const struct defupd_repo *repo, defupd_error *err)
{
    if (atomic_load(&repo->cancelled))
        return DU_FAIL(err, DEFUPD_E_CANCELLED, "cancelled");
    return DEFUPD_OK;
}

static defupd_code task_tick(void *user, uint64_t bytes, defupd_error *err)
{
    struct du_task *task = user;

    DU_TRY(du_repo_go_on(task->repo, err));
    task->told.bytes_done += bytes;
    if (task->repo->on_progress != NULL)
        task->repo->on_progress(task->repo->progress_user, &task->told);
    return DEFUPD_OK;
}

void du_task_start(struct du_task *task, const struct defupd_repo *repo, defupd_repo_phase phase,
                   const char *component, uint64_t version, uint64_t total)
{
    *task = (struct du_task){ .repo = repo,
                              .told = { .struct_size = sizeof task->told,
                                        .phase = phase,
                                        .version = version,
                                        .bytes_total = total,
                                        .component = component },
                              .tick = { .fn = task_tick, .user = task } };
}

/* The folder without trailing slashes. "." and the like get their full name, since the keys stand
 * beside the folder under its name. */
static defupd_code folder_name(char **out, const char *dir, defupd_error *err)
{
    DU_AUTO_FREE char *path = du_strdup(dir);
    const char *name;
    size_t len;

    if (path == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a repository");
    for (len = strlen(path); len > 1 && path[len - 1] == '/'; len--)
        path[len - 1] = '\0';
    name = strrchr(path, '/');
    name = name == NULL ? path : name + 1;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || name[0] == '\0') {
        *out = realpath(path, NULL);
        if (*out == NULL)
            return DU_FAIL_IO(err, "look at repository %s", path);
        return DEFUPD_OK;
    }
    *out = du_take(&path);
    return DEFUPD_OK;
}

/* The folder, and what stands beside it. */
static defupd_code name_beside(struct defupd_repo *repo, const char *dir, defupd_error *err)
{
    DU_TRY(folder_name(&repo->dir_path, dir, err));
    if (repo->keys_path == NULL && asprintf(&repo->keys_path, "%s.keys", repo->dir_path) < 0)
        repo->keys_path = NULL;
    if (asprintf(&repo->pending_path, "%s.pending.json", repo->dir_path) < 0) {
        repo->pending_path = NULL;
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a repository");
    }
    return DEFUPD_OK;
}

static defupd_code take_options(struct defupd_repo *repo, const defupd_repo_options *options,
                                defupd_error *err)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (options == NULL || options->struct_size != sizeof *options)
        return DU_FAIL(err, DEFUPD_E_INVALID,
                       "repository options are from another version of the header");
    if (options->repo_dir == NULL ? options->keys_dir == NULL : options->repo_dir[0] == '\0')
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository folder");
    if (options->compression_level > LEVEL_MAX)
        return DU_FAIL(err, DEFUPD_E_INVALID, "compression level %u is not from 1 to %d",
                       options->compression_level, LEVEL_MAX);
    if (options->threads > THREADS_MAX)
        return DU_FAIL(err, DEFUPD_E_INVALID, "%u threads are more than %d", options->threads,
                       THREADS_MAX);
    repo->level = options->compression_level == 0 ? LEVEL_DEFAULT : options->compression_level;
    repo->threads = options->threads;
    if (repo->threads == 0)
        repo->threads = processors < 1             ? 1U
                        : processors > THREADS_MAX ? THREADS_MAX
                                                   : (unsigned)processors;
    repo->warn_days = options->warn_days;
    repo->on_passphrase = options->on_passphrase;
    repo->passphrase_user = options->passphrase_user;
    repo->on_progress = options->on_progress;
    repo->progress_user = options->progress_user;
    repo->on_say = options->on_say;
    repo->say_user = options->say_user;
    repo->temp_path = du_strdup(options->temp_dir != NULL ? options->temp_dir : "/tmp");
    repo->keys_path = du_strdup(options->keys_dir);
    if (options->repo_dir != NULL)
        DU_TRY(name_beside(repo, options->repo_dir, err));
    if (repo->keys_path == NULL || repo->temp_path == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a repository");
    return DEFUPD_OK;
}

defupd_code defupd_repo_open(defupd_repo **repo, const defupd_repo_options *options,
                             defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;
    struct defupd_repo *made;
    defupd_code rc;

    if (repo == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no place for the repository's handle");
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a repository");
    made->sys = &du_sys_posix;
    rc = take_options(made, options, err);
    if (rc != DEFUPD_OK) {
        defupd_repo_close(made);
        return rc;
    }
    *repo = made;
    return DEFUPD_OK;
}

void defupd_repo_cancel(defupd_repo *repo)
{
    if (repo != NULL)
        atomic_store(&repo->cancelled, true);
}

void defupd_repo_close(defupd_repo *repo)
{
    if (repo == NULL)
        return;
    free(repo->dir_path);
    free(repo->keys_path);
    free(repo->temp_path);
    free(repo->pending_path);
    free(repo);
}
