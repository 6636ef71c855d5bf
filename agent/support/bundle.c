/* SPDX-License-Identifier: Apache-2.0 */
#include "support/bundle.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "fail.h"
#include "json.h"
#include "policy/config.h"
#include "report/seen.h"
#include "result.h"
#include "support/doctor.h"
#include "support/pack.h"
#include "support/preflight.h"
#include "text.h"

#define FILE_MAX_ (UINT64_C(1) << 20)  /* of one file its last MiB: what happened last */
#define TOTAL_MAX (UINT64_C(32) << 20) /* of all, before they are compressed */
#define LINES_MAX 5000                 /* of the listing */
#define DEPTH_MAX 3

struct bundle {
    struct ag_pack *pack;
    const char *state_dir;
    char top[48]; /* folder in the archive, "/" at its end */
    int64_t now;
    uint64_t bytes;
    unsigned files, left;
    char *contents; /* contents.txt so far */
    size_t contents_bytes;
    FILE *list; /* writes it */
    defupd_error *err;
    defupd_code rc; /* of the archive; nothing more is written after a failure */
};

void ag_scrub(char *text, size_t count)
{
    for (size_t i = 0; i + 3 < count; i++) {
        size_t from, end, at = 0;

        if (memcmp(text + i, "://", 3) != 0)
            continue;
        from = i + 3;
        for (end = from; end < count && text[end] != '/' && text[end] != '"' && text[end] != '<' &&
                         text[end] != '\'' && !isspace((unsigned char)text[end]);
             end++) {
            if (text[end] == '@')
                at = end;
        }
        if (at > from)
            memset(text + from, '*', at - from);
        i = from - 1; /* what follows may be another one */
    }
}

static void leave(struct bundle *bundle, const char *name, const char *why)
{
    bundle->left++;
    (void)fprintf(bundle->list, "left out  %s: %s\n", name, why);
}

/* Takes `bytes` (malloc), which are scrubbed in place. */
static void add(struct bundle *bundle, const char *name, char *bytes, size_t count, int64_t mtime)
{
    char path[300];

    if (bundle->rc == DEFUPD_OK && bytes != NULL && bundle->bytes + count > TOTAL_MAX) {
        leave(bundle, name, "the bundle is full");
    } else if (bundle->rc == DEFUPD_OK && bytes != NULL) {
        ag_scrub(bytes, count);
        (void)snprintf(path, sizeof path, "%s%s", bundle->top, name);
        bundle->rc = ag_pack_add(bundle->pack, path, bytes, count, mtime, bundle->err);
        bundle->bytes += count;
        bundle->files++;
        (void)fprintf(bundle->list, "%8zu  %s\n", count, name);
    }
    free(bytes);
}

/* What a function prints becomes a file. */
struct memo {
    FILE *out;
    char *bytes;
    size_t count;
};

static FILE *memo_start(struct memo *memo)
{
    *memo = (struct memo){ 0 };
    memo->out = open_memstream(&memo->bytes, &memo->count);
    return memo->out;
}

static void memo_add(struct bundle *bundle, struct memo *memo, const char *name)
{
    if (memo->out != NULL && fclose(memo->out) == 0)
        add(bundle, name, memo->bytes, memo->count, bundle->now);
    else
        leave(bundle, name, "out of memory");
}

/* The last part of a regular file below the store. */
static void add_file(struct bundle *bundle, const char *name)
{
    char path[4500];
    struct stat st;
    char *bytes = NULL;
    size_t used = 0, size;
    int fd;

    if ((size_t)snprintf(path, sizeof path, "%s/%s", bundle->state_dir, name) >= sizeof path)
        return;
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        if (errno != ENOENT)
            leave(bundle, name, strerror(errno));
        return;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        leave(bundle, name, "no regular file");
        (void)close(fd);
        return;
    }
    size = (uint64_t)st.st_size > FILE_MAX_ ? (size_t)FILE_MAX_ : (size_t)st.st_size;
    if ((uint64_t)st.st_size > FILE_MAX_)
        leave(bundle, name, "its beginning; the last MiB is here");
    bytes = malloc(size + 1);
    while (bytes != NULL && used < size) {
        const ssize_t n = pread(fd, bytes + used, size - used, st.st_size - (off_t)(size - used));

        if (n <= 0)
            break;
        used += (size_t)n;
    }
    (void)close(fd);
    add(bundle, name, bytes, used, (int64_t)st.st_mtime);
}

