/* SPDX-License-Identifier: Apache-2.0 */
/* What was seen: the highest version of each role, and the online keys of that time. It outlives
 * the metadata files, so that a lost or damaged one never makes a rollback possible. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/scope.h"
#include "trust/trust_priv.h"

#define HEAD DU_FACT_HEAD
#define MARKS "online-keys"

static struct du_seen *find(const struct du_trust *trust, const char *role, size_t len)
{
    for (size_t i = 0; i < trust->seen_count; i++) {
        if (strncmp(trust->seen[i].name, role, len) == 0 && trust->seen[i].name[len] == '\0')
            return &trust->seen[i];
    }
    return NULL;
}

uint64_t du_seen_version(const struct du_trust *trust, const char *role)
{
    const struct du_seen *seen = find(trust, role, strlen(role));

    return seen != NULL ? seen->version : 0;
}

uint64_t du_trust_seen(const struct du_trust *trust, const char *role)
{
    return du_seen_version(trust, role);
}

defupd_code du_seen_raise(struct du_trust *trust, const char *role, size_t len, uint64_t version,
                          defupd_error *err)
{
    struct du_seen *seen = find(trust, role, len);
    char *name;

    if (seen != NULL) {
        if (seen->version < version)
            seen->version = version;
        return DEFUPD_OK;
    }
    seen = reallocarray(trust->seen, trust->seen_count + 1, sizeof *seen);
    if (seen == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for versions seen");
    trust->seen = seen;
    name = strndup(role, len);
    if (name == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for versions seen");
    trust->seen[trust->seen_count++] = (struct du_seen){ name, version };
    return DEFUPD_OK;
}

void du_seen_forget(struct du_trust *trust)
{
    size_t kept = 0;

    for (size_t i = 0; i < trust->seen_count; i++) {
        if (strcmp(trust->seen[i].name, "root") == 0)
            trust->seen[kept++] = trust->seen[i];
        else
            free(trust->seen[i].name);
    }
    trust->seen_count = kept;
}

/* One key in one role, by what it is and not by its id. */
static defupd_code mark_of(const char *role, const struct du_json *key,
                           unsigned char mark[DU_KEY_MARK_BYTES], defupd_error *err)
{
    DU_AUTO_BUF text = DU_BUF(DU_ROOT_MAX);
    unsigned char digest[DU_SHA256_BYTES];

    DU_TRY(du_buf_printf(&text, err, "%s\n%s\n%s\n", role, du_json_string(key, "keytype"),
                         du_json_string(key, "scheme")));
    DU_TRY(du_json_canonical(du_json_object(key, "keyval"), &text, err));
    du_sha256(digest, text.data, text.len);
    memcpy(mark, digest, DU_KEY_MARK_BYTES);
    return DEFUPD_OK;
}

static defupd_code add_marks(const struct du_trust *trust, const char *role,
                             unsigned char (*marks)[DU_KEY_MARK_BYTES], size_t *count,
                             defupd_error *err)
{
    const struct du_json *keys = du_json_object(trust->root->content, "keys");
    const struct du_json *entry =
        du_json_object(du_json_object(trust->root->content, "roles"), role);
    const struct du_json *keyids = du_json_array(entry, "keyids");

    for (size_t i = 0; i < du_json_count(keyids); i++) {
        const struct du_json *key = du_json_object(keys, du_json_text(du_json_at(keyids, i)));
        if (key != NULL)
            DU_TRY(mark_of(role, key, marks[(*count)++], err));
    }
    return DEFUPD_OK;
}

