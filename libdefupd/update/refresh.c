/* SPDX-License-Identifier: Apache-2.0 */
#include "update/refresh.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/scope.h"
#include "crypto/crypto.h"

#define ROOTS_MAX 1024 /* in one cycle (5.3.3, Y) */
#define ROOT_NAME_MAX 64
#define ETAG_MAX 128
#define ETAG_FILE_MAX 4096

static const char seen_file[] = "seen", etag_file[] = "timestamp.etag", checked_file[] = "checked";

__attribute__((format(printf, 3, 4))) static void say(const struct du_refresh_io *io,
                                                      defupd_level level, const char *format, ...)
{
    char text[1024];
    __builtin_va_list args;

    if (io->log == NULL)
        return;
    __builtin_va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    __builtin_va_end(args);
    io->log(io->user, level, text);
}

static struct du_trust_time time_of(const struct du_refresh_options *options)
{
    return (struct du_trust_time){ options->now, options->grace_s };
}

static void root_name(char name[ROOT_NAME_MAX], const char *folder, uint64_t version)
{
    (void)snprintf(name, ROOT_NAME_MAX, "%s/%" PRIu64 ".root.json", folder, version);
}

/* --- local files --- */

/* A file that is missing, unreadable or too long is treated alike: *there is false, and the log
 * says why unless it is simply missing. Only lack of memory is an error. */
static defupd_code load_if_there(const struct du_refresh_io *io, const char *name,
                                 struct du_buf *bytes, bool *there, defupd_error *err)
{
    defupd_error why = { 0 };
    const defupd_code rc = io->load(io->user, name, bytes, &why);

    *there = rc == DEFUPD_OK;
    if (rc == DEFUPD_E_NOMEM) {
        *err = why;
        return rc;
    }
    if (rc != DEFUPD_OK && !(rc == DEFUPD_E_IO && why.sys_errno == ENOENT))
        say(io, DEFUPD_LEVEL_WARNING, "trust/%s is passed over: %s", name, why.message);
    return DEFUPD_OK;
}

/* What a local file turned out to be: anything but lack of memory means that it is fetched again.
 */
static defupd_code pass_over(const struct du_refresh_io *io, const char *name, defupd_code rc,
                             const defupd_error *why, defupd_error *err)
{
    if (rc == DEFUPD_E_NOMEM) {
        *err = *why;
        return rc;
    }
    if (rc != DEFUPD_OK)
        say(io, DEFUPD_LEVEL_WARNING, "trust/%s is passed over: %s", name, why->message);
    return DEFUPD_OK;
}

static defupd_code save_seen(const struct du_trust *trust, const struct du_refresh_io *io,
                             defupd_error *err)
{
    DU_AUTO_BUF text = DU_BUF(DU_SEEN_MAX);

    DU_TRY(du_trust_seen_write(trust, &text, err));
    return io->save(io->user, seen_file, du_buf_bytes(&text), err);
}

/* A role has become trusted. `seen` goes first: a crash between the two leaves a version that is
 * known and a file that is older, which the next cycle replaces; the other way round a lost file
 * could let the version go down. */
static defupd_code save_role(const struct du_trust *trust, const struct du_refresh_io *io,
                             const char *name, const struct du_buf *bytes, defupd_error *err)
{
    DU_TRY(save_seen(trust, io, err));
    return io->save(io->user, name, du_buf_bytes(bytes), err);
}

/* Signatures that were checked before. Only lack of memory is an error. */
static defupd_code load_checked(struct du_checked **out, const struct du_refresh_io *io,
                                defupd_error *err)
{
    DU_AUTO_BUF bytes = DU_BUF(DU_CHECKED_MAX);
    defupd_error why = { 0 };
    bool there;
    defupd_code rc;

    DU_TRY(load_if_there(io, checked_file, &bytes, &there, err));
    if (!there)
        du_buf_clear(&bytes);
    rc = du_checked_read(out, du_buf_bytes(&bytes), &why);
    DU_TRY(pass_over(io, checked_file, rc, &why, err));
    return rc == DEFUPD_OK ? rc : du_checked_read(out, (struct du_bytes){ NULL, 0 }, err);
}

