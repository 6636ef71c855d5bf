/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "bundle/bundle.h"
#include "publish/choose.h"
#include "t.h"

#define RELEASES 80

/* A component's life: releases 1, 2, ... come, each gets its deltas, the oldest ones leave. */
struct life {
    struct du_release release[RELEASES];
    struct du_manifest manifest;
    bool usable[RELEASES];
    size_t max;
};

static void give(struct du_release *release, uint64_t from)
{
    release->delta = realloc(release->delta, (release->deltas + 1) * sizeof *release->delta);
    T_CHECK(release->delta != NULL);
    release->delta[release->deltas++] = (struct du_object){ .from = from, .bytes = 1 };
}

static void start(struct life *life)
{
    *life = (struct life){ .max = DU_CHOOSE_DELTAS_MAX };
    life->manifest.release = life->release;
    for (size_t i = 0; i < RELEASES; i++)
        life->usable[i] = true;
}

static void end(struct life *life)
{
    while (life->manifest.count > 0)
        du_release_clear(&life->release[--life->manifest.count]);
}

static void publish(struct life *life, uint64_t version)
{
    size_t source[DU_CHOOSE_DELTAS_MAX], count;

    memmove(life->release + 1, life->release, life->manifest.count * sizeof *life->release);
    life->release[0] = (struct du_release){ .version = version };
    life->manifest.count++;
    while (life->manifest.count > DU_CHOOSE_RELEASES)
        (void)du_choose_drop(&life->manifest, 0);
    du_choose_trim(&life->manifest);
    count = du_choose_sources(&life->manifest, life->usable, life->max, source);
    T_CHECK(count <= life->max);
    for (size_t i = 0; i < count; i++)
        give(&life->release[0], life->release[source[i]].version);
}

static bool has(const struct du_release *release, uint64_t from)
{
    for (size_t i = 0; i < release->deltas; i++)
        if (release->delta[i].from == from)
            return true;
    return false;
}

/* Objects that a host needs from `version` to the newest release; 0: only the bundle helps. */
static unsigned objects(const struct life *life, uint64_t version)
{
    if (has(&life->release[0], version))
        return 1;
    for (size_t i = 1; i < life->manifest.count; i++)
        if (!life->release[i].withdrawn && has(&life->release[0], life->release[i].version) &&
            has(&life->release[i], version))
            return 2;
    return 0;
}

static void a_table_of_lives_chooses_these_sources(void)
{
    static const struct {
        size_t releases, max;
        const char *sources; /* distances, the most useful first */
    } row[] = {
        { 1, 12, "" },
        { 2, 12, "1 " },
        { 3, 12, "1 2 " },
        { 4, 12, "1 2 3 " },
        { 5, 12, "1 2 3 " },
        { 6, 12, "1 2 3 5 " },
        { 11, 12, "1 2 3 5 7 9 " },
        { 31, 12, "1 2 3 5 7 30 9 11 28 13 15 17 " },
        { 40, 12, "1 2 3 5 7 30 9 11 28 13 20 15 " },
        { 79, 12, "1 2 3 5 7 30 9 11 28 13 20 15 " },
        { 40, 6, "1 2 3 5 7 30 " },
        { 40, 1, "1 " },
        { 40, 0, "" },
    };

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        char text[256] = "";
        struct life life;

        start(&life);
        life.max = row[i].max;
        for (uint64_t version = 1; version <= row[i].releases; version++)
            publish(&life, version * 7);
        for (size_t k = 0; k < life.release[0].deltas; k++)
            (void)snprintf(
                text + strlen(text), sizeof text - strlen(text), "%u ",
                (unsigned)((life.release[0].version - life.release[0].delta[k].from) / 7));
        T_SAME(text, row[i].sources);
        end(&life);
    }
}