/* All small files of a folder of facts. */
static void add_folder(struct bundle *bundle, const char *folder)
{
    char path[4500];
    const struct dirent *entry;
    DIR *dir;

    if ((size_t)snprintf(path, sizeof path, "%s/%s", bundle->state_dir, folder) >= sizeof path)
        return;
    dir = opendir(path);
    for (int i = 0; dir != NULL && i < 500 && (entry = readdir(dir)) != NULL; i++) {
        char name[300];

        if (entry->d_name[0] != '.' &&
            (size_t)snprintf(name, sizeof name, "%s/%s", folder, entry->d_name) < sizeof name)
            add_file(bundle, name);
    }
    if (dir != NULL)
        (void)closedir(dir);
}

/* Names, sizes and owners, without looking into files. */
static void list_folder(FILE *out, const char *path, const char *shown, int depth, int *lines)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;

    while (dir != NULL && *lines < LINES_MAX && (entry = readdir(dir)) != NULL) {
        char below[4500], name[1500], when[AG_WHEN];
        struct stat st;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            (size_t)snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= sizeof below ||
            (size_t)snprintf(name, sizeof name, "%s%s%s", shown, shown[0] != '\0' ? "/" : "",
                             entry->d_name) >= sizeof name ||
            lstat(below, &st) != 0)
            continue;
        (*lines)++;
        ag_line(out, "%06o %5u %5u %10" PRIu64 " %s %s", (unsigned)st.st_mode, (unsigned)st.st_uid,
                (unsigned)st.st_gid, (uint64_t)st.st_size, ag_time(when, (int64_t)st.st_mtime),
                name);
        if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
            list_folder(out, below, name, depth + 1, lines);
    }
    if (dir != NULL)
        (void)closedir(dir);
}

static void add_listing(struct bundle *bundle)
{
    struct memo memo;
    int lines = 0;

    if (memo_start(&memo) != NULL)
        list_folder(memo.out, bundle->state_dir, "", 0, &lines);
    if (lines >= LINES_MAX)
        leave(bundle, "store.txt", "more than 5000 names");
    memo_add(bundle, &memo, "store.txt");
}

static void add_versions(struct bundle *bundle)
{
    char libraries[512] = "";
    struct utsname system;
    struct memo memo;

    defupd_version_details(libraries, sizeof libraries);
    if (memo_start(&memo) != NULL) {
        ag_line(memo.out, "defupd %s", defupd_version());
        ag_line(memo.out, "with %s", libraries);
        if (uname(&system) == 0)
            ag_line(memo.out, "on %s %s %s %s", system.sysname, system.release, system.version,
                    system.machine);
    }
    memo_add(bundle, &memo, "version.txt");
}

/* What `defupd status` and `defupd list` print, without a policy. */
static void add_status(struct bundle *bundle)
{
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    struct ag_args args = { 0 };
    struct ag_result result = { .args = &args };
    defupd_client *client = NULL;
    defupd_error err = { 0 };
    struct memo status, list;

    options.state_dir = bundle->state_dir;
    if (defupd_client_open(&client, &options, &err) != DEFUPD_OK ||
        defupd_client_status(client, &result.status, &err) != DEFUPD_OK) {
        leave(bundle, "status.txt", err.message);
        defupd_client_close(client);
        return;
    }
    args.command = ag_command_find("status");
    ag_agent_ask(&result.agent, bundle->state_dir);
    ag_unable_read(&result.unable, bundle->state_dir);
    if (memo_start(&status) != NULL)
        ag_text_result(status.out, &result, bundle->now);
    memo_add(bundle, &status, "status.txt");
    if (defupd_client_list(client, NULL, &result.listing, &err) == DEFUPD_OK) {
        args.command = ag_command_find("list");
        if (memo_start(&list) != NULL)
            ag_text_result(list.out, &result, bundle->now);
        memo_add(bundle, &list, "list.txt");
    } else {
        leave(bundle, "list.txt", err.message);
    }
    ag_result_free(&result);
    defupd_client_close(client);
}