/* Marks of the newest root; *marks is yours. */
static defupd_code marks_now(const struct du_trust *trust,
                             unsigned char (**marks)[DU_KEY_MARK_BYTES], size_t *count,
                             defupd_error *err)
{
    static const char *const online[] = { "timestamp", "snapshot" };
    const struct du_json *roles = du_json_object(trust->root->content, "roles");
    size_t room = 1;
    DU_AUTO_FREE unsigned char(*made)[DU_KEY_MARK_BYTES] = NULL;

    for (size_t i = 0; i < 2; i++)
        room += du_json_count(du_json_array(du_json_object(roles, online[i]), "keyids"));
    made = calloc(room, sizeof *made);
    if (made == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for key marks");
    *count = 0;
    for (size_t i = 0; i < 2; i++)
        DU_TRY(add_marks(trust, online[i], made, count, err));
    *marks = du_take(&made);
    return DEFUPD_OK;
}

/* 5.3.11 speaks of keys that "have been rotated". A key that is only added is none: the old ones
 * still sign, and forgetting then would let anybody replay what they signed before. So a rotation
 * is a key that was trusted and no longer is. It is found by what `seen` remembers and not by
 * comparing two roots in memory, so that a crash between saving a root and this step loses
 * nothing. */
defupd_code du_marks_rotated(const struct du_trust *trust, bool *rotated, defupd_error *err)
{
    DU_AUTO_FREE unsigned char(*now)[DU_KEY_MARK_BYTES] = NULL;
    size_t count = 0;

    DU_TRY(marks_now(trust, &now, &count, err));
    *rotated = false;
    for (size_t i = 0; i < trust->mark_count && !*rotated; i++) {
        bool still = false;
        for (size_t j = 0; j < count && !still; j++)
            still = memcmp(trust->marks[i], now[j], DU_KEY_MARK_BYTES) == 0;
        *rotated = !still;
    }
    return DEFUPD_OK;
}

defupd_code du_marks_set(struct du_trust *trust, defupd_error *err)
{
    unsigned char(*marks)[DU_KEY_MARK_BYTES] = NULL;
    size_t count = 0;

    DU_TRY(marks_now(trust, &marks, &count, err));
    free(trust->marks);
    trust->marks = marks;
    trust->mark_count = count;
    return DEFUPD_OK;
}

/* RFC 3986, section 2.3 */
static bool unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

size_t du_role_name_length(const char *role, size_t len)
{
    size_t length = 0;

    for (size_t i = 0; i < len; i++)
        length += unreserved(role[i]) ? 1 : 3;
    return length;
}

defupd_code du_role_name_encode(struct du_buf *out, const char *role, defupd_error *err)
{
    for (const char *c = role; *c != '\0'; c++) {
        if (unreserved(*c))
            DU_TRY(du_buf_add(out, c, 1, err));
        else
            DU_TRY(du_buf_printf(out, err, "%%%02X", (unsigned)(unsigned char)*c));
    }
    return DEFUPD_OK;
}

/* In place; false when malformed. */
static bool role_name_decode(char *text)
{
    char *to = text;

    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '%') {
            const char hex[3] = { c[1], c[1] != '\0' ? c[2] : '\0', '\0' };
            unsigned char byte;
            if (!du_unhex(&byte, 1, hex) || byte == 0)
                return false;
            *to++ = (char)byte;
            c += 2;
        } else {
            *to++ = *c;
        }
    }
    *to = '\0';
    return to != text;
}

defupd_code du_fact_seal(struct du_buf *out, size_t start, defupd_error *err)
{
    unsigned char digest[DU_SHA256_BYTES];
    char hex[DU_SHA256_HEX + 1];

    du_sha256(digest, out->data + start, out->len - start);
    du_hex(hex, digest, sizeof digest);
    return du_buf_printf(out, err, "sum %s\n", hex);
}

bool du_fact_holds(struct du_bytes bytes, size_t *body)
{
    const size_t tail = strlen("sum ") + DU_SHA256_HEX + 1;
    unsigned char digest[DU_SHA256_BYTES], stated[DU_SHA256_BYTES];
    char hex[DU_SHA256_HEX + 1];

    if (bytes.len < strlen(HEAD) + tail || memcmp(bytes.data, HEAD, strlen(HEAD)) != 0 ||
        memchr(bytes.data, '\0', bytes.len) != NULL)
        return false;
    *body = bytes.len - tail;
    if (memcmp(bytes.data + *body, "sum ", 4) != 0 || bytes.data[bytes.len - 1] != '\n' ||
        bytes.data[*body - 1] != '\n')
        return false;
    memcpy(hex, bytes.data + *body + 4, DU_SHA256_HEX);
    hex[DU_SHA256_HEX] = '\0';
    du_sha256(digest, bytes.data, *body);
    return du_unhex(stated, sizeof stated, hex) && du_mem_equal(stated, digest, sizeof digest);
}

