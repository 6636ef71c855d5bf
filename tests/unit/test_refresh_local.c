/* SPDX-License-Identifier: Apache-2.0 */
/* The local folder: pins, damage, what is remembered, what a check costs. */
#include "trust_repo.h"

static void prepare(struct repo *r, struct end *e)
{
    defupd_error err = { 0 };
    DU_AUTO_BUF out = DU_BUF(1000);

    repo_init(r);
    (void)repo_delegate(r, "targets", "ips", "ips/*", 5);
    r->target[r->target_count++] = (struct target){ "ips", "ips/manifest.xml", "<ips/>" };
    repo_next_root(r);
    r->timestamp.version = r->snapshot.version = r->targets.version = 5;
    r->delegated[0].version = 5;
    repo_publish(r);
    end_init(e, r);
    T_OK(end_target(e, NOW, "ips/manifest.xml", &out, &err), &err);
}

static void a_check_with_nothing_new_is_two_requests(void)
{
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };
    bool unchanged = false;
    int saves;

    prepare(&r, &e);
    saves = e.saves;
    T_OK(end_cycle_full(&e, NOW, 0, &unchanged, &err), &err);
    T_SAME(e.requests, "3.root.json timestamp.json");
    T_CHECK(unchanged && e.etag_hits == 1 && e.saves == saves);
    e.etags = false; /* a source without ETags costs the bytes of a timestamp, no more */
    T_OK(end_cycle_full(&e, NOW, 0, &unchanged, &err), &err);
    T_SAME(e.requests, "3.root.json timestamp.json");
    T_CHECK(unchanged);
    repo_next(&r);
    T_OK(end_cycle_full(&e, NOW, 0, &unchanged, &err), &err);
    T_CHECK(!unchanged);
}

static void an_etag_goes_back_only_to_its_source_and_for_its_file(void)
{
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };
    struct du_refresh_options options = { .now = NOW, .source = "http://a/" };
    bool unchanged;

    prepare(&r, &e);
    for (int i = 0; i < 4; i++) {
        static const int hits[] = { 0, 1, 1, 2 }; /* told to a; a; b has none; b */
        DU_AUTO_TRUST *trust = NULL;
        options.source = i < 2 ? "http://a/" : "http://b/";
        if (i == 0)
            e.etag_hits = 0;
        T_OK(end_open(&e, &trust, &err), &err);
        T_OK(du_refresh_cycle(trust, &e.io, &options, &unchanged, &err), &err);
        T_CHECK(e.etag_hits == hits[i] && unchanged);
    }
    {
        /* an older timestamp came back from a backup: 304 would make it the newest */
        DU_AUTO_BUF old = DU_BUF(DU_TIMESTAMP_MAX);
        DU_AUTO_BUF etag = DU_BUF(4096);
        const struct file *file = files_find(&e.local, "timestamp.json");
        T_OK(end_cycle(&e, NOW, &err), &err); /* makes the ETag this nameless source's */
        T_OK(du_buf_add(&old, file->bytes.data, file->bytes.len, &err), &err);
        file = files_find(&e.local, "timestamp.etag");
        T_OK(du_buf_add(&etag, file->bytes.data, file->bytes.len, &err), &err);
        r.timestamp.version++;
        repo_timestamp(&r);
        T_OK(end_cycle(&e, NOW, &err), &err);
        files_put(&e.local, "timestamp.json", du_buf_bytes(&old));
        files_put(&e.local, "timestamp.etag", du_buf_bytes(&etag));
        r.timestamp.version--;
        repo_timestamp(&r);
        T_FAILS(end_cycle(&e, NOW, &err), DEFUPD_E_SOURCE_BEHIND, &err);
    }
}

static defupd_code unasked(void *user, const char *path, size_t max, const char *etag,
                           struct du_buf *out, enum du_got *got, char etag_out[128],
                           defupd_error *err)
{
    const struct end *e = user;

    if (strcmp(path, e->fail_path) == 0) {
        *got = DU_GOT_UNCHANGED;
        return DEFUPD_OK;
    }
    return end_fetch(user, path, max, etag, out, got, etag_out, err);
}

