/* SPDX-License-Identifier: Apache-2.0 */
/* Well-signed metadata with one thing wrong in it; what is shown of the trusted roles; `seen`. */
#include "trust/trust_priv.h"
#include "trust_repo.h"

static struct du_json *raw(const struct du_json *value)
{
    return (struct du_json *)(uintptr_t)value;
}

static struct du_json *parse(const char *text)
{
    struct du_json *json = NULL;
    defupd_error err = { 0 };

    T_OK(du_json_parse(&json, (struct du_bytes){ (const unsigned char *)text, strlen(text) }, text,
                       &err),
         &err);
    return json;
}

/* Put `value` (JSON in a list; NULL: nothing) at `path` ("roles.root.threshold"). */
static const char *edit_path, *edit_value;
static void edit_at(struct du_json *content)
{
    char path[200];
    char *rest = NULL, *name, *next;
    struct du_json *at = content;

    (void)snprintf(path, sizeof path, "%s", edit_path);
    name = strtok_r(path, " ", &rest);
    while ((next = strtok_r(NULL, " ", &rest)) != NULL) {
        if (du_json_object(at, name) != NULL)
            at = raw(du_json_object(at, name));
        else
            at = raw(du_json_at(du_json_array(at, name), 0));
        name = next;
    }
    if (edit_value == NULL) {
        du_json_remove(at, name);
    } else {
        DU_AUTO_JSON *list = parse(edit_value);
        T_CHECK(du_json_set(at, name, du_json_copy(du_json_at(list, 0))));
    }
}

