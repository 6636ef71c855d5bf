/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata behind its signatures, which a fuzzer could not make: the first byte says what the rest
 * is. 'r' root, 't' timestamp, 's' snapshot, 'g' targets and a search through them, 'e' the file
 * `seen`, 'p' "PATTERN\nPATH".
 */
#include "fuzz.h"

#include <string.h>

#include "base/scope.h"
#include "trust/trust_priv.h"

static void any_name(void *user, const char *name)
{
    (void)user;
    FUZZ_CHECK(name[0] >= 'a' && name[0] <= 'z');
}

static void any_role(void *user, const struct du_role_info *role)
{
    (void)user;
    FUZZ_CHECK(role->name != NULL && role->keyids != NULL && role->threshold >= 1);
}

static void check_rc(defupd_code rc)
{
    FUZZ_CHECK(rc == DEFUPD_OK || rc == DEFUPD_E_METADATA_FORMAT || rc == DEFUPD_E_METADATA_LIMIT ||
               rc == DEFUPD_E_METADATA_NEWER || rc == DEFUPD_E_SIGNATURE || rc == DEFUPD_E_LIMIT);
}

/* The smallest root that du_trust_roles() can show. */
static struct du_doc *some_root(void)
{
    static const char text[] = "{\"signatures\":[],\"signed\":{\"keys\":{},\"roles\":{"
                               "\"root\":{\"keyids\":[],\"threshold\":1},"
                               "\"timestamp\":{\"keyids\":[],\"threshold\":1},"
                               "\"snapshot\":{\"keyids\":[],\"threshold\":1},"
                               "\"targets\":{\"keyids\":[],\"threshold\":1}}}}";
    struct du_doc *doc = NULL;
    defupd_error err = { 0 };

    FUZZ_CHECK(du_doc_parse(&doc, (struct du_bytes){ (const unsigned char *)text, sizeof text - 1 },
                            1000, "root", &err) == DEFUPD_OK);
    return doc;
}

static void root(struct du_doc **doc)
{
    defupd_error err = { 0 };
    DU_AUTO_TRUST *trust = NULL;
    DU_AUTO_BUF seen = DU_BUF(DU_SEEN_MAX);
    bool rotated = true;

    if (du_doc_header(*doc, "root", "root", &err) != DEFUPD_OK ||
        du_doc_root_fields(*doc, "root", &err) != DEFUPD_OK)
        return;
    check_rc(du_doc_verify_top(*doc, *doc, "root", NULL, "root", &err));
    trust = calloc(1, sizeof *trust);
    FUZZ_CHECK(trust != NULL);
    trust->root = du_take(doc);
    du_trust_roles(trust, any_role, NULL);
    if (du_marks_set(trust, &err) != DEFUPD_OK)
        return; /* a fraction in a key, or a key beyond all measure */
    FUZZ_CHECK(du_marks_rotated(trust, &rotated, &err) == DEFUPD_OK && !rotated);
    check_rc(du_trust_seen_write(trust, &seen, &err));
}

static void search(struct du_trust *trust, const char *path)
{
    DU_AUTO_SEARCH *search = NULL;
    enum du_search_step step = DU_SEARCH_NONE;
    DU_AUTO_BUF where = DU_BUF(10000);
    defupd_error err = { 0 };

    FUZZ_CHECK(du_search_new(&search, trust, path, NULL, &err) == DEFUPD_OK);
    if (du_search_next(search, &step, &err) != DEFUPD_OK)
        return;
    FUZZ_CHECK(step != DU_SEARCH_NEED || du_search_role(search) != NULL);
    if (step != DU_SEARCH_FOUND)
        return;
    FUZZ_CHECK(du_search_target(search)->has_sha256 || du_search_target(search)->has_sha512);
    if (du_target_path(trust, du_search_target(search), path, &where, &err) == DEFUPD_OK)
        FUZZ_CHECK(strstr(du_buf_text(&where), "/../") == NULL);
}

static void targets(struct du_doc **doc)
{
    defupd_error err = { 0 };
    DU_AUTO_TRUST *trust = NULL;
    const struct du_json *list;

    if (du_doc_header(*doc, "targets", "targets", &err) != DEFUPD_OK ||
        du_doc_targets_fields(*doc, "targets", &err) != DEFUPD_OK)
        return;
    trust = calloc(1, sizeof *trust);
    FUZZ_CHECK(trust != NULL);
    trust->root = some_root();
    trust->targets = du_take(doc);
    (void)!du_trust_components(trust, any_name, NULL, &err);
    du_trust_roles(trust, any_role, NULL);
    search(trust, "tetra/manifest.xml");
    list = du_json_object(trust->targets->content, "targets");
    for (void *i = du_json_first(list); i != NULL; i = du_json_next(list, i))
        search(trust, du_json_iter_key(i));
}

