/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which objects verified manifests name, for who fetches on demand: nothing else is asked for. In
 * the form of a fact: lines "HEX BYTES LEFT", sorted (docs/formats/relay.md).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "relay/relay_priv.h"
#include "trust/trust.h"

void du_named_free(struct du_named *named)
{
    du_mem_free(&named->item);
    *named = (struct du_named){ 0 };
}

defupd_code du_named_add(struct du_named *named, const unsigned char sha256[DU_SHA256_BYTES],
                         uint64_t bytes, int64_t left, defupd_error *err)
{
    if (named->count == named->room) {
        const size_t room = named->room > 0 ? 2 * named->room : 256;
        struct du_named_item *more = reallocarray(named->item, room, sizeof *more);

        if (more == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the names of objects");
        named->item = more;
        named->room = room;
    }
    named->item[named->count] = (struct du_named_item){ .bytes = bytes, .left = left };
    memcpy(named->item[named->count++].sha256, sha256, DU_SHA256_BYTES);
    return DEFUPD_OK;
}

static int by_digest(const void *a, const void *b)
{
    const struct du_named_item *left = a, *right = b;
    const int order = memcmp(left->sha256, right->sha256, DU_SHA256_BYTES);

    if (order != 0)
        return order;
    return left->left < right->left ? -1 : left->left > right->left;
}

void du_named_sort(struct du_named *named)
{
    size_t kept = 0;

    if (named->count == 0)
        return;
    qsort(named->item, named->count, sizeof *named->item, by_digest);
    for (size_t i = 1; i < named->count; i++) {
        if (memcmp(named->item[kept].sha256, named->item[i].sha256, DU_SHA256_BYTES) != 0)
            named->item[++kept] = named->item[i];
    }
    named->count = kept + 1;
}

static int find_digest(const void *key, const void *item)
{
    return memcmp(key, ((const struct du_named_item *)item)->sha256, DU_SHA256_BYTES);
}

const struct du_named_item *du_named_find(const struct du_named *named,
                                          const unsigned char sha256[DU_SHA256_BYTES])
{
    return named->count == 0
               ? NULL
               : bsearch(sha256, named->item, named->count, sizeof *named->item, find_digest);
}

static defupd_code read_line(struct du_named *named, char *line, defupd_error *err)
{
    unsigned char sha256[DU_SHA256_BYTES];
    const char *hex = strsep(&line, " "), *bytes = strsep(&line, " ");
    uint64_t count, left;

    if (bytes == NULL || line == NULL || !du_unhex(sha256, sizeof sha256, hex) ||
        !du_parse_u64(bytes, INT64_MAX, &count) || !du_parse_u64(line, INT64_MAX, &left))
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "relay/named: a line is malformed");
    return du_named_add(named, sha256, count, (int64_t)left, err);
}

defupd_code du_named_read(struct du_named *named, const struct du_sys *sys, int top,
                          defupd_error *err)
{
    DU_AUTO_BUF bytes = DU_BUF(DU_NAMED_MAX);
    DU_AUTO_NAMED read = { 0 };
    size_t body;
    char *at;

    DU_TRY(du_file_read(sys, top, "named", &bytes, err));
    if (!du_fact_holds(du_buf_bytes(&bytes), &body))
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "relay/named is damaged");
    bytes.data[body - 1] = '\0'; /* the last line's end */
    at = (char *)bytes.data + strlen(DU_FACT_HEAD);
    while (body > strlen(DU_FACT_HEAD) && at != NULL)
        DU_TRY(read_line(&read, strsep(&at, "\n"), err));
    du_named_sort(&read);
    du_named_free(named);
    *named = read;
    read = (struct du_named){ 0 };
    return DEFUPD_OK;
}

defupd_code du_named_write(const struct du_named *named, const struct du_sys *sys, int top,
                           defupd_error *err)
{
    DU_AUTO_BUF text = DU_BUF(DU_NAMED_MAX), old = DU_BUF(DU_NAMED_MAX);
    char hex[DU_SHA256_HEX + 1];

    DU_TRY(du_buf_add_text(&text, DU_FACT_HEAD, err));
    for (size_t i = 0; i < named->count; i++) {
        const struct du_named_item *item = &named->item[i];

        du_hex(hex, item->sha256, DU_SHA256_BYTES);
        DU_TRY(du_buf_printf(&text, err, "%s %" PRIu64 " %" PRId64 "\n", hex, item->bytes,
                             item->left));
    }
    DU_TRY(du_fact_seal(&text, 0, err));
    if (du_file_read(sys, top, "named", &old, err) == DEFUPD_OK && old.len == text.len &&
        memcmp(old.data, text.data, text.len) == 0)
        return DEFUPD_OK;
    return du_file_replace(sys, top, "named", text.data, text.len, 0644, err);
}
