/* SPDX-License-Identifier: Apache-2.0 */
#include "store_kit.h"

static void an_empty_store_has_no_current_generation(void)
{
    DU_AUTO_GENERATION current = { 0 };
    struct du_store store;
    defupd_error err = { 0 };

    T_OK(kit_open(&store, &du_sys_posix, &err), &err);
    T_CHECK(store.dir == -1);
    T_OK(du_store_current(&store, &current, &err), &err);
    T_CHECK(current.number == 0 && current.count == 0);
    T_CHECK(!kit_exists("state")); /* looking makes nothing */
    du_store_close(&store);
    kit_lock(&store);
    T_SAME(kit_current(kit_path("state")), "0:");
    du_store_close(&store);
}

static void one_switch_activates_all_members(void)
{
    DU_AUTO_GENERATION next = { 0 }, got = { 0 };
    struct du_store store;
    struct du_member member;
    defupd_error err = { 0 };
    char link[128];
    bool switched;

    kit_lock(&store);
    T_OK(kit_stage(&store, "yara", 7, &err), &err);
    T_OK(kit_stage(&store, "tetra", 3, &err), &err);
    kit_member(&member, "yara", 7);
    T_OK(du_generation_put(&next, &member, &err), &err);
    kit_member(&member, "tetra", 3);
    T_OK(du_generation_put(&next, &member, &err), &err);
    strcpy(next.reason, "install");
    T_OK(du_store_activate(&store, &next, KIT_NOW, &switched, &err), &err);
    T_CHECK(switched && next.number == 1 && next.parent == 0 && next.made == KIT_NOW);
    T_SAME(kit_current(kit_path("state")), "1: tetra@3 yara@7");
    T_CHECK(kit_consistent(kit_path("state")));

    T_CHECK(readlink("state/current", link, sizeof link) == (ssize_t)strlen("generations/1"));
    T_CHECK(readlink("state/current/tetra", link, sizeof link) ==
            (ssize_t)strlen("../../versions/tetra/3"));
    T_CHECK(kit_mode("state/generations/1") == 0755);
    T_CHECK(kit_mode("state/generations/1/generation.xml") == 0644);
    T_CHECK(!kit_exists("state/current.tmp") && !kit_exists("state/staging/generation"));

    T_OK(du_store_generation(&store, 1, &got, &err), &err);
    T_CHECK(got.number == 1 && got.parent == 0 && got.made == KIT_NOW && !got.trial);
    T_SAME(got.reason, "install");
    T_CHECK(got.count == 2 && memcmp(&got.member[0], &member, sizeof member) == 0);
    T_CHECK(du_generation_find(&got, "yara") == &got.member[1]);
    T_CHECK(du_generation_find(&got, "zeta") == NULL);
    du_store_close(&store);
}

static void what_is_not_touched_is_carried_over(void)
{
    struct du_store store;

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    kit_install(&store, "yara", 1);
    kit_install(&store, "tetra", 2);
    T_SAME(kit_current(kit_path("state")), "3: tetra@2 yara@1");
    T_CHECK(kit_consistent(kit_path("state")));
    du_store_close(&store);
}

static void a_number_is_never_used_twice(void)
{
    struct du_store store;
    defupd_error err = { 0 };
    bool switched;

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    /* Made but never switched to, as a crash between the two leaves it. */
    T_CHECK(t_shell("cp -a state/generations/1 state/generations/9") == 0);
    T_OK(kit_activate(&store, "tetra", 1, false, &switched, &err), &err);
    T_SAME(kit_current(kit_path("state")), "10: tetra@1");
    /* Also when somebody has removed the folders that tell. */
    T_CHECK(t_shell("mv state/generations/10 state/generations/2 && rm -rf state/generations/9 && "
                    "ln -sfn generations/12 state/current && "
                    "mv state/generations/2 state/generations/12") == 0);
    T_OK(kit_activate(&store, "tetra", 1, false, &switched, &err), &err);
    T_SAME(kit_current(kit_path("state")), "13: tetra@1");
    du_store_close(&store);
}

static void a_member_that_is_not_complete_is_refused(void)
{
    static const char *const harm[] = {
        "rm state/versions/tetra/2.index",
        "rm -rf state/versions/tetra/2",
        "rm -rf state/versions/tetra/2 && ln -s 1 state/versions/tetra/2",
        "rm -rf state/versions/tetra",
        "cp state/versions/tetra/1.index state/versions/tetra/2.index",
        "sed -i '1s/ [0-9a-f]*$/ "
        "0000000000000000000000000000000000000000000000000000000000000000/' "
        "state/versions/tetra/2.index",
        ": > state/versions/tetra/2.index",
    };

    for (size_t i = 0; i < sizeof harm / sizeof harm[0]; i++) {
        struct du_store store;
        defupd_error err = { 0 };
        bool switched = true;

        T_CHECK(t_shell("rm -rf state") == 0);
        kit_lock(&store);
        kit_install(&store, "yara", 1);
        T_OK(kit_stage(&store, "tetra", 1, &err), &err);
        T_OK(kit_stage(&store, "tetra", 2, &err), &err);
        T_CHECK(t_shell("%s", harm[i]) == 0);
        T_FAILS(kit_activate(&store, "tetra", 2, false, &switched, &err), DEFUPD_E_STORE_CORRUPT,
                &err);
        T_CHECK(strstr(err.message, "tetra/2") != NULL);
        T_CHECK(!switched);
        T_SAME(kit_current(kit_path("state")), "1: yara@1");
        T_CHECK(!kit_exists("state/staging/generation"));
        du_store_close(&store);
    }
}

