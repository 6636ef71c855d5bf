/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures that were checked before are not checked again; nothing else is taken for checked. */
#include "trust/trust_priv.h"
#include "trust_repo.h"

/* A root as the repository has it, and what it says of role root. */
struct signed_root {
    struct du_doc *doc;
    const struct du_json *keys, *role;
};

static void free_root(struct signed_root *root)
{
    du_doc_free(root->doc);
}
#define AUTO_ROOT __attribute__((cleanup(free_root))) struct signed_root

static void take_root(struct signed_root *root, struct repo *r)
{
    const struct file *file = files_find(&r->files, "metadata/1.root.json");
    defupd_error err = { 0 };

    root->doc = NULL;
    T_OK(du_doc_parse(&root->doc, du_buf_bytes(&file->bytes), DU_ROOT_MAX, "root", &err), &err);
    root->keys = du_json_object(root->doc->content, "keys");
    root->role = du_json_object(du_json_object(root->doc->content, "roles"), "root");
}

static defupd_code verify(const struct signed_root *root, const struct signed_root *by,
                          struct du_checked *checked)
{
    defupd_error err = { 0 };

    return du_doc_verify(root->doc, by->keys, by->role, checked, "root", "root", &err);
}

/* The same answer whether or not something was checked before, for everything the answer depends
 * on: each variant differs in one of them from what is known to be good. */
static void an_answer_is_for_exactly_these_bytes_keys_and_threshold(void)
{
    static const struct {
        const char *what;
        struct role root; /* keys, signers, threshold */
        bool good;
    } variant[] = {
        { "the same", { .keys = { 1, 6 }, .signers = { 1 }, .threshold = 1 }, true },
        { "another signer", { .keys = { 1, 6 }, .signers = { 7 }, .threshold = 1 }, false },
        { "no signature", { .keys = { 1, 6 }, .signers = { 0 }, .threshold = 1 }, false },
        { "a higher threshold", { .keys = { 1, 6 }, .signers = { 1 }, .threshold = 2 }, false },
        { "another key", { .keys = { 6 }, .signers = { 1 }, .threshold = 1 }, false },
    };
    AUTO_REPO r;
    AUTO_ROOT good;
    DU_AUTO_CHECKED *checked = NULL;
    defupd_error err = { 0 };

    repo_init(&r);
    memcpy(r.root.keys, variant[0].root.keys, sizeof r.root.keys);
    repo_root(&r);
    take_root(&good, &r);
    T_OK(du_checked_read(&checked, (struct du_bytes){ NULL, 0 }, &err), &err);
    T_CHECK(verify(&good, &good, checked) == DEFUPD_OK);
    for (size_t i = 0; i < sizeof variant / sizeof variant[0]; i++) {
        AUTO_REPO other;
        AUTO_ROOT root;
        const defupd_code want = variant[i].good ? DEFUPD_OK : DEFUPD_E_SIGNATURE;

        repo_init(&other);
        memcpy(other.root.keys, variant[i].root.keys, sizeof other.root.keys);
        memcpy(other.root.signers, variant[i].root.signers, sizeof other.root.signers);
        other.root.threshold = variant[i].root.threshold;
        repo_root(&other);
        take_root(&root, &other);
        if (verify(&root, &root, checked) != want || verify(&root, &root, NULL) != want) {
            printf("# %s\n", variant[i].what);
            t_failed++;
        }
        /* the good file under the variant's keys and threshold */
        if (verify(&good, &root, checked) != verify(&good, &root, NULL)) {
            printf("# %s: what it asks of others\n", variant[i].what);
            t_failed++;
        }
    }
}

/* The bytes are those that were checked, but what was read from them is not: content that lost a
 * character on the way is not what was signed. */
static void content_that_differs_from_its_bytes_is_asked_again(void)
{
    AUTO_REPO r;
    AUTO_ROOT root;
    DU_AUTO_CHECKED *checked = NULL;
    defupd_error err = { 0 };

    repo_init(&r);
    take_root(&root, &r);
    T_OK(du_checked_read(&checked, (struct du_bytes){ NULL, 0 }, &err), &err);
    T_CHECK(verify(&root, &root, checked) == DEFUPD_OK);
    (void)du_json_set((struct du_json *)(uintptr_t)root.doc->content, "expires",
                      du_json_new_string("2099-01-01T00:00:0Z"));
    T_CHECK(verify(&root, &root, checked) == DEFUPD_E_SIGNATURE);
}

/* The same key id, but another key behind it. */
static void a_key_that_was_exchanged_behind_its_id_is_asked_again(void)
{
    AUTO_REPO r;
    AUTO_ROOT root;
    DU_AUTO_CHECKED *checked = NULL;
    DU_AUTO_JSON *keys = du_json_new_object();
    defupd_error err = { 0 };
    char id[65];

    repo_init(&r);
    take_root(&root, &r);
    T_OK(du_checked_read(&checked, (struct du_bytes){ NULL, 0 }, &err), &err);
    T_CHECK(verify(&root, &root, checked) == DEFUPD_OK);
    key_id(1, id);
    (void)du_json_set(keys, id, key_json(2));
    T_FAILS(du_doc_verify(root.doc, keys, root.role, checked, "root", "root", &err),
            DEFUPD_E_SIGNATURE, &err);
}