static void listing(struct du_doc *doc, const char *type)
{
    const struct du_json *metas;
    defupd_error err = { 0 };
    struct du_meta meta;
    bool listed;

    if (du_doc_header(doc, type, type, &err) != DEFUPD_OK)
        return;
    FUZZ_CHECK(doc->version >= 1 && doc->expires >= 0);
    check_rc(du_doc_meta(doc, "snapshot.json", &meta, &listed, type, &err));
    if (strcmp(type, "snapshot") != 0 || du_doc_snapshot_fields(doc, type, &err) != DEFUPD_OK)
        return;
    metas = du_json_object(doc->content, "meta");
    for (void *i = du_json_first(metas); i != NULL; i = du_json_next(metas, i)) {
        FUZZ_CHECK(du_doc_meta(doc, du_json_iter_key(i), &meta, &listed, type, &err) == DEFUPD_OK);
        FUZZ_CHECK(listed && meta.version >= 1);
        (void)du_meta_fits(&meta, doc);
    }
}

static void seen(struct du_bytes bytes)
{
    DU_AUTO_TRUST *trust = calloc(1, sizeof *trust);
    DU_AUTO_TRUST *again = calloc(1, sizeof *again);
    DU_AUTO_BUF body = DU_BUF(bytes.len + 200);
    DU_AUTO_BUF first = DU_BUF(DU_SEEN_MAX);
    DU_AUTO_BUF second = DU_BUF(DU_SEEN_MAX);
    defupd_error err = { 0 };

    FUZZ_CHECK(trust != NULL && again != NULL);
    FUZZ_CHECK(du_trust_seen_read(trust, bytes, &err) != DEFUPD_E_BUG);
    FUZZ_CHECK(du_buf_add_text(&body, DU_FACT_HEAD, &err) == DEFUPD_OK);
    FUZZ_CHECK(du_buf_add(&body, bytes.data, bytes.len, &err) == DEFUPD_OK);
    FUZZ_CHECK(du_buf_add_text(&body, "\n", &err) == DEFUPD_OK);
    FUZZ_CHECK(du_fact_seal(&body, 0, &err) == DEFUPD_OK);
    if (du_trust_seen_read(trust, du_buf_bytes(&body), &err) != DEFUPD_OK ||
        du_trust_seen_write(trust, &first, &err) != DEFUPD_OK)
        return;
    FUZZ_CHECK(du_trust_seen_read(again, du_buf_bytes(&first), &err) == DEFUPD_OK);
    FUZZ_CHECK(du_trust_seen_write(again, &second, &err) == DEFUPD_OK);
    FUZZ_CHECK(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
}

/* The definition, too slow for anything but short texts. */
static bool matches(const char *pattern, const char *path)
{
    if (*pattern == '\0')
        return *path == '\0';
    if (pattern[0] == '*' && pattern[1] == '*')
        return matches(pattern + 1, path); /* the same, and a row of them would take for ever */
    if (*pattern == '*')
        return matches(pattern + 1, path) ||
               (*path != '\0' && *path != '/' && matches(pattern, path + 1));
    return *path != '\0' && (*pattern == *path || (*pattern == '?' && *path != '/')) &&
           matches(pattern + 1, path + 1);
}

static void glob(const char *text)
{
    DU_AUTO_FREE char *pattern = strdup(text);
    char *path = pattern != NULL ? strchr(pattern, '\n') : NULL;

    if (path == NULL)
        return;
    *path++ = '\0';
    if (strlen(pattern) > 12 || strlen(path) > 16)
        (void)du_glob_match(pattern, path);
    else
        FUZZ_CHECK(du_glob_match(pattern, path) == matches(pattern, path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DU_AUTO_DOC *doc = NULL;
    DU_AUTO_FREE char *text = NULL;
    struct du_bytes bytes;
    defupd_error err = { 0 };

    if (size == 0)
        return 0;
    bytes = (struct du_bytes){ data + 1, size - 1 };
    if (data[0] == 'e')
        seen(bytes);
    if (data[0] == 'p' && (text = strndup((const char *)bytes.data, bytes.len)) != NULL)
        glob(text);
    if (strchr("rtsg", data[0]) == NULL || data[0] == '\0' ||
        du_doc_parse(&doc, bytes, DU_TARGETS_MAX, "input", &err) != DEFUPD_OK)
        return 0;
    if (data[0] == 'r')
        root(&doc);
    else if (data[0] == 'g')
        targets(&doc);
    else
        listing(doc, data[0] == 't' ? "timestamp" : "snapshot");
    return 0;
}
