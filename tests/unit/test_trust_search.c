/* SPDX-License-Identifier: Apache-2.0 */
/* 5.6.7: which role speaks for a target, and which roles are asked on the way. */
#include "trust/trust_priv.h"
#include "trust_repo.h"

static void wildcards_do_not_cross_a_slash(void)
{
    static const struct {
        const char *pattern, *path;
        bool match;
    } row[] = {
        { "targets/*.tgz", "targets/foo.tgz", true },
        { "targets/*.tgz", "targets/foo.txt", false },
        { "foo-version-?.tgz", "foo-version-2.tgz", true },
        { "foo-version-?.tgz", "foo-version-alpha.tgz", false },
        { "*.tgz", "foo.tgz", true },
        { "*.tgz", "targets/foo.tgz", false },
        { "foo.tgz", "foo.tgz", true },
        { "foo.tgz", "foo.tgz2", false },
        { "*", "", true },
        { "", "", true },
        { "", "a", false },
        { "?", "", false },
        { "?", "/", false },
        { "a?b", "a/b", false },
        { "**", "a/b", false },
        { "*/*", "a/b", true },
        { "*/*", "a/b/c", false },
        { "*a*b*c", "xxaxxbxxc", true },
        { "*a*b*c", "xxaxx/bxxc", false },
        { "tetra/*", "tetra/manifest.xml", true },
        { "tetra/*", "tetra/", true },
        { "tetra/*", "tetra", false },
        { "tetra/*", "tetra/a/b", false },
        { "tetra*", "tetra/manifest.xml", false },
        { "[a]", "a", false },
        { "[a]", "[a]", true },
        { "\\*", "*", false },
        { "\\*", "\\x", true },
        { "*x", "x/x", false },
        { "a*/x", "ab/x", true },
    };
    char many[2001], pattern[2001];

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        if (du_glob_match(row[i].pattern, row[i].path) != row[i].match) {
            printf("# \"%s\" against \"%s\"\n", row[i].pattern, row[i].path);
            t_failed++;
        }
    }
    /* would take for ever if each '*' were tried at each place */
    memset(many, 'a', sizeof many);
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = i % 2 ? 'a' : '*';
    many[2000] = pattern[1998] = '\0';
    pattern[1997] = 'b';
    T_CHECK(!du_glob_match(pattern, many));
}

struct edge {
    const char *parent, *name, *path;
    bool terminating;
};

static const struct graph {
    const char *what;
    struct edge edge[7];
    const char *visits;
} graphs[] = {
    { "one", { { "targets", "A", "*", false } }, "1.A.json" },
    { "in order",
      { { "targets", "A", "*", false }, { "targets", "B", "*", false } },
      "1.A.json 1.B.json" },
    { "depth first",
      { { "targets", "A", "*", false },
        { "targets", "B", "*", false },
        { "A", "C", "*", false },
        { "A", "D", "*", false } },
      "1.A.json 1.C.json 1.D.json 1.B.json" },
    { "three levels",
      { { "targets", "A", "*", false },
        { "targets", "B", "*", false },
        { "A", "C", "*", false },
        { "C", "D", "*", false } },
      "1.A.json 1.C.json 1.D.json 1.B.json" },
    { "terminating ends all that waits",
      { { "targets", "A", "*", false },
        { "targets", "B", "*", false },
        { "A", "C", "*", true },
        { "A", "D", "*", false } },
      "1.A.json 1.C.json" },
    { "terminating, but its own descendants",
      { { "targets", "A", "*", false },
        { "targets", "B", "*", false },
        { "A", "C", "*", true },
        { "C", "D", "*", false } },
      "1.A.json 1.C.json 1.D.json" },
    { "terminating that does not match",
      { { "targets", "A", "*.py", true }, { "targets", "B", "*", false } },
      "1.B.json" },
    { "a branch that does not match",
      { { "targets", "A", "*.py", false },
        { "targets", "B", "*", false },
        { "A", "C", "*", false } },
      "1.B.json" },
    { "a deeper branch that does not match",
      { { "targets", "A", "*", false },
        { "targets", "B", "*", false },
        { "A", "C", "*.py", false },
        { "C", "D", "*", false } },
      "1.A.json 1.B.json" },
    { "a cycle",
      { { "targets", "A", "*", false },
        { "targets", "B", "*", false },
        { "B", "C", "*", false },
        { "C", "D", "*", false },
        { "D", "B", "*", false },
        { "targets", "E", "*", false } },
      "1.A.json 1.B.json 1.C.json 1.D.json 1.E.json" },
    { "a role that delegates to itself",
      { { "targets", "A", "*", false }, { "A", "A", "*", false } },
      "1.A.json" },
    { "two ways to one",
      { { "targets", "A", "*", false },
        { "targets", "B", "*", false },
        { "B", "C", "*", false },
        { "A", "C", "*", false } },
      "1.A.json 1.C.json 1.B.json" },
    { "two ways, one of them closed",
      { { "targets", "A", "*", false },
        { "targets", "B", "*", false },
        { "B", "C", "*", false },
        { "A", "C", "*.py", false } },
      "1.A.json 1.B.json 1.C.json" },
};

