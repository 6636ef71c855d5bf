/* SPDX-License-Identifier: Apache-2.0 */
/* The attacks of TUF's list, each against a client that has seen version 5 of everything. */
#include "trust_repo.h"

static void put_text(struct repo *r, const char *path, const char *text)
{
    files_put(&r->files, path, (struct du_bytes){ (const unsigned char *)text, strlen(text) });
}

static void swap_files(struct repo *r, const char *to, const char *from)
{
    const struct file *file = files_find(&r->files, from);
    DU_AUTO_BUF copy = DU_BUF(DU_TARGETS_MAX);
    defupd_error err = { 0 };

    if (file == NULL || du_buf_add(&copy, file->bytes.data, file->bytes.len, &err) != DEFUPD_OK)
        abort();
    files_put(&r->files, to, du_buf_bytes(&copy));
}

static void set_versions(struct repo *r, int64_t version)
{
    r->timestamp.version = r->snapshot.version = r->targets.version = version;
    for (size_t i = 0; i < r->delegated_count; i++)
        r->delegated[i].version = version;
}

/* --- what each attacker does to a repository at version 6 (the honest state) --- */

static void nothing(struct repo *r)
{
    (void)r;
}
static void foreign_timestamp_key(struct repo *r)
{
    r->timestamp.signers[0] = 99;
    repo_timestamp(r);
}
static void foreign_snapshot_key(struct repo *r)
{
    r->snapshot.signers[0] = 99;
    repo_snapshot(r);
    repo_timestamp(r);
}
static void foreign_targets_key(struct repo *r)
{
    r->targets.signers[0] = 99;
    repo_publish(r);
}
static void snapshot_signed_by_timestamp(struct repo *r)
{
    r->snapshot.signers[0] = 2;
    repo_snapshot(r);
    repo_timestamp(r);
}
static void unsigned_timestamp(struct repo *r)
{
    r->timestamp.signers[0] = 0;
    repo_timestamp(r);
}
static void foreign_root(struct repo *r)
{
    r->root.keys[0] = r->root.signers[0] = 99;
    repo_next_root(r);
}
static void root_of_old_keys_only(struct repo *r)
{
    r->root.keys[0] = 98;
    repo_next_root(r);
}
static void root_of_another_version(struct repo *r)
{
    repo_next_root(r);
    repo_next_root(r);
    swap_files(r, "metadata/2.root.json", "metadata/3.root.json");
}
static void old_root_again(struct repo *r)
{
    swap_files(r, "metadata/2.root.json", "metadata/1.root.json");
}
static void stale_mirror(struct repo *r)
{
    set_versions(r, 4);
    repo_publish(r);
}
static void timestamp_rolled_back(struct repo *r)
{
    /* older than seen, but pointing at something newer than was seen */
    r->timestamp.version = 4;
    repo_timestamp(r);
}
static void snapshot_rolled_back(struct repo *r)
{
    r->snapshot.version = 4;
    repo_snapshot(r);
    repo_timestamp(r);
}
static void snapshot_contradicts_timestamp(struct repo *r)
{
    r->hashes = false;
    repo_timestamp(r);
    r->snapshot.version = 5;
    repo_snapshot(r);
    swap_files(r, "metadata/6.snapshot.json", "metadata/5.snapshot.json");
}
static void targets_rolled_back(struct repo *r)
{
    r->targets.version = 4;
    repo_publish(r);
}
static void delegated_rolled_back(struct repo *r)
{
    r->delegated[0].version = 4;
    repo_publish(r);
}
static void delegated_vanishes(struct repo *r)
{
    r->unlisted = "ips";
    repo_publish(r);
}
static void targets_vanishes(struct repo *r)
{
    r->unlisted = "targets";
    repo_publish(r);
}
static void targets_contradicts_snapshot(struct repo *r)
{
    r->hashes = false;
    r->stated_targets = 7;
    repo_publish(r);
    swap_files(r, "metadata/7.targets.json", "metadata/6.targets.json");
}
static void expired_timestamp(struct repo *r)
{
    r->timestamp.expires = NOW;
    repo_timestamp(r);
}
static void expired_snapshot(struct repo *r)
{
    r->snapshot.expires = NOW - DAY;
    repo_publish(r);
}
static void expired_targets(struct repo *r)
{
    r->targets.expires = NOW - DAY;
    repo_publish(r);
}
static void expired_root(struct repo *r)
{
    r->root.expires = NOW - DAY;
    repo_next_root(r);
}
static void expired_and_older(struct repo *r)
{
    set_versions(r, 4);
    r->timestamp.expires = NOW - DAY;
    repo_publish(r);
}
static void snapshot_of_another_time(struct repo *r)
{
    swap_files(r, "metadata/6.snapshot.json", "metadata/5.snapshot.json");
}
static void targets_of_another_time(struct repo *r)
{
    swap_files(r, "metadata/6.targets.json", "metadata/5.targets.json");
}
static void endless_timestamp(struct repo *r)
{
    static char many[DU_TIMESTAMP_MAX + 2];
    memset(many, ' ', sizeof many - 1);
    put_text(r, "metadata/timestamp.json", many);
}
static void endless_snapshot(struct repo *r)
{
    DU_AUTO_BUF more = DU_BUF(100000);
    defupd_error err = { 0 };
    const struct file *file = files_find(&r->files, "metadata/6.snapshot.json");
    if (du_buf_add(&more, file->bytes.data, file->bytes.len, &err) != DEFUPD_OK ||
        du_buf_add(&more, " ", 1, &err) != DEFUPD_OK)
        abort();
    files_put(&r->files, "metadata/6.snapshot.json", du_buf_bytes(&more));
}
static void garbage_timestamp(struct repo *r)
{
    put_text(r, "metadata/timestamp.json", "<html>log in to the portal</html>");
}
static void garbage_root(struct repo *r)
{
    put_text(r, "metadata/2.root.json", "<html>not found</html>");
}
static void no_snapshot(struct repo *r)
{
    files_remove(&r->files, "metadata/6.snapshot.json");
}
static void no_timestamp(struct repo *r)
{
    files_remove(&r->files, "metadata/timestamp.json");
}
static void timestamp_as_snapshot(struct repo *r)
{
    r->hashes = false;
    r->snapshot.keys[0] = r->snapshot.signers[0] = 2; /* one key for both: types must tell */
    repo_next_root(r);
    repo_publish(r);
    swap_files(r, "metadata/6.snapshot.json", "metadata/timestamp.json");
}

