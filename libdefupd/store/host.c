/* SPDX-License-Identifier: Apache-2.0 */
/* host-id: who this host is when a roll-out draws lots, and nothing that says which machine it is.
 * Bound to /etc/machine-id, so that clones of one image become several hosts. */
#include "store/store_priv.h"

#include <fcntl.h>
#include <string.h>

#include "crypto/crypto.h"

#define HOST_ID "host-id"
#define NO_MACHINE "none"

/* Digest of the machine's id in hex; "none" when the machine has none (yet): systemd writes
 * "uninitialized" into images that have not booted. */
static void machine_now(const struct du_sys *sys, char out[DU_SHA256_HEX + 1])
{
    DU_AUTO_BUF text = DU_BUF(4096);
    unsigned char digest[DU_SHA256_BYTES];
    defupd_error ignored;

    strcpy(out, NO_MACHINE);
    if (du_file_read(sys, AT_FDCWD, "/etc/machine-id", &text, &ignored) != DEFUPD_OK ||
        text.len == 0 || strncmp(du_buf_text(&text), "uninitialized", 13) == 0)
        return;
    du_sha256(digest, text.data, text.len);
    du_hex(out, digest, sizeof digest);
}

static bool read_host_id(const struct du_store *store, unsigned char id[DU_HOST_ID_BYTES],
                         char machine[DU_SHA256_HEX + 1], defupd_error *err)
{
    DU_AUTO_BUF text = DU_BUF(DU_FACT_BYTES_MAX);
    DU_AUTO_FACT fact = { 0 };
    unsigned char read[DU_HOST_ID_BYTES];
    char hex[2 * DU_HOST_ID_BYTES + 2]; /* one more, so that a longer value is seen */

    if (du_file_read(store->sys, store->dir, HOST_ID, &text, err) != DEFUPD_OK)
        return false;
    err->sys_errno = 0;
    if (!du_fact_parse(&fact, du_buf_bytes(&text)) ||
        du_fact_get(&fact, "id", hex, sizeof hex) == NULL ||
        du_fact_get(&fact, "machine", machine, DU_SHA256_HEX + 1) == NULL ||
        !du_unhex(read, sizeof read, hex))
        return false;
    memcpy(id, read, sizeof read);
    return true;
}

static defupd_code write_host_id(struct du_store *store, const unsigned char id[DU_HOST_ID_BYTES],
                                 const char *machine, defupd_error *err)
{
    DU_AUTO_BUF text = DU_BUF(DU_FACT_BYTES_MAX);
    DU_AUTO_FACT fact = { 0 };
    char hex[2 * DU_HOST_ID_BYTES + 1];

    du_hex(hex, id, DU_HOST_ID_BYTES);
    DU_TRY(du_fact_set(&fact, "id", hex, err));
    DU_TRY(du_fact_set(&fact, "machine", machine, err));
    DU_TRY(du_fact_print(&fact, &text, err));
    return du_store_replace(store, store->dir, HOST_ID, text.data, text.len, 0600, err);
}

/*
 * What is kept and what is made anew:
 *   there is none, or it is damaged              new
 *   the machine is known and another than then   new: this is a clone
 *   the machine was not known then, is now       the id stays, the machine is added
 *   the machine cannot be read now               stays as it is
 * No file descriptor or memory left is no damage: that is said instead.
 */
defupd_code du_store_host_id(struct du_store *store, unsigned char id[DU_HOST_ID_BYTES],
                             defupd_error *err)
{
    char now[DU_SHA256_HEX + 1], then[DU_SHA256_HEX + 1];
    unsigned char made[DU_HOST_ID_BYTES];

    DU_TRY(du_store_need_lock(store, err));
    machine_now(store->sys, now);
    if (read_host_id(store, made, then, err)) {
        const bool known_now = strcmp(now, NO_MACHINE) != 0;
        const bool known_then = strcmp(then, NO_MACHINE) != 0;

        if (!known_now || strcmp(now, then) == 0) {
            memcpy(id, made, sizeof made);
            return DEFUPD_OK;
        }
        if (!known_then) {
            DU_TRY(write_host_id(store, made, now, err));
            memcpy(id, made, sizeof made);
            return DEFUPD_OK;
        }
    } else if (err->sys_errno == EMFILE || err->sys_errno == ENFILE || err->sys_errno == ENOMEM) {
        return err->code;
    }
    if (store->sys->random(made, sizeof made) != 0)
        return DU_FAIL_IO(err, "get random bytes");
    DU_TRY(write_host_id(store, made, now, err));
    memcpy(id, made, sizeof made);
    return DEFUPD_OK;
}

bool du_store_host_id_peek(const struct du_store *store, unsigned char id[DU_HOST_ID_BYTES])
{
    char machine[DU_SHA256_HEX + 1];
    defupd_error ignored;

    return store->dir >= 0 && read_host_id(store, id, machine, &ignored);
}
