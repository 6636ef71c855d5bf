/* SPDX-License-Identifier: Apache-2.0 */
/* Keys come and go: thresholds, rotation, several roots behind, recovery from a fast-forward. */
#include <ctype.h>

#include "trust_repo.h"

struct keys {
    int keys[KEYS_MAX], threshold, signers[KEYS_MAX];
};

static void set_keys(struct role *role, const struct keys *k)
{
    memcpy(role->keys, k->keys, sizeof role->keys);
    memcpy(role->signers, k->signers, sizeof role->signers);
    role->threshold = k->threshold;
}

static void roots_are_followed_when_old_and_new_keys_have_signed(void)
{
    static const struct {
        const char *what;
        struct keys root[4];
        int good; /* how many of them verify */
    } row[] = {
        { "1-of-1", { { { 1 }, 1, { 1 } }, { { 2 }, 1, { 2, 1 } }, { { 2 }, 1, { 2 } } }, 3 },
        { "signatures of strangers do not matter",
          { { { 1 }, 1, { 3, 1, 4 } }, { { 2 }, 1, { 3, 2, 1, 4 } }, { { 2 }, 1, { 3, 2, 4 } } },
          3 },
        { "3-of-5, other three each time",
          { { { 10, 1, 2, 3, 4 }, 3, { 10, 2, 4 } },
            { { 10, 1, 2, 3, 4 }, 3, { 10, 4, 1 } },
            { { 10, 1, 2, 3, 4 }, 3, { 1, 2, 3 } } },
          3 },
        { "3-of-5, one replaced",
          { { { 10, 1, 2, 3, 4 }, 3, { 10, 2, 4 } }, { { 10, 1, 3, 4, 5 }, 3, { 10, 4, 1 } } },
          2 },
        { "3-of-5, all replaced",
          { { { 10, 1, 2, 3, 4 }, 3, { 10, 2, 4 } },
            { { 5, 6, 7, 8, 9 }, 3, { 10, 2, 4, 5, 6, 7 } },
            { { 5, 6, 7, 8, 9 }, 3, { 5, 6, 7 } } },
          3 },
        { "threshold up", { { { 1, 2, 3 }, 1, { 1 } }, { { 1, 2, 3 }, 2, { 1, 2 } } }, 2 },
        { "threshold down",
          { { { 1, 2, 3 }, 2, { 1, 2 } }, { { 1, 2, 3 }, 1, { 1, 2 } }, { { 1, 2, 3 }, 1, { 1 } } },
          3 },
        { "not by the old key", { { { 1 }, 1, { 1 } }, { { 2 }, 1, { 2, 3, 4 } } }, 1 },
        { "not by the new key", { { { 1 }, 1, { 1 } }, { { 2 }, 1, { 1, 3, 4 } } }, 1 },
        { "only two of three new keys",
          { { { 10, 1, 2, 3, 4 }, 3, { 10, 2, 4 } }, { { 10, 1, 3, 4, 5 }, 3, { 10, 2, 4 } } },
          1 },
        { "only two of three old keys",
          { { { 10, 1, 2, 3, 4 }, 3, { 10, 2, 4 } }, { { 10, 1, 3, 4, 5 }, 3, { 10, 4, 5 } } },
          1 },
        { "the new threshold not reached",
          { { { 1, 2, 3 }, 1, { 1 } }, { { 1, 2, 3 }, 2, { 2 } } },
          1 },
        { "the old threshold not reached",
          { { { 1, 2, 3 }, 2, { 1, 2 } }, { { 1, 2, 3 }, 1, { 1 } } },
          1 },
        { "one key listed and signing twice",
          { { { 1, 2, 3 }, 2, { 1, 2 } }, { { 1, 2, 3 }, 2, { 1, 1 } } },
          1 },
    };

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        AUTO_REPO r;
        AUTO_END e;
        defupd_error err = { 0 };
        int count = 0;
        defupd_code rc;

        repo_init(&r);
        r.root.version = 0;
        for (; count < 4 && row[i].root[count].threshold != 0; count++) {
            set_keys(&r.root, &row[i].root[count]);
            repo_next_root(&r);
        }
        repo_publish(&r);
        end_init(&e, &r);
        T_OK(end_pin(&e, "metadata/1.root.json", &err), &err);
        rc = end_cycle(&e, NOW, &err);
        if (rc != (row[i].good == count ? DEFUPD_OK : DEFUPD_E_SIGNATURE) ||
            end_version(&e, "root") != (uint64_t)row[i].good) {
            printf("# %s: %s, root %d: %s\n", row[i].what, defupd_code_name(rc),
                   (int)end_version(&e, "root"), err.message);
            t_failed++;
        }
        /* after a refused root the next cycle begins again where the chain is good */
        if (row[i].good < count) {
            char first[32];
            T_FAILS(end_cycle(&e, NOW, &err), DEFUPD_E_SIGNATURE, &err);
            (void)snprintf(first, sizeof first, "%d.root.json", row[i].good + 1);
            T_SAME(e.requests, first);
        }
    }
}