struct attack {
    const char *what;
    void (*change)(struct repo *r);
    defupd_code want;
    const char *says;                      /* in the message */
    uint64_t timestamp, snapshot, targets; /* what is trusted afterwards */
};

static void prepare(struct repo *r, struct end *e)
{
    defupd_error err = { 0 };

    repo_init(r);
    (void)repo_delegate(r, "targets", "ips", "ips/*", 5);
    set_versions(r, 5);
    repo_publish(r);
    end_init(e, r);
    T_OK(end_cycle(e, NOW, &err), &err);
    T_SAME(e->requests, "2.root.json timestamp.json 5.snapshot.json 5.targets.json");
}

/* Each is refused by its name, leaves what was trusted, and a good source heals. */
static void try_attacks(const struct attack *attacks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct attack *a = &attacks[i];
        AUTO_REPO r;
        AUTO_END e;
        AUTO_REPO good;
        defupd_error err = { 0 };
        defupd_code rc;

        prepare(&r, &e);
        set_versions(&r, 6);
        repo_publish(&r);
        a->change(&r);
        rc = end_cycle(&e, NOW, &err);
        if (rc != a->want || (rc != DEFUPD_OK && strstr(err.message, a->says) == NULL)) {
            printf("# %s: got %s: %s\n", a->what, defupd_code_name(rc), err.message);
            t_failed++;
        }
        if (end_version(&e, "timestamp") != a->timestamp ||
            end_version(&e, "snapshot") != a->snapshot ||
            end_version(&e, "targets") != a->targets) {
            printf("# %s: left %d %d %d\n", a->what, (int)end_version(&e, "timestamp"),
                   (int)end_version(&e, "snapshot"), (int)end_version(&e, "targets"));
            t_failed++;
        }
        /* a good source, a day on; the attacker's valid root stays where there was one */
        repo_init(&good);
        (void)repo_delegate(&good, "targets", "ips", "ips/*", 5);
        good.root.version = (int64_t)end_version(&e, "root");
        if (good.root.version > 1) {
            good.root.version++;
            good.snapshot.keys[0] = good.snapshot.signers[0] = 33;
            repo_root(&good);
        }
        set_versions(&good, 7);
        repo_publish(&good);
        e.repo = &good;
        T_OK(end_cycle(&e, NOW, &err), &err);
        T_CHECK(end_version(&e, "targets") == 7);
    }
}