static void roles_are_visited_in_pre_order_and_each_once(void)
{
    for (size_t i = 0; i < sizeof graphs / sizeof graphs[0]; i++) {
        AUTO_REPO r;
        AUTO_END e;
        DU_AUTO_BUF out = DU_BUF(1000);
        defupd_error err = { 0 };

        repo_init(&r);
        for (const struct edge *g = graphs[i].edge; g->name != NULL; g++)
            repo_delegate(&r, g->parent, g->name, g->path, 5)->terminating = g->terminating;
        repo_publish(&r);
        end_init(&e, &r);
        T_FAILS(end_target(&e, NOW, "missing", &out, &err), DEFUPD_E_TARGET_NOT_FOUND, &err);
        if (strcmp(e.requests, graphs[i].visits) != 0) {
            printf("# %s: %s\n", graphs[i].what, e.requests);
            t_failed++;
        }
        T_FAILS(end_target(&e, NOW, "missing", &out, &err), DEFUPD_E_TARGET_NOT_FOUND, &err);
        T_SAME(e.requests, ""); /* everything is here now */
    }
}

static void a_target_is_found_where_every_role_above_allows_it(void)
{
    static const struct {
        const char *path, *content, *visits;
    } row[] = {
        { "file", "by targets", "" },
        { "README.md", "by A", "1.A.json" },
        { "releases/x/v1", "by C", "1.B.json 1.C.json" },
        { "releases/y/v1.zip", "by D", "1.B.json 1.D.json" },
        { "releases/z/v1.zip", NULL, "1.B.json" }, /* D says so, but B does not let it */
        { "other", NULL, "" },
    };

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        AUTO_REPO r;
        AUTO_END e;
        DU_AUTO_BUF out = DU_BUF(1000);
        defupd_error err = { 0 };
        static const struct target targets[] = {
            { "targets", "file", "by targets" },  { "A", "README.md", "by A" },
            { "A", "file", "not by A" },          { "C", "releases/x/v1", "by C" },
            { "D", "releases/y/v1.zip", "by D" }, { "D", "releases/z/v1.zip", "not by D" },
            { "A", "other", "A may not" }
        };

        repo_init(&r);
        repo_delegate(&r, "targets", "A", "*.doc", 5)->paths[1] = "*.md";
        (void)repo_delegate(&r, "targets", "B", "releases/*/*", 6);
        (void)repo_delegate(&r, "B", "C", "releases/x/*", 7);
        (void)repo_delegate(&r, "B", "D", "releases/y/*.zip", 8);
        memcpy(r.target, targets, sizeof targets);
        r.target_count = sizeof targets / sizeof targets[0];
        repo_publish(&r);
        end_init(&e, &r);
        if (row[i].content != NULL) {
            T_OK(end_target(&e, NOW, row[i].path, &out, &err), &err);
            T_SAME(du_buf_text(&out), row[i].content);
            T_CHECK(strncmp(e.requests, row[i].visits, strlen(row[i].visits)) == 0);
        } else {
            T_FAILS(end_target(&e, NOW, row[i].path, &out, &err), DEFUPD_E_TARGET_NOT_FOUND, &err);
            T_SAME(e.requests, row[i].visits);
        }
    }
}

/* A hash of a kind that we know stands beside it, or not. */
static bool known_too;

static void unknown_hash(struct du_json *content)
{
    const struct du_json *target =
        du_json_object(du_json_object(content, "targets"), "tetra/manifest.xml");
    struct du_json *hashes = du_json_new_object();
    unsigned char digest[32];
    char hex[65];

    du_sha256(digest, "<tetra/>", 8);
    du_hex(hex, digest, 32);
    (void)du_json_set(hashes, "blake3", du_json_new_string("00ff"));
    if (known_too)
        (void)du_json_set(hashes, "sha256", du_json_new_string(hex));
    (void)du_json_set((struct du_json *)(uintptr_t)target, "hashes", hashes);
}