static void not_modified_that_was_not_asked_for_is_a_failure(void)
{
    static const char *const paths[] = { "metadata/3.root.json", "metadata/timestamp.json",
                                         "metadata/6.snapshot.json", "metadata/6.targets.json" };
    static const struct du_refresh_options options = { .now = NOW };

    for (size_t i = 0; i < 4; i++) {
        AUTO_REPO r;
        AUTO_END e;
        DU_AUTO_TRUST *trust = NULL;
        defupd_error err = { 0 };
        bool unchanged;

        prepare(&r, &e);
        repo_next(&r);
        files_remove(&e.local, "timestamp.etag");
        e.fail_path = paths[i];
        T_OK(end_open(&e, &trust, &err), &err);
        e.io.fetch = unasked;
        T_FAILS(du_refresh_cycle(trust, &e.io, &options, &unchanged, &err), DEFUPD_E_HTTP_STATUS,
                &err);
    }
}

static const char *const local_files[] = {
    "roots/1.root.json", "roots/2.root.json", "seen",           "timestamp.json", "snapshot.json",
    "targets.json",      "ips.json",          "timestamp.etag", "local.target",   "checked"
};

static void damage(struct end *e, const char *name, int how)
{
    struct file *file = files_find(&e->local, name);

    if (file == NULL)
        abort();
    switch (how) {
    case 0: files_remove(&e->local, name); break;
    case 1: file->bytes.len = 0; break;
    case 2: file->bytes.len /= 2; break;
    case 3: file->bytes.data[file->bytes.len / 2] ^= 1; break;
    default: memset(file->bytes.data, 0, file->bytes.len); break;
    }
}

static void no_damaged_or_missing_file_blocks_or_forgets(void)
{
    for (size_t i = 0; i < sizeof local_files / sizeof local_files[0]; i++) {
        for (int how = 0; how < 5; how++) {
            AUTO_REPO r;
            AUTO_END e;
            DU_AUTO_BUF out = DU_BUF(1000);
            defupd_error err = { 0 };

            prepare(&r, &e);
            damage(&e, local_files[i], how);
            /* a source that is behind is found out all the same */
            r.timestamp.version = r.snapshot.version = r.targets.version = 4;
            r.delegated[0].version = 4;
            repo_publish(&r);
            T_FAILS(end_target(&e, NOW, "ips/manifest.xml", &out, &err), DEFUPD_E_SOURCE_BEHIND,
                    &err);
            /* and one that is not heals everything */
            r.timestamp.version = r.snapshot.version = r.targets.version = 5;
            r.delegated[0].version = 5;
            repo_publish(&r);
            T_OK(end_target(&e, NOW, "ips/manifest.xml", &out, &err), &err);
            T_SAME(du_buf_text(&out), "<ips/>");
            T_CHECK(end_version(&e, "root") == 2 && end_version(&e, "targets") == 5);
        }
    }
}

static void all_of_it_lost_but_seen_still_refuses_what_is_older(void)
{
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };

    prepare(&r, &e);
    for (size_t i = 3; i < sizeof local_files / sizeof local_files[0]; i++)
        files_remove(&e.local, local_files[i]);
    r.timestamp.version = 6;
    r.delegated[0].version = 4;
    r.snapshot.version = 6;
    repo_publish(&r);
    T_FAILS(end_cycle(&e, NOW, &err), DEFUPD_E_ROLLBACK, &err);
    T_CHECK(strstr(err.message, "ips.json version 4, but 5 was seen") != NULL);
}

static void without_a_network_what_is_verified_stays_usable_for_ever(void)
{
    AUTO_REPO r;
    AUTO_END e;
    DU_AUTO_BUF out = DU_BUF(1000);
    defupd_error err = { 0 };
    const int64_t late = NOW + 10000 * DAY;

    prepare(&r, &e);
    e.online = false;
    T_OK(end_target(&e, late, "ips/manifest.xml", &out, &err), &err);
    T_SAME(du_buf_text(&out), "<ips/>");
    T_FAILS(end_target(&e, late, "tetra/manifest.xml", &out, &err), DEFUPD_E_TARGET_NOT_FOUND,
            &err);
    T_FAILS(end_target(&e, late, "other/manifest.xml", &out, &err), DEFUPD_E_TARGET_NOT_FOUND,
            &err);
    T_CHECK(e.fetches > 0 && e.requests[0] == '\0');
    T_FAILS(end_cycle(&e, NOW, &err), DEFUPD_E_NO_SOURCE, &err);

    /* a cycle that broke off after the snapshot: the older role below it is still good here */
    e.online = true;
    repo_next(&r);
    e.fail_path = "metadata/6.targets.json";
    e.fail_code = DEFUPD_E_INTERRUPTED;
    T_FAILS(end_cycle(&e, NOW, &err), DEFUPD_E_INTERRUPTED, &err);
    T_CHECK(end_version(&e, "snapshot") == 6 && end_version(&e, "targets") == 5);
    e.online = false;
    T_OK(end_target(&e, late, "ips/manifest.xml", &out, &err), &err);
    files_remove(&e.local, "ips.json");
    T_FAILS(end_target(&e, late, "ips/manifest.xml", &out, &err), DEFUPD_E_TARGET_NOT_FOUND, &err);
}