static void add_preflight(struct bundle *bundle, const struct ag_preflight *preflight)
{
    struct memo memo;
    defupd_error err = { 0 };

    if (memo_start(&memo) != NULL)
        (void)!ag_preflight_print(memo.out, preflight, AG_AS_TABLE, &err);
    memo_add(bundle, &memo, "preflight.txt");
}

static void add_doctor(struct bundle *bundle, const struct ag_doctor *doctor)
{
    struct memo memo;

    if (doctor->count == 0) {
        leave(bundle, "doctor.txt", "no source could be asked; preflight.txt tells why");
        return;
    }
    if (memo_start(&memo) != NULL)
        ag_doctor_text(memo.out, doctor);
    memo_add(bundle, &memo, "doctor.txt");
}

static void add_logs(struct bundle *bundle)
{
    static const char *const logs[] = { "update.log", "transfer.log", "relay.log", "events.jsonl" };
    char name[64];

    for (unsigned number = 0; number <= 9; number++) { /* the newest of each first */
        for (size_t i = 0; i < sizeof logs / sizeof logs[0]; i++) {
            if (number == 0)
                (void)snprintf(name, sizeof name, "log/%s", logs[i]);
            else
                (void)snprintf(name, sizeof name, "log/%s.%u", logs[i], number);
            add_file(bundle, name);
        }
    }
}

static void add_store(struct bundle *bundle)
{
    static const char *const files[] = { "local.xml",   "posture.json",   "metrics/defupd.prom",
                                         "log/totals",  "log/sequence",   "current/generation.xml",
                                         "agent.state", "outbox/dropped", "outbox/back-off",
                                         "unable" };
    static const char *const folders[] = { "schedule", "holds", "quarantine", "distrust", "trial" };

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        add_file(bundle, files[i]);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        add_folder(bundle, folders[i]);
    leave(bundle, "host-id", "it decides about roll-outs, and is private");
    leave(bundle, "versions, downloads, trust", "contents; store.txt has their names and sizes");
}

static void finish_contents(struct bundle *bundle)
{
    char *bytes;

    if (fflush(bundle->list) != 0)
        return;
    bytes = malloc(bundle->contents_bytes + 1);
    if (bytes != NULL)
        memcpy(bytes, bundle->contents, bundle->contents_bytes);
    add(bundle, "contents.txt", bytes, bundle->contents_bytes, bundle->now);
}

/* The output is made with the operator's rights, and never over something that is there. */
static defupd_code open_output(const char *path, int *fd, defupd_error *err)
{
    *fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd < 0)
        return AG_FAIL_ERRNO(err, DEFUPD_E_CANNOT_CREATE, "cannot create %s", path);
    return DEFUPD_OK;
}

/* The policy as `config export` has it. Read before the process gives up its rights. */
static void export_policy(const struct ag_args *args, struct memo *policy, struct memo *errors)
{
    struct ag_args own = *args;

    own.config = AG_CONFIG_EXPORT;
    own.command = ag_command_find("config");
    own.given &= ~AG_BIT(AG_OPT_JSON);
    if (memo_start(policy) != NULL && memo_start(errors) != NULL)
        (void)!ag_config(&own, policy->out, errors->out);
}

