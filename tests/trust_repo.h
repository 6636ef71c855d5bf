/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A made-up repository in memory, and an endpoint's folder beside it. Keys are Ed25519 from fixed
 * seeds, named by a number; every role says which keys it has and which of them sign, so that an
 * attack is a few changed fields:
 *
 *     struct repo r; repo_init(&r); repo_publish(&r);
 *     struct end e; end_init(&e, &r);
 *     T_OK(end_cycle(&e, NOW, &err), &err);
 */
#ifndef TRUST_REPO_H
#define TRUST_REPO_H

#include <inttypes.h>

#include <sodium.h>

#include "base/scope.h"
#include "base/when.h"
#include "crypto/crypto.h"
#include "t.h"
#include "trust/trust.h"
#include "update/refresh.h"
#include "json/json.h"

#define NOW INT64_C(1795251600) /* 2026-11-21T09:00:00Z */
#define DAY INT64_C(86400)
#define KEYS_MAX 8
#define ROLES_MAX 48

/* --- files in memory --- */

struct files {
    struct file {
        char name[400];
        struct du_buf bytes;
    } file[160];
    size_t count;
};

static inline struct file *files_find(struct files *files, const char *name)
{
    for (size_t i = 0; i < files->count; i++) {
        if (strcmp(files->file[i].name, name) == 0)
            return &files->file[i];
    }
    return NULL;
}

static inline void files_put(struct files *files, const char *name, struct du_bytes bytes)
{
    struct file *file = files_find(files, name);
    defupd_error err = { 0 };

    if (file == NULL) {
        if (files->count == sizeof files->file / sizeof files->file[0])
            abort();
        file = &files->file[files->count++];
        *file = (struct file){ .bytes = DU_BUF(DU_TARGETS_MAX + 1) };
        (void)snprintf(file->name, sizeof file->name, "%s", name);
    }
    du_buf_clear(&file->bytes);
    if (du_buf_add(&file->bytes, bytes.data, bytes.len, &err) != DEFUPD_OK)
        abort();
}

static inline void files_remove(struct files *files, const char *name)
{
    struct file *file = files_find(files, name);

    if (file == NULL)
        return;
    du_buf_free(&file->bytes);
    *file = files->file[--files->count];
}

static inline void files_free(struct files *files)
{
    for (size_t i = 0; i < files->count; i++)
        du_buf_free(&files->file[i].bytes);
    files->count = 0;
}

/* --- the repository --- */

struct role {
    const char *name;
    int keys[KEYS_MAX], signers[KEYS_MAX]; /* numbers of keys, ended by 0 */
    int threshold;
    int64_t version, expires;
    /* delegated ones */
    const char *parent, *paths[4], *prefixes[4];
    bool terminating;
};

struct target {
    const char *role, *path, *content;
};

struct repo {
    struct role root, timestamp, snapshot, targets, delegated[ROLES_MAX];
    size_t delegated_count;
    struct target target[16];
    size_t target_count;
    bool consistent, hashes;
    const char *unlisted;    /* a role that the snapshot leaves out */
    int64_t stated_snapshot; /* version that the timestamp states; 0: the real one */
    int64_t stated_targets;  /* version that the snapshot states; 0: the real one */
    const char *edit_role;   /* call edit() on this role's "signed" before it is signed */
    void (*edit)(struct du_json *content);
    struct files files;
};

static inline void key_pair(int number, unsigned char public_key[32], unsigned char secret[64])
{
    unsigned char seed[32] = { 0 };

    seed[0] = (unsigned char)number;
    seed[1] = (unsigned char)(number >> 8);
    (void)crypto_sign_seed_keypair(public_key, secret, seed);
}

static inline struct du_json *key_json(int number)
{
    unsigned char public_key[32], secret[64];
    struct du_json *key = du_json_new_object(), *value = du_json_new_object();
    char hex[65];

    key_pair(number, public_key, secret);
    du_hex(hex, public_key, 32);
    (void)du_json_set(value, "public", du_json_new_string(hex));
    (void)du_json_set(key, "keytype", du_json_new_string("ed25519"));
    (void)du_json_set(key, "scheme", du_json_new_string("ed25519"));
    (void)du_json_set(key, "keyval", value);
    return key;
}