static void a_host_that_missed_days_or_a_month_needs_at_most_two_objects(void)
{
    struct life life;
    size_t carriers;

    start(&life);
    for (uint64_t version = 1; version < RELEASES; version++) {
        publish(&life, version);
        T_CHECK(life.manifest.count <= DU_CHOOSE_RELEASES);
        for (uint64_t behind = 1; behind <= 16 && behind < version; behind++)
            T_CHECK(objects(&life, version - behind) != 0);
        for (uint64_t behind = 1; behind <= 3 && behind < version; behind++)
            T_CHECK(objects(&life, version - behind) == 1);
        for (uint64_t behind = 20; behind <= 21 && version > 32; behind++)
            T_CHECK(objects(&life, version - behind) != 0);
        /* The very first time there is no list beside it yet. */
        for (uint64_t behind = 28; behind <= 31 && version > 32; behind++)
            T_CHECK(objects(&life, version - behind) != 0);
        carriers = 0;
        for (size_t i = 0; i < life.manifest.count; i++) {
            carriers += life.release[i].deltas > 0;
            for (size_t k = 0; k < life.release[i].deltas; k++)
                T_CHECK(du_manifest_find(&life.manifest, life.release[i].delta[k].from) != NULL);
        }
        T_CHECK(carriers == (version < 3 ? version - 1 : 2));
    }
    end(&life);
}

static void thirty_behind_works_with_the_first_release_that_has_it(void)
{
    struct life life;

    start(&life);
    for (uint64_t version = 1; version <= 31; version++)
        publish(&life, version);
    T_CHECK(objects(&life, 1) == 1);
    end(&life);
}

static void without_earlier_deltas_the_newest_release_gets_all_it_can(void)
{
    size_t source[DU_CHOOSE_DELTAS_MAX];
    struct life life;

    start(&life);
    life.max = 0;
    for (uint64_t version = 1; version <= 11; version++)
        publish(&life, version);
    T_CHECK(du_choose_sources(&life.manifest, life.usable, 12, source) == 10);
    T_CHECK(source[3] == 5 && source[5] == 9 && source[6] == 4 && source[9] == 10);
    end(&life);
}

static void a_tree_that_cannot_be_had_is_no_source(void)
{
    struct life life;

    start(&life);
    life.usable[1] = life.usable[5] = false;
    for (uint64_t version = 1; version <= 20; version++)
        publish(&life, version);
    T_CHECK(!has(&life.release[0], 19) && !has(&life.release[0], 15) && has(&life.release[0], 18));
    end(&life);
}

/* Hosts sit on it, so it is a source; nobody is sent there, so it is no way to anywhere. */
static void a_withdrawn_release_is_left_but_not_passed(void)
{
    struct life life;

    start(&life);
    for (uint64_t version = 1; version <= 20; version++)
        publish(&life, version);
    life.release[0].withdrawn = true;
    publish(&life, 21);
    T_CHECK(has(&life.release[0], 20));
    T_CHECK(life.release[1].deltas == 0);                             /* nobody goes to 20 */
    T_CHECK(life.release[2].deltas > 0 && has(&life.release[0], 19)); /* the middle is 19 */
    for (uint64_t behind = 1; behind <= 16; behind++)
        T_CHECK(objects(&life, 21 - behind) != 0);
    end(&life);
}

static void a_release_for_newer_clients_is_no_middle(void)
{
    struct life life;

    start(&life);
    for (uint64_t version = 1; version <= 5; version++)
        publish(&life, version);
    life.release[0].requires = strdup("future");
    life.usable[1] = false;
    publish(&life, 6);
    T_CHECK(!has(&life.release[0], 5) && has(&life.release[0], 4));
    for (uint64_t version = 1; version <= 4; version++)
        T_CHECK(objects(&life, version) != 0);
    T_CHECK(life.release[1].deltas == 0 && life.release[2].deltas > 0);
    end(&life);
}

