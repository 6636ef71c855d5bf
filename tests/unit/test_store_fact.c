/* SPDX-License-Identifier: Apache-2.0 */
#include "store_kit.h"

static void values_go_there_and_back(void)
{
    DU_AUTO_FACT fact = { 0 };
    defupd_error err = { 0 };
    char text[64], small[6];
    uint64_t n = 0;

    T_CHECK(du_fact_get(&fact, "pin", text, sizeof text) == NULL);
    T_OK(du_fact_set_u64(&fact, "pin", 1003, &err), &err);
    T_OK(du_fact_set(&fact, "error-text", "no route \x01to\n host\x7f", &err), &err);
    T_OK(du_fact_set(&fact, "source", "", &err), &err);
    T_OK(du_fact_set(&fact, "pin-more", "x", &err), &err);
    T_SAME(du_fact_get(&fact, "error-text", text, sizeof text), "no route  to  host ");
    T_SAME(du_fact_get(&fact, "source", text, sizeof text), "");
    T_SAME(du_fact_get(&fact, "pin-more", text, sizeof text), "x");
    T_CHECK(du_fact_get_u64(&fact, "pin", &n) && n == 1003);
    T_CHECK(!du_fact_get_u64(&fact, "source", &n) && !du_fact_get_u64(&fact, "hold", &n));

    T_OK(du_fact_set(&fact, "pin", "1004", &err), &err);
    T_SAME(du_buf_text(&fact.text),
           "pin 1004\nerror-text no route  to  host \nsource \npin-more x\n");
    T_OK(du_fact_set(&fact, "error-text", NULL, &err), &err);
    T_OK(du_fact_set(&fact, "absent", NULL, &err), &err);
    T_SAME(du_buf_text(&fact.text), "pin 1004\nsource \npin-more x\n");

    T_OK(du_fact_set(&fact, "label", "r\xc3\xa8gles", &err), &err);
    T_SAME(du_fact_get(&fact, "label", small, 3), "r"); /* cut before half a character */
    T_SAME(du_fact_get(&fact, "label", small, 4), "r\xc3\xa8");
}

