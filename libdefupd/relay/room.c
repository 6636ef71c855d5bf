/* SPDX-License-Identifier: Apache-2.0 */
/* A cache that is full: the least recently used objects go. When one was used is the access time of
 * its file, which du_relay_used() sets, whatever the file system's own habits are. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "relay/relay_priv.h"

struct kept {
    unsigned char sha256[DU_SHA256_BYTES];
    uint64_t bytes;
    int64_t used_ns;
};

struct heap {
    struct kept *item;
    size_t count, room;
    uint64_t bytes;
};

static defupd_code note(struct heap *heap, const unsigned char sha256[DU_SHA256_BYTES],
                        const struct stat *st, defupd_error *err)
{
    struct kept *more = heap->item;

    if (heap->count == heap->room) {
        const size_t room = heap->room > 0 ? 2 * heap->room : 256;

        more = reallocarray(heap->item, room, sizeof *more);
        if (more == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a list of objects");
        heap->item = more;
        heap->room = room;
    }
    more = &heap->item[heap->count++];
    memcpy(more->sha256, sha256, DU_SHA256_BYTES);
    more->bytes = (uint64_t)st->st_size;
    more->used_ns = (int64_t)st->st_atim.tv_sec * 1000000000 + st->st_atim.tv_nsec;
    heap->bytes += more->bytes;
    return DEFUPD_OK;
}

static defupd_code look_into(const struct du_relay *relay, int objects, const char *sub,
                             struct heap *heap, defupd_error *err)
{
    const struct du_sys *sys = relay->options.sys;
    DU_AUTO_NAMES names = { 0 };
    DU_AUTO_FD dir = -1;
    defupd_error why = { 0 };

    if (du_dir_open(sys, objects, sub, false, 0, &dir, &why) != DEFUPD_OK ||
        du_dir_names(sys, dir, &names, &why) != DEFUPD_OK)
        return why.code == DEFUPD_E_NOMEM ? DU_FAIL(err, DEFUPD_E_NOMEM, "%s", why.message)
                                          : DEFUPD_OK;
    for (size_t i = 0; i < names.count; i++) {
        unsigned char sha256[DU_SHA256_BYTES];
        struct stat st;

        if (du_unhex(sha256, sizeof sha256, names.item[i]) &&
            fstatat(dir, names.item[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            DU_TRY(note(heap, sha256, &st, err));
    }
    return DEFUPD_OK;
}

static int by_use(const void *a, const void *b)
{
    const struct kept *left = a, *right = b;

    return left->used_ns < right->used_ns ? -1 : left->used_ns > right->used_ns;
}

/* Who reads it still has it open. Not made durable: what comes back with the power is only there.
 */
static bool drop(const struct du_relay *relay, int objects, const struct kept *kept)
{
    char name[DU_SHA256_HEX + 1];
    DU_AUTO_FD dir = -1;
    defupd_error ignored;

    return du_relay_object_dir(relay, objects, kept->sha256, false, &dir, name, &ignored) ==
               DEFUPD_OK &&
           relay->options.sys->unlinkat(dir, name, 0) == 0;
}

defupd_code du_relay_make_room(const struct du_relay *relay, int objects, uint64_t bytes,
                               uint64_t *removed, defupd_error *err)
{
    const uint64_t most = relay->options.max_bytes;
    DU_AUTO_NAMES subs = { 0 };
    struct heap heap = { 0 };
    defupd_code rc = DEFUPD_OK;

    if (most == 0)
        return DEFUPD_OK;
    if (bytes > most)
        return DU_FAIL(err, DEFUPD_E_NO_SPACE,
                       "an object of %" PRIu64 " bytes does not fit into a cache of %" PRIu64,
                       bytes, most);
    DU_TRY(du_dir_names(relay->options.sys, objects, &subs, err));
    for (size_t i = 0; rc == DEFUPD_OK && i < subs.count; i++)
        rc = look_into(relay, objects, subs.item[i], &heap, err);
    if (rc == DEFUPD_OK && heap.count > 0)
        qsort(heap.item, heap.count, sizeof *heap.item, by_use);
    for (size_t i = 0; rc == DEFUPD_OK && i < heap.count && heap.bytes > most - bytes; i++) {
        if (drop(relay, objects, &heap.item[i])) {
            heap.bytes -= heap.item[i].bytes;
            ++*removed;
        }
    }
    if (rc == DEFUPD_OK && heap.bytes > most - bytes)
        rc = DU_FAIL(err, DEFUPD_E_NO_SPACE, "the cache is full, and nothing can be removed");
    free(heap.item);
    return rc;
}
