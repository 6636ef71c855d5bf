/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata and manifests are small and asked for by everybody: they are kept in memory with their
 * finished answers. Whether a file is still the one that was read is asked of the system each time
 * (one call), so nothing is served later than from the disk. The table has a fixed number of
 * places; who comes to a taken one takes it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve_priv.h"

#define PLACES 256u

struct du_hots {
    struct du_hot places[PLACES];
};

struct du_hots *du_hots_new(void)
{
    struct du_hots *hots = calloc(1, sizeof *hots);

    for (unsigned i = 0; hots != NULL && i < PLACES; i++)
        (void)pthread_mutex_init(&hots->places[i].lock, NULL);
    return hots;
}

static void forget(struct du_hot *hot)
{
    if (hot->whole != NULL)
        MHD_destroy_response(hot->whole);
    if (hot->unchanged != NULL)
        MHD_destroy_response(hot->unchanged);
    free(hot->bytes);
    hot->whole = hot->unchanged = NULL;
    hot->bytes = NULL;
    hot->path[0] = '\0';
}

void du_hots_free(struct du_hots *hots)
{
    if (hots == NULL)
        return;
    for (unsigned i = 0; i < PLACES; i++) {
        forget(&hots->places[i]);
        (void)pthread_mutex_destroy(&hots->places[i].lock);
    }
    free(hots);
}

/* FNV-1a, 64 bit. */
static uint64_t fold(const char *bytes, size_t count)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < count; i++)
        sum = (sum ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    return sum;
}

/* The same file, not written to since: its change time moves with every write and rename. */
static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bool read_whole(int fd, char *out, size_t count)
{
    for (size_t done = 0; done < count;) {
        const ssize_t n = read(fd, out + done, count - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static bool make_answers(struct du_hot *hot)
{
    const int64_t changed = (int64_t)hot->state.st_mtim.tv_sec;

    hot->whole = MHD_create_response_from_buffer(hot->size, hot->bytes, MHD_RESPMEM_MUST_COPY);
    hot->unchanged = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    return hot->whole != NULL && hot->unchanged != NULL &&
           du_file_headers(hot->whole, hot->path, hot->etag, changed, true) &&
           du_file_headers(hot->unchanged, hot->path, hot->etag, changed, false);
}

/* Two relays, and one before and after its restart, have the same ETag for the same content, and
 * two contents of one length and one second have not. */
static bool load(struct du_hot *hot, int dir, const char *path)
{
    struct stat st;
    const int fd = du_file_open(dir, path, &st);
    bool ok;

    forget(hot);
    if (fd < 0)
        return false;
    hot->size = (uint64_t)st.st_size;
    ok = hot->size <= DU_HOT_SIZE && (hot->bytes = malloc(hot->size + 1)) != NULL &&
         read_whole(fd, hot->bytes, hot->size);
    (void)close(fd);
    if (!ok) {
        forget(hot);
        return false;
    }
    hot->state = st;
    (void)snprintf(hot->path, sizeof hot->path, "%s", path);
    (void)snprintf(hot->etag, sizeof hot->etag, "\"%" PRIx64 "-%016" PRIx64 "\"", hot->size,
                   fold(hot->bytes, hot->size));
    if (!make_answers(hot))
        forget(hot);
    return hot->path[0] != '\0';
}

struct du_hot *du_hot_get(struct du_hots *hots, int dir, const char *path)
{
    const size_t length = strlen(path);
    struct du_hot *hot;
    struct stat st;

    if ((strncmp(path, "/metadata/", 10) != 0 && strncmp(path, "/targets/", 9) != 0) ||
        length >= DU_HOT_PATH)
        return NULL;
    /* Through a link this would be another file than the one that was opened without following
     * any, and then it is not the same. */
    if (fstatat(dir, path + 1, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) ||
        (uint64_t)st.st_size > DU_HOT_SIZE)
        return NULL;
    hot = &hots->places[fold(path, length) % PLACES];
    (void)pthread_mutex_lock(&hot->lock);
    if ((strcmp(hot->path, path) == 0 && same(&hot->state, &st)) || load(hot, dir, path))
        return hot;
    (void)pthread_mutex_unlock(&hot->lock);
    return NULL;
}

void du_hot_done(struct du_hot *hot)
{
    (void)pthread_mutex_unlock(&hot->lock);
}