static defupd_code write_bundle(struct bundle *bundle, const struct ag_args *args, int fd)
{
    static struct ag_preflight preflight; /* some 40 KiB; the program has one thread */
    struct ag_doctor doctor = { 0 };
    struct memo policy, errors;
    char when[AG_WHEN];
    defupd_code rc;

    export_policy(args, &policy, &errors);
    ag_preflight_run(&preflight, &doctor, args); /* becomes the store's owner */
    rc = ag_pack_open(&bundle->pack, fd, bundle->err);
    if (rc != DEFUPD_OK) {
        ag_doctor_free(&doctor);
        return rc;
    }
    (void)fprintf(bundle->list, "Made by defupd %s at %s.\nCredentials in URLs are blanked.\n\n",
                  defupd_version(), ag_time(when, bundle->now));
    add_versions(bundle);
    memo_add(bundle, &policy, "policy.xml");
    memo_add(bundle, &errors, "policy.messages");
    add_preflight(bundle, &preflight);
    add_doctor(bundle, &doctor);
    ag_doctor_free(&doctor);
    add_status(bundle);
    add_store(bundle);
    add_logs(bundle);
    add_listing(bundle);
    finish_contents(bundle);
    if (bundle->rc == DEFUPD_OK)
        return ag_pack_close(bundle->pack, bundle->err);
    {
        defupd_error ignored = { 0 };
        (void)!ag_pack_close(bundle->pack, &ignored);
    }
    return bundle->rc;
}

static defupd_code make(struct bundle *bundle, const struct ag_args *args, const char *path)
{
    struct tm tm;
    const time_t now = (time_t)bundle->now;
    defupd_code rc;
    int fd;

    AG_TRY(open_output(path, &fd, bundle->err));
    bundle->list = open_memstream(&bundle->contents, &bundle->contents_bytes);
    (void)strftime(bundle->top, sizeof bundle->top, "defupd-support-%Y%m%dT%H%M%SZ/",
                   gmtime_r(&now, &tm));
    rc = bundle->list != NULL ? write_bundle(bundle, args, fd)
                              : AG_FAIL(bundle->err, DEFUPD_E_NOMEM, "out of memory");
    if (rc == DEFUPD_OK && fsync(fd) != 0)
        rc = AG_FAIL_ERRNO(bundle->err, errno == ENOSPC ? DEFUPD_E_NO_SPACE : DEFUPD_E_IO,
                           "cannot write %s", path);
    /* Whoever became the store's owner may not remove it any more: then an empty file is left. */
    if (rc != DEFUPD_OK && unlink(path) != 0)
        (void)!ftruncate(fd, 0);
    (void)close(fd);
    return rc;
}

static void print(const struct bundle *bundle, const struct ag_args *args, const char *path,
                  FILE *out)
{
    char amount[AG_AMOUNT];
    struct stat st;

    if (ag_given(args, AG_OPT_QUIET))
        return;
    if (stat(path, &st) != 0)
        st.st_size = 0;
    ag_line(out, "%s: %s, %u files; contents.txt in it tells what they are and the %u left out.",
            path, ag_bytes(amount, (uint64_t)st.st_size), bundle->files, bundle->left);
}

int ag_support_bundle(const struct ag_args *args, FILE *out, FILE *errors)
{
    const char *path = args->value[AG_OPT_OUTPUT], *dir = args->value[AG_OPT_STATE_DIR];
    defupd_error err = { 0 };
    struct bundle bundle = { .now = (int64_t)time(NULL), .err = &err };
    char *own = NULL;
    defupd_code rc;

    if (dir != NULL && dir[0] != '/') {
        char *here = getcwd(NULL, 0);

        if (here == NULL || asprintf(&own, "%s/%s", here, dir) < 0)
            own = NULL;
        free(here);
    }
    bundle.state_dir = own != NULL ? own : dir != NULL ? dir : AG_DEFAULT_STATE_DIR;
    if (path == NULL)
        rc = AG_FAIL(&err, DEFUPD_E_INVALID, "'support-bundle' needs -o FILE");
    else
        rc = make(&bundle, args, path);
    if (bundle.list != NULL)
        (void)fclose(bundle.list);
    free(bundle.contents);
    if (rc == DEFUPD_OK)
        print(&bundle, args, path, out);
    else
        ag_text_error(errors, &err, args->verbose > 0);
    free(own);
    return defupd_code_exit(rc);
}
