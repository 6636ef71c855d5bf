/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures that were checked before. Whether a file is signed as a role asks is a pure function
 * of its bytes, the role's entry and the keys this names; its "yes" is remembered by a digest of
 * exactly these inputs, so it can be lost but not become wrong
 * (docs/adr/0010-signatures-checked-once.md). */
#include <stdlib.h>
#include <string.h>

#include <defupd/version.h>

#include "base/scope.h"
#include "trust/trust_priv.h"

#define LINE "checked "
#define ENTRIES_MAX ((DU_CHECKED_MAX - 128) / (sizeof LINE + DU_SHA256_HEX))

struct list {
    unsigned char (*item)[DU_SHA256_BYTES];
    size_t count;
};

struct du_checked {
    struct list before; /* of the file */
    struct list now;    /* asked for or found since: what is worth being kept */
    bool news;          /* `now` holds what the file does not */
};

void du_checked_freep(struct du_checked **checked)
{
    if (*checked != NULL) {
        free((*checked)->before.item);
        free((*checked)->now.item);
        free(*checked);
    }
    *checked = NULL;
}

static bool holds(const struct list *list, const unsigned char digest[DU_SHA256_BYTES])
{
    for (size_t i = 0; i < list->count; i++) {
        if (memcmp(list->item[i], digest, DU_SHA256_BYTES) == 0)
            return true;
    }
    return false;
}

static defupd_code add(struct list *list, const unsigned char digest[DU_SHA256_BYTES],
                       defupd_error *err)
{
    unsigned char(*grown)[DU_SHA256_BYTES];

    if (list->count == ENTRIES_MAX || holds(list, digest))
        return DEFUPD_OK;
    grown = reallocarray(list->item, list->count + 1, sizeof *grown);
    if (grown == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for signatures checked");
    list->item = grown;
    memcpy(grown[list->count++], digest, DU_SHA256_BYTES);
    return DEFUPD_OK;
}

static defupd_code read_lines(struct list *list, const char *text, size_t len, defupd_error *err)
{
    const size_t head = strlen(LINE), whole = head + DU_SHA256_HEX + 1;

    if (len % whole != 0)
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "checked: a line is malformed");
    for (size_t at = 0; at < len; at += whole) {
        unsigned char digest[DU_SHA256_BYTES];
        char hex[DU_SHA256_HEX + 1];

        memcpy(hex, text + at + head, DU_SHA256_HEX);
        hex[DU_SHA256_HEX] = '\0';
        if (memcmp(text + at, LINE, head) != 0 || text[at + whole - 1] != '\n' ||
            !du_unhex(digest, sizeof digest, hex))
            return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "checked: a line is malformed");
        DU_TRY(add(list, digest, err));
    }
    return DEFUPD_OK;
}

defupd_code du_checked_read(struct du_checked **out, struct du_bytes bytes, defupd_error *err)
{
    const size_t head = strlen(DU_FACT_HEAD);
    DU_AUTO_CHECKED *checked = calloc(1, sizeof *checked);
    size_t body = head;

    if (checked == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for signatures checked");
    if (bytes.len > 0 && !du_fact_holds(bytes, &body))
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "checked: damaged, its sum does not hold");
    if (bytes.len > 0)
        DU_TRY(read_lines(&checked->before, (const char *)bytes.data + head, body - head, err));
    *out = du_take(&checked);
    return DEFUPD_OK;
}

defupd_code du_trust_checked_write(const struct du_trust *trust, struct du_buf *out, bool *news,
                                   defupd_error *err)
{
    const size_t start = out->len;

    *news = trust->checked != NULL && trust->checked->news;
    if (!*news)
        return DEFUPD_OK;
    DU_TRY(du_buf_add_text(out, DU_FACT_HEAD, err));
    for (size_t i = 0; i < trust->checked->now.count; i++) {
        char hex[DU_SHA256_HEX + 1];

        du_hex(hex, trust->checked->now.item[i], DU_SHA256_BYTES);
        DU_TRY(du_buf_printf(out, err, LINE "%s\n", hex));
    }
    trust->checked->news = false;
    return du_fact_seal(out, start, err);
}

/* Everything the answer depends on: us and our libraries (an update of them may be there because
 * they said yes too often), the file, the role's key ids and threshold, the keys themselves. And
 * what was read from the file: jansson's scanner drops characters when memory runs out while a text
 * grows, so the same bytes are not always the same content. */
static defupd_code digest_of(const struct du_doc *doc, const struct du_json *keys,
                             const struct du_json *role, unsigned char digest[DU_SHA256_BYTES],
                             defupd_error *err)
{
    const struct du_json *keyids = du_json_array(role, "keyids");
    DU_AUTO_BUF text = DU_BUF(4 * DU_TARGETS_MAX);
    char versions[256] = "";
    int64_t threshold = 0;

    du_crypto_versions(versions, sizeof versions);
    (void)du_json_int(role, "threshold", &threshold);
    DU_TRY(du_buf_printf(&text, err, "defupd %s, %s\n%lld\n", DEFUPD_VERSION, versions,
                         (long long)threshold));
    DU_TRY(du_buf_add(&text, doc->sha256, sizeof doc->sha256, err));
    if (keyids != NULL)
        DU_TRY(du_json_canonical(keyids, &text, err));
    for (size_t i = 0; i < du_json_count(keyids); i++) {
        const char *keyid = du_json_text(du_json_at(keyids, i));
        const struct du_json *key = keyid != NULL ? du_json_object(keys, keyid) : NULL;

        if (key != NULL)
            DU_TRY(du_json_canonical(key, &text, err));
        DU_TRY(du_buf_add_text(&text, "\n", err));
    }
    DU_TRY(du_json_canonical(doc->content, &text, err));
    du_sha256(digest, text.data, text.len);
    return DEFUPD_OK;
}

defupd_code du_checked_ask(struct du_checked *checked, const struct du_doc *doc,
                           const struct du_json *keys, const struct du_json *role,
                           unsigned char digest[DU_SHA256_BYTES], bool *yes, defupd_error *err)
{
    *yes = false;
    if (checked == NULL)
        return DEFUPD_OK;
    DU_TRY(digest_of(doc, keys, role, digest, err));
    *yes = holds(&checked->now, digest);
    if (*yes || !holds(&checked->before, digest))
        return DEFUPD_OK;
    *yes = true;
    return add(&checked->now, digest, err);
}

defupd_code du_checked_note(struct du_checked *checked, const unsigned char digest[DU_SHA256_BYTES],
                            defupd_error *err)
{
    if (checked == NULL)
        return DEFUPD_OK;
    checked->news = true;
    return add(&checked->now, digest, err);
}
