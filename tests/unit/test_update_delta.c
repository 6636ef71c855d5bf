/* SPDX-License-Identifier: Apache-2.0 */
/* Updates by delta: the ways there, and the ways round what fails. */
#include "update_kit.h"

/* Four releases of a few files; most of one large file stays. */
static void make_trees(void)
{
    T_CHECK(t_shell("mkdir -p a1/sub && seq 1 30000 | sha256sum >a1/sub/x && seq 1 40000 >a1/list "
                    "&& echo same >a1/same && echo gone >a1/sub/gone && cp -a a1 a2 && "
                    "rm a2/sub/gone && seq 2 40001 >a2/list && cp -a a2 a3 && seq 3 40002 >a3/list "
                    "&& echo 3 >a3/new && cp -a a3 a4 && seq 4 40003 >a4/list") == 0);
}

static void start(void)
{
    make_trees();
    kit_start();
    kit_add(1, "a1");
}

static void update_to(const char *tree)
{
    defupd_error err = { 0 };

    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is(tree));
    T_CHECK(t_shell("test -z \"$(ls -A state/staging)\"") == 0);
}

/* The last call went this way. */
#define T_HOW(call, begin)                               \
    do {                                                 \
        char how_[256];                                  \
        defupd_error how_err_ = { 0 };                   \
        T_OK(kit_how(call, how_, &how_err_), &how_err_); \
        if (strncmp(how_, begin, strlen(begin)) != 0)    \
            T_SAME(how_, begin);                         \
    } while (0)

/* As rot does it: neither size nor time changes. In the middle, which the deltas build on. */
static void damage(const char *file)
{
    T_CHECK(t_shell("f=state/%s && cp -p $f keep && printf X | dd of=$f bs=1 conv=notrunc "
                    "seek=$(($(stat -c %%s $f) / 2)) status=none && touch -r keep $f && rm keep",
                    file) == 0);
}

/* What the last call's first event of that kind says; "" when there was none. */
static const char *told(int32_t id)
{
    return kit_told(id) != NULL ? kit_told(id) : "";
}

static void a_delta_leads_to_the_new_release(void)
{
    start();
    update_to("a1");
    kit_add(2, "a2");
    (void)kit_delta(2, 1, "a1", "a2");
    T_HOW(KIT_CHECK, "delta: delta from 1, ");
    T_HOW(KIT_UPDATE, "delta: delta from 1, ");
    T_CHECK(kit_is("a2"));
    T_CHECK(kit_told(DEFUPD_EVENT_DETOUR) == NULL);
    T_CHECK(strncmp(told(DEFUPD_EVENT_DOWNLOADING), "delta from 1, ", 14) == 0);
    T_CHECK(strncmp(told(DEFUPD_EVENT_SUCCEEDED), "delta from 1, ", 14) == 0);
    /* What is unchanged is the old file itself, or shares its blocks. */
    T_CHECK(t_shell("test $(stat -c %%h state/versions/alpha/2/same) = 2 || "
                    "cp --reflink=always a1/same probe 2>/dev/null") == 0);
}

static void two_deltas_lead_through_a_release_that_is_never_kept(void)
{
    start();
    update_to("a1");
    kit_add(2, "a2");
    kit_add(3, "a3");
    (void)kit_delta(2, 1, "a1", "a2");
    (void)kit_delta(3, 2, "a2", "a3");
    T_HOW(KIT_UPDATE, "delta+delta: deltas from 1 through 2, ");
    T_CHECK(kit_is("a3"));
    T_CHECK(t_shell("test -z \"$(ls -A state/staging)\" && test ! -e state/versions/alpha/2") == 0);
}

