/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/file.h>

#include "store_kit.h"

/* Numbers of the generations on disk, "1 2 3". */
static const char *on_disk(const struct du_store *store)
{
    static char text[200];
    DU_AUTO_FREE uint64_t *number = NULL;
    defupd_error err = { 0 };
    size_t count = 0;
    int used = 0;

    text[0] = '\0';
    T_OK(du_store_generations(store, &number, &count, &err), &err);
    for (size_t i = 0; i < count; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%s%llu", i > 0 ? " " : "",
                         (unsigned long long)number[i]);
    return text;
}

/* Versions of tetra on disk, complete or not. */
static const char *versions(void)
{
    static char text[200];
    FILE *list =
        popen("cd state/versions/tetra && ls | grep -v index | sort -n | tr '\\n' ' '", "r");

    text[0] = '\0';
    if (list == NULL)
        abort();
    if (fgets(text, sizeof text, list) == NULL)
        text[0] = '\0';
    T_CHECK(pclose(list) == 0);
    return text;
}

static void install_trial(struct du_store *store, uint64_t version)
{
    defupd_error err = { 0 };
    bool switched;

    T_OK(kit_stage(store, "tetra", version, &err), &err);
    T_OK(kit_activate(store, "tetra", version, true, &switched, &err), &err);
}

static void confirm(struct du_store *store, const char *number)
{
    DU_AUTO_FACT fact = { 0 };
    defupd_error err = { 0 };

    T_OK(du_fact_set_u64(&fact, "confirmed", KIT_NOW, &err), &err);
    T_OK(du_store_fact_write(store, DU_FACT_TRIAL, number, &fact, &err), &err);
}

static void retention_keeps_so_many_earlier_generations(void)
{
    struct du_store store;

    kit_lock(&store);
    for (uint64_t v = 1; v <= 5; v++)
        kit_install(&store, "tetra", v);
    T_CHECK(kit_sweep(&store, 9) == 0);
    T_SAME(on_disk(&store), "1 2 3 4 5");
    T_CHECK(kit_sweep(&store, 2) == 0);
    T_SAME(on_disk(&store), "3 4 5");
    T_SAME(versions(), "3 4 5 ");
    T_CHECK(!kit_exists("state/versions/tetra/2.index"));
    T_CHECK(kit_sweep(&store, 1) == 0);
    T_SAME(on_disk(&store), "4 5");
    T_CHECK(kit_sweep(&store, 0) == 0);
    T_SAME(on_disk(&store), "5");
    T_SAME(versions(), "5 ");
    T_SAME(kit_current(kit_path("state")), "5: tetra@5");
    T_CHECK(kit_consistent(kit_path("state")) && kit_names("state/staging") == 0);
    du_store_close(&store);
}

static void what_was_never_switched_to_does_not_count(void)
{
    struct du_store store;

    kit_lock(&store);
    for (uint64_t v = 1; v <= 3; v++)
        kit_install(&store, "tetra", v);
    /* 4 and 5 were made, then a crash came; 6 follows 3. */
    T_CHECK(t_shell("cp -a state/generations/3 state/generations/4 && "
                    "cp -a state/generations/3 state/generations/5") == 0);
    T_CHECK(kit_sweep(&store, 1) == 0);
    T_SAME(on_disk(&store), "2 3 4 5"); /* newer than current: their numbers are used up */
    kit_install(&store, "tetra", 6);
    T_CHECK(kit_sweep(&store, 1) == 0);
    T_SAME(on_disk(&store), "3 6");
    T_SAME(versions(), "3 6 ");
    du_store_close(&store);
}

static void the_last_confirmed_generation_stays(void)
{
    struct du_store store;

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    kit_install(&store, "tetra", 2);
    for (uint64_t v = 3; v <= 6; v++)
        install_trial(&store, v);
    T_CHECK(kit_sweep(&store, 1) == 0);
    T_SAME(on_disk(&store), "2 5 6");
    T_CHECK(kit_whole("state/generations/2", "tetra", 2));
    T_CHECK(kit_sweep(&store, 0) == 0);
    T_SAME(on_disk(&store), "2 6");
    confirm(&store, "6");
    T_CHECK(kit_sweep(&store, 0) == 0);
    T_SAME(on_disk(&store), "6");
    T_CHECK(kit_exists("state/trial/6"));
    du_store_close(&store);
}

static void an_unreadable_trial_is_no_confirmation(void)
{
    struct du_store store;

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    install_trial(&store, 2);
    confirm(&store, "2");
    T_CHECK(t_shell("echo rot >> state/trial/2") == 0);
    T_CHECK(kit_sweep(&store, 0) == 0);
    T_SAME(on_disk(&store), "1 2");
    /* Nor is a generation whose text says nothing of a trial. */
    confirm(&store, "2");
    T_CHECK(t_shell("rm state/trial/2 state/generations/2/generation.xml") == 0);
    T_CHECK(kit_sweep(&store, 0) == 0);
    T_SAME(on_disk(&store), "1 2");
    du_store_close(&store);
}

