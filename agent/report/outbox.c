/* SPDX-License-Identifier: Apache-2.0 */
#include "report/outbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "outbox"
#define DROPPED "dropped"
#define FORM "%016" PRIu64 "-%s"
#define NAME_LENGTH (16 + 1 + AG_UID - 1)
/* A message holds what one run may add, a posture (of at most 1 MiB) and what left_out tells. */
#define POSTURE_MAX (1u << 20)
#define READ_MAX ((size_t)AG_MESSAGE_BYTES + POSTURE_MAX + 4096)

void ag_outbox_open(struct ag_outbox *outbox, const struct ag_disk *disk, const char *state_dir,
                    uint64_t max_bytes, bool make)
{
    *outbox = (struct ag_outbox){ .disk = disk,
                                  .dir = ag_disk_folder(disk, state_dir, FOLDER, make, 0700),
                                  .max_bytes = max_bytes != 0 ? max_bytes : AG_OUTBOX_BYTES };
}

void ag_outbox_close(struct ag_outbox *outbox)
{
    if (outbox->dir >= 0)
        (void)close(outbox->dir);
    outbox->dir = -1;
}

/* "NUMBER-ID" and the suffix: a name of ours. */
static bool is_ours(const char *name, const char *suffix)
{
    return strlen(name) == NAME_LENGTH + strlen(suffix) && strspn(name, "0123456789") == 16 &&
           name[16] == '-' && strspn(name + 17, "0123456789abcdef-") == AG_UID - 1 &&
           strcmp(name + NAME_LENGTH, suffix) == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct names {
    char **item;
    size_t count;
};

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->item[i]);
    free(names->item);
}