/* --- the pinned chain --- */

struct versions {
    uint64_t *item;
    size_t count;
    bool no_memory;
};

static void versions_free(struct versions *versions)
{
    free(versions->item);
}

static void note_version(void *arg, uint64_t version)
{
    struct versions *versions = arg;
    uint64_t *grown = reallocarray(versions->item, versions->count + 1, sizeof *grown);

    if (grown == NULL) {
        versions->no_memory = true;
        return;
    }
    versions->item = grown;
    versions->item[versions->count++] = version;
}

static int compare_versions(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

/* The first root of the chain: the lowest that is whole. */
static defupd_code start_chain(struct du_trust **out, const struct du_refresh_io *io,
                               uint64_t version, struct du_checked **checked, defupd_error *err)
{
    DU_AUTO_BUF bytes = DU_BUF(DU_ROOT_MAX);
    DU_AUTO_TRUST *trust = NULL;
    defupd_error why = { 0 };
    char name[ROOT_NAME_MAX];
    bool there;
    defupd_code rc;

    root_name(name, "roots", version);
    DU_TRY(load_if_there(io, name, &bytes, &there, err));
    if (!there)
        return DEFUPD_OK;
    rc = du_trust_new_checked(&trust, du_buf_bytes(&bytes), name, checked, &why);
    DU_TRY(pass_over(io, name, rc, &why, err));
    if (trust != NULL && du_trust_version(trust, "root") == version)
        *out = du_take(&trust);
    return DEFUPD_OK;
}

/* Follow the local chain link by link. A gap ends it; the next cycle fetches what is missing. */
static defupd_code follow_chain(struct du_trust *trust, const struct du_refresh_io *io,
                                defupd_error *err)
{
    for (;;) {
        DU_AUTO_BUF bytes = DU_BUF(DU_ROOT_MAX);
        defupd_error why = { 0 };
        char name[ROOT_NAME_MAX];
        bool there;
        defupd_code rc;

        root_name(name, "roots", du_trust_version(trust, "root") + 1);
        DU_TRY(load_if_there(io, name, &bytes, &there, err));
        if (!there)
            return DEFUPD_OK;
        rc = du_trust_root(trust, du_buf_bytes(&bytes), name, &why);
        DU_TRY(pass_over(io, name, rc, &why, err));
        if (rc != DEFUPD_OK)
            return DEFUPD_OK;
    }
}

static defupd_code load_chain(struct du_trust **out, const struct du_refresh_io *io,
                              struct du_checked **checked, size_t *files, defupd_error *err)
{
    DU_AUTO(versions_free) struct versions versions = { NULL, 0, false };

    DU_TRY(io->roots(io->user, note_version, &versions, err));
    if (versions.no_memory)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the chain of roots");
    if (versions.count > 0)
        qsort(versions.item, versions.count, sizeof *versions.item, compare_versions);
    *files = versions.count;
    for (size_t i = 0; i < versions.count && *out == NULL; i++)
        DU_TRY(start_chain(out, io, versions.item[i], checked, err));
    return *out != NULL ? follow_chain(*out, io, err) : DEFUPD_OK;
}

static const char *pin_name(const struct du_refresh_options *options)
{
    return options->pin_name != NULL ? options->pin_name : "the given trusted root";
}

static bool has_held(const struct du_trust *trust)
{
    struct du_bytes root;
    uint64_t version;

    return du_trust_held(trust, 0, &version, &root);
}

/* Save what is held, the oldest first: dying in between leaves a shorter chain, and the next cycle
 * fetches what follows it. */
static defupd_code save_held(struct du_trust *trust, const struct du_refresh_io *io,
                             defupd_error *err)
{
    struct du_bytes root;
    uint64_t version;

    for (size_t i = 0; du_trust_held(trust, i, &version, &root); i++) {
        char name[ROOT_NAME_MAX];

        root_name(name, "roots", version);
        DU_TRY(io->save(io->user, name, root, err));
    }
    du_trust_let_go(trust);
    return DEFUPD_OK;
}

/* Only a record of work done, to be spared next time: what keeps us from writing it is no failure.
 * Nothing of a chain that is not pinned yet is written. */
static void save_checked(const struct du_trust *trust, const struct du_refresh_io *io)
{
    DU_AUTO_BUF text = DU_BUF(DU_CHECKED_MAX);
    defupd_error why = { 0 };
    bool news = false;

    if (!has_held(trust) &&
        (du_trust_checked_write(trust, &text, &news, &why) != DEFUPD_OK ||
         (news && io->save(io->user, checked_file, du_buf_bytes(&text), &why) != DEFUPD_OK)))
        say(io, DEFUPD_LEVEL_WARNING, "trust/%s is not written: %s", checked_file, why.message);
}

/* 5.2 takes for granted that the first root is the right one. People hand over wrong files; so it
 * is held, and pinned when it has shown its worth. */
static defupd_code pin_first(struct du_trust **out, const struct du_refresh_io *io,
                             const struct du_refresh_options *options, struct du_checked **checked,
                             size_t files, defupd_error *err)
{
    DU_AUTO_TRUST *trust = NULL;

    if (options->pin.len == 0 && files == 0)
        return DU_FAIL(err, DEFUPD_E_NO_ROOT, "no trusted root is pinned, and none was given");
    if (options->pin.len == 0)
        return DU_FAIL(err, DEFUPD_E_NO_ROOT,
                       "none of the %zu files in trust/roots can be used, and no root was given",
                       files);
    DU_TRY(du_trust_new_checked(&trust, options->pin, pin_name(options), checked, err));
    DU_TRY(du_trust_hold(trust, du_trust_version(trust, "root"), options->pin, err));
    if (options->pin_now)
        DU_TRY(save_held(trust, io, err));
    *out = du_take(&trust);
    return DEFUPD_OK;
}

/* The given root stands in for a file of the chain that was damaged when the next one follows from
 * it. */
static defupd_code pin_precedes(const struct du_refresh_io *io,
                                const struct du_refresh_options *options, uint64_t version,
                                bool *yes, defupd_error *err)
{
    DU_AUTO_BUF bytes = DU_BUF(DU_ROOT_MAX);
    DU_AUTO_TRUST *trust = NULL;
    defupd_error why = { 0 };
    char name[ROOT_NAME_MAX];
    bool there;
    defupd_code rc;

    *yes = false;
    root_name(name, "roots", version + 1);
    DU_TRY(load_if_there(io, name, &bytes, &there, err));
    if (!there)
        return DEFUPD_OK;
    DU_TRY(du_trust_new(&trust, options->pin, pin_name(options), err));
    rc = du_trust_root(trust, du_buf_bytes(&bytes), name, &why);
    *yes = rc == DEFUPD_OK;
    return rc == DEFUPD_E_NOMEM ? DU_FAIL(err, rc, "%s", why.message) : DEFUPD_OK;
}

static defupd_code check_pin(const struct du_trust *trust, const struct du_refresh_io *io,
                             const struct du_refresh_options *options, defupd_error *err)
{
    const struct du_bytes pin = options->pin;
    DU_AUTO_BUF bytes = DU_BUF(DU_ROOT_MAX);
    defupd_error why = { 0 };
    char name[ROOT_NAME_MAX];
    uint64_t version = 0, found = 0;
    bool there, yes = false;

    DU_TRY(du_trust_root_peek(trust, pin, pin_name(options), &version, err));
    root_name(name, "roots", version);
    DU_TRY(load_if_there(io, name, &bytes, &there, err));
    if (there && bytes.len == pin.len && memcmp(bytes.data, pin.data, pin.len) == 0)
        return DEFUPD_OK;
    if (!there || du_trust_root_peek(trust, du_buf_bytes(&bytes), name, &found, &why) != DEFUPD_OK)
        DU_TRY(pin_precedes(io, options, version, &yes, err));
    if (yes)
        return DEFUPD_OK;
    return DU_FAIL(err, DEFUPD_E_ROOT_MISMATCH,
                   "%s (version %" PRIu64 ") is none of those pinned in trust/roots",
                   pin_name(options), version);
}

/* --- loading --- */

static defupd_code load_seen(struct du_trust *trust, const struct du_refresh_io *io,
                             defupd_error *err)
{
    DU_AUTO_BUF bytes = DU_BUF(DU_SEEN_MAX);
    defupd_error why = { 0 };
    bool there;

    DU_TRY(load_if_there(io, seen_file, &bytes, &there, err));
    if (!there)
        return DEFUPD_OK;
    return pass_over(io, seen_file, du_trust_seen_read(trust, du_buf_bytes(&bytes), &why), &why,
                     err);
}

static defupd_code load_role(struct du_trust *trust, const struct du_refresh_io *io,
                             const char *role, size_t max, defupd_error *err)
{
    DU_AUTO_BUF name = DU_BUF(1024);
    DU_AUTO_BUF bytes = DU_BUF(max);
    defupd_error why = { 0 };
    enum du_news news;
    const char *file;
    bool there;
    defupd_code rc;

    DU_TRY(du_role_name_encode(&name, role, err));
    DU_TRY(du_buf_add_text(&name, ".json", err));
    file = du_buf_text(&name);
    DU_TRY(load_if_there(io, file, &bytes, &there, err));
    if (!there)
        return DEFUPD_OK;
    if (strcmp(role, "timestamp") == 0)
        rc = du_trust_timestamp(trust, du_buf_bytes(&bytes), file, NULL, &news, &why);
    else if (strcmp(role, "snapshot") == 0)
        rc = du_trust_snapshot(trust, du_buf_bytes(&bytes), file, NULL, &why);
    else if (strcmp(role, "targets") == 0)
        rc = du_trust_targets(trust, du_buf_bytes(&bytes), file, NULL, &why);
    else
        rc = du_trust_delegated(trust, role, du_buf_bytes(&bytes), file, &why);
    return pass_over(io, file, rc, &why, err);
}

struct delegates {
    struct du_trust *trust;
    const struct du_refresh_io *io;
    defupd_error *err;
    defupd_code rc;
};

static void load_delegate(void *user, const struct du_role_info *role)
{
    static const char *const top[] = { "root", "timestamp", "snapshot", "targets" };
    struct delegates *d = user;

    for (size_t i = 0; i < sizeof top / sizeof top[0]; i++) {
        if (strcmp(role->name, top[i]) == 0)
            return;
    }
    if (d->rc == DEFUPD_OK)
        d->rc = load_role(d->trust, d->io, role->name, DU_TARGETS_MAX, d->err);
}

defupd_code du_refresh_load(struct du_trust **out, const struct du_refresh_io *io,
                            const struct du_refresh_options *options, defupd_error *err)
{
    DU_AUTO_TRUST *trust = NULL;
    DU_AUTO_CHECKED *checked = NULL;
    struct delegates delegates = { .io = io, .err = err, .rc = DEFUPD_OK };
    size_t files = 0;

    DU_TRY(load_checked(&checked, io, err));
    DU_TRY(load_chain(&trust, io, &checked, &files, err));
    if (trust == NULL)
        DU_TRY(pin_first(&trust, io, options, &checked, files, err));
    else if (options->pin.len > 0)
        DU_TRY(check_pin(trust, io, options, err));
    /* First of all: where `seen` and a file differ, the higher version counts. */
    DU_TRY(load_seen(trust, io, err));
    DU_TRY(load_role(trust, io, "timestamp", DU_TIMESTAMP_MAX, err));
    DU_TRY(load_role(trust, io, "snapshot", DU_SNAPSHOT_MAX, err));
    DU_TRY(load_role(trust, io, "targets", DU_TARGETS_MAX, err));
    delegates.trust = trust;
    du_trust_roles(trust, load_delegate, &delegates);
    DU_TRY(delegates.rc);
    save_checked(trust, io);
    *out = du_take(&trust);
    return DEFUPD_OK;
}

/* --- one cycle --- */

static defupd_code fetch(const struct du_refresh_io *io, const char *path, size_t max,
                         struct du_buf *bytes, enum du_got *got, defupd_error *err)
{
    char etag[ETAG_MAX] = "";

    *got = DU_GOT_NOTHING;
    DU_TRY(io->fetch(io->user, path, max, NULL, bytes, got, etag, err));
    if (*got == DU_GOT_UNCHANGED)
        return DU_FAIL(err, DEFUPD_E_HTTP_STATUS, "%s: \"not modified\" was not asked for", path);
    return DEFUPD_OK;
}

/* A file that the metadata above it states must be there. */
static defupd_code fetch_stated(const struct du_refresh_io *io, const char *path, size_t max,
                                struct du_buf *bytes, defupd_error *err)
{
    enum du_got got;

    DU_TRY(fetch(io, path, max, bytes, &got, err));
    if (got == DU_GOT_NOTHING)
        return DU_FAIL(err, DEFUPD_E_NOT_FOUND, "%s: the source does not have it", path);
    return DEFUPD_OK;
}

/* 5.3: root by root. 403 and 404 end the chain; anything else that keeps us from the next root is
 * the source's failure. */
static defupd_code cycle_roots(struct du_trust *trust, const struct du_refresh_io *io,
                               defupd_error *err)
{
    for (int i = 0; i < ROOTS_MAX; i++) {
        DU_AUTO_BUF bytes = DU_BUF(DU_ROOT_MAX);
        char path[ROOT_NAME_MAX], name[ROOT_NAME_MAX];
        enum du_got got;

        root_name(path, "metadata", du_trust_version(trust, "root") + 1); /* 5.3.2 */
        DU_TRY(fetch(io, path, DU_ROOT_MAX, &bytes, &got, err));          /* 5.3.3 */
        if (got == DU_GOT_NOTHING)
            return DEFUPD_OK;
        DU_TRY(du_trust_root(trust, du_buf_bytes(&bytes), path, err)); /* 5.3.4 to 5.3.7 */
        if (has_held(trust)) {
            DU_TRY(
                du_trust_hold(trust, du_trust_version(trust, "root"), du_buf_bytes(&bytes), err));
            continue;
        }
        root_name(name, "roots", du_trust_version(trust, "root"));
        DU_TRY(save_role(trust, io, name, &bytes, err)); /* 5.3.8 */
    }
    return DEFUPD_OK;
}

/* 5.3.10 to 5.3.12. After a rotation the files go at once; `seen` is written anew with the next
 * role that becomes trusted. Until then it is what a crash leaves to find the rotation by. */
static defupd_code cycle_settle(struct du_trust *trust, const struct du_refresh_io *io,
                                const struct du_trust_time *time, defupd_error *err)
{
    static const char *const gone[] = { "timestamp.json", "snapshot.json", "timestamp.etag" };
    bool rotated = false;

    DU_TRY(du_trust_settle(trust, time, &rotated, err));
    if (!rotated)
        return DEFUPD_OK;
    say(io, DEFUPD_LEVEL_INFO, "online keys were rotated: timestamp and snapshot are forgotten");
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
        DU_TRY(io->remove(io->user, gone[i], err));
    return DEFUPD_OK;
}

/* The ETag file: "etag TEXT", "file SHA256" of the timestamp it stands for, "source TEXT". */
static defupd_code etag_text(struct du_buf *text, const struct du_trust *trust, const char *etag,
                             const char *source, defupd_error *err)
{
    unsigned char digest[DU_SHA256_BYTES];
    char hex[DU_SHA256_HEX + 1];

    if (!du_trust_digest(trust, "timestamp", digest))
        return DEFUPD_OK;
    du_hex(hex, digest, sizeof digest);
    DU_TRY(du_buf_printf(text, err, DU_FACT_HEAD "etag %s\nfile %s\nsource %s\n", etag, hex,
                         source != NULL ? source : ""));
    return du_fact_seal(text, 0, err);
}

/* The ETag to send: only when the file it stands for is the one that we trust, and it came from
 * this source. Writing it anew from its parts and comparing whole files checks all of it. */
static defupd_code etag_load(const struct du_trust *trust, const struct du_refresh_io *io,
                             const char *source, char etag[ETAG_MAX], defupd_error *err)
{
    const size_t at = strlen(DU_FACT_HEAD "etag ");
    DU_AUTO_BUF bytes = DU_BUF(ETAG_FILE_MAX);
    DU_AUTO_BUF want = DU_BUF(ETAG_FILE_MAX);
    size_t len, body;
    bool there;

    etag[0] = '\0';
    /* An older timestamp that came back from a backup may be no news for a source that is behind.
     */
    if (du_trust_version(trust, "timestamp") < du_trust_seen(trust, "timestamp"))
        return DEFUPD_OK;
    DU_TRY(load_if_there(io, etag_file, &bytes, &there, err));
    if (!there || !du_fact_holds(du_buf_bytes(&bytes), &body) || bytes.len < at)
        return DEFUPD_OK;
    len = strcspn((const char *)bytes.data + at, "\n");
    if (len >= ETAG_MAX)
        return DEFUPD_OK;
    memcpy(etag, bytes.data + at, len);
    etag[len] = '\0';
    DU_TRY(etag_text(&want, trust, etag, source, err));
    if (want.len != bytes.len || memcmp(want.data, bytes.data, want.len) != 0)
        etag[0] = '\0';
    return DEFUPD_OK;
}

static defupd_code etag_save(const struct du_trust *trust, const struct du_refresh_io *io,
                             const char *source, const char *etag, const char *before,
                             defupd_error *err)
{
    DU_AUTO_BUF text = DU_BUF(ETAG_FILE_MAX);
    defupd_error full = { 0 };

    if (strcmp(etag, before) == 0)
        return DEFUPD_OK;
    if (etag[0] == '\0' || strpbrk(etag, "\r\n") != NULL)
        return io->remove(io->user, etag_file, err);
    if (etag_text(&text, trust, etag, source, &full) != DEFUPD_OK)
        return DEFUPD_OK; /* a source's name beyond all measure: the next check costs more bytes */
    return io->save(io->user, etag_file, du_buf_bytes(&text), err);
}

/* The trusted timestamp has been verified by the newest root: that pins a chain that was held. */
static defupd_code pin_held(struct du_trust *trust, const struct du_refresh_io *io,
                            defupd_error *err)
{
    if (!has_held(trust))
        return DEFUPD_OK;
    DU_TRY(save_seen(trust, io, err));
    return save_held(trust, io, err); /* 5.3.8 */
}

/* 5.4 */
static defupd_code cycle_timestamp(struct du_trust *trust, const struct du_refresh_io *io,
                                   const struct du_refresh_options *options, bool *unchanged,
                                   defupd_error *err)
{
    static const char path[] = "metadata/timestamp.json";
    const struct du_trust_time time = time_of(options);
    DU_AUTO_BUF bytes = DU_BUF(DU_TIMESTAMP_MAX);
    char etag[ETAG_MAX], new_etag[ETAG_MAX] = "";
    enum du_got got = DU_GOT_NOTHING;
    enum du_news news = DU_NEWS;

    DU_TRY(etag_load(trust, io, options->source, etag, err));
    DU_TRY(io->fetch(io->user, path, DU_TIMESTAMP_MAX, etag[0] != '\0' ? etag : NULL, &bytes, &got,
                     new_etag, err)); /* 5.4.1 */
    if (got == DU_GOT_NOTHING)
        return DU_FAIL(err, DEFUPD_E_NOT_FOUND, "%s: the source does not have it", path);
    if (got == DU_GOT_UNCHANGED && etag[0] == '\0')
        return DU_FAIL(err, DEFUPD_E_HTTP_STATUS, "%s: \"not modified\" was not asked for", path);
    *unchanged = got == DU_GOT_UNCHANGED;
    if (*unchanged) { /* 5.4.4 all the same: somebody may freeze us with what we have */
        DU_TRY(du_trust_check_role(trust, "timestamp", &time, err));
        return pin_held(trust, io, err);
    }

    DU_TRY(du_trust_timestamp(trust, du_buf_bytes(&bytes), path, &time, &news, err));
    DU_TRY(pin_held(trust, io, err));
    *unchanged = news != DU_NEWS;
    if (news == DU_OTHER) {
        say(io, DEFUPD_LEVEL_WARNING,
            "%s: differs from the trusted one of the same version; it was discarded", path);
        return DEFUPD_OK;
    }
    if (news == DU_NEWS)
        DU_TRY(save_role(trust, io, "timestamp.json", &bytes, err)); /* 5.4.5 */
    return etag_save(trust, io, options->source, new_etag, news == DU_SAME ? etag : "", err);
}

/* 5.5 and 5.6.1 to 5.6.6: the file that is stated, unless we have exactly that one. */
static defupd_code cycle_stated(struct du_trust *trust, const struct du_refresh_io *io,
                                const struct du_trust_time *time, const char *role, bool *unchanged,
                                defupd_error *err)
{
    const bool snapshot = strcmp(role, "snapshot") == 0;
    DU_AUTO_BUF path = DU_BUF(1024);
    DU_AUTO_BUF bytes = DU_BUF(DU_TARGETS_MAX);
    bool have = false;
    size_t max = 0;

    DU_TRY(du_trust_want(trust, role, &path, &max, &have, err));
    if (have)
        return du_trust_check_role(trust, role, time, err);
    *unchanged = false;
    DU_TRY(fetch_stated(io, du_buf_text(&path), max, &bytes, err));
    if (snapshot)
        DU_TRY(du_trust_snapshot(trust, du_buf_bytes(&bytes), du_buf_text(&path), time, err));
    else
        DU_TRY(du_trust_targets(trust, du_buf_bytes(&bytes), du_buf_text(&path), time, err));
    return save_role(trust, io, snapshot ? "snapshot.json" : "targets.json", &bytes, err);
}

defupd_code du_refresh_cycle(struct du_trust *trust, const struct du_refresh_io *io,
                             const struct du_refresh_options *options, bool *unchanged,
                             defupd_error *err)
{
    const struct du_trust_time time = time_of(options); /* 5.1 */

    *unchanged = false;
    if (io->fetch == NULL)
        return DU_FAIL(err, DEFUPD_E_NO_SOURCE, "no source to refresh from");
    DU_TRY(cycle_roots(trust, io, err));
    DU_TRY(cycle_settle(trust, io, &time, err));
    DU_TRY(cycle_timestamp(trust, io, options, unchanged, err));
    /* 5.4.3.1 ends the cycle when the timestamp is the one we have. So do these, unless an earlier
     * cycle broke off or a file was lost: then they fetch what that timestamp states. */
    DU_TRY(cycle_stated(trust, io, &time, "snapshot", unchanged, err));
    DU_TRY(cycle_stated(trust, io, &time, "targets", unchanged, err));
    save_checked(trust, io);
    return DEFUPD_OK;
}

/* --- targets --- */

/* Metadata of a delegated role: the local file when it is what is asked for, else the source's. */
static defupd_code provide_role(struct du_search *search, const struct du_trust *trust,
                                const struct du_refresh_io *io, defupd_error *err)
{
    const char *role = du_search_role(search);
    DU_AUTO_BUF name = DU_BUF(1024);
    DU_AUTO_BUF path = DU_BUF(1024);
    DU_AUTO_BUF bytes = DU_BUF(DU_TARGETS_MAX);
    defupd_error why = { 0 };
    bool there, have;
    size_t max;
    defupd_code rc;

    DU_TRY(du_role_name_encode(&name, role, err));
    DU_TRY(du_buf_add_text(&name, ".json", err));
    DU_TRY(load_if_there(io, du_buf_text(&name), &bytes, &there, err));
    if (there) {
        rc = du_search_give(search, du_buf_bytes(&bytes), du_buf_text(&name), &why);
        if (rc == DEFUPD_OK)
            return rc;
        DU_TRY(pass_over(io, du_buf_text(&name), rc, &why, err));
    }
    if (io->fetch == NULL)
        return DU_FAIL(err, DEFUPD_E_TARGET_NOT_FOUND,
                       "trust/%s cannot be used, and there is no source to ask",
                       du_buf_text(&name));
    DU_TRY(du_trust_want(trust, role, &path, &max, &have, err));
    du_buf_clear(&bytes);
    DU_TRY(fetch_stated(io, du_buf_text(&path), max, &bytes, err));
    DU_TRY(du_search_give(search, du_buf_bytes(&bytes), du_buf_text(&path), err));
    return save_role(trust, io, du_buf_text(&name), &bytes, err);
}

static defupd_code find_target(struct du_trust *trust, const struct du_refresh_io *io,
                               const struct du_trust_time *time, const char *target_path,
                               struct du_target *target, defupd_error *err)
{
    DU_AUTO_SEARCH *search = NULL;
    enum du_search_step step = DU_SEARCH_NONE;

    DU_TRY(du_search_new(&search, trust, target_path, time, err));
    for (;;) {
        DU_TRY(du_search_next(search, &step, err));
        switch (step) {
        case DU_SEARCH_FOUND: *target = *du_search_target(search); return DEFUPD_OK;
        case DU_SEARCH_NEED: DU_TRY(provide_role(search, trust, io, err)); break;
        case DU_SEARCH_NONE:
            return DU_FAIL(err, DEFUPD_E_TARGET_NOT_FOUND, "%s: no role signs it", target_path);
        }
    }
}

/* The local copy, when it is what is signed now. */
static defupd_code local_target(const struct du_target *target, const struct du_refresh_io *io,
                                const char *local_name, struct du_buf *out,
                                struct du_verified *verified, bool *good, defupd_error *err)
{
    defupd_error why = { 0 };

    DU_TRY(load_if_there(io, local_name, out, good, err));
    if (*good)
        *good = du_target_check(target, du_buf_bytes(out), local_name, verified, &why) == DEFUPD_OK;
    return DEFUPD_OK;
}

defupd_code du_refresh_target(struct du_trust *trust, const struct du_refresh_io *io,
                              const struct du_refresh_options *options, const char *target_path,
                              const char *local_name, size_t max, struct du_buf *out,
                              struct du_verified *verified, defupd_error *err)
{
    const struct du_trust_time time = time_of(options);
    DU_AUTO_BUF path = DU_BUF(4 * DU_PATH_MAX);
    struct du_target target = { 0 };
    struct du_verified checked = { NULL, 0 };
    bool good = false;

    /* Without a network nothing newer can be had: what is verified stays usable, however old. */
    DU_TRY(find_target(trust, io, io->fetch != NULL ? &time : NULL, target_path, &target, err));
    save_checked(trust, io);
    if (target.length > max)
        return DU_FAIL(err, DEFUPD_E_METADATA_LIMIT, "%s: %" PRIu64 " bytes, expected at most %zu",
                       target_path, target.length, max);
    du_buf_clear(out);
    DU_TRY(local_target(&target, io, local_name, out, verified, &good, err));
    if (good)
        return DEFUPD_OK;
    if (io->fetch == NULL)
        return DU_FAIL(err, DEFUPD_E_TARGET_NOT_FOUND,
                       "%s: trust/%s is not what is signed, and there is no source to ask",
                       target_path, local_name);
    du_buf_clear(out);
    DU_TRY(du_target_path(trust, &target, target_path, &path, err));
    DU_TRY(fetch_stated(io, du_buf_text(&path), (size_t)target.length, out, err));
    DU_TRY(du_target_check(&target, du_buf_bytes(out), du_buf_text(&path), &checked, err));
    DU_TRY(io->save(io->user, local_name, du_buf_bytes(out), err));
    *verified = checked;
    return DEFUPD_OK;
}