static void a_target_without_a_hash_that_we_know_is_not_fetched(void)
{
    for (int known = 0; known < 2; known++) {
        AUTO_REPO r;
        AUTO_END e;
        DU_AUTO_BUF out = DU_BUF(1000);
        defupd_error err = { 0 };

        repo_init(&r);
        r.edit_role = "targets";
        r.edit = unknown_hash;
        known_too = known != 0;
        repo_publish(&r);
        end_init(&e, &r);
        if (known_too) {
            T_OK(end_target(&e, NOW, "tetra/manifest.xml", &out, &err), &err);
            continue;
        }
        T_FAILS(end_target(&e, NOW, "tetra/manifest.xml", &out, &err), DEFUPD_E_METADATA_FORMAT,
                &err);
        T_CHECK(strstr(err.message, "neither a sha256 nor a sha512") != NULL);
        T_CHECK(strstr(e.requests, "manifest.xml") == NULL);
        T_CHECK(files_find(&e.local, "local.target") == NULL);
    }
}

static void hashed_bins_take_the_paths_with_their_prefix(void)
{
    /* sha256("bin/a") = 1ca0b5..., found with sha256sum(1) */
    AUTO_REPO r;
    AUTO_END e;
    DU_AUTO_BUF out = DU_BUF(1000);
    defupd_error err = { 0 };
    unsigned char digest[32];
    char hex[65], first[3];

    du_sha256(digest, "bin/a", 5);
    du_hex(hex, digest, 32);
    (void)snprintf(first, sizeof first, "%.2s", hex);
    repo_init(&r);
    repo_delegate(&r, "targets", "wrong", NULL, 5)->prefixes[0] = hex[0] == '0' ? "1" : "0";
    repo_delegate(&r, "targets", "right", NULL, 5)->prefixes[0] = "zz";
    r.delegated[1].prefixes[1] = first;
    r.target[r.target_count++] = (struct target){ "wrong", "bin/a", "wrong" };
    r.target[r.target_count++] = (struct target){ "right", "bin/a", "right" };
    repo_publish(&r);
    end_init(&e, &r);
    T_OK(end_target(&e, NOW, "bin/a", &out, &err), &err);
    T_SAME(du_buf_text(&out), "right");
    T_CHECK(strncmp(e.requests, "1.right.json ", 13) == 0);
}

static void a_search_visits_a_limited_number_of_roles(void)
{
    AUTO_REPO r;
    AUTO_END e;
    DU_AUTO_BUF out = DU_BUF(1000);
    defupd_error err = { 0 };
    static char names[ROLES_MAX][8];
    int fetched;

    repo_init(&r);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(names[i], sizeof names[i], "r%d", i);
        (void)repo_delegate(&r, "targets", names[i], "*", 5);
    }
    r.target[r.target_count++] = (struct target){ "r30", "near", "near" };
    r.target[r.target_count++] = (struct target){ "r31", "far", "far" };
    repo_publish(&r);
    end_init(&e, &r);
    T_OK(end_target(&e, NOW, "near", &out, &err), &err); /* the 32nd, with targets itself */
    fetched = e.fetches;
    T_FAILS(end_target(&e, NOW, "far", &out, &err), DEFUPD_E_TARGET_NOT_FOUND, &err);
    T_CHECK(e.fetches - fetched <= 2);
}

static void a_role_that_cannot_be_verified_ends_the_search(void)
{
    static const struct {
        const char *what;
        int how;
        defupd_code want;
    } row[] = { { "not there", 0, DEFUPD_E_NOT_FOUND },
                { "foreign key", 1, DEFUPD_E_SIGNATURE },
                { "expired", 2, DEFUPD_E_EXPIRED },
                { "not in the snapshot", 3, DEFUPD_E_METADATA_FORMAT },
                { "of another type", 4, DEFUPD_E_METADATA_FORMAT },
                { "of another time", 5, DEFUPD_E_ROLLBACK } };

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        AUTO_REPO r;
        AUTO_END e;
        DU_AUTO_BUF out = DU_BUF(1000);
        defupd_error err = { 0 };

        repo_init(&r);
        r.hashes = false;
        (void)repo_delegate(&r, "targets", "A", "*/*", 5);
        (void)repo_delegate(&r, "targets", "B", "*/*", 6);
        r.target_count = 0;
        r.target[r.target_count++] = (struct target){ "B", "x/manifest.xml", "by B" };
        if (row[i].how == 1)
            r.delegated[0].signers[0] = 6;
        if (row[i].how == 2)
            r.delegated[0].expires = NOW;
        if (row[i].how == 3)
            r.unlisted = "A";
        repo_publish(&r);
        if (row[i].how == 0)
            files_remove(&r.files, "metadata/1.A.json");
        if (row[i].how == 4) {
            r.snapshot.signers[0] = 5;
            repo_snapshot(&r);
            files_put(&r.files, "metadata/1.A.json",
                      du_buf_bytes(&files_find(&r.files, "metadata/1.snapshot.json")->bytes));
            r.snapshot.signers[0] = 3;
            repo_snapshot(&r);
        }
        if (row[i].how == 5) {
            r.delegated[0].version = 2;
            repo_snapshot(&r);
            files_put(&r.files, "metadata/2.A.json",
                      du_buf_bytes(&files_find(&r.files, "metadata/1.A.json")->bytes));
        }
        end_init(&e, &r);
        T_FAILS(end_target(&e, NOW, "x/manifest.xml", &out, &err), row[i].want, &err);
        T_CHECK(strstr(e.requests, "B.json") == NULL);
        T_CHECK(files_find(&e.local, "A.json") == NULL);
    }
}

