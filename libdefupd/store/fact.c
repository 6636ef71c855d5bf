/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "crypto/crypto.h"
#include "sys/disk.h"

#define HEADER "defupd-fact 1\n"
#define SUM "sum "
#define SOURCE_NAME 32
#define SUM_LINE (sizeof SUM - 1 + DU_SHA256_HEX + 1)

static bool key_ok(const char *key, size_t len)
{
    return len > 0 && strspn(key, "abcdefghijklmnopqrstuvwxyz-") >= len;
}

/* Every line is "key value", without control bytes. */
static bool lines_ok(const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        const char *line = text + at;
        const char *end = memchr(line, '\n', len - at);
        const char *blank = end == NULL ? NULL : memchr(line, ' ', (size_t)(end - line));

        if (blank == NULL || !key_ok(line, (size_t)(blank - line)))
            return false;
        for (const char *c = blank; c < end; c++) {
            if ((unsigned char)*c < 0x20 || *c == 0x7f)
                return false;
        }
        at += (size_t)(end - line) + 1;
    }
    return true;
}

bool du_fact_parse(struct du_fact *fact, struct du_bytes bytes)
{
    const char *text = (const char *)bytes.data;
    const size_t head = sizeof HEADER - 1;
    unsigned char stated[DU_SHA256_BYTES], real[DU_SHA256_BYTES];
    char hex[DU_SHA256_HEX + 1];
    defupd_error ignored;
    size_t body;

    if (bytes.len < head + SUM_LINE || memcmp(text, HEADER, head) != 0)
        return false;
    body = bytes.len - SUM_LINE;
    if (memcmp(text + body, SUM, sizeof SUM - 1) != 0 || text[bytes.len - 1] != '\n')
        return false;
    memcpy(hex, text + body + sizeof SUM - 1, DU_SHA256_HEX);
    hex[DU_SHA256_HEX] = '\0';
    du_sha256(real, bytes.data, body);
    if (!du_unhex(stated, sizeof stated, hex) || memcmp(stated, real, sizeof real) != 0)
        return false;
    if (!lines_ok(text + head, body - head))
        return false;
    du_fact_free(fact);
    fact->text = DU_BUF(DU_FACT_BYTES_MAX);
    return du_buf_add(&fact->text, text + head, body - head, &ignored) == DEFUPD_OK;
}

defupd_code du_fact_print(const struct du_fact *fact, struct du_buf *out, defupd_error *err)
{
    unsigned char digest[DU_SHA256_BYTES];
    char hex[DU_SHA256_HEX + 1];

    DU_TRY(du_buf_add_text(out, HEADER, err));
    DU_TRY(du_buf_add(out, fact->text.data, fact->text.len, err));
    du_sha256(digest, out->data, out->len);
    du_hex(hex, digest, sizeof digest);
    return du_buf_printf(out, err, SUM "%s\n", hex);
}

static const char *const folders[] = {
    [DU_FACT_HOLD] = "holds",        [DU_FACT_QUARANTINE] = "quarantine",
    [DU_FACT_DISTRUST] = "distrust", [DU_FACT_SCHEDULE] = "schedule",
    [DU_FACT_SOURCE] = "sources",    [DU_FACT_TRIAL] = "trial",
};

/* "agent", which no component may be called, is the run as a whole. */
static bool name_ok(enum du_fact_kind kind, const char *name)
{
    uint64_t number;

    if (kind == DU_FACT_TRIAL)
        return du_version_parse(name, &number);
    if (kind == DU_FACT_SOURCE)
        return strlen(name) == SOURCE_NAME && strspn(name, "0123456789abcdef") == SOURCE_NAME;
    return du_name_ok(name) || (kind == DU_FACT_SCHEDULE && strcmp(name, "agent") == 0);
}

enum du_fact_state du_store_fact_read(const struct du_store *store, enum du_fact_kind kind,
                                      const char *name, struct du_fact *fact)
{
    DU_AUTO_BUF text = DU_BUF(DU_FACT_BYTES_MAX);
    DU_AUTO_FD dir = -1;
    defupd_error why = { 0 };

    *fact = (struct du_fact){ .text = DU_BUF(DU_FACT_BYTES_MAX) };
    if (!name_ok(kind, name))
        return DU_FACT_UNREADABLE;
    if (du_store_sub(store, folders[kind], &dir, &why) != DEFUPD_OK ||
        du_file_read(store->sys, dir, name, &text, &why) != DEFUPD_OK)
        return du_is_missing(&why) ? DU_FACT_ABSENT : DU_FACT_UNREADABLE;
    return du_fact_parse(fact, du_buf_bytes(&text)) ? DU_FACT_READ : DU_FACT_UNREADABLE;
}

