/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PART_MAX (DU_SHA256_HEX + sizeof ".part")

static void names_of(char whole[PART_MAX], char part[PART_MAX],
                     const unsigned char sha256[DU_SHA256_BYTES])
{
    du_hex(whole, sha256, DU_SHA256_BYTES);
    (void)snprintf(part, PART_MAX, "%.64s.part", whole);
}

static void note_name(char name[PART_MAX], const unsigned char sha256[DU_SHA256_BYTES])
{
    du_hex(name, sha256, DU_SHA256_BYTES);
    memcpy(name + DU_SHA256_HEX, ".from", sizeof ".from");
}

/* Downloads can be had again: what is no file in the place of one goes. */
static defupd_code drop_no_file(const struct du_store *store, int dir, const char *name,
                                defupd_error *err)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISREG(st.st_mode))
        return DEFUPD_OK;
    return du_tree_remove(store->sys, dir, name, NULL, err);
}

defupd_code du_store_download_open(struct du_store *store,
                                   const unsigned char sha256[DU_SHA256_BYTES], bool make,
                                   bool *complete, int *fd, defupd_error *err)
{
    /* Appending, so that a continued transfer cannot overwrite what is there. Not blocking, because
     * something else than a file may stand in the place. */
    const int part_flags = O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | (make ? O_CREAT : 0);
    char whole[PART_MAX], part[PART_MAX];
    DU_AUTO_FD dir = -1, opened = -1;
    struct stat st;

    names_of(whole, part, sha256);
    DU_TRY(du_store_sub(store, "downloads", &dir, err));
    if (store->lock >= 0) {
        DU_TRY(drop_no_file(store, dir, whole, err));
        DU_TRY(drop_no_file(store, dir, part, err));
    }
    opened = store->sys->openat(dir, whole, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    *complete = opened >= 0;
    if (opened < 0 && errno != ENOENT)
        return DU_FAIL_IO(err, "open downloads/%s", whole);
    if (opened < 0)
        opened = store->sys->openat(dir, part, part_flags, 0600);
    if (opened < 0)
        return DU_FAIL_IO(err, "open downloads/%s", part);
    if (fstat(opened, &st) != 0)
        return DU_FAIL_IO(err, "look at downloads/%s", whole);
    if (!S_ISREG(st.st_mode))
        return DU_FAIL(err, DEFUPD_E_IO, "downloads/%s is not a regular file",
                       *complete ? whole : part);
    *fd = du_take_fd(&opened);
    return DEFUPD_OK;
}

/* A crash before the last sync leaves HEX.part or HEX: both are hashed before they are used. */
defupd_code du_store_download_done(struct du_store *store,
                                   const unsigned char sha256[DU_SHA256_BYTES], int fd,
                                   defupd_error *err)
{
    char whole[PART_MAX], part[PART_MAX];
    DU_AUTO_FD dir = -1;

    DU_TRY(du_store_need_lock(store, err));
    names_of(whole, part, sha256);
    DU_TRY(du_store_sub(store, "downloads", &dir, err));
    if (store->sys->fsync(fd) != 0)
        return DU_FAIL_IO(err, "sync downloads/%s", part);
    if (store->sys->renameat(dir, part, dir, whole) != 0)
        return DU_FAIL_IO(err, "rename downloads/%s", part);
    note_name(part, sha256);
    (void)store->sys->unlinkat(dir, part, 0); /* else the sweep takes it */
    return du_dir_sync(store->sys, dir, "downloads", err);
}

defupd_code du_store_download_drop(struct du_store *store,
                                   const unsigned char sha256[DU_SHA256_BYTES], defupd_error *err)
{
    char whole[PART_MAX], part[PART_MAX];
    DU_AUTO_FD dir = -1;

    DU_TRY(du_store_need_lock(store, err));
    names_of(whole, part, sha256);
    DU_TRY(du_store_sub(store, "downloads", &dir, err));
    DU_TRY(du_tree_remove(store->sys, dir, whole, NULL, err));
    DU_TRY(du_tree_remove(store->sys, dir, part, NULL, err));
    note_name(part, sha256);
    DU_TRY(du_tree_remove(store->sys, dir, part, NULL, err));
    return du_dir_sync(store->sys, dir, "downloads", err);
}

void du_store_download_note_read(const struct du_store *store,
                                 const unsigned char sha256[DU_SHA256_BYTES], struct du_fact *fact)
{
    DU_AUTO_BUF bytes = DU_BUF(DU_FACT_BYTES_MAX);
    DU_AUTO_FD dir = -1;
    char name[PART_MAX];
    defupd_error ignored;

    du_fact_free(fact);
    note_name(name, sha256);
    if (du_store_sub(store, "downloads", &dir, &ignored) != DEFUPD_OK ||
        du_file_read(store->sys, dir, name, &bytes, &ignored) != DEFUPD_OK ||
        !du_fact_parse(fact, du_buf_bytes(&bytes)))
        du_fact_free(fact);
}

void du_store_download_note_write(struct du_store *store,
                                  const unsigned char sha256[DU_SHA256_BYTES],
                                  const struct du_fact *fact)
{
    DU_AUTO_BUF bytes = DU_BUF(DU_FACT_BYTES_MAX);
    DU_AUTO_FD dir = -1, fd = -1;
    char name[PART_MAX];
    defupd_error ignored;

    note_name(name, sha256);
    if (du_store_sub(store, "downloads", &dir, &ignored) != DEFUPD_OK)
        return;
    /* One that is torn says nothing, by its checksum. */
    fd = store->sys->openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    if (fd < 0 || du_fact_print(fact, &bytes, &ignored) != DEFUPD_OK ||
        du_write_all(store->sys, fd, bytes.data, bytes.len, name, &ignored) != DEFUPD_OK)
        return;
}

uint64_t du_store_download_bytes(const struct du_store *store,
                                 const unsigned char sha256[DU_SHA256_BYTES], bool *complete)
{
    char whole[PART_MAX], part[PART_MAX];
    DU_AUTO_FD dir = -1;
    defupd_error ignored;
    struct stat st;

    *complete = false;
    names_of(whole, part, sha256);
    if (du_store_sub(store, "downloads", &dir, &ignored) != DEFUPD_OK)
        return 0;
    *complete = fstatat(dir, whole, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (!*complete && fstatat(dir, part, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    return S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}