static void other_roles_need_their_threshold_of_distinct_keys(void)
{
    static const struct {
        struct keys keys;
        bool good;
    } row[] = {
        { { { 12 }, 1, { 12 } }, true },
        { { { 2 }, 1, { 3, 2, 4 } }, true },
        { { { 12 }, 1, { 2, 3, 4 } }, false },
        { { { 10, 1, 3, 4, 5 }, 3, { 10, 2, 4 } }, false },
        { { { 10, 1, 3, 4, 5 }, 3, { 10, 4 } }, false },
        { { { 10, 1, 2, 3, 4 }, 3, { 10, 2, 4 } }, true },
        { { { 10, 1, 2, 3, 4 }, 3, { 2, 3, 4 } }, true },
        { { { 10, 1, 2, 3, 4 }, 3, { 4, 4, 4 } }, false },
        { { { 10, 10, 10 }, 3, { 10, 10, 10 } }, false },
        { { { 10, 10, 10 }, 1, { 10 } }, true },
        { { { 10, 1 }, 3, { 10, 1 } }, false }, /* more than there are keys */
    };

    for (size_t which = 0; which < 3; which++) {
        for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
            AUTO_REPO r;
            AUTO_END e;
            defupd_error err = { 0 };
            struct role *const role[] = { &r.timestamp, &r.snapshot, &r.targets };
            defupd_code rc;

            repo_init(&r);
            set_keys(role[which], &row[i].keys);
            repo_root(&r);
            repo_publish(&r);
            end_init(&e, &r);
            rc = end_cycle(&e, NOW, &err);
            if (rc != (row[i].good ? DEFUPD_OK : DEFUPD_E_SIGNATURE)) {
                printf("# row %zu of %s: %s\n", i, role[which]->name, err.message);
                t_failed++;
            }
        }
    }
}

static struct du_json *raw(const struct du_json *value)
{
    return (struct du_json *)(uintptr_t)value;
}

/* The timestamp's key with one more field, and so with an id of its own. */
static struct du_json *noted_key(char id[65])
{
    struct du_json *key = key_json(2);

    (void)du_json_set(key, "note", du_json_new_string("the same key under another id"));
    json_id(key, id);
    return key;
}

/* Both counted for a threshold of 2. */
static void second_id(struct du_json *content)
{
    struct du_json *role = raw(du_json_object(du_json_object(content, "roles"), "timestamp"));
    char id[65];
    struct du_json *key = noted_key(id);

    (void)du_json_set(raw(du_json_object(content, "keys")), id, key);
    (void)du_json_append(raw(du_json_array(role, "keyids")), du_json_new_string(id));
    (void)du_json_set(role, "threshold", du_json_new_int(2));
}

static void one_key_under_two_ids_counts_once(void)
{
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };
    DU_AUTO_JSON *envelope = NULL;
    DU_AUTO_BUF text = DU_BUF(100000);
    char id[65];

    repo_init(&r);
    r.edit_role = "root";
    r.edit = second_id;
    repo_root(&r);
    repo_publish(&r);
    T_OK(du_json_parse(&envelope,
                       du_buf_bytes(&files_find(&r.files, "metadata/timestamp.json")->bytes), "t",
                       &err),
         &err);
    du_json_free(noted_key(id));
    sign_with(envelope, id, 2);
    T_OK(du_json_pretty(envelope, &text, &err), &err);
    files_put(&r.files, "metadata/timestamp.json", du_buf_bytes(&text));
    end_init(&e, &r);
    T_FAILS(end_cycle(&e, NOW, &err), DEFUPD_E_SIGNATURE, &err);
    T_CHECK(strstr(err.message, "1 valid signatures") != NULL);
}

