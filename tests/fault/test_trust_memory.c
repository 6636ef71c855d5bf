/* SPDX-License-Identifier: Apache-2.0 */
/* The nth allocation fails, for every n of a whole update of metadata: once, and from then on. What
 * comes of it is an error that says so, or a file that is fetched again; never another verdict, and
 * the next run finds everything as it should be. */
#include "trust/trust_priv.h"
#include "trust_repo.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#endif

#if defined(__GLIBC__) && !defined(SANITIZED)

extern void *__libc_malloc(size_t count);
extern void *__libc_calloc(size_t items, size_t count);
extern void *__libc_realloc(void *old, size_t count);

static struct {
    bool armed, forever, hit;
    long left; /* allocations that still succeed */
    int paused;
} memory;

static bool fails(void)
{
    if (!memory.armed || memory.paused > 0 || memory.left-- > 0)
        return false;
    memory.armed = memory.forever;
    memory.hit = true;
    memory.left = 0;
    errno = ENOMEM;
    return true;
}

/* In place of the C library's, for this program and all it is linked with. */
void *malloc(size_t count)
{
    return fails() ? NULL : __libc_malloc(count);
}

void *calloc(size_t items, size_t count)
{
    return fails() ? NULL : __libc_calloc(items, count);
}

void *realloc(void *old, size_t count)
{
    return fails() ? NULL : __libc_realloc(old, count);
}

/* The world around the library has memory. */
static defupd_code fetch(void *user, const char *path, size_t max, const char *etag,
                         struct du_buf *out, enum du_got *got, char etag_out[128],
                         defupd_error *err)
{
    defupd_code rc;

    memory.paused++;
    rc = end_fetch(user, path, max, etag, out, got, etag_out, err);
    memory.paused--;
    return rc;
}

static defupd_code load(void *user, const char *name, struct du_buf *out, defupd_error *err)
{
    defupd_code rc;

    memory.paused++;
    rc = end_load(user, name, out, err);
    memory.paused--;
    return rc;
}

static defupd_code save(void *user, const char *name, struct du_bytes bytes, defupd_error *err)
{
    defupd_code rc;

    memory.paused++;
    rc = end_save(user, name, bytes, err);
    memory.paused--;
    return rc;
}

static void count(void *user, const char *name)
{
    int *components = user;

    (void)name;
    (*components)++;
}

/* A run as a process would do it, and the target it is for. */
static defupd_code run(struct end *e, struct du_buf *out, defupd_error *err)
{
    const struct file *root = files_find(&e->repo->files, "metadata/1.root.json");
    const struct du_refresh_options options = { .now = NOW, .pin = du_buf_bytes(&root->bytes) };
    const struct du_refresh_io io = {
        e, fetch, load, save, end_remove, end_roots, end_log,
    };
    struct du_verified verified = { NULL, 0 };
    DU_AUTO_TRUST *trust = NULL;
    int components = 0;
    bool unchanged;

    e->log[0] = e->requests[0] = '\0';
    DU_TRY(du_refresh_load(&trust, &io, &options, err));
    DU_TRY(du_refresh_cycle(trust, &io, &options, &unchanged, err));
    DU_TRY(du_trust_components(trust, count, &components, err));
    if (components != 2)
        return DU_FAIL(err, DEFUPD_E_BUG, "%d components, expected 2", components);
    return du_refresh_target(trust, &io, &options, "ips/manifest.xml", "local.target", 1000, out,
                             &verified, err);
}

static void prepare(struct repo *r)
{
    repo_init(r);
    (void)repo_delegate(r, "targets", "ips", "ips/*", 5);
    r->target[r->target_count++] = (struct target){ "ips", "ips/manifest.xml", "<ips/>" };
    repo_next_root(r);
    repo_publish(r);
}

/* How an endpoint stands before the run under test: with nothing, or with the versions before. */
static void stand(struct end *e, struct repo *old, struct repo *new, bool empty)
{
    defupd_error err = { 0 };
    DU_AUTO_BUF out = DU_BUF(1000);

    end_init(e, old);
    if (!empty)
        T_OK(run(e, &out, &err), &err);
    e->repo = new;
}

