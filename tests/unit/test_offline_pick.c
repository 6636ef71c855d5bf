/* SPDX-License-Identifier: Apache-2.0 */
/* Which objects an archive holds for a host: as a table over manifests. */
#include "plan_case.h"
#include "publish/export.h"

/* What was picked, as the last decimal digits of the objects: "03 13". */
static const char *text_of(const struct du_picks *picks)
{
    static char text[512];

    text[0] = '\0';
    for (size_t i = 0; i < picks->count; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%02x", i > 0 ? " " : "",
                       picks->object[i].sha256[0]);
    return text;
}

/* A host that has `from`, or what a flag says of it. */
#define T_PICKS(releases, host_, want, newest_)                               \
    do {                                                                      \
        const struct du_receipt_item it_ = host_;                             \
        DU_AUTO_MANIFEST *manifest_ = case_manifest(releases);                \
        DU_AUTO_PICKS picks_ = { 0 };                                         \
        struct du_picked picked_ = { 0 };                                     \
        defupd_error err_ = { 0 };                                            \
        T_OK(du_pick_path(&picks_, manifest_, &it_, &picked_, &err_), &err_); \
        T_SAME(text_of(&picks_), want);                                       \
        T_CHECK(picked_.newest == (newest_) && picked_.how[0] != '\0');       \
    } while (0)

static struct du_receipt_item at(uint64_t version)
{
    return (struct du_receipt_item){ .component = "tetra", .version = version };
}

#define D34 DELTA_(1003, "34", 10, "1")
#define D24 DELTA_(1002, "24", 20, "1")
#define D23 DELTA_(1002, "23", 10, "1")
#define D12 DELTA_(1001, "12", 5, "1")

static void the_cheapest_path_and_nothing_else(void)
{
    const struct du_receipt_item new = at(0), one = at(1001), two = at(1002), four = at(1004),
                                 ahead = at(1009);

    T_PICKS(R4(D34 D24) R3(D23) R2(D12) R1(""), new, "04", 1004);
    T_PICKS(R4(D34 D24) R3(D23) R2(D12) R1(""), two, "24", 1004);
    /* two steps, and not one more */
    T_PICKS(R4(D34 D24) R3(D23) R2(D12) R1(""), one, "12 24", 1004);
    /* no path of deltas: the bundle */
    T_PICKS(R4(D34) R3("") R2("") R1(""), one, "04", 1004);
    T_PICKS(R4(D34 D24) R3(D23) R2(D12) R1(""), four, "", 0);
    T_PICKS(R4(D34 D24) R3(D23) R2(D12) R1(""), ahead, "", 0);
    /* a codec that nobody is known to decode is no path */
    T_PICKS(REL_(1004, "04", "", FULL("04") DELTA_(1003, "34", 10, "9")) R3(""), at(1003), "04",
            1004);
}

static void behind_a_gate_the_next_release_is_there_too(void)
{
    const struct du_receipt_item two = at(1002), new = at(0);

    T_PICKS(R4(D34 D24 ROLLOUT("13:00", "<step after='PT0S' permille='10'/>")) R3(D23) R2("")
                R1(""),
            two, "24 23", 1004);
    T_PICKS(R4("<needs engine='scan' min='9'/>") R3("<needs component='ips' min='3'/>") R2("")
                R1(""),
            new, "04 03 02", 1004);
    /* what hosts cannot read is nothing for them */
    T_PICKS(REL_(1004, "04", "magic", FULL("04")) R3(D23) R2(""), two, "23", 1003);
    /* of a host that refuses something it is not known what */
    T_PICKS(R4(D34 D24) R3(D23) R2("") R1(""),
            ((struct du_receipt_item){ .version = 1002, .picky = true }), "24 23", 1004);
}

static void a_withdrawn_release_is_left_behind(void)
{
    const struct du_receipt_item two = at(1002), three = at(1003), four = at(1004);

    T_PICKS(R4(D34 D24 GONE("")) R3(D23) R2(""), two, "23", 1003);
    /* by the one that the publisher names */
    T_PICKS(R4(GONE("replace-by='1002'")) R3("") R2(DELTA_(1004, "42", 10, "1")), four, "42", 1002);
    /* or the newest older one */
    T_PICKS(R4(GONE("")) R3("") R2(""), four, "03", 1003);
    /* newer ones come first */
    T_PICKS(R4(D34) R3(GONE("")) R2(""), three, "34", 1004);
    /* nothing to go to */
    T_PICKS(R4(GONE("")) R3(GONE("")), four, "", 0);
}

static void what_is_damaged_gets_the_whole(void)
{
    T_PICKS(R4(D34) R3(""), ((struct du_receipt_item){ .version = 1003, .damaged = true }), "34 04",
            1004);
    T_PICKS(R4(D34) R3(""), ((struct du_receipt_item){ .version = 1004, .damaged = true }), "04",
            1004);
}

static void since_serves_all_from_there_on(void)
{
    static const char releases[] = R4(D34 D24) R3(D23) R2(D12) R1("");
    DU_AUTO_MANIFEST *manifest = case_manifest(releases);
    static const struct {
        uint64_t from;
        const char *want;
    } rows[] = {
        { 1004, "" },         { 1003, "34" },          { 1002, "24 34" },
        { 1001, "12 24 34" }, { 1000, "04 12 24 34" }, /* not listed any more: no delta begins there
                                                        */
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        DU_AUTO_PICKS picks = { 0 };
        struct du_picked picked = { 0 };
        defupd_error err = { 0 };

        T_OK(du_pick_since(&picks, manifest, rows[i].from, &picked, &err), &err);
        T_SAME(text_of(&picks), rows[i].want);
    }
}

static void all_is_all(void)
{
    DU_AUTO_MANIFEST *manifest = case_manifest(R4(D34 D24) R3(D23) R2(GONE("")) R1(""));
    DU_AUTO_PICKS picks = { 0 };
    struct du_picked picked = { 0 };
    defupd_error err = { 0 };

    T_OK(du_pick_all(&picks, manifest, &picked, &err), &err);
    T_SAME(text_of(&picks), "04 34 24 03 23 02 01");
    T_OK(du_pick_all(&picks, manifest, &picked, &err), &err); /* each once */
    T_CHECK(picks.count == 7 && picked.newest == 1004);
}

int main(void)
{
    T_RUN(the_cheapest_path_and_nothing_else);
    T_RUN(behind_a_gate_the_next_release_is_there_too);
    T_RUN(a_withdrawn_release_is_left_behind);
    T_RUN(what_is_damaged_gets_the_whole);
    T_RUN(since_serves_all_from_there_on);
    T_RUN(all_is_all);
    return T_DONE();
}