static void a_target_is_fetched_once_and_again_when_it_changes(void)
{
    AUTO_REPO r;
    AUTO_END e;
    DU_AUTO_BUF out = DU_BUF(1000);
    defupd_error err = { 0 };

    prepare(&r, &e);
    T_OK(end_target(&e, NOW, "ips/manifest.xml", &out, &err), &err);
    T_SAME(e.requests, "");
    damage(&e, "local.target", 3);
    T_OK(end_target(&e, NOW, "ips/manifest.xml", &out, &err), &err);
    T_CHECK(strncmp(e.requests, "targets/ips/", 12) == 0 &&
            strstr(e.requests, ".manifest.xml") != NULL);
    r.target[1].content = "<ips new/>";
    repo_next(&r);
    T_OK(end_target(&e, NOW, "ips/manifest.xml", &out, &err), &err);
    T_SAME(du_buf_text(&out), "<ips new/>");
}

static void a_wrong_target_is_refused_and_not_kept(void)
{
    static char big[1002];
    AUTO_REPO r;
    AUTO_END e;
    DU_AUTO_BUF out = DU_BUF(1000);
    defupd_error err = { 0 };

    prepare(&r, &e);
    files_remove(&e.local, "local.target");
    for (size_t i = 0; i < r.files.count; i++) {
        struct file *file = &r.files.file[i];
        if (strncmp(file->name, "targets/ips/", 12) == 0)
            file->bytes.data[0] ^= 1;
    }
    T_FAILS(end_target(&e, NOW, "ips/manifest.xml", &out, &err), DEFUPD_E_METADATA_DIGEST, &err);
    T_CHECK(strncmp(err.message, "targets/ips/", 12) == 0);
    T_CHECK(files_find(&e.local, "local.target") == NULL);
    for (size_t i = 0; i < r.files.count; i++) {
        if (strncmp(r.files.file[i].name, "targets/ips/", 12) == 0)
            files_put(&r.files, r.files.file[i].name, (struct du_bytes){ NULL, 0 });
    }
    T_FAILS(end_target(&e, NOW, "ips/manifest.xml", &out, &err), DEFUPD_E_METADATA_DIGEST, &err);
    T_CHECK(strstr(err.message, "0 bytes, expected 6") != NULL);
    memset(big, 'x', sizeof big - 1); /* more than the caller wants */
    r.target[1].content = big;
    repo_next(&r);
    T_FAILS(end_target(&e, NOW, "ips/manifest.xml", &out, &err), DEFUPD_E_METADATA_LIMIT, &err);
}

static void a_save_that_fails_is_said_and_the_next_cycle_completes(void)
{
    bool done = false;

    for (int at = 1; !done && at < 40; at++) {
        AUTO_REPO r;
        AUTO_END e;
        DU_AUTO_BUF out = DU_BUF(1000);
        defupd_error err = { 0 };
        defupd_code rc;

        prepare(&r, &e);
        repo_next_root(&r);
        r.target[1].content = "<ips new/>";
        repo_next(&r);
        e.saves = 0;
        e.save_fails_at = at;
        rc = end_target(&e, NOW, "ips/manifest.xml", &out, &err);
        done = e.saves < at;
        T_CHECK(rc == (done || e.spared ? DEFUPD_OK : DEFUPD_E_NO_SPACE));
        e.save_fails_at = 0;
        T_OK(end_target(&e, NOW, "ips/manifest.xml", &out, &err), &err);
        T_SAME(du_buf_text(&out), "<ips new/>");
        T_CHECK(end_version(&e, "root") == 3 && end_version(&e, "targets") == 6);
    }
    T_CHECK(done);
}

static uint64_t seen_of(struct end *e, const char *role)
{
    const struct file *file = files_find(&e->local, "seen");
    DU_AUTO_TRUST *trust = NULL;
    defupd_error err = { 0 };

    T_OK(du_trust_new(&trust,
                      du_buf_bytes(&files_find(&e->repo->files, "metadata/1.root.json")->bytes),
                      "root", &err),
         &err);
    T_OK(du_trust_seen_read(trust, du_buf_bytes(&file->bytes), &err), &err);
    return du_trust_seen(trust, role);
}