static void a_role_is_verified_by_the_delegation_that_leads_to_it_this_time(void)
{
    AUTO_REPO r;
    AUTO_END e;
    DU_AUTO_BUF out = DU_BUF(1000);
    defupd_error err = { 0 };

    repo_init(&r);
    (void)repo_delegate(&r, "targets", "A", "a/*", 5);
    (void)repo_delegate(&r, "targets", "B", "b/*", 6);
    (void)repo_delegate(&r, "A", "C", "a/*", 7);
    r.target[r.target_count++] = (struct target){ "C", "a/x", "C for A" };
    r.target[r.target_count++] = (struct target){ "C", "b/x", "C for B" };
    repo_publish(&r);
    /* B delegates to C too, but trusts another key for it */
    (void)repo_delegate(&r, "B", "C", "b/*", 8);
    r.delegated[3].signers[0] = 7; /* the file stays what key 7 signed */
    repo_publish(&r);
    end_init(&e, &r);
    T_OK(end_target(&e, NOW, "a/x", &out, &err), &err);
    T_SAME(du_buf_text(&out), "C for A");
    T_FAILS(end_target(&e, NOW, "b/x", &out, &err), DEFUPD_E_SIGNATURE, &err);
    T_OK(end_target(&e, NOW, "a/x", &out, &err), &err);

    /* nor does it help that the role is in memory by another way */
    {
        const struct du_refresh_options options = { .now = NOW };
        DU_AUTO_TRUST *trust = NULL;
        struct du_verified verified;

        T_OK(end_open(&e, &trust, &err), &err);
        T_OK(du_refresh_target(trust, &e.io, &options, "a/x", "t", 99, &out, &verified, &err),
             &err);
        T_FAILS(du_refresh_target(trust, &e.io, &options, "b/x", "t", 99, &out, &verified, &err),
                DEFUPD_E_SIGNATURE, &err);
    }
}

static void an_expired_role_is_left_for_its_next_version(void)
{
    AUTO_REPO r;
    AUTO_END e;
    DU_AUTO_BUF out = DU_BUF(1000);
    defupd_error err = { 0 };

    repo_init(&r);
    r.timestamp.expires = r.snapshot.expires = NOW + 90 * DAY;
    (void)repo_delegate(&r, "targets", "A", "*/*", 5);
    r.delegated[0].expires = NOW + 7 * DAY;
    r.target_count = 0;
    r.target[r.target_count++] = (struct target){ "A", "x/y", "content" };
    repo_publish(&r);
    end_init(&e, &r);
    T_OK(end_target(&e, NOW, "x/y", &out, &err), &err);
    T_FAILS(end_target(&e, NOW + 18 * DAY, "x/y", &out, &err), DEFUPD_E_EXPIRED, &err);
    T_SAME(e.requests, "");
    r.delegated[0].expires = NOW + 21 * DAY;
    repo_next(&r);
    T_OK(end_target(&e, NOW + 18 * DAY, "x/y", &out, &err), &err);
}