static void the_two_halves_go_by_delta(void)
{
    defupd_error err = { 0 };

    start();
    update_to("a1");
    kit_add(2, "a2");
    kit_add(3, "a3");
    (void)kit_delta(2, 1, "a1", "a2");
    (void)kit_delta(3, 2, "a2", "a3");
    T_OK(kit_run(KIT_DOWNLOAD, NULL, &err), &err);
    T_CHECK(kit_is("a1"));
    T_CHECK(rename("repo/objects", "repo/away") == 0);
    T_HOW(KIT_INSTALL, "delta+delta: deltas from 1 through 2, downloaded already");
    T_CHECK(kit_is("a3"));
}

static void a_download_serves_as_long_as_its_base_is_on_disk(void)
{
    static const char *const back[] = { "alpha@1", NULL }, *const to3[] = { "alpha@3", NULL };
    defupd_error err = { 0 };

    start();
    update_to("a1");
    kit_add(2, "a2");
    update_to("a2");
    kit_add(3, "a3");
    (void)kit_delta(3, 2, "a2", "a3");
    T_OK(kit_run(KIT_DOWNLOAD, NULL, &err), &err);
    kit.request.components = back;
    T_OK(kit_run(KIT_ROLLBACK, NULL, &err), &err);
    T_CHECK(kit_is("a1"));
    kit.request.components = to3;
    T_HOW(KIT_INSTALL, "delta: delta from 2, downloaded already");
    T_CHECK(kit_is("a3"));
}

static void a_download_whose_base_is_gone_says_what_is_missing(void)
{
    defupd_error err = { 0 };

    start();
    update_to("a1");
    kit_add(2, "a2");
    (void)kit_delta(2, 1, "a1", "a2");
    T_OK(kit_run(KIT_DOWNLOAD, NULL, &err), &err);
    damage("current/alpha/list");
    T_FAILS(kit_run(KIT_INSTALL, NULL, &err), DEFUPD_E_NOT_DOWNLOADED, &err);
    T_CHECK(strstr(err.message, "alpha 2") != NULL && strstr(err.message, "'list'") != NULL);
    T_CHECK(t_shell("cmp -s a1/same state/current/alpha/same") == 0);
    /* And it stays so without a second try, until a source is asked. */
    T_FAILS(kit_run(KIT_INSTALL, NULL, &err), DEFUPD_E_NOT_DOWNLOADED, &err);
    T_CHECK(kit_told(DEFUPD_EVENT_DAMAGED) == NULL);
    T_HOW(KIT_UPDATE, "full: full bundle, ");
    T_CHECK(kit_is("a2"));
}

static void a_damaged_base_leads_to_the_full_bundle_in_the_same_run(void)
{
    static const char *const back[] = { "alpha@1", NULL };
    defupd_error err = { 0 };

    start();
    update_to("a1");
    kit_add(2, "a2");
    (void)kit_delta(2, 1, "a1", "a2");
    damage("current/alpha/list");
    T_HOW(KIT_UPDATE, "full: full bundle, ");
    T_CHECK(kit_is("a2"));
    T_SAME(told(DEFUPD_EVENT_DAMAGED), "'list' content differs");
    T_CHECK(strstr(told(DEFUPD_EVENT_DETOUR),
                   "the delta from 1 cannot be used: alpha 1 on disk is damaged: 'list' content "
                   "differs; instead: full bundle, ") != NULL);
    T_CHECK(strstr(told(DEFUPD_EVENT_SUCCEEDED), ", after the delta from 1 failed") != NULL);
    T_CHECK(t_shell("grep -qx 'version 1' state/distrust/alpha") == 0);
    /* The damaged one is not gone back to, although its inode, size and time are as recorded. */
    kit.request.components = back;
    T_FAILS(kit_run(KIT_ROLLBACK, NULL, &err), DEFUPD_E_DAMAGED, &err);
    T_CHECK(kit_is("a2"));
    /* Ordered by name it is mended from its full bundle, and trusted again. */
    T_HOW(KIT_UPDATE, "full: full bundle, ");
    T_CHECK(kit_is("a1"));
    T_CHECK(t_shell("test ! -e state/distrust/alpha") == 0);
}