/* Whichever save is the last: no file of a role is newer than what `seen` on disk says. */
static void what_was_seen_is_saved_before_the_role(void)
{
    static const char *const roles[] = { "root", "timestamp", "snapshot", "targets" };
    bool done = false, ahead = false;

    for (int at = 1; !done && at < 40; at++) {
        AUTO_REPO r;
        AUTO_END e;
        defupd_error err = { 0 };

        prepare(&r, &e);
        repo_next_root(&r);
        repo_next(&r);
        e.saves = 0;
        e.save_fails_at = at;
        done = end_cycle(&e, NOW, &err) == DEFUPD_OK && e.saves < at;
        e.save_fails_at = 0;
        for (size_t i = 0; i < 4; i++) {
            T_CHECK(seen_of(&e, roles[i]) >= end_version(&e, roles[i]));
            ahead = ahead || seen_of(&e, roles[i]) > end_version(&e, roles[i]);
        }
    }
    T_CHECK(done && ahead);
}

static defupd_code load_with(struct end *e, const struct file *pin, defupd_error *err)
{
    struct du_refresh_options options = { 0 };
    DU_AUTO_TRUST *trust = NULL;

    if (pin != NULL)
        options.pin = du_buf_bytes(&pin->bytes);
    return du_refresh_load(&trust, end_io(e), &options, err);
}

static void the_given_root_must_be_one_of_the_pinned_chain(void)
{
    AUTO_REPO r;
    AUTO_REPO other;
    AUTO_END e;
    AUTO_END empty;
    defupd_error err = { 0 };

    prepare(&r, &e);
    repo_init(&other);
    other.root.keys[0] = other.root.signers[0] = 77;
    repo_root(&other);
    repo_next_root(&other);
    repo_next_root(&other);
    T_OK(load_with(&e, NULL, &err), &err);
    T_OK(load_with(&e, files_find(&r.files, "metadata/1.root.json"), &err), &err);
    T_OK(load_with(&e, files_find(&r.files, "metadata/2.root.json"), &err), &err);
    for (int i = 1; i <= 3; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "metadata/%d.root.json", i);
        T_FAILS(load_with(&e, files_find(&other.files, path), &err), DEFUPD_E_ROOT_MISMATCH, &err);
    }
    /* the pinned file is damaged; what follows it still knows its predecessor */
    damage(&e, "roots/1.root.json", 3);
    T_OK(load_with(&e, files_find(&r.files, "metadata/1.root.json"), &err), &err);
    T_FAILS(load_with(&e, files_find(&other.files, "metadata/1.root.json"), &err),
            DEFUPD_E_ROOT_MISMATCH, &err);
    damage(&e, "roots/2.root.json", 2);
    T_FAILS(load_with(&e, NULL, &err), DEFUPD_E_NO_ROOT, &err);
    T_OK(load_with(&e, files_find(&r.files, "metadata/1.root.json"), &err), &err);

    end_init(&empty, &r);
    T_FAILS(load_with(&empty, NULL, &err), DEFUPD_E_NO_ROOT, &err);
    T_FAILS(load_with(&empty, files_find(&r.files, "metadata/timestamp.json"), &err),
            DEFUPD_E_METADATA_FORMAT, &err);
    T_CHECK(empty.local.count == 0);
    T_OK(load_with(&empty, files_find(&r.files, "metadata/2.root.json"), &err), &err);
    T_CHECK(empty.local.count == 0); /* until something of the repository verified by it */
    T_OK(end_pin(&empty, "metadata/2.root.json", &err), &err);
    T_CHECK(files_find(&empty.local, "roots/2.root.json") != NULL);
    T_OK(load_with(&empty, NULL, &err), &err);
}

/* Load with this file as the given root, and one cycle. */
static defupd_code cycle_with(struct end *e, const struct file *pin, defupd_error *err)
{
    const struct du_refresh_options options = { .now = NOW,
                                                .pin = du_buf_bytes(&pin->bytes),
                                                .pin_name = "the given root" };
    DU_AUTO_TRUST *trust = NULL;
    bool unchanged;

    e->requests[0] = '\0';
    DU_TRY(du_refresh_load(&trust, end_io(e), &options, err));
    return du_refresh_cycle(trust, &e->io, &options, &unchanged, err);
}