/* The threshold is reached, and one signature stands there twice: "not allowed" (4.2). */
static void a_signature_that_is_listed_twice_spoils_the_file(void)
{
    for (size_t i = 0; i < 3; i++) {
        AUTO_REPO r;
        AUTO_END e;
        defupd_error err = { 0 };
        struct role *const which[] = { &r.timestamp, &r.snapshot, &r.targets };

        repo_init(&r);
        which[i]->signers[1] = which[i]->signers[0];
        repo_publish(&r);
        end_init(&e, &r);
        T_FAILS(end_cycle(&e, NOW, &err), DEFUPD_E_SIGNATURE, &err);
        T_CHECK(strstr(err.message, ": two signatures of key ") != NULL &&
                strstr(err.message, which[i]->name) != NULL);
        which[i]->signers[1] = 0;
        repo_next(&r);
        T_OK(end_cycle(&e, NOW, &err), &err);
    }
}

/* One more signature in a published file: by a key, in the name of an id. */
static void sign_also(struct repo *r, const char *path, const char *id, int number)
{
    DU_AUTO_JSON *envelope = NULL;
    DU_AUTO_BUF text = DU_BUF(100000);
    defupd_error err = { 0 };

    T_OK(du_json_parse(&envelope, du_buf_bytes(&files_find(&r->files, path)->bytes), "t", &err),
         &err);
    sign_with(envelope, id, number);
    T_OK(du_json_pretty(envelope, &text, &err), &err);
    files_put(&r->files, path, du_buf_bytes(&text));
}

/* A thief has one key of three, two are needed: he signs with it in his own name and in those of
 * the other two. */
static void forge(struct repo *r, const char *path, const int honest[2], int stolen)
{
    for (int i = 0; i < 2; i++) {
        char id[65];
        key_id(honest[i], id);
        sign_also(r, path, id, stolen);
    }
}

/* In the one place where `named` gets its keys: key 8 too, under an id. */
static const char *named;
static char name_of_8[65];
static bool tools_fields; /* which its id does not know */

static void add_key_8(struct du_json *content)
{
    const struct du_json *delegations = du_json_object(content, "delegations");
    struct du_json *keys = raw(du_json_object(delegations != NULL ? delegations : content, "keys"));
    const struct du_json *role = delegations != NULL
                                     ? du_json_at(du_json_array(delegations, "roles"), 0)
                                     : du_json_object(du_json_object(content, "roles"), named);

    struct du_json *key = key_json(8);

    if (tools_fields)
        (void)du_json_set(key, "keyid_hash_algorithms", du_json_new_string("md5"));
    (void)du_json_set(keys, name_of_8, key);
    (void)du_json_append(raw(du_json_array(role, "keyids")), du_json_new_string(name_of_8));
}