#define TRY(attacks) try_attacks(attacks, sizeof(attacks) / sizeof(attacks)[0])

static void an_honest_repository_is_followed(void)
{
    static const struct attack attacks[] = {
        { "none", nothing, DEFUPD_OK, "", 6, 6, 6 },
    };

    TRY(attacks);
}

static void arbitrary_software_is_refused(void)
{
    static const struct attack attacks[] = {
        { "foreign timestamp key", foreign_timestamp_key, DEFUPD_E_SIGNATURE,
          "metadata/timestamp.json", 5, 5, 5 },
        { "foreign snapshot key", foreign_snapshot_key, DEFUPD_E_SIGNATURE,
          "metadata/6.snapshot.json", 6, 5, 5 },
        { "foreign targets key", foreign_targets_key, DEFUPD_E_SIGNATURE, "metadata/6.targets.json",
          6, 6, 5 },
        { "online key signs another role", snapshot_signed_by_timestamp, DEFUPD_E_SIGNATURE,
          "metadata/6.snapshot.json", 6, 5, 5 },
        { "no signature", unsigned_timestamp, DEFUPD_E_SIGNATURE, "expected at least 1", 5, 5, 5 },
        { "foreign root", foreign_root, DEFUPD_E_SIGNATURE, "metadata/2.root.json", 5, 5, 5 },
        { "root without its own key", root_of_old_keys_only, DEFUPD_E_SIGNATURE,
          "metadata/2.root.json", 5, 5, 5 },
        { "one file for another", timestamp_as_snapshot, DEFUPD_E_METADATA_FORMAT, "_type", 6, 0,
          5 },
    };

    TRY(attacks);
}

static void a_root_is_never_rolled_back(void)
{
    static const struct attack attacks[] = {
        { "root N+2 as N+1", root_of_another_version, DEFUPD_E_ROLLBACK, "version 3, expected 2", 5,
          5, 5 },
        { "root N as N+1", old_root_again, DEFUPD_E_ROLLBACK, "version 1, expected 2", 5, 5, 5 },
    };

    TRY(attacks);
}

static void a_timestamp_is_never_rolled_back(void)
{
    static const struct attack attacks[] = {
        { "a mirror that is behind", stale_mirror, DEFUPD_E_SOURCE_BEHIND,
          "metadata/timestamp.json: version 4, but 5 was seen before", 5, 5, 5 },
        { "older timestamp that knows more", timestamp_rolled_back, DEFUPD_E_ROLLBACK, "version 4",
          5, 5, 5 },
    };

    TRY(attacks);
}

static void a_snapshot_is_never_rolled_back(void)
{
    static const struct attack attacks[] = {
        { "older snapshot", snapshot_rolled_back, DEFUPD_E_ROLLBACK,
          "states snapshot version 4, but 5 was seen before", 5, 5, 5 },
        { "snapshot against its timestamp", snapshot_contradicts_timestamp, DEFUPD_E_ROLLBACK,
          "metadata/6.snapshot.json: version 5, but timestamp.json states 6", 6, 5, 5 },
    };

    TRY(attacks);
}

static void targets_are_never_rolled_back(void)
{
    static const struct attack attacks[] = {
        { "older targets", targets_rolled_back, DEFUPD_E_ROLLBACK,
          "lists targets.json version 4, but 5 was seen before", 6, 5, 5 },
        { "targets vanishes", targets_vanishes, DEFUPD_E_METADATA_FORMAT,
          "does not list targets.json", 6, 5, 5 },
        { "targets against its snapshot", targets_contradicts_snapshot, DEFUPD_E_ROLLBACK,
          "metadata/7.targets.json: version 6, but snapshot.json states 7", 6, 6, 5 },
    };

    TRY(attacks);
}