static void a_wrong_root_given_at_first_contact_can_be_put_right(void)
{
    /* another publisher's, of the same version or a higher one; then the right one is taken */
    for (int version = 1; version <= 3; version++) {
        AUTO_REPO r;
        AUTO_REPO other;
        AUTO_END e;
        defupd_error err = { 0 };
        char path[64];

        repo_init(&r);
        repo_next_root(&r);
        repo_publish(&r);
        repo_init(&other);
        other.root.keys[0] = other.root.signers[0] = 77;
        other.timestamp.keys[0] = 78;
        other.root.version = version;
        repo_root(&other);
        end_init(&e, &r);
        (void)snprintf(path, sizeof path, "metadata/%d.root.json", version);
        T_FAILS(cycle_with(&e, files_find(&other.files, path), &err), DEFUPD_E_SIGNATURE, &err);
        T_CHECK(e.local.count == 0);
        T_OK(cycle_with(&e, files_find(&r.files, "metadata/1.root.json"), &err), &err);
        T_CHECK(end_version(&e, "root") == 2 && end_version(&e, "timestamp") == 1);
        /* and from then on the chain stands: the other one is refused by name */
        T_FAILS(cycle_with(&e, files_find(&other.files, path), &err), DEFUPD_E_ROOT_MISMATCH, &err);
        T_CHECK(strstr(err.message, "the given root (version ") != NULL);
    }
}

static void the_first_verified_timestamp_pins_the_whole_chain(void)
{
    bool done = false;

    for (int at = 1; !done && at < 20; at++) {
        AUTO_REPO r;
        AUTO_END e;
        defupd_error err = { 0 };
        defupd_code rc;

        repo_init(&r);
        repo_next_root(&r);
        repo_next_root(&r);
        repo_publish(&r);
        end_init(&e, &r);
        e.fail_path = "metadata/timestamp.json";
        e.fail_code = DEFUPD_E_TIMEOUT;
        T_FAILS(end_cycle(&e, NOW, &err), DEFUPD_E_TIMEOUT, &err);
        e.fail_path = NULL;
        T_FAILS(end_cycle(&e, NOW + DAY, &err), DEFUPD_E_EXPIRED, &err);
        T_CHECK(e.local.count == 0 && e.saves == 0);
        /* a save that fails: nothing, or roots that follow each other; the next run completes it */
        e.save_fails_at = at;
        rc = end_cycle(&e, NOW, &err);
        done = e.saves < at;
        T_CHECK(rc == (done || e.spared ? DEFUPD_OK : DEFUPD_E_NO_SPACE));
        T_CHECK(files_find(&e.local, "timestamp.json") == NULL || end_version(&e, "root") == 3);
        e.save_fails_at = 0;
        T_OK(end_cycle(&e, NOW, &err), &err);
        T_CHECK(end_version(&e, "root") == 3 && end_version(&e, "targets") == 1);
        T_CHECK(files_find(&e.local, "roots/1.root.json") != NULL &&
                files_find(&e.local, "roots/2.root.json") != NULL);
    }
    T_CHECK(done);
}

/* The first source led along the chain and then failed; what it led to counts for the second. */
static void roots_of_a_source_that_failed_are_pinned_with_the_next_ones(void)
{
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };
    const struct du_refresh_options options = { .now = NOW };
    DU_AUTO_TRUST *trust = NULL;
    bool unchanged;

    repo_init(&r);
    repo_next_root(&r);
    repo_next_root(&r);
    repo_publish(&r);
    end_init(&e, &r);
    e.fail_path = "metadata/timestamp.json";
    e.fail_code = DEFUPD_E_TIMEOUT;
    T_OK(end_open(&e, &trust, &err), &err);
    T_FAILS(du_refresh_cycle(trust, &e.io, &options, &unchanged, &err), DEFUPD_E_TIMEOUT, &err);
    e.fail_path = NULL;
    T_OK(du_refresh_cycle(trust, &e.io, &options, &unchanged, &err), &err);
    T_CHECK(end_version(&e, "root") == 3 && files_find(&e.local, "roots/1.root.json") != NULL);
}

/* Every file of the chain is lost, the timestamp is not: "not modified" verifies it all the same.
 */
static void a_lost_chain_is_pinned_again_by_a_timestamp_that_is_unchanged(void)
{
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };
    const int64_t late = NOW + 2 * DAY;

    prepare(&r, &e);
    files_remove(&e.local, "roots/1.root.json");
    files_remove(&e.local, "roots/2.root.json");
    T_FAILS(end_cycle(&e, late, &err), DEFUPD_E_EXPIRED, &err);
    T_CHECK(end_version(&e, "root") == 0);
    T_OK(end_cycle(&e, NOW, &err), &err);
    T_CHECK(e.etag_hits > 0 && end_version(&e, "root") == 2);
}

