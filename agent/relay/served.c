/* SPDX-License-Identifier: Apache-2.0 */
/* Lines "KEY NUMBER" between a first line with the version and a last one with a sum. */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fail.h"
#include "relay/relay.h"
#include "report/disk.h"

#define HEAD "defupd-relay-served 1\n"
#define BYTES_MAX 4096u

enum width { SIGNED, WIDE, NARROW };
static const struct {
    const char *key;
    size_t offset;
    enum width width;
} fields[] = {
    { "since", offsetof(struct ag_served, since), SIGNED },
    { "written", offsetof(struct ag_served, written), SIGNED },
    { "pid", offsetof(struct ag_served, pid), SIGNED },
    { "failed", offsetof(struct ag_served, failed), SIGNED },
    { "requests", offsetof(struct ag_served, figures.requests), WIDE },
    { "whole", offsetof(struct ag_served, figures.whole), WIDE },
    { "part", offsetof(struct ag_served, figures.part), WIDE },
    { "unchanged", offsetof(struct ag_served, figures.unchanged), WIDE },
    { "missing", offsetof(struct ag_served, figures.missing), WIDE },
    { "limited", offsetof(struct ag_served, figures.limited), WIDE },
    { "refused", offsetof(struct ag_served, figures.refused), WIDE },
    { "connections", offsetof(struct ag_served, figures.connections), WIDE },
    { "turned-away", offsetof(struct ag_served, figures.turned_away), WIDE },
    { "cut", offsetof(struct ag_served, figures.cut), WIDE },
    { "bytes", offsetof(struct ag_served, figures.bytes), WIDE },
    { "hits", offsetof(struct ag_served, figures.hits), WIDE },
    { "misses", offsetof(struct ag_served, figures.misses), WIDE },
    { "unfetched", offsetof(struct ag_served, figures.unfetched), WIDE },
    { "open", offsetof(struct ag_served, figures.open), NARROW },
    { "clients", offsetof(struct ag_served, figures.clients), NARROW },
};
#define FIELDS (sizeof fields / sizeof fields[0])

static uint64_t sum_of(const char *bytes, size_t count)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (size_t i = 0; i < count; i++)
        sum = (sum ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    return sum;
}

static uint64_t get(const struct ag_served *served, size_t field)
{
    const char *at = (const char *)served + fields[field].offset;

    switch (fields[field].width) {
    case SIGNED: return (uint64_t) * (const int64_t *)(const void *)at;
    case WIDE: return *(const uint64_t *)(const void *)at;
    case NARROW: return *(const uint32_t *)(const void *)at;
    }
    return 0;
}

static void put(struct ag_served *served, size_t field, uint64_t value)
{
    char *at = (char *)served + fields[field].offset;

    switch (fields[field].width) {
    case SIGNED: *(int64_t *)(void *)at = (int64_t)value; break;
    case WIDE: *(uint64_t *)(void *)at = value; break;
    case NARROW: *(uint32_t *)(void *)at = (uint32_t)value; break;
    }
}

defupd_code ag_served_write(const char *state_dir, const struct ag_served *served,
                            defupd_error *err)
{
    const int dir = ag_disk_folder(&ag_disk_posix, state_dir, "relay", 0, 0);
    char text[BYTES_MAX] = HEAD;
    size_t used = sizeof HEAD - 1;
    int rc;

    if (dir < 0)
        return AG_FAIL_ERRNO(err, DEFUPD_E_IO, "cannot open %s/relay", state_dir);
    for (size_t i = 0; i < FIELDS; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s %" PRIu64 "\n", fields[i].key,
                                 get(served, i));
    used += (size_t)snprintf(text + used, sizeof text - used, "sum %016" PRIx64 "\n",
                             sum_of(text, used));
    rc = ag_disk_replace(&ag_disk_posix, dir, "served", text, used, 0644, 0);
    if (rc != 0)
        (void)AG_FAIL_ERRNO(err, DEFUPD_E_IO, "cannot write %s/relay/served", state_dir);
    (void)close(dir);
    return rc == 0 ? DEFUPD_OK : DEFUPD_E_IO;
}

static bool take_line(struct ag_served *out, char *line)
{
    char *space = strchr(line, ' '), *end;
    uint64_t value;

    if (space == NULL || space[1] < '0' || space[1] > '9')
        return false;
    *space = '\0';
    errno = 0;
    value = strtoull(space + 1, &end, 10);
    if (errno != 0 || *end != '\0')
        return false;
    for (size_t i = 0; i < FIELDS; i++) {
        if (strcmp(fields[i].key, line) == 0)
            put(out, i, value);
    }
    return true; /* others are a later version's */
}

static bool parse(struct ag_served *out, char *text, size_t count)
{
    char *sum = count > 21 ? text + count - 21 : text, *line = text + sizeof HEAD - 1, *next;
    char right[32];

    if (strlen(text) != count || strncmp(text, HEAD, sizeof HEAD - 1) != 0)
        return false;
    (void)snprintf(right, sizeof right, "sum %016" PRIx64 "\n", sum_of(text, (size_t)(sum - text)));
    if (strcmp(sum, right) != 0)
        return false;
    for (*sum = '\0'; *line != '\0'; line = next + 1) {
        next = strchr(line, '\n');
        if (next == NULL)
            return false;
        *next = '\0';
        if (!take_line(out, line))
            return false;
    }
    return true;
}

defupd_code ag_served_read(struct ag_served *out, const char *state_dir, defupd_error *err)
{
    const int dir = ag_disk_folder(&ag_disk_posix, state_dir, "relay", 0, 0);
    struct ag_served served = { 0 };
    char *text = NULL;
    size_t count = 0;
    int rc;
    bool ok;

    *out = served;
    if (dir < 0)
        return errno == ENOENT ? DEFUPD_OK
                               : AG_FAIL_ERRNO(err, DEFUPD_E_IO, "cannot open %s/relay", state_dir);
    rc = ag_disk_read(&ag_disk_posix, dir, "served", BYTES_MAX, &text, &count);
    if (rc != 0 && errno != ENOENT) {
        (void)AG_FAIL_ERRNO(err, DEFUPD_E_IO, "cannot read %s/relay/served", state_dir);
        (void)close(dir);
        return DEFUPD_E_IO;
    }
    (void)close(dir);
    ok = rc != 0 || parse(&served, text, count);
    free(text);
    if (!ok)
        return AG_FAIL(err, DEFUPD_E_STORE_CORRUPT, "%s/relay/served is damaged", state_dir);
    *out = served;
    return DEFUPD_OK;
}