static void entries_go_in_a_defined_order(void)
{
    struct life life;
    uint64_t last = UINT64_MAX;
    size_t deltas;

    start(&life);
    for (uint64_t version = 1; version <= 40; version++)
        publish(&life, version);
    T_CHECK(life.manifest.count == 32);
    T_CHECK(du_choose_drop(&life.manifest, 0) && du_choose_drop(&life.manifest, 0));
    T_CHECK(life.manifest.count == 30);
    T_CHECK(!has(&life.release[0], 10) && !has(&life.release[1], 9)); /* left with their sources */
    /* Then spaced deltas, the oldest sources first, while all 30 releases stay. */
    deltas = life.release[0].deltas + life.release[1].deltas;
    T_CHECK(has(&life.release[0], 12));
    T_CHECK(du_choose_drop(&life.manifest, 0));
    T_CHECK(life.release[0].deltas + life.release[1].deltas == deltas - 1);
    T_CHECK(has(&life.release[1], 11) == false);
    T_CHECK(du_choose_drop(&life.manifest, 0) && !has(&life.release[0], 12));
    while (life.manifest.count == 30)
        T_CHECK(du_choose_drop(&life.manifest, 0));
    T_CHECK(life.release[0].deltas == 3 && has(&life.release[0], 37));
    T_CHECK(life.release[1].deltas == 3 && has(&life.release[1], 36));
    /* Then the oldest releases, down to one. */
    while (du_choose_drop(&life.manifest, 0)) {
        T_CHECK(life.release[life.manifest.count].version < last);
        last = life.release[life.manifest.count - 1].version;
    }
    T_CHECK(life.manifest.count == 1 && life.release[0].version == 40 &&
            life.release[0].deltas == 0);
    end(&life);
}

/* Who withdraws an old release does not want it to vanish from the list by that. */
static void what_must_stay_is_not_dropped(void)
{
    struct life life;

    start(&life);
    for (uint64_t version = 1; version <= 40; version++)
        publish(&life, version);
    while (du_choose_drop(&life.manifest, 9))
        T_CHECK(life.manifest.count == 32);
    T_CHECK(life.release[31].version == 9 && life.release[0].deltas == 3);
    while (du_choose_drop(&life.manifest, 30))
        ;
    T_CHECK(life.manifest.count == 11 && life.release[10].version == 30);
    end(&life);
}

/* A usual manifest holds 32 releases and 24 deltas; with the longest labels still 30 releases. */
static void thirty_releases_fit_in_sixteen_kilobytes(void)
{
    for (unsigned longest = 0; longest < 2; longest++) {
        DU_AUTO_BUF text = DU_BUF(DU_MANIFEST_BYTES_MAX);
        defupd_error err = { 0 };
        struct life life;

        start(&life);
        (void)snprintf(life.manifest.component, sizeof life.manifest.component, "tetra");
        for (uint64_t version = 1; version <= 40; version++)
            publish(&life, 2026112100 + version);
        for (size_t i = 0; i < life.manifest.count; i++) {
            struct du_release *release = &life.release[i];
            release->published = 1795251600;
            release->size = 209715200;
            release->files = 12000;
            release->full = (struct du_object){ .bytes = 104857600, .codec = DU_BUNDLE_CODEC };
            (void)snprintf(release->label, sizeof release->label, "%.*s", longest ? 64 : 9,
                           "297.0.0.0-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
            (void)snprintf(release->licence_class, sizeof release->licence_class, "antimalware");
            for (size_t k = 0; k < release->deltas; k++) {
                release->delta[k].bytes = 94371840;
                (void)snprintf(release->delta[k].codec, sizeof release->delta[k].codec, "1");
            }
        }
        T_OK(du_manifest_write(&life.manifest, &text, &err), &err);
        while (text.len > 16384 && du_choose_drop(&life.manifest, 0)) {
            du_buf_clear(&text);
            T_OK(du_manifest_write(&life.manifest, &text, &err), &err);
        }
        printf("# %zu releases, %zu and %zu deltas: %zu bytes\n", life.manifest.count,
               life.release[0].deltas, life.release[1].deltas, text.len);
        T_CHECK(text.len <= 16384 && life.manifest.count >= (longest ? 30 : 32));
        T_CHECK(longest || life.release[0].deltas + life.release[1].deltas == 24);
        end(&life);
    }
}

int main(void)
{
    T_RUN(a_table_of_lives_chooses_these_sources);
    T_RUN(a_host_that_missed_days_or_a_month_needs_at_most_two_objects);
    T_RUN(thirty_behind_works_with_the_first_release_that_has_it);
    T_RUN(without_earlier_deltas_the_newest_release_gets_all_it_can);
    T_RUN(a_tree_that_cannot_be_had_is_no_source);
    T_RUN(a_withdrawn_release_is_left_but_not_passed);
    T_RUN(a_release_for_newer_clients_is_no_middle);
    T_RUN(entries_go_in_a_defined_order);
    T_RUN(what_must_stay_is_not_dropped);
    T_RUN(thirty_releases_fit_in_sixteen_kilobytes);
    return T_DONE();
}