static void a_value_that_does_not_fit_leaves_the_fact_as_it_was(void)
{
    DU_AUTO_FACT fact = { 0 };
    defupd_error err = { 0 };
    char *big = malloc(70000);
    char text[8];

    if (big == NULL)
        abort();
    memset(big, 'x', 70000);
    big[69999] = '\0';
    T_OK(du_fact_set(&fact, "a", "1", &err), &err);
    T_FAILS(du_fact_set(&fact, "b", big, &err), DEFUPD_E_LIMIT, &err);
    T_SAME(du_buf_text(&fact.text), "a 1\n");
    T_FAILS(du_fact_set(&fact, "", "1", &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_fact_set(&fact, "a b", "1", &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_fact_set(&fact, "Big", "1", &err), DEFUPD_E_BUG, &err);
    T_SAME(du_fact_get(&fact, "a", text, sizeof text), "1");
    free(big);
}

static void the_largest_fact_can_be_written_and_read(void)
{
    DU_AUTO_FACT fact = { 0 }, got = { 0 };
    struct du_store store;
    defupd_error err = { 0 };
    char *big = calloc(1, 65537);

    if (big == NULL)
        abort();
    kit_lock(&store);
    memset(big, 'x', 65536);
    while (du_fact_set(&fact, "a", big, &err) != DEFUPD_OK && strlen(big) > 60000)
        big[strlen(big) - 1] = '\0';
    T_OK(du_store_fact_write(&store, DU_FACT_HOLD, "tetra", &fact, &err), &err);
    T_CHECK(du_store_fact_read(&store, DU_FACT_HOLD, "tetra", &got) == DU_FACT_READ);
    T_SAME(du_buf_text(&got.text), du_buf_text(&fact.text));
    free(big);
    du_store_close(&store);
}

static void unknown_keys_are_kept(void)
{
    DU_AUTO_FACT fact = { 0 }, got = { 0 };
    struct du_store store;
    defupd_error err = { 0 };

    kit_lock(&store);
    T_OK(du_fact_set(&fact, "of-a-later-version", "a b  c", &err), &err);
    T_OK(du_store_fact_write(&store, DU_FACT_QUARANTINE, "tetra", &fact, &err), &err);
    T_CHECK(du_store_fact_read(&store, DU_FACT_QUARANTINE, "tetra", &got) == DU_FACT_READ);
    T_OK(du_fact_set(&got, "refuse", "1,2", &err), &err);
    T_OK(du_store_fact_write(&store, DU_FACT_QUARANTINE, "tetra", &got, &err), &err);
    du_fact_free(&got);
    T_CHECK(du_store_fact_read(&store, DU_FACT_QUARANTINE, "tetra", &got) == DU_FACT_READ);
    T_SAME(du_buf_text(&got.text), "of-a-later-version a b  c\nrefuse 1,2\n");
    du_store_close(&store);
}

static void an_empty_fact_is_no_file(void)
{
    DU_AUTO_FACT fact = { 0 }, empty = { 0 }, got = { 0 };
    struct du_store store;
    defupd_error err = { 0 };

    kit_lock(&store);
    T_CHECK(du_store_fact_read(&store, DU_FACT_HOLD, "tetra", &got) == DU_FACT_ABSENT);
    T_OK(du_store_fact_write(&store, DU_FACT_HOLD, "tetra", &empty, &err), &err);
    T_OK(du_fact_set(&fact, "hold", "1", &err), &err);
    T_OK(du_store_fact_write(&store, DU_FACT_HOLD, "tetra", &fact, &err), &err);
    T_CHECK(kit_mode("state/holds/tetra") == 0644);
    T_OK(du_store_fact_write(&store, DU_FACT_HOLD, "tetra", &empty, &err), &err);
    T_CHECK(!kit_exists("state/holds/tetra"));
    T_CHECK(du_store_fact_read(&store, DU_FACT_HOLD, "tetra", &got) == DU_FACT_ABSENT);
    du_store_close(&store);
}

static void each_kind_has_its_folder_and_names(void)
{
    static const struct {
        enum du_fact_kind kind;
        const char *name, *path;
    } good[] = { { DU_FACT_HOLD, "tetra", "state/holds/tetra" },
                 { DU_FACT_QUARANTINE, "tetra", "state/quarantine/tetra" },
                 { DU_FACT_SCHEDULE, "tetra", "state/schedule/tetra" },
                 { DU_FACT_SCHEDULE, "agent", "state/schedule/agent" },
                 { DU_FACT_TRIAL, "17", "state/trial/17" } };
    static const struct {
        enum du_fact_kind kind;
        const char *name;
    } bad[] = { { DU_FACT_HOLD, "agent" },     { DU_FACT_HOLD, "../lock" }, { DU_FACT_HOLD, "" },
                { DU_FACT_TRIAL, "tetra" },    { DU_FACT_TRIAL, "0" },      { DU_FACT_TRIAL, "01" },
                { DU_FACT_SCHEDULE, "Tetra" }, { DU_FACT_SCHEDULE, "a/b" } };
    DU_AUTO_FACT fact = { 0 }, got = { 0 };
    struct du_store store;
    defupd_error err = { 0 };

    kit_lock(&store);
    T_OK(du_fact_set(&fact, "a", "1", &err), &err);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        T_OK(du_store_fact_write(&store, good[i].kind, good[i].name, &fact, &err), &err);
        T_CHECK(kit_exists(good[i].path));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        T_FAILS(du_store_fact_write(&store, bad[i].kind, bad[i].name, &fact, &err), DEFUPD_E_BUG,
                &err);
        T_CHECK(du_store_fact_read(&store, bad[i].kind, bad[i].name, &got) == DU_FACT_UNREADABLE);
    }
    du_store_close(&store);
}

static void damage_is_unreadable_never_absent(void)
{
    static const char *const harm[] = {
        ": > %s",                       /* a torn write */
        "head -c 20 %s > x && cp x %s", /* half of it */
        "sed -i 's/1003/1004/' %s",     /* one digit */
        "sed -i 's/^sum ./sum 0/' %s",  /* the checksum */
        "sed -i 's/fact 1/fact 2/' %s", /* newer software's */
        "echo >> %s",                   /* something after the end */
        "sed -i '$d' %s",               /* no checksum */
        "head -c 70000 /dev/zero > %s", /* too large */
        "rm %s; mkdir %s",              /* no file */
        "rm %s; ln -s /dev/null %s",    /* a link */
        "rm %s; mkfifo %s",             /* would block */
    };

    for (size_t i = 0; i < sizeof harm / sizeof harm[0]; i++) {
        DU_AUTO_FACT fact = { 0 }, got = { 0 };
        struct du_store store;
        defupd_error err = { 0 };
        char command[200] = "";
        const char *from = harm[i];

        kit_lock(&store);
        T_CHECK(t_shell("rm -rf state/holds/tetra") == 0);
        T_OK(du_fact_set_u64(&fact, "pin", 1003, &err), &err);
        T_OK(du_store_fact_write(&store, DU_FACT_HOLD, "tetra", &fact, &err), &err);
        for (const char *at; (at = strstr(from, "%s")) != NULL; from = at + 2) {
            strncat(command, from, (size_t)(at - from));
            strcat(command, "state/holds/tetra");
        }
        strcat(command, from);
        (void)t_shell("%s", command); /* the checksum may begin with 0 already: then with 1 */
        if (strstr(command, "sum 0") != NULL)
            T_CHECK(t_shell("sed -i 's/^sum ../sum zz/' state/holds/tetra") == 0);
        T_CHECK(du_store_fact_read(&store, DU_FACT_HOLD, "tetra", &got) == DU_FACT_UNREADABLE);
        T_CHECK(got.text.len == 0);
        du_store_close(&store);
    }
}

/* A file that is whole by its checksum may still be none of ours. */
static void lines_that_are_no_facts_are_unreadable(void)
{
    static const char *const bodies[] = { "nokey\n", " x\n",     "Key x\n",
                                          "a 1\n\n", "a \x01\n", "a 1\nb2 2\n" };

    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        DU_AUTO_FACT got = { 0 };
        struct du_store store;
        unsigned char digest[DU_SHA256_BYTES];
        char file[300], hex[DU_SHA256_HEX + 1];

        kit_lock(&store);
        (void)snprintf(file, sizeof file, "defupd-fact 1\n%s", bodies[i]);
        du_sha256(digest, file, strlen(file));
        du_hex(hex, digest, sizeof digest);
        (void)snprintf(file, sizeof file, "defupd-fact 1\n%ssum %s\n", bodies[i], hex);
        kit_write("state/holds/tetra", file);
        T_CHECK(du_store_fact_read(&store, DU_FACT_HOLD, "tetra", &got) == DU_FACT_UNREADABLE);
        du_store_close(&store);
    }
}

static void without_a_store_there_are_no_facts(void)
{
    DU_AUTO_FACT got = { 0 };
    struct du_store store;
    defupd_error err = { 0 };

    T_OK(kit_open(&store, kit_sys(), &err), &err);
    T_CHECK(du_store_fact_read(&store, DU_FACT_HOLD, "tetra", &got) == DU_FACT_ABSENT);
    T_FAILS(du_store_fact_write(&store, DU_FACT_HOLD, "tetra", &got, &err), DEFUPD_E_BUG, &err);
    du_store_close(&store);
}

int main(void)
{
    T_RUN(values_go_there_and_back);
    T_RUN(a_value_that_does_not_fit_leaves_the_fact_as_it_was);
    T_RUN(the_largest_fact_can_be_written_and_read);
    T_RUN(unknown_keys_are_kept);
    T_RUN(an_empty_fact_is_no_file);
    T_RUN(each_kind_has_its_folder_and_names);
    T_RUN(damage_is_unreadable_never_absent);
    T_RUN(lines_that_are_no_facts_are_unreadable);
    T_RUN(without_a_store_there_are_no_facts);
    return T_DONE();
}