defupd_code du_store_fact_names(const struct du_store *store, enum du_fact_kind kind,
                                struct du_names *out, defupd_error *err)
{
    DU_AUTO_FD dir = -1;
    DU_AUTO_NAMES found = { 0 };
    size_t n = 0;

    *out = (struct du_names){ 0 };
    if (du_store_sub(store, folders[kind], &dir, err) != DEFUPD_OK)
        return du_is_missing(err) ? DEFUPD_OK : err->code;
    DU_TRY(du_dir_names(store->sys, dir, &found, err));
    for (size_t i = 0; i < found.count; i++) {
        if (name_ok(kind, found.item[i]))
            found.item[n++] = found.item[i];
        else
            free(found.item[i]);
    }
    found.count = n;
    *out = found;
    found = (struct du_names){ 0 };
    return DEFUPD_OK;
}

defupd_code du_store_fact_write(struct du_store *store, enum du_fact_kind kind, const char *name,
                                const struct du_fact *fact, defupd_error *err)
{
    DU_AUTO_BUF text = DU_BUF(DU_FACT_BYTES_MAX);
    DU_AUTO_FD dir = -1;
    defupd_code rc;

    DU_TRY(du_store_need_lock(store, err));
    if (!name_ok(kind, name))
        return DU_FAIL(err, DEFUPD_E_BUG, "'%.64s' is no name for a fact", name);
    DU_TRY(du_store_sub(store, folders[kind], &dir, err));
    if (fact->text.len == 0) {
        rc = du_store_remove(store, dir, name, err);
    } else {
        DU_TRY(du_fact_print(fact, &text, err));
        rc = du_store_replace(store, dir, name, text.data, text.len, 0644, err);
    }
    return rc == DEFUPD_OK ? rc : du_err_prefix(err, "%s/%s", store->path, folders[kind]);
}

/* The next line of `key` from *at on; false at the end. [*begin, *end) is the line with its LF. */
static bool find_line(const struct du_fact *fact, const char *key, size_t *begin, size_t *end)
{
    const char *text = du_buf_text(&fact->text);
    const size_t key_len = strlen(key);

    for (size_t at = *end; at < fact->text.len;) {
        const size_t next = at + strcspn(text + at, "\n") + 1;
        if (strncmp(text + at, key, key_len) == 0 && text[at + key_len] == ' ') {
            *begin = at;
            *end = next;
            return true;
        }
        at = next;
    }
    return false;
}

const char *du_fact_get(const struct du_fact *fact, const char *key, char *out, size_t size)
{
    size_t begin = 0, end = 0;
    size_t len;

    if (size == 0 || !find_line(fact, key, &begin, &end))
        return NULL;
    begin += strlen(key) + 1;
    len = end - 1 - begin;
    if (len >= size)
        len = du_utf8_prefix(du_buf_text(&fact->text) + begin, size - 1);
    memcpy(out, du_buf_text(&fact->text) + begin, len);
    out[len] = '\0';
    return out;
}

bool du_fact_get_u64(const struct du_fact *fact, const char *key, uint64_t *out)
{
    char text[24];

    return du_fact_get(fact, key, text, sizeof text) != NULL && du_parse_u64(text, UINT64_MAX, out);
}

defupd_code du_fact_set(struct du_fact *fact, const char *key, const char *value, defupd_error *err)
{
    /* The file also holds header and checksum. */
    DU_AUTO_BUF text = DU_BUF(DU_FACT_BYTES_MAX - (sizeof HEADER - 1) - SUM_LINE);
    size_t begin = 0, end = 0, copied = 0;
    bool put = value == NULL;

    if (!key_ok(key, strlen(key)))
        return DU_FAIL(err, DEFUPD_E_BUG, "'%.64s' is no key of a fact", key);
    while (true) {
        const bool more = find_line(fact, key, &begin, &end);
        const size_t upto = more ? begin : fact->text.len;

        DU_TRY(du_buf_add(&text, du_buf_text(&fact->text) + copied, upto - copied, err));
        if (!put) {
            size_t at;
            DU_TRY(du_buf_printf(&text, err, "%s ", key));
            at = text.len;
            DU_TRY(du_buf_printf(&text, err, "%s\n", value));
            for (; at + 1 < text.len; at++) {
                if (text.data[at] < 0x20 || text.data[at] == 0x7f)
                    text.data[at] = ' ';
            }
            put = true;
        }
        if (!more)
            break;
        copied = end;
    }
    du_buf_free(&fact->text);
    fact->text = text;
    fact->text.max = DU_FACT_BYTES_MAX;
    text = DU_BUF(0);
    return DEFUPD_OK;
}

defupd_code du_fact_set_u64(struct du_fact *fact, const char *key, uint64_t value,
                            defupd_error *err)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return du_fact_set(fact, key, text, err);
}

void du_fact_free(struct du_fact *fact)
{
    du_buf_free(&fact->text);
}