static void a_rotten_record_does_not_hold_back_the_others(void)
{
    struct du_store store;

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    T_CHECK(t_shell("echo rot >> state/versions/tetra/1.index") == 0);
    kit_install(&store, "yara", 1);
    T_SAME(kit_current(kit_path("state")), "2: tetra@1 yara@1");
    du_store_close(&store);
}

static void a_generation_without_its_text_is_read_from_its_links(void)
{
    static const char *const harm[] = {
        "rm state/current/generation.xml",
        ": > state/current/generation.xml",
        "echo '<generation' > state/current/generation.xml",
        "echo '<other format=\"1\"/>' > state/current/generation.xml",
        "sed -i 's/number=\"2\"/number=\"3\"/' state/current/generation.xml",
        "sed -i 's/version=\"2\"/version=\"4\"/' state/current/generation.xml",
        "sed -i 's/component=\"tetra\"/component=\"tetrb\"/' state/current/generation.xml",
        "sed -i 's/trial=\"no\"/trial=\"\"/' state/current/generation.xml",
        "sed -i 's/parent=\"1\"/parent=\"2\"/' state/current/generation.xml",
        "head -c 5000000 /dev/zero > state/current/generation.xml",
        "rm state/current/generation.xml; rm state/versions/tetra/2.index",
        "rm state/current/generation.xml; mkfifo state/current/generation.xml",
    };

    for (size_t i = 0; i < sizeof harm / sizeof harm[0]; i++) {
        DU_AUTO_GENERATION got = { 0 };
        struct du_store store;
        struct du_member want;
        defupd_error err = { 0 };

        T_CHECK(t_shell("rm -rf state") == 0);
        kit_lock(&store);
        kit_install(&store, "tetra", 1);
        kit_install(&store, "tetra", 2);
        T_CHECK(t_shell("%s", harm[i]) == 0);
        T_OK(du_store_current(&store, &got, &err), &err);
        kit_member(&want, "tetra", 2);
        T_CHECK(got.number == 2 && got.parent == 1 && got.count == 1);
        T_CHECK(got.trial); /* what is not known is not confirmed */
        T_CHECK(got.count == 1 && strcmp(got.member[0].component, "tetra") == 0 &&
                got.member[0].version == 2 &&
                memcmp(got.member[0].tree, want.tree, sizeof want.tree) == 0);
        kit_install(&store, "yara", 1); /* and the store goes on */
        T_SAME(kit_current(kit_path("state")), "3: tetra@2 yara@1");
        du_store_close(&store);
    }
}

static bool link_holds(const struct du_store *store, uint64_t number,
                       const struct du_member *member)
{
    defupd_error err = { 0 };
    bool holds = false;

    T_OK(du_store_link_holds(store, number, member, &holds, &err), &err);
    return holds;
}

static void a_link_that_leads_elsewhere_is_seen(void)
{
    DU_AUTO_GENERATION got = { 0 };
    struct du_store store;
    defupd_error err = { 0 };

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    kit_install(&store, "tetra", 2);
    T_OK(du_store_current(&store, &got, &err), &err);
    T_CHECK(got.count == 1 && link_holds(&store, 2, &got.member[0]));
    T_CHECK(t_shell("ln -sfn ../../versions/tetra/1 state/generations/2/tetra") == 0);
    du_generation_free(&got);
    T_OK(du_store_current(&store, &got, &err), &err);
    T_CHECK(got.count == 1 && got.member[0].version == 2);
    T_CHECK(got.count == 1 && !link_holds(&store, 2, &got.member[0]));
    T_CHECK(t_shell("rm state/generations/2/tetra") == 0);
    T_CHECK(got.count == 1 && !link_holds(&store, 2, &got.member[0]));
    du_store_close(&store);
}