static void trials_of_generations_that_are_gone_go(void)
{
    struct du_store store;

    kit_lock(&store);
    install_trial(&store, 1);
    install_trial(&store, 2);
    confirm(&store, "1");
    confirm(&store, "2");
    confirm(&store, "3"); /* of one that is about to be made */
    T_CHECK(kit_sweep(&store, 0) == 0);
    T_CHECK(!kit_exists("state/trial/1") && kit_exists("state/trial/2"));
    T_CHECK(kit_exists("state/trial/3"));
    du_store_close(&store);
}

static void what_a_reader_holds_is_not_swept(void)
{
    struct du_store store;
    struct du_lease lease;
    defupd_error err = { 0 };
    char path[600];

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    T_OK(du_store_lease(&store, &lease, &err), &err);
    (void)snprintf(path, sizeof path, "%s", lease.path);
    kit_install(&store, "tetra", 2);
    kit_install(&store, "tetra", 3);
    T_CHECK(kit_sweep(&store, 0) == 0);
    T_SAME(on_disk(&store), "1 3");
    T_SAME(versions(), "1 3 ");
    T_CHECK(kit_whole(path, "tetra", 1));
    du_lease_free(&lease);
    T_CHECK(kit_sweep(&store, 0) == 0);
    T_SAME(on_disk(&store), "3");
    T_SAME(versions(), "3 ");
    du_store_close(&store);
}

static void versions_that_no_generation_links_go_and_linked_ones_stay(void)
{
    struct du_store store;
    defupd_error err = { 0 };

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    kit_install(&store, "yara", 1);
    T_OK(kit_stage(&store, "tetra", 7, &err), &err);
    T_OK(kit_stage(&store, "zeta", 1, &err), &err);
    T_CHECK(t_shell("cd state/versions && mkdir tetra/8 && touch tetra/9.index tetra/1.index.tmp "
                    "tetra/10.index.tmp && mkdir tetra/11.index && touch tetra/note && "
                    "mkdir Other && rm -r yara/1") == 0);
    T_CHECK(kit_sweep(&store, 1) == 0);
    T_CHECK(t_shell("test \"$(ls state/versions/tetra | tr '\\n' ' ')\" = '1 1.index note '") == 0);
    T_CHECK(!kit_exists("state/versions/zeta"));
    T_CHECK(kit_exists("state/versions/Other"));        /* none of ours */
    T_CHECK(kit_exists("state/versions/yara/1.index")); /* linked: for the repair */
    T_CHECK(kit_names("state/staging") == 0);
    du_store_close(&store);
}

static void a_member_whose_link_is_lost_keeps_its_version(void)
{
    struct du_store store;

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    kit_install(&store, "yara", 1);
    T_CHECK(t_shell("rm state/current/yara && rm state/current/tetra && "
                    "mkdir state/current/tetra") == 0);
    T_CHECK(kit_sweep(&store, 0) == 0);
    T_CHECK(kit_whole_at("state/versions/yara/1", "yara", 1));
    T_CHECK(kit_whole_at("state/versions/tetra/1", "tetra", 1));
    du_store_close(&store);
}

/* While it is not known what is linked, nothing is. */
static void nothing_goes_while_a_generation_cannot_be_read(void)
{
    struct du_store store;
    defupd_error err = { 0 };

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    T_OK(kit_stage(&store, "tetra", 2, &err), &err);
    T_CHECK(t_shell("touch state/generations/9") == 0);
    T_CHECK(kit_sweep(&store, 0) > 0);
    T_SAME(versions(), "1 2 ");
    T_CHECK(
        t_shell("rm state/generations/9 && mv state/current x && ln -s nowhere state/current") ==
        0);
    T_CHECK(kit_sweep(&store, 0) > 0);
    T_SAME(versions(), "1 2 ");
    T_SAME(on_disk(&store), "1");
    T_CHECK(t_shell("rm state/current && mv x state/current") == 0);
    T_CHECK(kit_sweep(&store, 0) == 0);
    T_SAME(versions(), "1 ");
    du_store_close(&store);
}

static void without_a_current_generation_all_stay(void)
{
    struct du_store store;

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    kit_install(&store, "tetra", 2);
    T_CHECK(unlink("state/current") == 0);
    T_CHECK(kit_sweep(&store, 0) == 0);
    T_SAME(on_disk(&store), "1 2");
    T_SAME(versions(), "1 2 ");
    kit_install(&store, "tetra", 2);
    T_SAME(kit_current(kit_path("state")), "3: tetra@2");
    du_store_close(&store);
}