static inline void json_id(const struct du_json *key, char id[65])
{
    DU_AUTO_BUF text = DU_BUF(4096);
    unsigned char digest[32];
    defupd_error err = { 0 };

    if (du_json_canonical(key, &text, &err) != DEFUPD_OK)
        abort();
    du_sha256(digest, text.data, text.len);
    du_hex(id, digest, 32);
}

static inline void key_id(int number, char id[65])
{
    DU_AUTO_JSON *key = key_json(number);

    json_id(key, id);
}

static inline void sign_with(struct du_json *envelope, const char *keyid, int number)
{
    struct du_json *entry = du_json_new_object();
    unsigned char public_key[32], secret[64], signature[64];
    DU_AUTO_BUF text = DU_BUF(2 * DU_TARGETS_MAX);
    defupd_error err = { 0 };
    char hex[129];

    key_pair(number, public_key, secret);
    if (du_json_canonical(du_json_object(envelope, "signed"), &text, &err) != DEFUPD_OK)
        abort();
    (void)crypto_sign_detached(signature, NULL, text.data, text.len, secret);
    du_hex(hex, signature, 64);
    (void)du_json_set(entry, "keyid", du_json_new_string(keyid));
    (void)du_json_set(entry, "sig", du_json_new_string(hex));
    (void)du_json_append((struct du_json *)(uintptr_t)du_json_array(envelope, "signatures"), entry);
}

/* Takes `content`. */
static inline void put_signed(struct repo *r, const struct role *role, const char *path,
                              struct du_json *content)
{
    DU_AUTO_JSON *envelope = du_json_new_object();
    DU_AUTO_BUF text = DU_BUF(2 * DU_TARGETS_MAX);
    defupd_error err = { 0 };
    char id[65];

    if (r->edit != NULL && strcmp(r->edit_role, role->name) == 0)
        r->edit(content);
    (void)du_json_set(envelope, "signatures", du_json_new_array());
    (void)du_json_set(envelope, "signed", content);
    for (int i = 0; i < KEYS_MAX && role->signers[i] != 0; i++) {
        key_id(role->signers[i], id);
        sign_with(envelope, id, role->signers[i]);
    }
    if (du_json_pretty(envelope, &text, &err) != DEFUPD_OK)
        abort();
    files_put(&r->files, path, du_buf_bytes(&text));
}

static inline struct du_json *content_of(const struct role *role, const char *type)
{
    struct du_json *content = du_json_new_object();
    char date[DU_TIME_TEXT];

    du_time_format(date, role->expires);
    (void)du_json_set(content, "_type", du_json_new_string(type));
    (void)du_json_set(content, "spec_version", du_json_new_string("1.0.34"));
    (void)du_json_set(content, "version", du_json_new_int(role->version));
    (void)du_json_set(content, "expires", du_json_new_string(date));
    return content;
}

/* {keyids, threshold}, and the keys into `keys`. */
static inline struct du_json *signers_json(const struct role *role, struct du_json *keys)
{
    struct du_json *entry = du_json_new_object(), *ids = du_json_new_array();
    char id[65];

    for (int i = 0; i < KEYS_MAX && role->keys[i] != 0; i++) {
        key_id(role->keys[i], id);
        (void)du_json_append(ids, du_json_new_string(id));
        (void)du_json_set(keys, id, key_json(role->keys[i]));
    }
    (void)du_json_set(entry, "keyids", ids);
    (void)du_json_set(entry, "threshold", du_json_new_int(role->threshold));
    return entry;
}