static void a_key_under_an_id_that_is_not_its_own_signs_nothing(void)
{
    static const char *const path[] = { "metadata/2.root.json", "metadata/timestamp.json",
                                        "metadata/1.snapshot.json", "metadata/1.targets.json",
                                        "metadata/1.ips.json" };

    for (int row = 0; row < 20; row++) {
        AUTO_REPO r;
        AUTO_END e;
        DU_AUTO_BUF out = DU_BUF(1000);
        defupd_error err = { 0 };
        struct role *role;

        repo_init(&r);
        (void)repo_delegate(&r, "targets", "ips", "ips/*", 5);
        r.target[r.target_count++] = (struct target){ "ips", "ips/manifest.xml", "<ips/>" };
        r.hashes = false;
        role = (struct role *const[]){ &r.root, &r.timestamp, &r.snapshot, &r.targets,
                                       &r.delegated[0] }[row / 4];
        role->threshold = 2;
        named = role->name;
        tools_fields = row % 4 == 3;
        key_id(row % 4 == 1 ? 9 : 8, name_of_8);
        if (row % 4 == 2) /* another way to write it */
            for (char *digit = name_of_8; *digit != '\0'; digit++)
                *digit = (char)toupper((unsigned char)*digit);
        r.edit_role = row / 4 == 4 ? "targets" : "root";
        r.edit = add_key_8;
        if (row / 4 == 0)
            r.root.version = 2;
        repo_root(&r);
        repo_publish(&r);
        sign_also(&r, path[row / 4], name_of_8, 8);
        end_init(&e, &r);
        if (row % 4 == 0 || row % 4 == 3) {
            T_OK(end_target(&e, NOW, "ips/manifest.xml", &out, &err), &err);
            continue;
        }
        T_FAILS(end_target(&e, NOW, "ips/manifest.xml", &out, &err), DEFUPD_E_SIGNATURE, &err);
        T_CHECK(strstr(err.message, "1 valid signatures") != NULL &&
                strstr(err.message, "id is not its SHA-256") != NULL);
    }
}

static void stolen_keys_below_a_threshold_sign_nothing(void)
{
    static const char *const path[] = { "metadata/2.root.json", "metadata/timestamp.json",
                                        "metadata/2.snapshot.json", "metadata/2.targets.json",
                                        "metadata/2.ips.json" };

    for (int which = 0; which < 5; which++) {
        AUTO_REPO r;
        AUTO_END e;
        DU_AUTO_BUF out = DU_BUF(1000);
        defupd_error err = { 0 };
        static const int honest[] = { 30, 31 };
        struct role *role;

        repo_init(&r);
        (void)repo_delegate(&r, "targets", "ips", "ips/*", 5);
        r.target[r.target_count++] = (struct target){ "ips", "ips/manifest.xml", "<ips/>" };
        r.hashes = false; /* or a digest would find it, and not the signature */
        role = (struct role *const[]){ &r.root, &r.timestamp, &r.snapshot, &r.targets,
                                       &r.delegated[0] }[which];
        set_keys(role, &(const struct keys){ { 29, 30, 31 }, 2, { 30, 31 } });
        repo_root(&r);
        repo_publish(&r);
        end_init(&e, &r);
        T_OK(end_target(&e, NOW, "ips/manifest.xml", &out, &err), &err);
        set_keys(role, &(const struct keys){ { 29, 30, 31 }, 2, { 29 } });
        r.target[1].content = "<evil/>";
        if (which == 0)
            repo_next_root(&r);
        repo_next(&r);
        forge(&r, path[which], honest, 29);
        if (which == 0)
            r.root.version = 1;
        T_FAILS(end_target(&e, NOW, "ips/manifest.xml", &out, &err), DEFUPD_E_SIGNATURE, &err);
        T_CHECK(strstr(err.message, "1 valid signatures") != NULL &&
                strstr(err.message, "expected at least 2") != NULL);
        T_CHECK(end_version(&e, role->name) == 1);
        /* two of the three do it */
        set_keys(role, &(const struct keys){ { 29, 30, 31 }, 2, { 31, 29 } });
        if (which == 0)
            repo_next_root(&r);
        repo_next(&r);
        T_OK(end_target(&e, NOW, "ips/manifest.xml", &out, &err), &err);
    }
}

static char strange_id[4][65];

/* Between the root's keys 1 and 8, of which both are needed. */
static void strange_keys(struct du_json *content)
{
    static const char *const strange[][3] = { { "ed448", "ed448", "00" },
                                              { "rsa", "rsa-pkcs1v15-sha1", "x" },
                                              { "ed25519", "ed25519", "too short" },
                                              { "sigstore-oidc", "Fulcio", "" } };
    struct du_json *keys = raw(du_json_object(content, "keys"));
    struct du_json *ids =
        raw(du_json_array(du_json_object(du_json_object(content, "roles"), "root"), "keyids"));

    for (size_t i = 0; i < 4; i++) {
        struct du_json *key = du_json_new_object(), *value = du_json_new_object();
        if (strange[i][2][0] != '\0')
            (void)du_json_set(value, "public", du_json_new_string(strange[i][2]));
        (void)du_json_set(value, "identity", du_json_new_string("somebody"));
        (void)du_json_set(key, "keytype", du_json_new_string(strange[i][0]));
        (void)du_json_set(key, "scheme", du_json_new_string(strange[i][1]));
        (void)du_json_set(key, "keyval", value);
        json_id(key, strange_id[i]);
        (void)du_json_set(keys, strange_id[i], key);
        (void)du_json_append(ids, du_json_new_string(strange_id[i]));
    }
    (void)du_json_append(ids, du_json_new_string("no such key"));
    named = "root";
    key_id(8, name_of_8);
    add_key_8(content);
    (void)du_json_set(content, "custom", du_json_new_object());
}