static void a_delegated_role_is_never_rolled_back_nor_taken_away(void)
{
    static const struct attack attacks[] = {
        { "older delegated role", delegated_rolled_back, DEFUPD_E_ROLLBACK,
          "lists ips.json version 4", 6, 5, 5 },
        { "delegated role vanishes", delegated_vanishes, DEFUPD_E_ROLLBACK,
          "no longer lists ips.json", 6, 5, 5 },
    };

    TRY(attacks);
}

static void metadata_that_has_expired_is_refused(void)
{
    static const struct attack attacks[] = {
        { "expired timestamp", expired_timestamp, DEFUPD_E_EXPIRED,
          "timestamp version 6 expired on 2026-11-21T09:00:00Z", 5, 5, 5 },
        { "expired snapshot", expired_snapshot, DEFUPD_E_EXPIRED, "snapshot version 6 expired on",
          6, 5, 5 },
        { "expired targets", expired_targets, DEFUPD_E_EXPIRED, "targets version 6 expired on", 6,
          6, 5 },
        { "expired root", expired_root, DEFUPD_E_EXPIRED, "root version 2 expired on", 5, 5, 5 },
        { "a mirror that died", expired_and_older, DEFUPD_E_EXPIRED, "timestamp version 4 expired",
          5, 5, 5 },
    };

    TRY(attacks);
}

static void files_of_different_moments_do_not_mix(void)
{
    static const struct attack attacks[] = {
        { "snapshot of another time", snapshot_of_another_time, DEFUPD_E_METADATA_DIGEST,
          "metadata/6.snapshot.json: SHA-256 is", 6, 5, 5 },
        { "targets of another time", targets_of_another_time, DEFUPD_E_METADATA_DIGEST,
          "metadata/6.targets.json: SHA-256 is", 6, 6, 5 },
    };

    TRY(attacks);
}

static void endless_data_ends_at_the_limit(void)
{
    static const struct attack attacks[] = {
        { "endless timestamp", endless_timestamp, DEFUPD_E_TOOLARGE, "16384", 5, 5, 5 },
        { "endless snapshot", endless_snapshot, DEFUPD_E_TOOLARGE, "metadata/6.snapshot.json", 6, 5,
          5 },
    };

    TRY(attacks);
}

static void garbage_and_withheld_files_are_told_by_name(void)
{
    static const struct attack attacks[] = {
        { "garbage for a timestamp", garbage_timestamp, DEFUPD_E_METADATA_FORMAT,
          "metadata/timestamp.json:1:", 5, 5, 5 },
        { "garbage for a root", garbage_root, DEFUPD_E_METADATA_FORMAT,
          "metadata/2.root.json:1:", 5, 5, 5 },
        { "snapshot withheld", no_snapshot, DEFUPD_E_NOT_FOUND, "metadata/6.snapshot.json", 6, 5,
          5 },
        { "timestamp withheld", no_timestamp, DEFUPD_E_NOT_FOUND, "metadata/timestamp.json", 5, 5,
          5 },
    };

    TRY(attacks);
}

static void no_byte_beyond_the_limit_is_asked_for(void)
{
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };

    prepare(&r, &e);
    T_CHECK(e.most == DU_ROOT_MAX); /* the snapshot and targets by their stated lengths */
    r.hashes = false;
    repo_next(&r);
    T_OK(end_cycle(&e, NOW, &err), &err);
    T_CHECK(e.most == DU_TARGETS_MAX);
}

static void a_frozen_client_notices_when_its_timestamp_expires(void)
{
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };

    prepare(&r, &e);
    for (int etags = 0; etags < 2; etags++) { /* by 304, and by the same bytes again */
        e.etags = etags == 0;
        T_OK(end_cycle(&e, NOW + DAY - 1, &err), &err);
        T_FAILS(end_cycle(&e, NOW + DAY, &err), DEFUPD_E_EXPIRED, &err);
        T_CHECK(strstr(err.message, "timestamp version 5 expired on") != NULL);
    }
    /* the snapshot, while the timestamp is refreshed for ever */
    r.timestamp.version = 6;
    r.timestamp.expires = NOW + 99 * DAY;
    repo_timestamp(&r);
    T_FAILS(end_cycle(&e, NOW + 7 * DAY, &err), DEFUPD_E_EXPIRED, &err);
    T_CHECK(strstr(err.message, "snapshot version 5 expired on") != NULL);
    r.snapshot.version = 6;
    r.snapshot.expires = NOW + 99 * DAY;
    repo_snapshot(&r);
    r.timestamp.version = 7;
    repo_timestamp(&r);
    T_FAILS(end_cycle(&e, NOW + 90 * DAY, &err), DEFUPD_E_EXPIRED, &err);
    T_CHECK(strstr(err.message, "targets version 5 expired on") != NULL);
}