static inline void repo_root(struct repo *r)
{
    const struct role *const top[] = { &r->root, &r->timestamp, &r->snapshot, &r->targets };
    struct du_json *content = content_of(&r->root, "root");
    struct du_json *keys = du_json_new_object(), *roles = du_json_new_object();
    char path[64];

    for (size_t i = 0; i < 4; i++)
        (void)du_json_set(roles, top[i]->name, signers_json(top[i], keys));
    (void)du_json_set(content, "consistent_snapshot", du_json_new_bool(r->consistent));
    (void)du_json_set(content, "keys", keys);
    (void)du_json_set(content, "roles", roles);
    (void)snprintf(path, sizeof path, "metadata/%" PRId64 ".root.json", r->root.version);
    put_signed(r, &r->root, path, content);
}

static inline void role_path(const struct repo *r, const char *name, int64_t version,
                             char path[400])
{
    if (r->consistent && strcmp(name, "timestamp") != 0)
        (void)snprintf(path, 400, "metadata/%" PRId64 ".%s.json", version, name);
    else
        (void)snprintf(path, 400, "metadata/%s.json", name);
}

static inline struct du_json *texts_json(const char *const *text)
{
    struct du_json *list = du_json_new_array();

    for (size_t i = 0; i < 4 && text[i] != NULL; i++)
        (void)du_json_append(list, du_json_new_string(text[i]));
    return list;
}

static inline struct du_json *delegations_json(const struct repo *r, const char *parent)
{
    struct du_json *all = du_json_new_object(), *keys = du_json_new_object();
    struct du_json *roles = du_json_new_array();

    for (size_t i = 0; i < r->delegated_count; i++) {
        const struct role *role = &r->delegated[i];
        struct du_json *entry;
        if (strcmp(role->parent, parent) != 0)
            continue;
        entry = signers_json(role, keys);
        (void)du_json_set(entry, "name", du_json_new_string(role->name));
        (void)du_json_set(entry, "terminating", du_json_new_bool(role->terminating));
        if (role->prefixes[0] != NULL)
            (void)du_json_set(entry, "path_hash_prefixes", texts_json(role->prefixes));
        else
            (void)du_json_set(entry, "paths", texts_json(role->paths));
        (void)du_json_append(roles, entry);
    }
    (void)du_json_set(all, "keys", keys);
    (void)du_json_set(all, "roles", roles);
    return all;
}

static inline void repo_target_files(struct repo *r, const struct target *target,
                                     struct du_json *targets)
{
    struct du_json *entry = du_json_new_object(), *hashes = du_json_new_object();
    const size_t len = strlen(target->content);
    const char *slash = strrchr(target->path, '/');
    const char *file = slash != NULL ? slash + 1 : target->path;
    unsigned char digest[32];
    char hex[65], path[400];

    du_sha256(digest, target->content, len);
    du_hex(hex, digest, 32);
    (void)du_json_set(hashes, "sha256", du_json_new_string(hex));
    (void)du_json_set(entry, "length", du_json_new_int((int64_t)len));
    (void)du_json_set(entry, "hashes", hashes);
    (void)du_json_set(targets, target->path, entry);
    (void)snprintf(path, sizeof path, "targets/%.*s%s%s%s", (int)(file - target->path),
                   target->path, r->consistent ? hex : "", r->consistent ? "." : "", file);
    files_put(&r->files, path, (struct du_bytes){ (const unsigned char *)target->content, len });
}

static inline void repo_targets_role(struct repo *r, const struct role *role)
{
    struct du_json *content = content_of(role, "targets"), *targets = du_json_new_object();
    char path[400];

    for (size_t i = 0; i < r->target_count; i++) {
        if (strcmp(r->target[i].role, role->name) == 0)
            repo_target_files(r, &r->target[i], targets);
    }
    (void)du_json_set(content, "targets", targets);
    (void)du_json_set(content, "delegations", delegations_json(r, role->name));
    role_path(r, role->name, role->version, path);
    put_signed(r, role, path, content);
}