static void try_all(bool empty, bool forever)
{
    AUTO_REPO old;
    AUTO_REPO new;
    const long step = getenv("DEFUPD_LONG") != NULL ? 1 : 7;
    long failed = 0, at;

    prepare(&old);
    prepare(&new);
    if (!empty) { /* a newer root and newer roles, a key of which has been rotated */
        new.timestamp.keys[0] = new.timestamp.signers[0] = 22;
        repo_next_root(&new);
        repo_next(&new);
    }
    for (at = 0;; at += step) {
        AUTO_END e;
        DU_AUTO_BUF out = DU_BUF(1000);
        DU_AUTO_BUF again = DU_BUF(1000);
        defupd_error err = { 0 };
        defupd_code rc;

        stand(&e, &old, &new, empty);
        memory.forever = forever;
        memory.hit = false;
        memory.left = at;
        memory.armed = true;
        rc = run(&e, &out, &err);
        memory.armed = false;
        /* jansson may call it a malformed text, or drop a character and say nothing: then the
         * signature does not fit what is left */
        if (rc != DEFUPD_OK && rc != DEFUPD_E_NOMEM && rc != DEFUPD_E_METADATA_FORMAT &&
            rc != DEFUPD_E_SIGNATURE) {
            printf("# allocation %ld: %s: %s\n", at, defupd_code_name(rc), err.message);
            t_failed++;
        }
        failed += rc != DEFUPD_OK;
        T_CHECK(rc != DEFUPD_OK || strcmp(du_buf_text(&out), "<ips/>") == 0);
        T_OK(run(&e, &again, &err), &err);
        T_SAME(du_buf_text(&again), "<ips/>");
        T_CHECK(end_version(&e, "root") == (uint64_t) new.root.version);
        T_CHECK(end_version(&e, "targets") == (uint64_t) new.targets.version);
        if (!memory.hit)
            break;
    }
    printf("# %ld allocations, every %s: %ld runs failed\n", at, step == 1 ? "one" : "seventh",
           failed);
    T_CHECK(failed > 100);
}

/* A root of ECDSA, made for this: its check needs memory, that of Ed25519 does not. */
static const char ecdsa_root[] =
    "{\"signatures\":[{\"keyid\":\"d5125330a658935fe4919d8150b283b8e2624"
    "1623f894121d9292658f1701728\",\"sig\":\"3046022100d3bfafe6381c8454"
    "881eb161433219b272fc21759d01fc6f3da60ac18975b796022100fe2369df"
    "dd2f22943cfe3e90c97f8ba4b667814dadd8e234d15ed047e6d2b1ad\"}],\"s"
    "igned\":{\"_type\":\"root\",\"spec_version\":\"1.0.34\",\"version\":1,\"ex"
    "pires\":\"2030-01-01T00:00:00Z\",\"keys\":{\"d5125330a658935fe4919d8"
    "150b283b8e26241623f894121d9292658f1701728\":{\"keytype\":\"ecdsa\","
    "\"scheme\":\"ecdsa-sha2-nistp256\",\"keyval\":{\"public\":\"-----BEGIN "
    "PUBLIC KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEO/4RMuhdy"
    "8OBKRPMFaKl8UhsZzul\\nvMcfQakOrL121Ry+4Q0Hhr57xZ2ENcDhFY+G7neiT"
    "1MlV8I2SAijE+m3SA==\\n-----END PUBLIC KEY-----\\n\"}}},\"roles\":{\""
    "root\":{\"keyids\":[\"d5125330a658935fe4919d8150b283b8e26241623f89"
    "4121d9292658f1701728\"],\"threshold\":1}}}}";

/* "Too few signatures" would be an alarm, and keep a good source from being asked again. */
static void a_signature_that_memory_did_not_suffice_for_is_not_called_wrong(void)
{
    DU_AUTO_DOC *doc = NULL;
    defupd_error err = { 0 };
    const long step = getenv("DEFUPD_LONG") != NULL ? 1 : 61;
    long failed = 0;

    T_OK(du_doc_parse(&doc,
                      (struct du_bytes){ (const unsigned char *)ecdsa_root, strlen(ecdsa_root) },
                      DU_ROOT_MAX, "root", &err),
         &err);
    for (int forever = 0; forever < 2; forever++) {
        for (memory.hit = true, memory.left = 0; memory.hit;) {
            const long at = memory.left;
            defupd_code rc;

            memory.forever = forever != 0;
            memory.hit = false;
            memory.armed = true;
            rc = du_doc_verify_top(doc, doc, "root", NULL, "root", &err);
            memory.armed = false;
            memory.left = at + step;
            failed += rc != DEFUPD_OK;
            /* a library may do without what it asked for once */
            T_CHECK(rc == DEFUPD_OK || (rc == DEFUPD_E_NOMEM && memory.hit));
        }
    }
    printf("# %ld checks without memory\n", failed);
    T_CHECK(failed > 20);
}

static void first_contact_survives_each_failing_allocation(void)
{
    try_all(true, false);
    try_all(true, true);
}

static void an_update_survives_each_failing_allocation(void)
{
    try_all(false, false);
    try_all(false, true);
}

int main(void)
{
    T_RUN(a_signature_that_memory_did_not_suffice_for_is_not_called_wrong);
    T_RUN(first_contact_survives_each_failing_allocation);
    T_RUN(an_update_survives_each_failing_allocation);
    return T_DONE();
}

#else

int main(void)
{
    T_SKIP("allocations_that_fail", "needs glibc's malloc without a sanitizer");
    return T_DONE();
}

#endif
