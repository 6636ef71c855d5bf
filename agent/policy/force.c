/* SPDX-License-Identifier: Apache-2.0 */
/* Which policy counts. A mistake in the file must not change what a host does: the last good policy
 * stays in force until the file is right again. */
#include "policy/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"
#include "files.h"

#define SUM_LINE "<!-- crc32 %08x -->\n"
#define SUM_LENGTH (sizeof "<!-- crc32 00000000 -->\n" - 1)
#define LAST_MAX (2u * AG_POLICY_BYTES_MAX) /* several files in one, laid out anew */

/* CRC-32 of ISO 3309. Against rot and half an edit, not against anybody: whoever can write the
 * store can do more than that. */
static uint32_t crc32_of(const char *bytes, size_t count)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < count; i++) {
        crc ^= (unsigned char)bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (UINT32_C(0xedb88320) & (0 - (crc & 1)));
    }
    return ~crc;
}

static bool sum_is_right(const char *bytes, size_t count)
{
    char line[SUM_LENGTH + 1];

    if (count <= SUM_LENGTH)
        return false;
    (void)snprintf(line, sizeof line, SUM_LINE, crc32_of(bytes, count - SUM_LENGTH));
    return memcmp(line, bytes + count - SUM_LENGTH, SUM_LENGTH) == 0;
}

static char *last_path(const char *state_dir)
{
    char *path;

    return asprintf(&path, "%s/%s", state_dir, AG_POLICY_LAST) < 0 ? NULL : path;
}

/* The kept file's bytes, yours to free(); NULL when there is none that can be read. */
static char *read_last(const char *path, uid_t owner, size_t *count)
{
    char *bytes = malloc(LAST_MAX);
    defupd_error ignored;
    ssize_t n = -1;
    int fd;

    *count = 0;
    if (bytes == NULL || ag_policy_open(&fd, path, owner, false, &ignored) != DEFUPD_OK) {
        free(bytes);
        return NULL;
    }
    while (*count < LAST_MAX && (n = read(fd, bytes + *count, LAST_MAX - *count)) > 0)
        *count += (size_t)n;
    (void)close(fd);
    if (n == 0)
        return bytes;
    free(bytes);
    return NULL;
}

/* NULL when there is none, or it is damaged: it then says nothing. */
static struct ag_policy *load_last(const char *state_dir, uid_t owner)
{
    char *path = last_path(state_dir);
    size_t count = 0;
    char *bytes = path != NULL ? read_last(path, owner, &count) : NULL;
    struct ag_policy *policy = calloc(1, sizeof *policy);
    struct ag_findings findings = { 0 };
    defupd_error ignored;

    if (bytes == NULL || policy == NULL || !sum_is_right(bytes, count) ||
        ag_policy_read(policy, path, bytes, count, &findings, &ignored) != DEFUPD_OK) {
        ag_policy_free(policy);
        policy = NULL;
    }
    ag_findings_free(&findings);
    free(bytes);
    free(path);
    return policy;
}

static bool is_missing(const char *path)
{
    struct stat st;

    return stat(path, &st) != 0 && errno == ENOENT;
}

defupd_code ag_force_load(struct ag_force *force, const char *config, const char *standard,
                          const char *state_dir, uid_t owner, defupd_error *err)
{
    bool missing;
    defupd_code rc;

    *force = (struct ag_force){ 0 };
    if (config == NULL && standard == NULL)
        return DEFUPD_OK;
    AG_TRY(ag_path_absolute(&force->path, config != NULL ? config : standard, err));
    missing = is_missing(force->path);
    rc = ag_policy_load(&force->policy, force->path, owner, 0, &force->findings, err);
    if (rc == DEFUPD_OK) {
        force->from = AG_FORCE_FILE;
        return DEFUPD_OK;
    }
    if (rc != DEFUPD_E_POLICY && rc != DEFUPD_E_POLICY_OWNER)
        return rc;
    force->policy = load_last(state_dir, owner);
    if (force->policy != NULL) {
        force->from = AG_FORCE_LAST;
        force->error = *err;
        return DEFUPD_OK;
    }
    if (config == NULL && missing) { /* there never was one */
        ag_findings_free(&force->findings);
        return DEFUPD_OK;
    }
    return rc;
}

defupd_code ag_force_keep(const struct ag_force *force, defupd_client *client,
                          const char *state_dir, defupd_error *err)
{
    char *from = NULL, *bytes = NULL, *whole = NULL, *path = NULL, *kept = NULL;
    size_t kept_count = 0;
    defupd_code rc;
    int length = -1;

    if (force->from != AG_FORCE_FILE)
        return DEFUPD_OK;
    if (asprintf(&from, "The last good policy, read from %s. Written by defupd.", force->path) < 0)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while keeping the policy");
    rc = ag_policy_write(&bytes, force->policy, from, err);
    free(from);
    if (rc != DEFUPD_OK)
        return rc;
    path = last_path(state_dir);
    if (path != NULL)
        length = asprintf(&whole, "%s" SUM_LINE, bytes, crc32_of(bytes, strlen(bytes)));
    if (length < 0) {
        whole = NULL;
        rc = AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while keeping the policy");
    } else {
        kept = read_last(path, geteuid(), &kept_count);
        if (kept == NULL || kept_count != (size_t)length || memcmp(kept, whole, kept_count) != 0)
            rc = defupd_client_write_report(client, AG_POLICY_LAST, whole, (uint64_t)length, err);
    }
    free(bytes);
    free(whole);
    free(path);
    free(kept);
    return rc;
}

void ag_force_free(struct ag_force *force)
{
    ag_policy_free(force->policy);
    free(force->path);
    ag_findings_free(&force->findings);
    *force = (struct ag_force){ 0 };
}