static const struct field {
    const char *role, *path, *value;
    defupd_code want;
} fields[] = {
    { "root", "_type", "[\"targets\"]", DEFUPD_E_METADATA_FORMAT },
    { "root", "_type", "[1]", DEFUPD_E_METADATA_FORMAT },
    { "root", "_type", NULL, DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "_type", "[\"snapshot\"]", DEFUPD_E_METADATA_FORMAT },
    { "snapshot", "_type", "[\"timestamp\"]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "_type", "[\"root\"]", DEFUPD_E_METADATA_FORMAT },
    /* the major version counts */
    { "root", "spec_version", "[\"1.0\"]", DEFUPD_OK },
    { "targets", "spec_version", "[\"1.99.7\"]", DEFUPD_OK },
    { "root", "spec_version", "[\"2.0.0\"]", DEFUPD_E_METADATA_NEWER },
    { "timestamp", "spec_version", "[\"2.0.0\"]", DEFUPD_E_METADATA_NEWER },
    { "targets", "spec_version", "[\"11.0.0\"]", DEFUPD_E_METADATA_NEWER },
    { "targets", "spec_version", "[\"0.9\"]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "spec_version", "[\"one\"]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "spec_version", "[\"1\"]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "spec_version", "[\"1000000000000000000001.0\"]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "spec_version", "[1]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "spec_version", NULL, DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "version", "[0]", DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "version", "[-1]", DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "version", "[9007199254740992]", DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "version", "[\"1\"]", DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "version", "[true]", DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "version", NULL, DEFUPD_E_METADATA_FORMAT },
    { "root", "version", NULL, DEFUPD_E_METADATA_FORMAT },
    { "snapshot", "expires", "[\"2030-01-01\"]", DEFUPD_E_METADATA_FORMAT },
    { "snapshot", "expires", "[\"2030-13-01T00:00:00Z\"]", DEFUPD_E_METADATA_FORMAT },
    { "snapshot", "expires", "[\"2030-01-01T00:00:00+01:00\"]", DEFUPD_E_METADATA_FORMAT },
    { "snapshot", "expires", "[1900000000]", DEFUPD_E_METADATA_FORMAT },
    { "snapshot", "expires", NULL, DEFUPD_E_METADATA_FORMAT },
    /* root */
    { "root", "keys", NULL, DEFUPD_E_METADATA_FORMAT },
    { "root", "keys", "[[]]", DEFUPD_E_METADATA_FORMAT },
    { "root", "keys x", "[1]", DEFUPD_E_METADATA_FORMAT },
    { "root", "keys x", "[{\"keytype\":\"t\",\"scheme\":\"s\"}]", DEFUPD_E_METADATA_FORMAT },
    { "root", "keys x", "[{\"keytype\":\"t\",\"keyval\":{}}]", DEFUPD_E_METADATA_FORMAT },
    { "root", "keys x", "[{\"keytype\":\"t\",\"scheme\":\"s\",\"keyval\":{}}]", DEFUPD_OK },
    { "root", "roles", NULL, DEFUPD_E_METADATA_FORMAT },
    { "root", "roles root", NULL, DEFUPD_E_METADATA_FORMAT },
    { "root", "roles timestamp", NULL, DEFUPD_E_METADATA_FORMAT },
    { "root", "roles snapshot", NULL, DEFUPD_E_METADATA_FORMAT },
    { "root", "roles targets", NULL, DEFUPD_E_METADATA_FORMAT },
    { "root", "roles mirrors", "[{\"keyids\":[],\"threshold\":1}]", DEFUPD_OK },
    { "root", "roles root threshold", "[0]", DEFUPD_E_METADATA_FORMAT },
    { "root", "roles timestamp threshold", "[0]", DEFUPD_E_METADATA_FORMAT },
    { "root", "roles targets threshold", "[-1]", DEFUPD_E_METADATA_FORMAT },
    { "root", "roles targets threshold", "[\"1\"]", DEFUPD_E_METADATA_FORMAT },
    { "root", "roles targets threshold", NULL, DEFUPD_E_METADATA_FORMAT },
    { "root", "roles targets threshold", "[9007199254740992]", DEFUPD_E_SIGNATURE },
    { "root", "roles targets keyids", NULL, DEFUPD_E_METADATA_FORMAT },
    { "root", "roles targets keyids", "[[]]", DEFUPD_E_SIGNATURE },
    { "root", "roles targets keyids", "[[1]]", DEFUPD_E_METADATA_FORMAT },
    { "root", "consistent_snapshot", "[\"yes\"]", DEFUPD_E_METADATA_FORMAT },
    { "root", "x-custom", "[{\"a\":[1,null,\"\\u00e9\"]}]", DEFUPD_OK },
    /* timestamp and snapshot */
    { "timestamp", "meta", NULL, DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "meta snapshot.json", NULL, DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "meta snapshot.json", "[1]", DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "meta snapshot.json version", "[0]", DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "meta snapshot.json version", NULL, DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "meta snapshot.json length", "[-1]", DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "meta snapshot.json length", "[0]", DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "meta snapshot.json length", "[2097153]", DEFUPD_E_METADATA_LIMIT },
    { "timestamp", "meta snapshot.json length", "[2097152]", DEFUPD_E_METADATA_DIGEST },
    { "timestamp", "meta snapshot.json length", NULL, DEFUPD_OK },
    { "timestamp", "meta snapshot.json hashes", NULL, DEFUPD_OK },
    { "timestamp", "meta snapshot.json hashes", "[1]", DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "meta snapshot.json hashes", "[{}]", DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "meta snapshot.json hashes", "[{\"md5\":\"00\"}]", DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "meta snapshot.json hashes", "[{\"sha256\":\"00\"}]", DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "meta snapshot.json hashes", "[{\"sha256\":1}]", DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "meta snapshot.json hashes md5", "[\"00\"]", DEFUPD_OK },
    { "timestamp", "meta snapshot.json hashes sha512", "[\"00\"]", DEFUPD_E_METADATA_FORMAT },
    { "timestamp", "meta snapshot.json hashes sha512",
      "[\"00000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "000000000000000000000000000000000000000000000000\"]",
      DEFUPD_E_METADATA_DIGEST },
    { "timestamp", "meta other.json", "[{\"version\":1}]", DEFUPD_OK },
    { "snapshot", "meta", NULL, DEFUPD_E_METADATA_FORMAT },
    { "snapshot", "meta targets.json", NULL, DEFUPD_E_METADATA_FORMAT },
    { "snapshot", "meta other.json", "[{\"version\":0}]", DEFUPD_E_METADATA_FORMAT },
    { "snapshot", "meta other.json", "[{\"version\":7}]", DEFUPD_OK },
    { "snapshot", "meta root.json", "[{\"version\":7}]", DEFUPD_OK },
    { "snapshot", "meta noise", "[{\"version\":7}]", DEFUPD_OK },
    { "snapshot", "meta targets.json length", "[5242881]", DEFUPD_E_METADATA_LIMIT },
    { "snapshot", "meta targets.json hashes sha256",
      "[\"0000000000000000000000000000000000000000000000000000000000000000\"]",
      DEFUPD_E_METADATA_DIGEST },
    /* targets */
    { "targets", "targets", NULL, DEFUPD_E_METADATA_FORMAT },
    { "targets", "targets x/y", "[1]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "targets x/y", "[{\"length\":-1,\"hashes\":{}}]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "targets x/y", "[{\"hashes\":{}}]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "targets x/y", "[{\"length\":1}]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "targets x/y", "[{\"length\":1,\"hashes\":{\"sha256\":\"0\"}}]",
      DEFUPD_E_METADATA_FORMAT },
    { "targets", "targets x/y", "[{\"length\":1,\"hashes\":{\"blake2\":\"0\"},\"custom\":{}}]",
      DEFUPD_OK },
    { "targets", "delegations", NULL, DEFUPD_OK },
    { "targets", "delegations", "[[]]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "delegations keys", NULL, DEFUPD_E_METADATA_FORMAT },
    { "targets", "delegations roles", NULL, DEFUPD_E_METADATA_FORMAT },
    { "targets", "delegations roles", "[{}]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "delegations roles", "[[1]]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "delegations roles name", NULL, DEFUPD_E_METADATA_FORMAT },
    { "targets", "delegations roles name", "[\"\"]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "delegations roles name", "[\"root\"]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "delegations roles name", "[\"timestamp\"]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "delegations roles name", "[\"snapshot\"]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "delegations roles name", "[\"targets\"]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "delegations roles name", "[\"b\"]", DEFUPD_E_METADATA_FORMAT }, /* twice */
    { "targets", "delegations roles threshold", "[0]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "delegations roles keyids", NULL, DEFUPD_E_METADATA_FORMAT },
    { "targets", "delegations roles terminating", "[1]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "delegations roles terminating", NULL, DEFUPD_OK },
    { "targets", "delegations roles paths", NULL, DEFUPD_OK },
    { "targets", "delegations roles paths", "[\"*\"]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "delegations roles paths", "[[1]]", DEFUPD_E_METADATA_FORMAT },
    { "targets", "delegations roles path_hash_prefixes", "[[\"00\"]]", DEFUPD_E_METADATA_FORMAT },
};

static void prepare(struct repo *r)
{
    repo_init(r);
    (void)repo_delegate(r, "targets", "a", "a/*", 5);
    (void)repo_delegate(r, "targets", "b", "b/*", 6);
    repo_publish(r);
}

static void each_field_is_checked_before_any_effect(void)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const struct field *f = &fields[i];
        AUTO_REPO r;
        AUTO_END e;
        defupd_error err = { 0 };
        char file[64];
        defupd_code rc;

        prepare(&r);
        end_init(&e, &r);
        T_OK(end_pin(&e, "metadata/1.root.json", &err), &err);
        r.edit_role = f->role;
        r.edit = edit_at;
        edit_path = f->path;
        edit_value = f->value;
        repo_next_root(&r); /* the second root, so that the first can be pinned */
        repo_publish(&r);
        rc = end_cycle(&e, NOW, &err);
        if (rc != f->want) {
            printf("# %s %s %s: got %s: %s\n", f->role, f->path,
                   f->value != NULL ? f->value : "removed", defupd_code_name(rc), err.message);
            t_failed++;
        }
        if (rc == DEFUPD_E_METADATA_FORMAT && strcmp(f->role, "root") == 0)
            T_CHECK(end_version(&e, "root") == 1);
        (void)snprintf(file, sizeof file, "%s.json", f->role);
        if (rc == DEFUPD_E_METADATA_FORMAT)
            T_CHECK(files_find(&e.local, file) == NULL);
    }
}

static void envelopes_are_checked(void)
{
    static const char *const bad[] = {
        "[]",
        "{}",
        "{\"signed\":{}}",
        "{\"signatures\":[]}",
        "{\"signed\":[],\"signatures\":[]}",
        "{\"signed\":{},\"signatures\":{}}",
        "{\"signed\":{},\"signatures\":[1]}",
        "{\"signed\":{},\"signatures\":[{\"keyid\":\"a\"}]}",
        "{\"signed\":{},\"signatures\":[{\"keyid\":1,\"sig\":\"\"}]}",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct du_trust *trust = NULL;
        defupd_error err = { 0 };
        T_FAILS(du_trust_new(&trust,
                             (struct du_bytes){ (const unsigned char *)bad[i], strlen(bad[i]) },
                             "1.root.json", &err),
                DEFUPD_E_METADATA_FORMAT, &err);
        T_CHECK(strncmp(err.message, "1.root.json", 11) == 0);
    }
}

static void unusable_signatures_are_not_errors(void)
{
    static const char *const sigs[] = { "", "zz", "0", "00", "not hex at all" };
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };
    DU_AUTO_JSON *envelope = NULL;
    DU_AUTO_BUF text = DU_BUF(100000);
    char id[65];

    prepare(&r);
    T_OK(du_json_parse(&envelope,
                       du_buf_bytes(&files_find(&r.files, "metadata/timestamp.json")->bytes), "t",
                       &err),
         &err);
    for (size_t i = 0; i < sizeof sigs / sizeof sigs[0]; i++) {
        struct du_json *entry = du_json_new_object();
        key_id((int)(50 + i), id);
        T_CHECK(du_json_set(entry, "keyid", du_json_new_string(id)));
        T_CHECK(du_json_set(entry, "sig", du_json_new_string(sigs[i])));
        T_CHECK(du_json_append(raw(du_json_array(envelope, "signatures")), entry));
        r.timestamp.keys[i + 1] = (int)(50 + i);
    }
    repo_next_root(&r);
    T_OK(du_json_pretty(envelope, &text, &err), &err);
    files_put(&r.files, "metadata/timestamp.json", du_buf_bytes(&text));
    end_init(&e, &r);
    T_OK(end_cycle(&e, NOW, &err), &err);
}

static void a_threshold_of_zero_signs_nothing(void)
{
    static const char text[] = "{\"signed\":{},\"signatures\":[]}";
    DU_AUTO_DOC *doc = NULL;
    DU_AUTO_JSON *role = parse("{\"keyids\":[],\"threshold\":0}");
    DU_AUTO_JSON *keys = parse("{}");
    defupd_error err = { 0 };

    T_OK(du_doc_parse(&doc, (struct du_bytes){ (const unsigned char *)text, sizeof text - 1 }, 100,
                      "x", &err),
         &err);
    T_FAILS(du_doc_verify(doc, keys, role, NULL, "nobody", "x", &err), DEFUPD_E_METADATA_FORMAT,
            &err);
}

static void list_name(void *user, const char *name)
{
    char *text = user;

    (void)snprintf(text + strlen(text), 400 - strlen(text), "%s ", name);
}

static void list_role(void *user, const struct du_role_info *role)
{
    char *text = user;

    (void)snprintf(text + strlen(text), 400 - strlen(text), "%s=%d/%u/%.10s ", role->name,
                   (int)role->version, role->threshold, role->keyids);
}

static void components_and_roles_are_shown(void)
{
    AUTO_REPO r;
    AUTO_END e;
    DU_AUTO_TRUST *trust = NULL;
    DU_AUTO_TRUST *first = NULL;
    defupd_error err = { 0 };
    char names[400] = "", roles[400] = "", id[65], want[400];
    static const char *const more[] = { "ips/manifest.xml",
                                        "Bad/manifest.xml",
                                        "root/manifest.xml",
                                        "x/other.xml",
                                        "manifest.xml",
                                        "tetra/manifest.xml",
                                        "y/*" };

    repo_init(&r);
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        r.target[r.target_count++] = (struct target){ "targets", more[i], "x" };
    repo_delegate(&r, "targets", "yara", "yara/*", 5)->paths[1] = "posture/manifest.xml";
    repo_delegate(&r, "targets", "ips", "ips/*", 5)->paths[1] = "*/manifest.xml";
    repo_publish(&r);
    end_init(&e, &r);
    T_OK(end_open(&e, &first, &err), &err);
    T_OK(du_trust_components(first, list_name, names, &err), &err);
    T_SAME(names, "");
    T_CHECK(du_trust_version(first, "root") == 1 && du_trust_version(first, "timestamp") == 0);
    T_CHECK(du_trust_expires(first, "timestamp") == 0);
    T_OK(end_cycle(&e, NOW, &err), &err);
    T_OK(end_open(&e, &trust, &err), &err);
    T_OK(du_trust_components(trust, list_name, names, &err), &err);
    T_SAME(names, "ips posture tetra yara ");
    du_trust_roles(trust, list_role, roles);
    T_CHECK(strncmp(roles, "root=1/1/ed25519:", 17) == 0);
    key_id(5, id);
    (void)snprintf(want, sizeof want, "yara=0/1/ed25519:%.2s ips=0/1/ed25519:%.2s ", id, id);
    T_CHECK(strstr(roles, want) != NULL);
    T_CHECK(du_trust_expires(trust, "timestamp") == NOW + DAY);
    T_CHECK(du_trust_expires(trust, "nobody") == 0);
    T_OK(du_trust_check_expiry(trust, NOW, 0, &err), &err);
    T_FAILS(du_trust_check_expiry(trust, NOW + DAY, 0, &err), DEFUPD_E_EXPIRED, &err);
    T_OK(du_trust_check_expiry(trust, NOW + DAY, 1, &err), &err);
    T_FAILS(du_trust_check_expiry(trust, NOW + 365 * DAY, UINT64_MAX, &err), DEFUPD_E_EXPIRED,
            &err);
    T_CHECK(strstr(err.message, "root version 1 expired on 2027-11-21T09:00:00Z") != NULL);
}

static void what_was_seen_goes_there_and_back(void)
{
    AUTO_REPO r;
    AUTO_END e;
    DU_AUTO_TRUST *trust = NULL;
    DU_AUTO_TRUST *other = NULL;
    DU_AUTO_BUF first = DU_BUF(DU_SEEN_MAX);
    DU_AUTO_BUF second = DU_BUF(DU_SEEN_MAX);
    defupd_error err = { 0 };
    const struct file *root;

    repo_init(&r);
    (void)repo_delegate(&r, "targets", "strange/r\xc3\xb4le %", "a/*", 5);
    (void)repo_delegate(&r, "targets", "online-keys", "b/*", 5);
    repo_publish(&r);
    end_init(&e, &r);
    T_OK(end_cycle(&e, NOW, &err), &err);
    T_OK(end_open(&e, &trust, &err), &err);
    T_OK(du_trust_seen_write(trust, &first, &err), &err);
    T_CHECK(strstr(du_buf_text(&first), "strange%2Fr%C3%B4le%20%25 1\n") != NULL);
    T_CHECK(strncmp(du_buf_text(&first), "defupd-fact 1\nroot 1\n", 21) == 0);

    root = files_find(&r.files, "metadata/1.root.json");
    T_OK(du_trust_new(&other, du_buf_bytes(&root->bytes), "1.root.json", &err), &err);
    T_OK(du_trust_seen_read(other, du_buf_bytes(&first), &err), &err);
    T_OK(du_trust_seen_write(other, &second, &err), &err);
    T_SAME(du_buf_text(&second), du_buf_text(&first));
    T_CHECK(du_trust_seen(other, "strange/r\xc3\xb4le %") == 1);
    T_CHECK(du_trust_seen(other, "nobody") == 0);
    for (size_t at = 0; at < first.len; at++) {
        first.data[at] ^= 0x01;
        T_FAILS(du_trust_seen_read(other, du_buf_bytes(&first), &err), DEFUPD_E_STORE_CORRUPT,
                &err);
        first.data[at] ^= 0x01;
        T_FAILS(du_trust_seen_read(other, (struct du_bytes){ first.data, at }, &err),
                DEFUPD_E_STORE_CORRUPT, &err);
    }
}

/* Found by fuzz_metadata: `seen` as written for such a name could not be read again. */
static void a_name_that_no_role_can_have_does_not_spoil_what_was_seen(void)
{
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };
    static char path[400] = "meta ";

    repo_init(&r);
    repo_publish(&r);
    end_init(&e, &r);
    for (size_t i = 0; i < 100; i++)
        memcpy(path + 5 + i, i < 95 ? "=" : &".json"[i - 95], 1);
    r.edit_role = "snapshot";
    r.edit = edit_at;
    edit_path = path;
    edit_value = "[{\"version\":7}]";
    r.timestamp.version = 9;
    repo_publish(&r);
    T_OK(end_cycle(&e, NOW, &err), &err);
    files_remove(&e.local, "timestamp.json");
    r.timestamp.version = 8;
    repo_timestamp(&r);
    T_FAILS(end_cycle(&e, NOW, &err), DEFUPD_E_SOURCE_BEHIND, &err);
}

static void malformed_lines_of_seen_are_refused_though_their_sum_holds(void)
{
    static const char *const bad[] = { "root\n",
                                       "root x\n",
                                       "root 0\n",
                                       "root -1\n",
                                       "ro%ot 1\n",
                                       "ro%zzt 1\n",
                                       "%00 1\n",
                                       " 1\n",
                                       "root 1 2\n",
                                       "root 1x\n",
                                       "online-keys 0123456789abcdef0123456789abcdeg\n",
                                       "online-keys 0123456789abcdef0123456789abcdef,0\n" };
    AUTO_REPO r;
    DU_AUTO_TRUST *trust = NULL;
    defupd_error err = { 0 };

    repo_init(&r);
    T_OK(du_trust_new(&trust, du_buf_bytes(&r.files.file[0].bytes), "1.root.json", &err), &err);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        DU_AUTO_BUF text = DU_BUF(10000);
        T_OK(du_buf_printf(&text, &err, DU_FACT_HEAD "tetra 7\n%s", bad[i]), &err);
        T_OK(du_fact_seal(&text, 0, &err), &err);
        T_FAILS(du_trust_seen_read(trust, du_buf_bytes(&text), &err), DEFUPD_E_STORE_CORRUPT, &err);
        T_CHECK(du_trust_seen(trust, "tetra") == 0); /* all or nothing */
    }
}

int main(void)
{
    T_RUN(each_field_is_checked_before_any_effect);
    T_RUN(envelopes_are_checked);
    T_RUN(unusable_signatures_are_not_errors);
    T_RUN(a_threshold_of_zero_signs_nothing);
    T_RUN(components_and_roles_are_shown);
    T_RUN(what_was_seen_goes_there_and_back);
    T_RUN(a_name_that_no_role_can_have_does_not_spoil_what_was_seen);
    T_RUN(malformed_lines_of_seen_are_refused_though_their_sum_holds);
    return T_DONE();
}