static void unknown_keys_and_fields_are_tolerated(void)
{
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };

    repo_init(&r);
    r.edit_role = "root";
    r.edit = strange_keys;
    r.root.threshold = 2;
    repo_root(&r);
    for (size_t i = 0; i < 4; i++)
        sign_also(&r, "metadata/1.root.json", strange_id[i], 9);
    sign_also(&r, "metadata/1.root.json", name_of_8, 8);
    repo_publish(&r);
    end_init(&e, &r);
    T_OK(end_cycle(&e, NOW, &err), &err);
}

static void an_endpoint_that_is_many_roots_behind_catches_up(void)
{
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };

    repo_init(&r);
    repo_publish(&r);
    end_init(&e, &r);
    T_OK(end_cycle(&e, NOW, &err), &err);
    for (int i = 20; i < 25; i++) { /* a new key each time, signed by the one before */
        r.root.signers[1] = r.root.keys[0];
        r.root.keys[0] = r.root.signers[0] = i;
        r.root.expires = i < 24 ? NOW - DAY : NOW + DAY; /* intermediate ones may have expired */
        repo_next_root(&r);
    }
    repo_next(&r);
    T_OK(end_cycle(&e, NOW, &err), &err);
    T_SAME(e.requests, "2.root.json 3.root.json 4.root.json 5.root.json 6.root.json 7.root.json "
                       "timestamp.json 2.snapshot.json 2.targets.json");
    T_CHECK(end_version(&e, "root") == 6 && end_version(&e, "targets") == 2);
}

/* An attacker with the online keys has raised every version beyond all measure. */
static void fast_forward(struct repo *r, struct end *e)
{
    defupd_error err = { 0 };

    repo_init(r);
    (void)repo_delegate(r, "targets", "ips", "ips/*", 5);
    r->timestamp.version = r->snapshot.version = r->targets.version = INT64_C(9007199254740991);
    r->delegated[0].version = 999;
    repo_publish(r);
    end_init(e, r);
    T_OK(end_cycle(e, NOW, &err), &err);
}

static void recover_versions(struct repo *r)
{
    r->timestamp.version = r->snapshot.version = r->targets.version = 2;
    r->delegated[0].version = 2;
}

static void rotated_online_keys_recover_from_a_fast_forward(void)
{
    /* timestamp's, snapshot's, both; a key beside that stays does not matter */
    for (int which = 1; which <= 3; which++) {
        AUTO_REPO r;
        AUTO_END e;
        defupd_error err = { 0 };

        fast_forward(&r, &e);
        recover_versions(&r);
        if ((which & 1) != 0)
            r.timestamp.keys[0] = r.timestamp.signers[0] = 22;
        if ((which & 2) != 0)
            r.snapshot.keys[0] = r.snapshot.signers[0] = 33;
        repo_next_root(&r);
        repo_publish(&r);
        T_OK(end_cycle(&e, NOW, &err), &err);
        T_CHECK(end_version(&e, "timestamp") == 2 && end_version(&e, "snapshot") == 2);
        T_CHECK(end_version(&e, "targets") == 2);
    }
}