static inline struct du_json *meta_json(struct repo *r, const char *name, int64_t version,
                                        int64_t stated)
{
    struct du_json *entry = du_json_new_object(), *hashes;
    char path[400], hex[65];
    unsigned char digest[32];
    const struct file *file;

    (void)du_json_set(entry, "version", du_json_new_int(stated != 0 ? stated : version));
    role_path(r, name, version, path);
    file = files_find(&r->files, path);
    if (!r->hashes || file == NULL)
        return entry;
    du_sha256(digest, file->bytes.data, file->bytes.len);
    du_hex(hex, digest, 32);
    hashes = du_json_new_object();
    (void)du_json_set(hashes, "sha256", du_json_new_string(hex));
    (void)du_json_set(entry, "hashes", hashes);
    (void)du_json_set(entry, "length", du_json_new_int((int64_t)file->bytes.len));
    return entry;
}

static inline void repo_snapshot(struct repo *r)
{
    struct du_json *content = content_of(&r->snapshot, "snapshot"), *meta = du_json_new_object();
    char name[400], path[400];

    if (r->unlisted == NULL || strcmp(r->unlisted, "targets") != 0)
        (void)du_json_set(meta, "targets.json",
                          meta_json(r, "targets", r->targets.version, r->stated_targets));
    for (size_t i = 0; i < r->delegated_count; i++) {
        const struct role *role = &r->delegated[i];
        if (r->unlisted != NULL && strcmp(r->unlisted, role->name) == 0)
            continue;
        (void)snprintf(name, sizeof name, "%s.json", role->name);
        (void)du_json_set(meta, name, meta_json(r, role->name, role->version, 0));
    }
    (void)du_json_set(content, "meta", meta);
    role_path(r, "snapshot", r->snapshot.version, path);
    put_signed(r, &r->snapshot, path, content);
}

static inline void repo_timestamp(struct repo *r)
{
    struct du_json *content = content_of(&r->timestamp, "timestamp");
    struct du_json *meta = du_json_new_object();

    (void)du_json_set(meta, "snapshot.json",
                      meta_json(r, "snapshot", r->snapshot.version, r->stated_snapshot));
    (void)du_json_set(content, "meta", meta);
    put_signed(r, &r->timestamp, "metadata/timestamp.json", content);
}

/* All of it but the root. */
static inline void repo_publish(struct repo *r)
{
    for (size_t i = 0; i < r->delegated_count; i++)
        repo_targets_role(r, &r->delegated[i]);
    repo_targets_role(r, &r->targets);
    repo_snapshot(r);
    repo_timestamp(r);
}

/* One more of each version below the root, and published. */
static inline void repo_next(struct repo *r)
{
    r->timestamp.version++;
    r->snapshot.version++;
    r->targets.version++;
    for (size_t i = 0; i < r->delegated_count; i++)
        r->delegated[i].version++;
    repo_publish(r);
}

static inline void repo_next_root(struct repo *r)
{
    r->root.version++;
    repo_root(r);
}

static inline void repo_init(struct repo *r)
{
    memset(r, 0, sizeof *r);
    r->root = (struct role){ "root", { 1 }, { 1 }, 1, 1, NOW + 365 * DAY, NULL, { 0 }, { 0 }, 0 };
    r->timestamp =
        (struct role){ "timestamp", { 2 }, { 2 }, 1, 1, NOW + DAY, NULL, { 0 }, { 0 }, 0 };
    r->snapshot =
        (struct role){ "snapshot", { 3 }, { 3 }, 1, 1, NOW + 7 * DAY, NULL, { 0 }, { 0 }, 0 };
    r->targets =
        (struct role){ "targets", { 4 }, { 4 }, 1, 1, NOW + 90 * DAY, NULL, { 0 }, { 0 }, 0 };
    r->consistent = r->hashes = true;
    r->target[r->target_count++] = (struct target){ "targets", "tetra/manifest.xml", "<tetra/>" };
    repo_root(r);
}