static void a_damaged_file_never_becomes_part_of_the_new_release(void)
{
    start();
    update_to("a1");
    kit_add(2, "a2");
    (void)kit_delta(2, 1, "a1", "a2");
    damage("current/alpha/list"); /* makes the delta fail ... */
    damage("current/alpha/same"); /* ... and this one is unchanged in release 2 */
    update_to("a2");
    T_CHECK(strstr(told(DEFUPD_EVENT_DETOUR), " and 1 more; instead: ") != NULL);
}

static void a_missing_or_unreadable_base_file_is_damage_too(void)
{
    static const char *const ways[] = { "rm state/current/alpha/list",
                                        "f=state/current/alpha/list; rm $f; mkdir $f",
                                        "rm state/versions/alpha/1.index",
                                        "echo >>state/versions/alpha/1.index",
                                        "truncate -s -1 state/current/alpha/list" };

    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        T_CHECK(t_shell("rm -rf state repo repo.keys a1 a2 a3 a4") == 0);
        start();
        update_to("a1");
        kit_add(2, "a2");
        (void)kit_delta(2, 1, "a1", "a2");
        T_CHECK(t_shell("%s", ways[i]) == 0);
        update_to("a2");
    }
}

static void a_damaged_installed_version_is_repaired_and_used_again(void)
{
    defupd_error err = { 0 };
    char held[256];

    start();
    update_to("a1");
    kit_add(2, "a2");
    (void)kit_delta(2, 1, "a1", "a2");
    damage("current/alpha/list");
    T_OK(kit_run(KIT_DOWNLOAD, NULL, &err), &err);
    T_FAILS(kit_run(KIT_INSTALL, NULL, &err), DEFUPD_E_NOT_DOWNLOADED, &err);
    T_CHECK(t_shell("grep -qx 'version 1' state/distrust/alpha") == 0);
    T_OK(kit_how(KIT_CHECK, held, &err), &err);
    T_CHECK(strncmp(held, "full: ", 6) == 0);
    T_OK(kit_run(KIT_REPAIR, NULL, &err), &err);
    T_CHECK(kit_is("a1"));
    T_CHECK(t_shell("test ! -e state/distrust/alpha") == 0);
    T_HOW(KIT_UPDATE, "delta: delta from 1, downloaded already");
    T_CHECK(kit_is("a2"));
}

static void a_delta_that_cannot_be_decoded_is_not_tried_twice(void)
{
    start();
    update_to("a1");
    kit_add(2, "a2");
    kit_rubbish(2, 1, "1", "this is no delta");
    T_HOW(KIT_CHECK, "delta: delta from 1, 16 bytes");
    kit.options.budget_bytes = 16; /* the way round is dearer than allowed */
    {
        defupd_error err = { 0 };
        T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_BUDGET, &err);
        T_CHECK(kit_is("a1"));
    }
    kit.options.budget_bytes = 0;
    T_HOW(KIT_CHECK, "full: full bundle, ");
    T_CHECK(t_shell("grep -q '^delta [0-9a-f]\\{64\\}$' state/distrust/alpha") == 0);
    T_HOW(KIT_UPDATE, "full: full bundle, ");
    T_CHECK(kit_told(DEFUPD_EVENT_DETOUR) == NULL);
    T_CHECK(kit_is("a2"));
}

static void a_delta_of_another_tree_is_found_out(void)
{
    start();
    update_to("a1");
    kit_add(2, "a2");
    (void)kit_delta(2, 1, "a1", "a3"); /* decodes well, to what was not signed */
    T_HOW(KIT_UPDATE, "full: full bundle, ");
    T_CHECK(kit_is("a2"));
    T_CHECK(kit_told(DEFUPD_EVENT_DAMAGED) == NULL);
    T_CHECK(t_shell("grep -q ^delta state/distrust/alpha && ! grep -q ^version "
                    "state/distrust/alpha") == 0);
}