/* What is recorded counts, or it would save nothing: a record that says so even makes an unsigned
 * file good. Who can write it can as well write roots/1.root.json beside it. */
static void what_is_recorded_is_not_checked_again(void)
{
    AUTO_REPO r;
    AUTO_ROOT root;
    DU_AUTO_CHECKED *checked = NULL;
    unsigned char digest[DU_SHA256_BYTES];
    defupd_error err = { 0 };
    bool yes = true;

    repo_init(&r);
    r.root.signers[0] = 0;
    repo_root(&r);
    take_root(&root, &r);
    T_OK(du_checked_read(&checked, (struct du_bytes){ NULL, 0 }, &err), &err);
    T_CHECK(verify(&root, &root, checked) == DEFUPD_E_SIGNATURE);
    T_OK(du_checked_ask(checked, root.doc, root.keys, root.role, digest, &yes, &err), &err);
    T_CHECK(!yes);
    T_OK(du_checked_note(checked, digest, &err), &err);
    T_CHECK(verify(&root, &root, checked) == DEFUPD_OK);
}

static size_t lines_of(const struct du_buf *text)
{
    size_t count = 0;

    for (size_t i = 0; i < text->len; i++)
        count += text->data[i] == '\n';
    return count;
}

static void the_record_goes_there_and_back_and_drops_what_nobody_asks_for(void)
{
    AUTO_REPO r;
    AUTO_END e;
    defupd_error err = { 0 };
    const struct file *file;
    size_t before;

    repo_init(&r);
    repo_publish(&r);
    end_init(&e, &r);
    T_OK(end_cycle(&e, NOW, &err), &err);
    file = files_find(&e.local, "checked");
    T_CHECK(file != NULL);
    before = lines_of(&file->bytes); /* head, root, timestamp, snapshot, targets, sum */
    T_CHECK(before == 6);
    for (int i = 0; i < 5; i++) {
        int saves;

        repo_next(&r);
        T_OK(end_cycle(&e, NOW, &err), &err);
        saves = e.saves;
        T_OK(end_cycle(&e, NOW, &err), &err); /* all of it is known */
        T_CHECK(e.saves == saves);
        /* old and new ones in the run that brought them, and no older ones */
        T_CHECK(lines_of(&files_find(&e.local, "checked")->bytes) == before + 3);
    }
}

static void a_record_with_malformed_lines_is_refused_though_its_sum_holds(void)
{
    static const char *const bad[] = {
        "checked 00\n",
        "chacked 0000000000000000000000000000000000000000000000000000000000000000\n",
        "checked 000000000000000000000000000000000000000000000000000000000000000g\n",
        "checked 00000000000000000000000000000000000000000000000000000000000000000",
        "\n",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        DU_AUTO_BUF text = DU_BUF(1000);
        DU_AUTO_CHECKED *checked = NULL;
        defupd_error err = { 0 };

        T_OK(du_buf_printf(&text, &err, DU_FACT_HEAD "%s\n", bad[i]), &err);
        T_OK(du_fact_seal(&text, 0, &err), &err);
        T_FAILS(du_checked_read(&checked, du_buf_bytes(&text), &err), DEFUPD_E_STORE_CORRUPT, &err);
        T_CHECK(checked == NULL);
    }
}

/* A record of any size that is read can be written again. */
static void a_record_has_an_end(void)
{
    DU_AUTO_CHECKED *checked = NULL;
    DU_AUTO_BUF text = DU_BUF(DU_CHECKED_MAX);
    AUTO_REPO r;
    DU_AUTO_TRUST *trust = NULL;
    defupd_error err = { 0 };
    bool news = false;

    repo_init(&r);
    T_OK(du_checked_read(&checked, (struct du_bytes){ NULL, 0 }, &err), &err);
    for (unsigned i = 0; i < 5000; i++) {
        unsigned char digest[DU_SHA256_BYTES] = { 0 };

        memcpy(digest, &i, sizeof i);
        T_OK(du_checked_note(checked, digest, &err), &err);
    }
    T_OK(du_trust_new_checked(&trust, du_buf_bytes(&r.files.file[0].bytes), "root", &checked, &err),
         &err);
    T_CHECK(checked == NULL);
    T_OK(du_trust_checked_write(trust, &text, &news, &err), &err);
    T_CHECK(news && text.len > DU_CHECKED_MAX / 2);
    T_OK(du_checked_read(&checked, du_buf_bytes(&text), &err), &err);
}

int main(void)
{
    T_RUN(an_answer_is_for_exactly_these_bytes_keys_and_threshold);
    T_RUN(content_that_differs_from_its_bytes_is_asked_again);
    T_RUN(a_key_that_was_exchanged_behind_its_id_is_asked_again);
    T_RUN(what_is_recorded_is_not_checked_again);
    T_RUN(the_record_goes_there_and_back_and_drops_what_nobody_asks_for);
    T_RUN(a_record_with_malformed_lines_is_refused_though_its_sum_holds);
    T_RUN(a_record_has_an_end);
    return T_DONE();
}