/* One digit of a digest: else the release that is installed would count as another one for ever. */
static void a_digest_that_a_sound_record_contradicts_is_not_believed(void)
{
    DU_AUTO_GENERATION got = { 0 }, again = { 0 };
    struct du_member member;
    struct du_store store;
    defupd_error err = { 0 };

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    kit_member(&member, "tetra", 1);
    T_CHECK(t_shell("sed -i 's/tree=\"./tree=\"0/;s/tree=\"0\\(.\\)./tree=\"0\\1f/' "
                    "state/current/generation.xml") == 0);
    T_OK(du_store_current(&store, &got, &err), &err);
    T_CHECK(got.count == 1 && memcmp(got.member[0].tree, member.tree, sizeof member.tree) == 0);
    /* A record that is rotten itself has no say. */
    T_CHECK(t_shell("cp state/current/generation.xml x && echo >> state/versions/tetra/1.index") ==
            0);
    T_OK(du_store_current(&store, &again, &err), &err);
    T_CHECK(again.count == 1 && memcmp(again.member[0].tree, member.tree, 32) != 0);
    du_store_close(&store);
}

static void what_newer_software_wrote_is_refused(void)
{
    static const char *const newer[] = {
        "sed -i 's/format=\"1\"/format=\"2\"/' state/current/generation.xml",
        "echo '<generation format=\"2\"><x/></generation>' > state/current/generation.xml",
        "sed -i '1s/defupd-record 1/defupd-record 2/' state/versions/tetra/1.index",
        "echo 'defupd-record 17 whatever' > state/versions/tetra/1.index",
    };

    for (size_t i = 0; i < sizeof newer / sizeof newer[0]; i++) {
        struct du_store store;
        defupd_error err = { 0 };

        T_CHECK(t_shell("rm -rf state") == 0);
        kit_lock(&store);
        kit_install(&store, "tetra", 1);
        du_store_close(&store);
        T_CHECK(t_shell("%s", newer[i]) == 0);
        T_OK(kit_open(&store, &du_sys_posix, &err), &err);
        T_FAILS(du_store_lock(&store, 0, NULL, &err), DEFUPD_E_STORE_FORMAT, &err);
        T_CHECK(store.lock == -1 && du_store_busy(&store) == 0);
        du_store_close(&store);
    }
}

static void a_switch_that_is_no_link_to_a_generation_is_damage(void)
{
    static const char *const harm[] = {
        "ln -sfn generations/7 state/current",           "ln -sfn generations/01 state/current",
        "ln -sfn generations/../versions state/current", "ln -sfn /etc state/current",
        "rm state/current && mkdir state/current",       "rm state/current && touch state/current"
    };

    for (size_t i = 0; i < sizeof harm / sizeof harm[0]; i++) {
        DU_AUTO_GENERATION got = { 0 };
        struct du_store store;
        defupd_error err = { 0 };

        T_CHECK(t_shell("rm -rf state") == 0);
        kit_lock(&store);
        kit_install(&store, "tetra", 1);
        T_CHECK(t_shell("%s", harm[i]) == 0);
        T_FAILS(du_store_current(&store, &got, &err), DEFUPD_E_STORE_CORRUPT, &err);
        T_CHECK(strstr(err.message, "current") != NULL);
        du_store_close(&store);
    }
}

static void members_stay_in_order_and_can_go(void)
{
    DU_AUTO_GENERATION generation = { 0 };
    struct du_member member;
    defupd_error err = { 0 };

    for (unsigned i = 0; i < 3; i++) {
        kit_member(&member, (const char *[]){ "m", "a", "z" }[i], i + 1);
        T_OK(du_generation_put(&generation, &member, &err), &err);
    }
    kit_member(&member, "m", 9);
    T_OK(du_generation_put(&generation, &member, &err), &err);
    T_CHECK(generation.count == 3);
    T_SAME(generation.member[0].component, "a");
    T_SAME(generation.member[1].component, "m");
    T_CHECK(generation.member[1].version == 9);
    du_generation_drop(&generation, "q");
    du_generation_drop(&generation, "a");
    T_CHECK(generation.count == 2 && du_generation_find(&generation, "a") == NULL);
    T_CHECK(du_generation_find(&generation, "z") == &generation.member[1]);
    for (unsigned i = 0; i < 100; i++) /* a member of its own may be put again */
        T_OK(du_generation_put(&generation, &generation.member[1], &err), &err);
    T_CHECK(generation.count == 2);
}

int main(void)
{
    kit_fast_disk();
    T_RUN(an_empty_store_has_no_current_generation);
    T_RUN(one_switch_activates_all_members);
    T_RUN(what_is_not_touched_is_carried_over);
    T_RUN(a_number_is_never_used_twice);
    T_RUN(a_member_that_is_not_complete_is_refused);
    T_RUN(a_rotten_record_does_not_hold_back_the_others);
    T_RUN(a_generation_without_its_text_is_read_from_its_links);
    T_RUN(a_link_that_leads_elsewhere_is_seen);
    T_RUN(a_digest_that_a_sound_record_contradicts_is_not_believed);
    T_RUN(what_newer_software_wrote_is_refused);
    T_RUN(a_switch_that_is_no_link_to_a_generation_is_damage);
    T_RUN(members_stay_in_order_and_can_go);
    return T_DONE();
}