static void without_rotated_keys_a_fast_forward_stands(void)
{
    /* a new targets key, a key that is only added, a threshold: none of them is a rotation */
    for (int which = 0; which < 3; which++) {
        AUTO_REPO r;
        AUTO_END e;
        defupd_error err = { 0 };

        fast_forward(&r, &e);
        recover_versions(&r);
        if (which == 0)
            r.targets.keys[0] = r.targets.signers[0] = 44;
        if (which == 1)
            r.timestamp.keys[1] = 22;
        if (which == 2) {
            r.timestamp.keys[1] = r.timestamp.signers[1] = 22;
            r.timestamp.threshold = 2;
        }
        repo_next_root(&r);
        repo_publish(&r);
        T_FAILS(end_cycle(&e, NOW, &err), DEFUPD_E_SOURCE_BEHIND, &err);
    }
}

static void a_crash_anywhere_in_a_rotation_loses_neither_recovery_nor_the_store(void)
{
    bool done = false;

    for (int at = 1; !done && at < 40; at++) {
        AUTO_REPO r;
        AUTO_END e;
        defupd_error err = { 0 };

        fast_forward(&r, &e);
        recover_versions(&r);
        r.timestamp.keys[1] = r.timestamp.signers[1] = 22; /* the old key of two goes ... */
        r.timestamp.keys[0] = r.timestamp.signers[0] = 23;
        r.snapshot.keys[1] = 3; /* ... one stays where its signatures still verify */
        repo_next_root(&r);
        repo_publish(&r);
        e.saves = 0;
        e.save_fails_at = at;
        done = end_cycle(&e, NOW, &err) == DEFUPD_OK && e.saves < at;
        e.save_fails_at = 0;
        T_OK(end_cycle(&e, NOW, &err), &err);
        T_CHECK(end_version(&e, "timestamp") == 2 && end_version(&e, "targets") == 2);
    }
    T_CHECK(done);
}

static void metadata_we_have_is_checked_again_under_a_new_root(void)
{
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };

    repo_init(&r);
    repo_publish(&r);
    end_init(&e, &r);
    T_OK(end_cycle(&e, NOW, &err), &err);
    r.snapshot.keys[1] = 33; /* a second key and a threshold that the snapshot does not reach */
    r.snapshot.threshold = 2;
    repo_next_root(&r);
    T_FAILS(end_cycle(&e, NOW, &err), DEFUPD_E_SIGNATURE, &err);
    T_SAME(e.requests, "2.root.json 3.root.json timestamp.json 1.snapshot.json");
    r.targets.keys[0] = r.targets.signers[0] = 44;
    r.snapshot.signers[1] = 33;
    repo_next_root(&r);
    repo_next(&r);
    T_OK(end_cycle(&e, NOW, &err), &err);
}

static void a_source_that_withholds_the_newest_root_is_behind(void)
{
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };

    repo_init(&r);
    repo_next_root(&r);
    repo_publish(&r);
    end_init(&e, &r);
    T_OK(end_cycle(&e, NOW, &err), &err);
    files_remove(&e.local, "roots/2.root.json"); /* lost here; `seen` knows of it */
    files_remove(&r.files, "metadata/2.root.json");
    T_FAILS(end_cycle(&e, NOW, &err), DEFUPD_E_SOURCE_BEHIND, &err);
    T_CHECK(strstr(err.message, "version 2 was seen before") != NULL);
}

int main(void)
{
    T_RUN(roots_are_followed_when_old_and_new_keys_have_signed);
    T_RUN(other_roles_need_their_threshold_of_distinct_keys);
    T_RUN(one_key_under_two_ids_counts_once);
    T_RUN(a_signature_that_is_listed_twice_spoils_the_file);
    T_RUN(a_key_under_an_id_that_is_not_its_own_signs_nothing);
    T_RUN(stolen_keys_below_a_threshold_sign_nothing);
    T_RUN(unknown_keys_and_fields_are_tolerated);
    T_RUN(an_endpoint_that_is_many_roots_behind_catches_up);
    T_RUN(rotated_online_keys_recover_from_a_fast_forward);
    T_RUN(without_rotated_keys_a_fast_forward_stands);
    T_RUN(a_crash_anywhere_in_a_rotation_loses_neither_recovery_nor_the_store);
    T_RUN(metadata_we_have_is_checked_again_under_a_new_root);
    T_RUN(a_source_that_withholds_the_newest_root_is_behind);
    return T_DONE();
}