static void grace_forgives_timestamp_and_snapshot_and_nothing_else(void)
{
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };
    bool unchanged;

    prepare(&r, &e);
    set_versions(&r, 6);
    repo_publish(&r);
    T_FAILS(end_cycle(&e, NOW + 10 * DAY, &err), DEFUPD_E_EXPIRED, &err);
    T_OK(end_cycle_full(&e, NOW + 10 * DAY, 14 * DAY, &unchanged, &err), &err);
    T_FAILS(end_cycle_full(&e, NOW + 15 * DAY, 14 * DAY, &unchanged, &err), DEFUPD_E_EXPIRED, &err);
    T_FAILS(end_cycle_full(&e, NOW + 90 * DAY, UINT64_MAX, &unchanged, &err), DEFUPD_E_EXPIRED,
            &err);
    T_CHECK(strstr(err.message, "targets") != NULL);
    T_FAILS(end_cycle_full(&e, NOW + 365 * DAY, UINT64_MAX, &unchanged, &err), DEFUPD_E_EXPIRED,
            &err);
    T_CHECK(strstr(err.message, "root") != NULL);
}

static void a_source_that_fails_is_told_from_one_that_has_no_next_root(void)
{
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };

    prepare(&r, &e);
    e.fail_path = "metadata/2.root.json";
    e.fail_code = DEFUPD_E_TIMEOUT;
    T_FAILS(end_cycle(&e, NOW, &err), DEFUPD_E_TIMEOUT, &err);
    T_SAME(e.requests, "2.root.json");
}

static void another_timestamp_of_the_same_version_is_discarded(void)
{
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };
    bool unchanged = false;

    prepare(&r, &e);
    r.stated_snapshot = 100;
    repo_timestamp(&r);
    T_OK(end_cycle_full(&e, NOW, 0, &unchanged, &err), &err);
    T_CHECK(unchanged && strstr(e.log, "differs from the trusted one") != NULL);
    T_SAME(e.requests, "2.root.json timestamp.json");
}

static void what_was_verified_before_a_failure_stays_and_is_not_fetched_again(void)
{
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };

    prepare(&r, &e);
    set_versions(&r, 6);
    repo_publish(&r);
    repo_next_root(&r);
    e.fail_path = "metadata/6.targets.json";
    e.fail_code = DEFUPD_E_INTERRUPTED;
    T_FAILS(end_cycle(&e, NOW, &err), DEFUPD_E_INTERRUPTED, &err);
    e.fail_path = NULL;
    T_OK(end_cycle(&e, NOW, &err), &err);
    T_SAME(e.requests, "3.root.json timestamp.json 6.targets.json");
}

int main(void)
{
    T_RUN(an_honest_repository_is_followed);
    T_RUN(arbitrary_software_is_refused);
    T_RUN(a_root_is_never_rolled_back);
    T_RUN(a_timestamp_is_never_rolled_back);
    T_RUN(a_snapshot_is_never_rolled_back);
    T_RUN(targets_are_never_rolled_back);
    T_RUN(a_delegated_role_is_never_rolled_back_nor_taken_away);
    T_RUN(metadata_that_has_expired_is_refused);
    T_RUN(files_of_different_moments_do_not_mix);
    T_RUN(endless_data_ends_at_the_limit);
    T_RUN(garbage_and_withheld_files_are_told_by_name);
    T_RUN(no_byte_beyond_the_limit_is_asked_for);
    T_RUN(a_frozen_client_notices_when_its_timestamp_expires);
    T_RUN(grace_forgives_timestamp_and_snapshot_and_nothing_else);
    T_RUN(a_source_that_fails_is_told_from_one_that_has_no_next_root);
    T_RUN(another_timestamp_of_the_same_version_is_discarded);
    T_RUN(what_was_verified_before_a_failure_stays_and_is_not_fetched_again);
    return T_DONE();
}