defupd_code du_trust_seen_write(const struct du_trust *trust, struct du_buf *out, defupd_error *err)
{
    const size_t start = out->len;
    char hex[DU_SHA256_HEX + 1];

    DU_TRY(du_buf_add_text(out, HEAD, err));
    for (size_t i = 0; i < trust->seen_count; i++) {
        DU_TRY(du_role_name_encode(out, trust->seen[i].name, err));
        DU_TRY(du_buf_printf(out, err, " %llu\n", (unsigned long long)trust->seen[i].version));
    }
    for (size_t i = 0; i < trust->mark_count; i++) {
        du_hex(hex, trust->marks[i], DU_KEY_MARK_BYTES);
        DU_TRY(du_buf_printf(out, err, "%s%s", i == 0 ? MARKS " " : ",", hex));
    }
    if (trust->mark_count > 0)
        DU_TRY(du_buf_add_text(out, "\n", err));
    return du_fact_seal(out, start, err);
}

/* A role could be called as the line of marks is; a version has at most 16 digits, a mark 32. */
static bool is_marks(const char *key, const char *value)
{
    return strcmp(key, MARKS) == 0 && strcspn(value, ",") == 2 * DU_KEY_MARK_BYTES;
}

static defupd_code read_marks(struct du_trust *trust, char *value, defupd_error *err)
{
    char *rest = NULL;

    free(trust->marks);
    trust->mark_count = 0;
    trust->marks = calloc(strlen(value) / (2 * DU_KEY_MARK_BYTES) + 1, sizeof *trust->marks);
    if (trust->marks == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for key marks");
    for (char *one = strtok_r(value, ",", &rest); one != NULL; one = strtok_r(NULL, ",", &rest)) {
        if (!du_unhex(trust->marks[trust->mark_count], DU_KEY_MARK_BYTES, one))
            return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "seen: a key mark is malformed");
        trust->mark_count++;
    }
    return DEFUPD_OK;
}

static defupd_code read_line(struct du_trust *trust, char *line, defupd_error *err)
{
    char *value = strchr(line, ' ');
    uint64_t version;

    if (value == NULL)
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "seen: a line without a value");
    *value++ = '\0';
    if (is_marks(line, value))
        return read_marks(trust, value, err);
    if (!role_name_decode(line) || du_role_name_length(line, strlen(line)) > DU_ROLE_NAME_MAX ||
        !du_version_parse(value, &version))
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "seen: a line is malformed");
    return du_seen_raise(trust, line, strlen(line), version, err);
}

static defupd_code read_lines(struct du_trust *trust, char *text, defupd_error *err)
{
    char *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        DU_TRY(read_line(trust, line, err));
    return DEFUPD_OK;
}

defupd_code du_trust_seen_read(struct du_trust *trust, struct du_bytes bytes, defupd_error *err)
{
    size_t body = 0;
    DU_AUTO_FREE char *text = NULL;
    DU_AUTO_TRUST *read = NULL; /* all or nothing: only its seen and marks are used */

    if (!du_fact_holds(bytes, &body))
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "seen: damaged, its sum does not hold");
    text = strndup((const char *)bytes.data + strlen(HEAD), body - strlen(HEAD));
    read = calloc(1, sizeof *read);
    if (text == NULL || read == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for versions seen");
    DU_TRY(read_lines(read, text, err));
    for (size_t i = 0; i < read->seen_count; i++)
        DU_TRY(du_seen_raise(trust, read->seen[i].name, strlen(read->seen[i].name),
                             read->seen[i].version, err));
    if (read->mark_count > 0) {
        free(trust->marks);
        trust->mark_count = read->mark_count;
        trust->marks = du_take(&read->marks);
    }
    return DEFUPD_OK;
}
