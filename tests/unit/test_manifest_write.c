/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scope.h"
#include "manifest/manifest.h"
#include "t.h"

static defupd_code parse(struct du_manifest **out, const struct du_buf *text, defupd_error *err)
{
    const struct du_verified bytes = { text->data, text->len };

    return du_manifest_parse(out, &bytes, "tetra", "tetra/manifest.xml", err);
}

static bool same_object(const struct du_object *a, const struct du_object *b)
{
    return a->from == b->from && a->bytes == b->bytes && strcmp(a->codec, b->codec) == 0 &&
           memcmp(a->sha256, b->sha256, sizeof a->sha256) == 0;
}

static bool same_step(const struct du_rollout_step *a, const struct du_rollout_step *b)
{
    return a->after_s == b->after_s && a->permille == b->permille && strcmp(a->ring, b->ring) == 0;
}

static bool same_need(const struct du_need *a, const struct du_need *b)
{
    return a->engine == b->engine && a->min == b->min && strcmp(a->name, b->name) == 0 &&
           strcmp(a->min_text, b->min_text) == 0;
}

/* Everything that a release can hold; the arrays are borrowed from the caller. */
static struct du_release full_release(uint64_t version, struct du_object *delta,
                                      struct du_rollout_step step[3], struct du_need need[2])
{
    struct du_release r = { .version = version, .published = 1795251600, .size = 12, .files = 2 };

    memset(r.tree, 0x5a, sizeof r.tree);
    (void)strcpy(r.label, "297 <&\"'> \xc3\xa9");
    (void)strcpy(r.licence_class, "anti malware");
    r.full = (struct du_object){ .bytes = 77, .codec = "tar+zst" };
    *delta = (struct du_object){ .from = 9, .bytes = 7, .codec = "1" };
    r.delta = delta;
    r.deltas = 1;
    r.has_rollout = r.rollout_paused = r.withdrawn = true;
    r.rollout_start = 1795251601;
    r.rollout_paused_at = 1795251602;
    step[0] = (struct du_rollout_step){ .after_s = 0, .permille = 0 };
    step[1] = (struct du_rollout_step){ .after_s = 90061, .permille = 1000 };
    step[2] = (struct du_rollout_step){ .after_s = 7200, .ring = "pilot" };
    r.step = step;
    r.steps = 3;
    need[0] = (struct du_need){ .engine = true, .name = "scan", .min_text = "4.1" };
    need[1] = (struct du_need){ .name = "yara", .min = 20 };
    r.need = need;
    r.needs = 2;
    r.withdrawn_at = 1795251603;
    r.replace_by = 8;
    r.withdrawn_reason = (char *)(uintptr_t) "false positives";
    r.note = (char *)(uintptr_t) "a < b & c";
    return r;
}

static void what_is_written_is_read_back_the_same(void)
{
    struct du_object delta;
    struct du_rollout_step step[3];
    struct du_need need[2];
    struct du_release release[3] = { { .version = 3, .published = 5, .files = 1 },
                                     full_release(10, &delta, step, need),
                                     { .version = 7, .published = 6, .files = 1, .size = 4 } };
    const struct du_manifest in = { .component = "tetra", .release = release, .count = 3 };
    defupd_error err = { 0 };
    DU_AUTO_BUF text = DU_BUF(100000);
    DU_AUTO_BUF again = DU_BUF(100000);
    DU_AUTO_MANIFEST *out = NULL;

    T_OK(du_manifest_write(&in, &text, &err), &err);
    T_OK(parse(&out, &text, &err), &err);
    if (out == NULL)
        return;
    T_CHECK(out->count == 3 && out->release[1].version == 7 && out->release[2].version == 3);
    const struct du_release *got = &out->release[0], *want = &release[1];
    T_CHECK(got->version == 10 && got->published == want->published && got->size == 12 &&
            got->files == 2 && memcmp(got->tree, want->tree, sizeof got->tree) == 0);
    T_SAME(got->label, want->label);
    T_SAME(got->licence_class, want->licence_class);
    T_SAME(got->note, want->note);
    T_SAME(got->withdrawn_reason, want->withdrawn_reason);
    T_CHECK(got->withdrawn && got->withdrawn_at == 1795251603 && got->replace_by == 8);
    T_CHECK(got->has_rollout && got->rollout_paused && got->rollout_start == 1795251601 &&
            got->rollout_paused_at == 1795251602);
    T_CHECK(same_object(&got->full, &want->full));
    T_CHECK(got->deltas == 1 && same_object(got->delta, &delta));
    T_CHECK(got->steps == 3 && same_step(&got->step[0], &step[0]) &&
            same_step(&got->step[1], &step[1]) && same_step(&got->step[2], &step[2]));
    T_CHECK(got->needs == 2 && same_need(&got->need[0], &need[0]) &&
            same_need(&got->need[1], &need[1]));
    T_CHECK(got->requires == NULL);
    T_CHECK(strstr(du_buf_text(&text), " requires=\"rollout needs\"") != NULL);
    T_OK(du_manifest_write(out, &again, &err), &err);
    T_SAME(du_buf_text(&again), du_buf_text(&text));
}