static void a_local_chain_is_followed_link_by_link(void)
{
    AUTO_REPO r;
    AUTO_REPO other;
    AUTO_END e;
    defupd_error err = { 0 };
    const struct file *file;

    prepare(&r, &e);
    repo_init(&other);
    other.root.keys[0] = other.root.signers[0] = 77;
    other.root.version = 3;
    repo_root(&other);
    file = files_find(&other.files, "metadata/3.root.json");
    files_put(&e.local, "roots/3.root.json", du_buf_bytes(&file->bytes));
    files_put(&e.local, "roots/9.root.json", du_buf_bytes(&file->bytes));
    T_CHECK(end_version(&e, "root") == 2);
    T_OK(end_cycle(&e, NOW, &err), &err);
}

static void plain_repositories_work_too(void)
{
    AUTO_REPO r;
    AUTO_END e;
    DU_AUTO_BUF out = DU_BUF(1000);
    defupd_error err = { 0 };

    repo_init(&r);
    r.consistent = r.hashes = false;
    repo_root(&r);
    repo_publish(&r);
    end_init(&e, &r);
    T_OK(end_cycle(&e, NOW, &err), &err);
    T_SAME(e.requests, "2.root.json timestamp.json snapshot.json targets.json");
    T_OK(end_target(&e, NOW, "tetra/manifest.xml", &out, &err), &err);
    T_SAME(e.requests, "targets/tetra/manifest.xml");
}

/* Every byte of every file, changed: refused, or (white space, a signature's letter case) the
 * same. Never anything else than what was signed. */
static void no_flipped_byte_changes_what_is_trusted(void)
{
    static const char *const paths[] = { "metadata/2.root.json", "metadata/timestamp.json",
                                         "metadata/1.snapshot.json", "metadata/1.targets.json" };

    for (size_t i = 0; i < 4; i++) {
        AUTO_REPO r;
        struct file *file;

        repo_init(&r);
        r.hashes = false; /* or the digest would find it, and not the signature */
        repo_next_root(&r);
        repo_publish(&r);
        file = files_find(&r.files, paths[i]);
        for (size_t at = 0; at < file->bytes.len; at++) {
            AUTO_END e;
            DU_AUTO_BUF out = DU_BUF(1000);
            defupd_error err = { 0 };
            defupd_code rc;

            file->bytes.data[at] ^= (unsigned char)(1U << (at % 8));
            end_init(&e, &r);
            rc = end_target(&e, NOW, "tetra/manifest.xml", &out, &err);
            T_CHECK(rc == DEFUPD_OK || rc == DEFUPD_E_METADATA_FORMAT || rc == DEFUPD_E_SIGNATURE ||
                    rc == DEFUPD_E_METADATA_LIMIT);
            T_CHECK(rc != DEFUPD_OK || strcmp(du_buf_text(&out), "<tetra/>") == 0);
            file->bytes.data[at] ^= (unsigned char)(1U << (at % 8));
        }
    }
}

int main(void)
{
    T_RUN(a_check_with_nothing_new_is_two_requests);
    T_RUN(an_etag_goes_back_only_to_its_source_and_for_its_file);
    T_RUN(not_modified_that_was_not_asked_for_is_a_failure);
    T_RUN(no_damaged_or_missing_file_blocks_or_forgets);
    T_RUN(all_of_it_lost_but_seen_still_refuses_what_is_older);
    T_RUN(without_a_network_what_is_verified_stays_usable_for_ever);
    T_RUN(a_target_is_fetched_once_and_again_when_it_changes);
    T_RUN(a_wrong_target_is_refused_and_not_kept);
    T_RUN(a_save_that_fails_is_said_and_the_next_cycle_completes);
    T_RUN(what_was_seen_is_saved_before_the_role);
    T_RUN(the_given_root_must_be_one_of_the_pinned_chain);
    T_RUN(a_wrong_root_given_at_first_contact_can_be_put_right);
    T_RUN(the_first_verified_timestamp_pins_the_whole_chain);
    T_RUN(roots_of_a_source_that_failed_are_pinned_with_the_next_ones);
    T_RUN(a_lost_chain_is_pinned_again_by_a_timestamp_that_is_unchanged);
    T_RUN(a_local_chain_is_followed_link_by_link);
    T_RUN(plain_repositories_work_too);
    T_RUN(no_flipped_byte_changes_what_is_trusted);
    return T_DONE();
}