static void a_bad_second_step_leaves_nothing_behind(void)
{
    start();
    update_to("a1");
    kit_add(2, "a2");
    kit_add(3, "a3");
    (void)kit_delta(2, 1, "a1", "a2");
    kit_rubbish(3, 2, "1", "this is no delta");
    T_HOW(KIT_UPDATE, "full: full bundle, ");
    T_CHECK(kit_is("a3"));
    T_CHECK(strstr(told(DEFUPD_EVENT_DETOUR), "the delta from 2 cannot be used") != NULL);
    T_CHECK(t_shell("test -z \"$(ls -A state/staging)\" && test ! -e state/versions/alpha/2") == 0);
}

static void a_delta_that_no_source_has_is_gone_round(void)
{
    start();
    update_to("a1");
    kit_add(2, "a2");
    kit_rubbish(2, 1, "1", "soon away");
    T_CHECK(t_shell("rm $(grep -rlx 'soon away' repo/objects)") == 0);
    T_HOW(KIT_UPDATE, "full: full bundle, ");
    T_CHECK(kit_is("a2"));
    T_CHECK(strstr(told(DEFUPD_EVENT_DETOUR), "the delta from 1 cannot be used") != NULL);
    T_CHECK(t_shell("test ! -e state/distrust/alpha") == 0); /* it may be there tomorrow */
}

static void an_unknown_codec_is_passed_over(void)
{
    start();
    update_to("a1");
    kit_add(2, "a2");
    kit_rubbish(2, 1, "2", "of the future");
    T_HOW(KIT_UPDATE, "full: full bundle, ");
    T_CHECK(kit_is("a2"));
    T_CHECK(kit_told(DEFUPD_EVENT_DETOUR) == NULL);
}

static void a_budget_holds_back_what_costs_more(void)
{
    static const char *const named[] = { "alpha@2", NULL };
    defupd_error err = { 0 };
    defupd_report *report = NULL;

    start();
    update_to("a1");
    kit_add(2, "a2");
    kit.options.budget_bytes = 10;
    T_OK(kit_run(KIT_UPDATE, &report, &err), &err);
    T_CHECK(defupd_report_at(report, 0)->reason == DEFUPD_REASON_BUDGET);
    defupd_report_free(report);
    T_CHECK(kit_is("a1"));
    kit.request.components = named;
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_BUDGET, &err);
    kit.request.flags = DEFUPD_REQUEST_OVER_BUDGET;
    update_to("a2");
}

static void an_unreadable_note_distrusts_nothing(void)
{
    start();
    update_to("a1");
    kit_add(2, "a2");
    (void)kit_delta(2, 1, "a1", "a2");
    T_CHECK(t_shell("printf 'defupd-fact 1\\nversion 1\\n' >state/distrust/alpha") == 0);
    T_HOW(KIT_UPDATE, "delta: delta from 1, ");
    T_CHECK(kit_is("a2"));
}

int main(void)
{
    T_RUN(a_delta_leads_to_the_new_release);
    T_RUN(two_deltas_lead_through_a_release_that_is_never_kept);
    T_RUN(the_two_halves_go_by_delta);
    T_RUN(a_download_serves_as_long_as_its_base_is_on_disk);
    T_RUN(a_download_whose_base_is_gone_says_what_is_missing);
    T_RUN(a_damaged_base_leads_to_the_full_bundle_in_the_same_run);
    T_RUN(a_damaged_file_never_becomes_part_of_the_new_release);
    T_RUN(a_missing_or_unreadable_base_file_is_damage_too);
    T_RUN(a_damaged_installed_version_is_repaired_and_used_again);
    T_RUN(a_delta_that_cannot_be_decoded_is_not_tried_twice);
    T_RUN(a_delta_of_another_tree_is_found_out);
    T_RUN(a_bad_second_step_leaves_nothing_behind);
    T_RUN(a_delta_that_no_source_has_is_gone_round);
    T_RUN(an_unknown_codec_is_passed_over);
    T_RUN(a_budget_holds_back_what_costs_more);
    T_RUN(an_unreadable_note_distrusts_nothing);
    return T_DONE();
}