static void names_of_roles_and_targets_become_safe_parts_of_paths(void)
{
    static const struct {
        const char *role, *request, *local;
    } row[] = { { "?", "1.%3F.json", "%3F.json" },
                { "#", "1.%23.json", "%23.json" },
                { "/delegated", "1.%2Fdelegated.json", "%2Fdelegated.json" },
                { "../delegated", "1...%2Fdelegated.json", "..%2Fdelegated.json" },
                { "r\xc3\xb4le %", "1.r%C3%B4le%20%25.json", "r%C3%B4le%20%25.json" } };

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        AUTO_REPO r;
        AUTO_END e;
        DU_AUTO_BUF out = DU_BUF(1000);
        defupd_error err = { 0 };
        char path[400], encoded[400];
        const struct file *file;

        repo_init(&r);
        (void)repo_delegate(&r, "targets", row[i].role, "*", 5);
        repo_publish(&r);
        (void)snprintf(path, sizeof path, "metadata/1.%s.json", row[i].role);
        (void)snprintf(encoded, sizeof encoded, "metadata/%s", row[i].request);
        file = files_find(&r.files, path);
        files_put(&r.files, encoded, du_buf_bytes(&file->bytes));
        end_init(&e, &r);
        T_FAILS(end_target(&e, NOW, "missing", &out, &err), DEFUPD_E_TARGET_NOT_FOUND, &err);
        T_SAME(e.requests, row[i].request);
        T_CHECK(files_find(&e.local, row[i].local) != NULL);
        T_CHECK(end_version(&e, row[i].role) == 1); /* and is found again */
    }
}

static void a_target_may_be_signed_by_its_sha512_alone(void)
{
    AUTO_REPO r;
    DU_AUTO_TRUST *trust = NULL;
    DU_AUTO_BUF path = DU_BUF(1000);
    defupd_error err = { 0 };
    struct du_target target = { .length = 3, .has_sha512 = true };
    struct du_verified verified = { NULL, 0 };
    struct du_hash hash;
    char hex[129], want[400];

    repo_init(&r);
    T_OK(du_trust_new(&trust, du_buf_bytes(&r.files.file[0].bytes), "1.root.json", &err), &err);
    du_hash_init(&hash, DU_SHA512);
    du_hash_update(&hash, "abc", 3);
    du_hash_final(&hash, target.sha512);
    T_OK(du_target_check(&target, (struct du_bytes){ (const unsigned char *)"abc", 3 }, "x",
                         &verified, &err),
         &err);
    T_CHECK(verified.len == 3);
    verified.len = 0;
    T_FAILS(du_target_check(&target, (struct du_bytes){ (const unsigned char *)"abd", 3 }, "x",
                            &verified, &err),
            DEFUPD_E_METADATA_DIGEST, &err);
    T_CHECK(verified.len == 0);
    T_OK(du_target_path(trust, &target, "a/b", &path, &err), &err);
    du_hex(hex, target.sha512, 64);
    (void)snprintf(want, sizeof want, "targets/a/%s.b", hex);
    T_SAME(du_buf_text(&path), want);
}

static void target_paths_that_leave_the_folder_are_refused(void)
{
    static const char *const bad[] = { "../x", "a/../x", "/x", "a//x", "./x", "a\\x", "a/" };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        AUTO_REPO r;
        AUTO_END e;
        DU_AUTO_BUF out = DU_BUF(1000);
        defupd_error err = { 0 };

        repo_init(&r);
        r.target[r.target_count++] = (struct target){ "targets", bad[i], "x" };
        repo_publish(&r);
        end_init(&e, &r);
        T_FAILS(end_target(&e, NOW, bad[i], &out, &err), DEFUPD_E_INVALID, &err);
        T_SAME(e.requests, "");
    }
    {
        AUTO_REPO r;
        AUTO_END e;
        DU_AUTO_BUF out = DU_BUF(1000);
        defupd_error err = { 0 };

        repo_init(&r);
        r.consistent = false;
        r.target[r.target_count++] = (struct target){ "targets", "a b/c#d?", "x" };
        repo_root(&r);
        repo_publish(&r);
        files_put(&r.files, "targets/a%20b/c%23d%3F",
                  (struct du_bytes){ (const unsigned char *)"x", 1 });
        end_init(&e, &r);
        T_OK(end_target(&e, NOW, "a b/c#d?", &out, &err), &err);
    }
}

int main(void)
{
    T_RUN(wildcards_do_not_cross_a_slash);
    T_RUN(roles_are_visited_in_pre_order_and_each_once);
    T_RUN(a_target_is_found_where_every_role_above_allows_it);
    T_RUN(a_target_without_a_hash_that_we_know_is_not_fetched);
    T_RUN(hashed_bins_take_the_paths_with_their_prefix);
    T_RUN(a_search_visits_a_limited_number_of_roles);
    T_RUN(a_role_that_cannot_be_verified_ends_the_search);
    T_RUN(a_role_is_verified_by_the_delegation_that_leads_to_it_this_time);
    T_RUN(an_expired_role_is_left_for_its_next_version);
    T_RUN(names_of_roles_and_targets_become_safe_parts_of_paths);
    T_RUN(a_target_may_be_signed_by_its_sha512_alone);
    T_RUN(target_paths_that_leave_the_folder_are_refused);
    return T_DONE();
}