static inline struct role *repo_delegate(struct repo *r, const char *parent, const char *name,
                                         const char *path, int key)
{
    struct role *role = &r->delegated[r->delegated_count++];

    *role = (struct role){ name,           { key }, { key },  1,     1,
                           NOW + 90 * DAY, parent,  { path }, { 0 }, false };
    return role;
}

static inline void repo_free(struct repo *r)
{
    files_free(&r->files);
}
#define AUTO_REPO __attribute__((cleanup(repo_free))) struct repo

/* --- the endpoint --- */

struct end {
    struct repo *repo;
    struct files local;
    struct du_refresh_io io;
    char requests[2000]; /* "2.root timestamp ...", newest last */
    char log[4000];
    int fetches, etag_hits, saves, save_fails_at;
    size_t most; /* largest `max` that was asked for */
    bool etags, online;
    bool spared;           /* the save that failed was of a record that may be lost */
    const char *fail_path; /* this one fails with fail_code */
    defupd_code fail_code;
};

static inline defupd_code end_fetch(void *user, const char *path, size_t max, const char *etag,
                                    struct du_buf *out, enum du_got *got, char etag_out[128],
                                    defupd_error *err)
{
    struct end *e = user;
    const struct file *file = files_find(&e->repo->files, path);
    const char *shown = strncmp(path, "metadata/", 9) == 0 ? path + 9 : path;
    const size_t len = strlen(e->requests);
    unsigned char digest[32];

    e->fetches++;
    e->most = max > e->most ? max : e->most;
    (void)snprintf(e->requests + len, sizeof e->requests - len, "%s%s", len > 0 ? " " : "", shown);
    if (e->fail_path != NULL && strcmp(path, e->fail_path) == 0)
        return DU_FAIL(err, e->fail_code, "%s: made to fail", path);
    *got = DU_GOT_NOTHING;
    if (file == NULL)
        return DEFUPD_OK;
    if (file->bytes.len > max)
        return DU_FAIL(err, DEFUPD_E_TOOLARGE, "%s: more than %zu bytes", path, max);
    du_sha256(digest, file->bytes.data, file->bytes.len);
    if (e->etags) {
        etag_out[0] = '"';
        du_hex(etag_out + 1, digest, 8);
        memcpy(etag_out + 17, "\"", 2);
        if (etag != NULL && strcmp(etag, etag_out) == 0) {
            e->etag_hits++;
            *got = DU_GOT_UNCHANGED;
            return DEFUPD_OK;
        }
    }
    *got = DU_GOT_BYTES;
    return du_buf_add(out, file->bytes.data, file->bytes.len, err);
}

static inline defupd_code end_load(void *user, const char *name, struct du_buf *out,
                                   defupd_error *err)
{
    struct end *e = user;
    const struct file *file = files_find(&e->local, name);

    if (file == NULL)
        return du_err_set(err, DEFUPD_E_IO, ENOENT, "test", 0, "%s", name);
    return du_buf_add(out, file->bytes.data, file->bytes.len, err);
}

static inline defupd_code end_save(void *user, const char *name, struct du_bytes bytes,
                                   defupd_error *err)
{
    struct end *e = user;

    if (++e->saves == e->save_fails_at) {
        e->spared = strcmp(name, "checked") == 0;
        return DU_FAIL(err, DEFUPD_E_NO_SPACE, "%s: made to fail", name);
    }
    files_put(&e->local, name, bytes);
    return DEFUPD_OK;
}

static inline defupd_code end_remove(void *user, const char *name, defupd_error *err)
{
    struct end *e = user;

    if (++e->saves == e->save_fails_at)
        return DU_FAIL(err, DEFUPD_E_IO, "%s: made to fail", name);
    files_remove(&e->local, name);
    return DEFUPD_OK;
}