static void a_missing_parent_is_replaced_by_the_next_lower(void)
{
    struct du_store store;

    kit_lock(&store);
    for (uint64_t v = 1; v <= 4; v++)
        kit_install(&store, "tetra", v);
    T_CHECK(t_shell("rm -r state/generations/3") == 0);
    T_CHECK(kit_sweep(&store, 1) == 0);
    T_SAME(on_disk(&store), "2 4");
    T_SAME(versions(), "2 4 ");
    du_store_close(&store);
}

static bool named(void *user, const unsigned char sha256[DU_SHA256_BYTES])
{
    return sha256[0] == *(unsigned char *)user;
}

static void downloads_stay_seven_days_while_a_manifest_names_them(void)
{
    unsigned char first = 0xaa;
    const struct du_sweep sweep = { .now = KIT_NOW, .named = named, .user = &first };
    struct du_store store;
    unsigned failures;
    char a[65], b[65];

    memset(a, 'a', 64);
    memset(b, 'b', 64);
    a[64] = b[64] = '\0';
    kit_lock(&store);
    T_CHECK(t_shell("cd state/downloads && touch -d @%d %s %s.part %s %s.part junk %s.x && "
                    "mkdir dir",
                    KIT_NOW - 7 * 86400, a, a, b, b, a) == 0);
    du_store_sweep(&store, &sweep, &failures);
    T_CHECK(failures == 0 && kit_names("state/downloads") == 2);
    T_CHECK(t_shell("cd state/downloads && test -f %s && test -f %s.part", a, a) == 0);
    T_CHECK(t_shell("cd state/downloads && touch -d @%d %s && touch -d @%d %s.part",
                    KIT_NOW - 7 * 86400 - 1, a, KIT_NOW + 8 * 86400, a) == 0);
    du_store_sweep(&store, &sweep, &failures);
    T_CHECK(failures == 0 && kit_names("state/downloads") == 0);
    T_CHECK(t_shell("touch -d @%d state/downloads/%s", KIT_NOW, a) == 0);
    T_CHECK(kit_sweep(&store, 1) == 0); /* nobody names any */
    T_CHECK(kit_names("state/downloads") == 0);
    du_store_close(&store);
}

static void leftovers_of_dead_writers_go_and_living_ones_stay(void)
{
    struct du_store store;

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    T_CHECK(t_shell("cd state && touch holds/tetra.tmp schedule/agent.tmp trust/seen.tmp "
                    "host-id.tmp current.tmp && mkdir trust/roots && "
                    "touch trust/roots/1.root.json.tmp && mkdir -p staging/tetra@9/x && "
                    "touch -d @%d local.xml.0badcafe.tmp && touch -d @%d posture.json.1.tmp",
                    KIT_NOW - 3700, KIT_NOW - 60) == 0);
    T_CHECK(kit_sweep(&store, 1) == 0);
    T_CHECK(kit_exists("state/posture.json.1.tmp")); /* may be at work, without the lock */
    T_CHECK(unlink("state/posture.json.1.tmp") == 0);
    T_CHECK(!kit_has_tmp(AT_FDCWD, "state") && kit_names("state/staging") == 0);
    du_store_close(&store);
}

static void clean_empties_downloads_and_staging_and_says_how_much(void)
{
    struct du_store store;
    defupd_error err = { 0 };
    uint64_t bytes = 1;

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    T_OK(du_store_clean(&store, &bytes, &err), &err);
    T_CHECK(bytes == 0);
    T_CHECK(t_shell("cd state && mkdir -p staging/a/b && printf 12345 > staging/a/b/c && "
                    "printf 123 > downloads/x && ln versions/tetra/1/a.dat staging/linked") == 0);
    T_OK(du_store_clean(&store, &bytes, &err), &err);
    T_CHECK(bytes == 8); /* what another name still holds is not freed */
    T_CHECK(kit_names("state/staging") == 0 && kit_names("state/downloads") == 0);
    T_CHECK(kit_consistent(kit_path("state")));
    du_store_close(&store);
}

int main(void)
{
    kit_fast_disk();
    T_RUN(retention_keeps_so_many_earlier_generations);
    T_RUN(what_was_never_switched_to_does_not_count);
    T_RUN(the_last_confirmed_generation_stays);
    T_RUN(an_unreadable_trial_is_no_confirmation);
    T_RUN(trials_of_generations_that_are_gone_go);
    T_RUN(what_a_reader_holds_is_not_swept);
    T_RUN(versions_that_no_generation_links_go_and_linked_ones_stay);
    T_RUN(a_member_whose_link_is_lost_keeps_its_version);
    T_RUN(nothing_goes_while_a_generation_cannot_be_read);
    T_RUN(without_a_current_generation_all_stay);
    T_RUN(a_missing_parent_is_replaced_by_the_next_lower);
    T_RUN(downloads_stay_seven_days_while_a_manifest_names_them);
    T_RUN(leftovers_of_dead_writers_go_and_living_ones_stay);
    T_RUN(clean_empties_downloads_and_staging_and_says_how_much);
    return T_DONE();
}