/* Our names with this suffix, in their order, suffix included. False without memory. */
static bool list(const struct ag_outbox *outbox, const char *suffix, struct names *names)
{
    const int fd = outbox->disk->openat(outbox->dir, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    bool done = dir != NULL;

    *names = (struct names){ 0 };
    if (dir == NULL && fd >= 0)
        (void)close(fd);
    while (done && (entry = readdir(dir)) != NULL) {
        char **grown;

        if (!is_ours(entry->d_name, suffix))
            continue;
        grown = reallocarray(names->item, names->count + 1, sizeof *grown);
        if (grown != NULL)
            names->item = grown;
        done = grown != NULL && (grown[names->count] = strdup(entry->d_name)) != NULL;
        names->count += done;
    }
    if (dir != NULL)
        (void)closedir(dir);
    if (!done) {
        names_free(names);
        return false;
    }
    if (names->count > 0)
        qsort(names->item, names->count, sizeof *names->item, by_name);
    return true;
}

static uint64_t number_of(const char *name)
{
    return strtoull(name, NULL, 10);
}

/* One above all that are there, under the folder's lock so that two runs do not take the same. */
static uint64_t next_number(const struct ag_outbox *outbox)
{
    static const char *const suffixes[] = { ".msg", ".part" };
    uint64_t last = 0;

    for (size_t i = 0; i < 2; i++) {
        struct names names;

        if (!list(outbox, suffixes[i], &names))
            return 0;
        if (names.count > 0 && number_of(names.item[names.count - 1]) > last)
            last = number_of(names.item[names.count - 1]);
        names_free(&names);
    }
    return last + 1;
}

static bool begin(struct ag_message *message, const struct ag_outbox *outbox)
{
    char uid[AG_UID], part[AG_OUTBOX_NAME + 8];
    uint64_t number;

    if (outbox->disk->flock(outbox->dir, LOCK_EX | LOCK_NB) != 0)
        return false;
    ag_uid(uid);
    number = next_number(outbox);
    (void)snprintf(message->name, sizeof message->name, FORM, number, uid);
    (void)snprintf(part, sizeof part, "%s.part", message->name);
    message->fd =
        number == 0
            ? -1
            : outbox->disk->openat(outbox->dir, part,
                                   O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW, 0600);
    /* Locked as long as its writer lives: so a crashed run's is known. */
    if (message->fd < 0 || outbox->disk->flock(message->fd, LOCK_EX | LOCK_NB) != 0)
        message->name[0] = '\0';
    if (message->name[0] == '\0' && message->fd >= 0) {
        (void)outbox->disk->unlinkat(outbox->dir, part, 0);
        (void)close(message->fd);
    }
    (void)outbox->disk->flock(outbox->dir, LOCK_UN);
    return message->name[0] != '\0';
}

static void add(struct ag_message *message, const struct ag_outbox *outbox, const char *line,
                uint64_t most)
{
    const size_t length = strlen(line);
    char *whole;

    if (outbox->dir < 0)
        return;
    if (message->name[0] == '\0' && !begin(message, outbox)) {
        message->left_out++;
        return;
    }
    whole = length > most ? NULL : malloc(length + 1);
    if (whole == NULL) {
        message->left_out++;
        return;
    }
    memcpy(whole, line, length);
    whole[length] = '\n';
    /* A line of which a part was written is not JSON, and the next one begins with a line break. */
    if (ag_disk_write(outbox->disk, message->fd, whole, length + 1) != 0) {
        message->left_out++;
        (void)!ag_disk_write(outbox->disk, message->fd, "\n", 1);
    }
    message->bytes += length + 1;
    free(whole);
}

void ag_message_add(struct ag_message *message, const struct ag_outbox *outbox, const char *line)
{
    add(message, outbox, line,
        message->bytes < AG_MESSAGE_BYTES ? AG_MESSAGE_BYTES - message->bytes : 0);
}

void ag_message_posture(struct ag_message *message, const struct ag_outbox *outbox,
                        const char *line)
{
    add(message, outbox, line, POSTURE_MAX);
}

uint64_t ag_outbox_dropped(const struct ag_outbox *outbox)
{
    uint64_t dropped = 0;
    char *text = NULL;
    size_t count;

    if (ag_disk_read(outbox->disk, outbox->dir, DROPPED, 32, &text, &count) == 0)
        dropped = strtoull(text, NULL, 10);
    free(text);
    return dropped;
}

void ag_outbox_remove(const struct ag_outbox *outbox, const char *name, bool dropped)
{
    char file[AG_OUTBOX_NAME + 8], text[32];

    /* Counted first: a crash in between counts one too many, not one too few. */
    if (dropped) {
        (void)snprintf(text, sizeof text, "%" PRIu64 "\n", ag_outbox_dropped(outbox) + 1);
        (void)!ag_disk_replace(outbox->disk, outbox->dir, DROPPED, text, strlen(text), 0600, 1);
    }
    (void)snprintf(file, sizeof file, "%s.msg", name);
    if (outbox->disk->unlinkat(outbox->dir, file, 0) == 0)
        (void)outbox->disk->fsync(outbox->dir); /* else it is sent once more: its id tells */
}

/* Drop the oldest until the rest fits. */
static void keep_bounds(const struct ag_outbox *outbox)
{
    struct names names;
    uint64_t bytes = 0;
    size_t keep;

    if (!list(outbox, ".msg", &names))
        return;
    for (keep = names.count; keep > 0 && names.count - keep < AG_OUTBOX_COUNT; keep--) {
        struct stat st;

        if (fstatat(outbox->dir, names.item[keep - 1], &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        bytes += (uint64_t)st.st_size;
        if (bytes > outbox->max_bytes)
            break;
    }
    for (size_t i = 0; i < keep; i++) {
        names.item[i][NAME_LENGTH] = '\0';
        ag_outbox_remove(outbox, names.item[i], true);
    }
    names_free(&names);
}

static void complete(const struct ag_outbox *outbox, const char *name)
{
    char part[AG_OUTBOX_NAME + 8], msg[AG_OUTBOX_NAME + 8];

    (void)snprintf(part, sizeof part, "%s.part", name);
    (void)snprintf(msg, sizeof msg, "%s.msg", name);
    if (outbox->disk->renameat(outbox->dir, part, outbox->dir, msg) == 0)
        (void)outbox->disk->fsync(outbox->dir); /* else adopted after a loss of power */
}

void ag_message_end(struct ag_message *message, const struct ag_outbox *outbox)
{
    char line[64];

    if (outbox->dir < 0 || message->name[0] == '\0')
        return;
    if (message->left_out > 0) {
        (void)snprintf(line, sizeof line, "{\"left_out\":%u}\n", message->left_out);
        (void)!ag_disk_write(outbox->disk, message->fd, line, strlen(line));
    }
    (void)outbox->disk->fsync(message->fd);
    complete(outbox, message->name);
    (void)close(message->fd);
    message->name[0] = '\0';
    keep_bounds(outbox);
}

void ag_outbox_adopt(const struct ag_outbox *outbox)
{
    struct names names;

    if (!list(outbox, ".part", &names))
        return;
    for (size_t i = 0; i < names.count; i++) {
        const int fd = outbox->disk->openat(outbox->dir, names.item[i], O_RDONLY | O_NOFOLLOW, 0);

        if (fd >= 0 && outbox->disk->flock(fd, LOCK_EX | LOCK_NB) == 0) {
            names.item[i][NAME_LENGTH] = '\0';
            complete(outbox, names.item[i]);
        }
        if (fd >= 0)
            (void)close(fd);
    }
    names_free(&names);
    keep_bounds(outbox);
}

bool ag_outbox_next(const struct ag_outbox *outbox, const char *after, char name[AG_OUTBOX_NAME])
{
    struct names names;
    bool found = false;

    if (!list(outbox, ".msg", &names))
        return false;
    for (size_t i = 0; i < names.count && !found; i++) {
        names.item[i][NAME_LENGTH] = '\0';
        found = strcmp(names.item[i], after) > 0;
        if (found)
            memcpy(name, names.item[i], NAME_LENGTH + 1);
    }
    names_free(&names);
    return found;
}

size_t ag_outbox_count(const struct ag_outbox *outbox)
{
    struct names names;
    size_t count;

    if (!list(outbox, ".msg", &names))
        return 0;
    count = names.count;
    names_free(&names);
    return count;
}

int ag_outbox_read(const struct ag_outbox *outbox, const char *name, char **lines, size_t *count)
{
    char file[AG_OUTBOX_NAME + 8];

    (void)snprintf(file, sizeof file, "%s.msg", name);
    return ag_disk_read(outbox->disk, outbox->dir, file, READ_MAX, lines, count);
}