static void durations_of_every_shape_come_back(void)
{
    static const uint64_t some[] = { 0,    1,     59,    60,    61,     3600,     3601,
                                     3660, 86399, 86400, 86401, 604800, 31536000, 316224000 };

    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        struct du_rollout_step step = { .after_s = some[i], .permille = 5 };
        struct du_release release = {
            .version = 1, .files = 1, .has_rollout = true, .step = &step, .steps = 1
        };
        const struct du_manifest in = { .component = "tetra", .release = &release, .count = 1 };
        defupd_error err = { 0 };
        DU_AUTO_BUF text = DU_BUF(10000);
        DU_AUTO_MANIFEST *out = NULL;

        T_OK(du_manifest_write(&in, &text, &err), &err);
        T_OK(parse(&out, &text, &err), &err);
        T_CHECK(out != NULL && out->release[0].step[0].after_s == some[i]);
    }
}

static void an_empty_manifest_is_written(void)
{
    const struct du_manifest in = { .component = "tetra" };
    defupd_error err = { 0 };
    DU_AUTO_BUF text = DU_BUF(1000);

    T_OK(du_manifest_write(&in, &text, &err), &err);
    T_SAME(du_buf_text(&text), "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                               "<manifest format=\"1\" component=\"tetra\"/>\n");
}

static void what_clients_refuse_is_not_given_out(void)
{
    char note[300];
    struct du_rollout_step step = { .permille = 1001 };
    struct du_object own = { .from = 10, .bytes = 1, .codec = "1" };
    const struct du_release good = { .version = 10, .files = 1 };
    struct du_release bad[] = { good, good, good, good, good, good, good };

    memset(note, 'x', sizeof note);
    note[257] = '\0';
    bad[0].note = note;
    bad[1].version = 0;
    bad[2].files = 0;
    bad[3].delta = &own;
    bad[3].deltas = 1;
    bad[4].has_rollout = true;
    bad[4].step = &step;
    bad[4].steps = 1;
    bad[5].full = (struct du_object){ .bytes = 0, .codec = "tar+zst" };
    bad[6].withdrawn = true;
    bad[6].replace_by = 10;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct du_manifest in = { .component = "tetra", .release = &bad[i], .count = 1 };
        defupd_error err = { 0 };
        DU_AUTO_BUF text = DU_BUF(10000);

        T_FAILS(du_manifest_write(&in, &text, &err), DEFUPD_E_MANIFEST_FORMAT, &err);
        T_CHECK(text.len == 0);
    }
    struct du_release twice[] = { good, good };
    const struct du_manifest in = { .component = "tetra", .release = twice, .count = 2 };
    const struct du_manifest misnamed = { .component = "Tetra" };
    defupd_error err = { 0 };
    DU_AUTO_BUF text = DU_BUF(10000);
    T_FAILS(du_manifest_write(&in, &text, &err), DEFUPD_E_MANIFEST_FORMAT, &err);
    T_FAILS(du_manifest_write(&misnamed, &text, &err), DEFUPD_E_MANIFEST_FORMAT, &err);
}

/* An older publisher must not republish, emptied, what a newer one has written. */
static void a_release_of_a_newer_publisher_is_not_written_emptied(void)
{
    struct du_release release = { .version = 10,
                                  .files = 1,
                                  .requires = (char *)(uintptr_t) "shards" };
    const struct du_manifest in = { .component = "tetra", .release = &release, .count = 1 };
    defupd_error err = { 0 };
    DU_AUTO_BUF text = DU_BUF(10000);

    T_FAILS(du_manifest_write(&in, &text, &err), DEFUPD_E_MANIFEST_NEWER, &err);
    T_CHECK(strstr(err.message, "shards") != NULL && text.len == 0);
}

static void thirty_releases_stay_below_16_kib(void)
{
    struct du_release release[30] = { 0 };
    struct du_object delta[24] = { 0 };
    const struct du_manifest in = { .component = "tetra", .release = release, .count = 30 };
    defupd_error err = { 0 };
    DU_AUTO_BUF text = DU_BUF(100000);

    for (size_t i = 0; i < 30; i++) {
        release[i] = (struct du_release){
            .version = 30 - i, .published = 1795251600 + (int64_t)i, .size = 31400000, .files = 1207
        };
        release[i].full = (struct du_object){ .bytes = 5100000, .codec = "tar+zst" };
        (void)strcpy(release[i].label, "297.0.0.0");
    }
    for (size_t i = 0; i < 24; i++)
        delta[i] = (struct du_object){ .from = 30 - i % 12 - 2, .bytes = 20000, .codec = "1" };
    release[0].delta = delta;
    release[1].delta = delta + 12;
    release[0].deltas = release[1].deltas = 12;
    release[1].delta[0].from = 5;
    T_OK(du_manifest_write(&in, &text, &err), &err);
    printf("# %zu bytes\n", text.len);
    T_CHECK(text.len > 0 && text.len <= 16 * 1024);
}

static void a_full_buffer_is_a_failure(void)
{
    const struct du_manifest in = { .component = "tetra" };
    defupd_error err = { 0 };
    DU_AUTO_BUF text = DU_BUF(10);

    T_FAILS(du_manifest_write(&in, &text, &err), DEFUPD_E_LIMIT, &err);
}

int main(void)
{
    T_RUN(what_is_written_is_read_back_the_same);
    T_RUN(durations_of_every_shape_come_back);
    T_RUN(an_empty_manifest_is_written);
    T_RUN(what_clients_refuse_is_not_given_out);
    T_RUN(a_release_of_a_newer_publisher_is_not_written_emptied);
    T_RUN(thirty_releases_stay_below_16_kib);
    T_RUN(a_full_buffer_is_a_failure);
    return T_DONE();
}