static inline defupd_code end_roots(void *user, void (*each)(void *arg, uint64_t version),
                                    void *arg, defupd_error *err)
{
    struct end *e = user;

    (void)err;
    for (size_t i = e->local.count; i-- > 0;) {
        uint64_t version;
        char *dot, text[64];
        if (strncmp(e->local.file[i].name, "roots/", 6) != 0)
            continue;
        (void)snprintf(text, sizeof text, "%s", e->local.file[i].name + 6);
        if ((dot = strchr(text, '.')) != NULL)
            *dot = '\0';
        if (du_parse_u64(text, UINT64_MAX, &version))
            each(arg, version);
    }
    return DEFUPD_OK;
}

static inline void end_log(void *user, defupd_level level, const char *text)
{
    struct end *e = user;
    const size_t len = strlen(e->log);

    (void)snprintf(e->log + len, sizeof e->log - len, "%d %s\n", (int)level, text);
}

static inline void end_init(struct end *e, struct repo *repo)
{
    memset(e, 0, sizeof *e);
    e->repo = repo;
    e->etags = e->online = true;
}

static inline struct du_refresh_io *end_io(struct end *e)
{
    e->io = (struct du_refresh_io){
        e, e->online ? end_fetch : NULL, end_load, end_save, end_remove, end_roots, end_log
    };
    return &e->io;
}

/* The first root as the one that is given. */
static inline defupd_code end_open(struct end *e, struct du_trust **trust, defupd_error *err)
{
    const struct file *root = files_find(&e->repo->files, "metadata/1.root.json");
    const struct du_refresh_options options = { .pin = du_buf_bytes(&root->bytes) };

    return du_refresh_load(trust, end_io(e), &options, err);
}

/* Pin this root of the repository on a person's word, as `trust reset` does. */
static inline defupd_code end_pin(struct end *e, const char *path, defupd_error *err)
{
    const struct du_refresh_options options = {
        .pin = du_buf_bytes(&files_find(&e->repo->files, path)->bytes), .pin_now = true
    };
    DU_AUTO_TRUST *trust = NULL;

    return du_refresh_load(&trust, end_io(e), &options, err);
}

/* Load and one cycle, as a fresh process would. */
static inline defupd_code end_cycle_full(struct end *e, int64_t now, uint64_t grace_s,
                                         bool *unchanged, defupd_error *err)
{
    const struct du_refresh_options options = { .now = now, .grace_s = grace_s };
    DU_AUTO_TRUST *trust = NULL;

    e->requests[0] = '\0';
    DU_TRY(end_open(e, &trust, err));
    return du_refresh_cycle(trust, &e->io, &options, unchanged, err);
}

static inline defupd_code end_cycle(struct end *e, int64_t now, defupd_error *err)
{
    bool unchanged;

    return end_cycle_full(e, now, 0, &unchanged, err);
}

/* Load, a cycle when online, and a target. */
static inline defupd_code end_target(struct end *e, int64_t now, const char *path,
                                     struct du_buf *out, defupd_error *err)
{
    const struct du_refresh_options options = { .now = now };
    struct du_verified verified = { NULL, 0 };
    DU_AUTO_TRUST *trust = NULL;
    bool unchanged;

    e->requests[0] = '\0';
    DU_TRY(end_open(e, &trust, err));
    if (e->online)
        DU_TRY(du_refresh_cycle(trust, &e->io, &options, &unchanged, err));
    e->requests[0] = '\0';
    DU_TRY(du_refresh_target(trust, &e->io, &options, path, "local.target", 1000, out, &verified,
                             err));
    T_CHECK(verified.data == out->data && verified.len == out->len);
    return DEFUPD_OK;
}

/* Version of a role as a fresh process finds it in the local folder. */
static inline uint64_t end_version(struct end *e, const char *role)
{
    const struct du_refresh_options options = { 0 };
    DU_AUTO_TRUST *trust = NULL;
    defupd_error err = { 0 };

    if (du_refresh_load(&trust, end_io(e), &options, &err) != DEFUPD_OK)
        return 0;
    return du_trust_version(trust, role);
}

static inline void end_free(struct end *e)
{
    files_free(&e->local);
}
#define AUTO_END __attribute__((cleanup(end_free))) struct end

#endif
