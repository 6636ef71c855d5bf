/* SPDX-License-Identifier: Apache-2.0 */
/* What the service reads and writes: lines, orders, the compiled policy, its state. */
#include <sys/socket.h>

#include "service/service.h"
#include "t.h"

void ag_log(int priority, const char *format, ...)
{
    (void)priority;
    (void)format;
}

static void words_come_back_as_they_were(void)
{
    static const char *const texts[] = { "plain",           "two words", "100%",
                                         "\x01\n\t\x7f%20", "\xc3\xa4",  "a/b@c=d,e" };
    char line[512], *words[4];

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const size_t need = ag_encode(line, sizeof line, texts[i], false);

        T_CHECK(need == strlen(line) && strchr(line, ' ') == NULL && strchr(line, '\n') == NULL);
        T_CHECK(ag_split(line, words, 4) == 1);
        T_SAME(words[0], texts[i]);
    }
    T_CHECK(ag_encode(line, 6, "a b", false) == 5);
    T_SAME(line, "a%20b");
    T_CHECK(ag_encode(line, 4, "a b", false) == 5); /* too small: never half of it */
    T_SAME(line, "a");
    (void)strcpy(line, "one two%20three four");
    T_CHECK(ag_split(line, words, 4) == 3);
    T_SAME(words[1], "two three");
}

static void malformed_lines_are_refused(void)
{
    static const char *const bad[] = { "",    " a",  "a ",  "a  b", "%",
                                       "a%2", "%zz", "%00", "%2a",  "a b c d e" };
    char line[64], *words[4];
    int64_t number;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)strcpy(line, bad[i]);
        T_CHECK(ag_split(line, words, 4) == -1);
    }
    T_CHECK(ag_number("0", false, &number) && number == 0);
    T_CHECK(ag_number("-12", true, &number) && number == -12);
    T_CHECK(!ag_number("-12", false, &number));
    T_CHECK(!ag_number("", false, &number) && !ag_number("01", false, &number));
    T_CHECK(!ag_number("1x", false, &number) && !ag_number("+1", true, &number));
    T_CHECK(!ag_number("9223372036854775808", false, &number));
}

/* Lines may come in any pieces. */
static void lines_are_put_together(void)
{
    static const char text[] = "first\nsecond line\n\nfourth\n";
    static const char *const want[] = { "first", "second line", "", "fourth" };

    for (size_t piece = 1; piece < sizeof text; piece++) {
        struct ag_lines lines = { .used = 0 };
        size_t sent = 0, got = 0;
        int pair[2];
        char *line;

        T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
        while (sent < sizeof text - 1) {
            const size_t count = piece < sizeof text - 1 - sent ? piece : sizeof text - 1 - sent;

            T_CHECK(write(pair[1], text + sent, count) == (ssize_t)count);
            sent += count;
            T_CHECK(ag_lines_read(&lines, pair[0]) == 1);
            while ((line = ag_lines_next(&lines)) != NULL)
                T_SAME(line, want[got++]);
        }
        T_CHECK(got == 4 && !lines.too_long);
        (void)close(pair[1]);
        T_CHECK(ag_lines_read(&lines, pair[0]) == 0);
        (void)close(pair[0]);
    }
}

static void a_line_without_end_is_noticed(void)
{
    struct ag_lines lines = { .used = sizeof lines.bytes };

    memset(lines.bytes, 'a', sizeof lines.bytes);
    T_CHECK(ag_lines_next(&lines) == NULL && lines.too_long);
    lines = (struct ag_lines){ .bytes = "a\0b\n", .used = 4 };
    T_CHECK(ag_lines_next(&lines) == NULL && lines.too_long);
}

static void long_texts_come_in_parts(void)
{
    struct ag_out out = { .max = 1u << 20 };
    char *text = malloc(3 * AG_PART + 2);
    size_t lines = 0;

    memset(text, '%', 3 * AG_PART + 1);
    text[3 * AG_PART + 1] = '\0';
    ag_out_text(&out, 'T', text);
    ag_out_add(&out, "", 1);
    for (char *line = out.bytes; *line != '\0'; line = strchr(line, '\n') + 1, lines++) {
        T_CHECK((size_t)(strchr(line, '\n') - line) < AG_LINE);
        T_CHECK(line[0] == (lines < 3 ? 't' : 'T'));
    }
    T_CHECK(lines == 4);
    ag_out_free(&out);
    free(text);
    out = (struct ag_out){ .max = 10 };
    ag_out_print(&out, "%s", "eleven char");
    T_CHECK(out.failed && out.used == 0);
    ag_out_free(&out);
}

static struct ag_ask ask(const char *text)
{
    char line[256], *words[AG_WORDS];
    struct ag_ask result = { 0 };
    int count;

    (void)snprintf(line, sizeof line, "%s", text);
    count = ag_split(line, words, AG_WORDS);
    T_CHECK(count > 0 && ag_ask_parse(&result, words, (size_t)count) == NULL);
    return result;
}

static void orders_join_what_does_their_work(void)
{
    static const struct {
        const char *run, *ask;
        bool covers;
    } rows[] = {
        { "update -", "forceupdate json", true },
        { "update scheduled", "forceupdate -", true },
        { "update -", "update - alpha", true },
        { "update -", "update - alpha@3", false },
        { "update - alpha", "update -", false },
        { "update - alpha beta", "forceupdate - beta alpha", true },
        { "update - alpha@3", "update - alpha@3", true },
        { "update dry-run", "update -", false },
        { "update -", "update dry-run", false },
        { "update -", "check -", false },
        { "download -", "update -", false },
        { "verify -", "verify repair", false },
        { "verify repair", "verify repair,json", true },
        { "rollback -", "rollback -", false },
        { "hold - alpha", "hold - alpha", false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ag_ask run = ask(rows[i].run), other = ask(rows[i].ask);

        if (ag_ask_covers(&run, &other) != rows[i].covers)
            printf("# '%s' and '%s'\n", rows[i].run, rows[i].ask);
        T_CHECK(ag_ask_covers(&run, &other) == rows[i].covers);
        ag_ask_free(&run);
        ag_ask_free(&other);
    }
}

static void policy_can_allow_users_only_what_is_harmless(void)
{
    static const struct {
        const char *ask;
        bool harmless, poll;
    } rows[] = {
        { "check -", true, false },           { "update -", true, true },
        { "forceupdate json", true, true },   { "update - alpha", true, false },
        { "update - alpha@3", false, false }, { "update over-budget", false, true },
        { "update scheduled", false, true },  { "update dry-run", true, false },
        { "rollback -", false, false },       { "import - /x", false, false },
        { "verify repair", false, false },    { "clean -", false, false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ag_ask one = ask(rows[i].ask);

        T_CHECK(ag_ask_is_harmless(&one) == rows[i].harmless);
        T_CHECK(ag_ask_is_poll(&one) == rows[i].poll);
        ag_ask_free(&one);
    }
}

static struct ag_config *config(const char *lines, char why[320])
{
    char text[4096];

    (void)snprintf(text, sizeof text, "defupd-agent-config 1\n%send\n", lines);
    return ag_config_parse(text, why, 320);
}

static void the_compiled_policy_is_understood(void)
{
    char why[320] = "";
    struct ag_config *got = config("policy /etc/defupd/policy.xml\n"
                                   "interval-s 7200\nslot-s 77\nwindow mon,sun 22:00 04:30\n"
                                   "window * 00:00 24:00\nrun-missed no\nback-off-s 60 3600\n"
                                   "verify-s 604800\nuser-update none\nuser-update users a b\n"
                                   "user-update groups g%20h\nsome-later-setting x y\n"
                                   "hook validate user=nobody timeout-s=9 memory-bytes=1048576 "
                                   "/bin/x user=not%20me b\nhook on-error /bin/y\n"
                                   "run-timeout-s 60\ntrial-s 1800\n",
                                   why);

    if (got == NULL)
        printf("# %s\n", why);
    T_CHECK(got != NULL);
    if (got == NULL)
        return;
    T_CHECK(got->schedule.interval == 7200 && got->schedule.slot == 77 && got->has_slot);
    T_CHECK(got->schedule.window_count == 2 && got->schedule.windows[0].days == 0x41 &&
            got->schedule.windows[0].from == 1320 && got->schedule.windows[0].to == 270 &&
            got->schedule.windows[1].days == 0x7f && got->schedule.windows[1].to == 1440);
    T_CHECK(!got->schedule.run_missed && got->schedule.retry_first == 60 &&
            got->schedule.retry_max == 3600 && got->schedule.verify == 604800);
    T_CHECK(!got->users_all);
    T_SAME(got->users[1], "b");
    T_SAME(got->groups[0], "g h");
    T_CHECK(got->hook_count == 2 && got->hooks[0].kind == AG_HOOK_VALIDATE &&
            got->hooks[0].timeout_s == 9 && got->hooks[0].memory_bytes == 1048576);
    T_SAME(got->hooks[0].user, "nobody");
    T_SAME(got->hooks[0].argv[1], "user=not me");
    T_CHECK(got->hooks[0].argv[3] == NULL && got->run_timeout_s == 60);
    T_CHECK(got->trial_s == 1800);
    ag_config_drop(ag_config_keep(got));
    ag_config_drop(got);
}

static void what_is_not_understood_is_no_policy(void)
{
    static const char *const bad[] = { "interval-s\n",
                                       "interval-s x\n",
                                       "interval-s -1\n",
                                       "interval-s 1 2\n",
                                       "window mon 22:00\n",
                                       "window xyz 22:00 23:00\n",
                                       "window mon 24:01 1\n",
                                       "window mon 22:60 23:00\n",
                                       "window mon 24:00 23:00\n",
                                       "run-missed perhaps\n",
                                       "back-off-s 1\n",
                                       "user-update some\n",
                                       "hook validate\n",
                                       "hook sometimes /x\n",
                                       "hook validate x\n",
                                       "interval-s 9999999999\n",
                                       "error-code 5\n",
                                       "a  b\n" };
    char why[320], text[64];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        why[0] = '\0';
        if (config(bad[i], why) != NULL || why[0] == '\0')
            printf("# %s", bad[i]);
        T_CHECK(config(bad[i], why) == NULL && why[0] != '\0');
    }
    (void)strcpy(text, "defupd-agent-config 2\nend\n");
    T_CHECK(ag_config_parse(text, why, sizeof why) == NULL);
    (void)strcpy(text, "defupd-agent-config 1\ninterval-s 5\n");
    T_CHECK(ag_config_parse(text, why, sizeof why) == NULL); /* cut short */
    (void)strcpy(text, "");
    T_CHECK(ag_config_parse(text, why, sizeof why) == NULL);
}

static void the_state_comes_back_and_damage_is_noticed(void)
{
    const struct ag_schedule_state state = {
        .polled = { .set = true, .id = "boot-1", .boot = 12, .wall = -3 },
        .verified = { .set = true, .id = "boot-0", .boot = 1, .wall = 1795255200 },
        .failures = 4,
        .retry = 77,
        .verify_failed = true
    };
    struct ag_schedule_state back = { .failures = 99 };
    struct ag_out out = { .max = 4096 };
    char paused[1024] = "", text[1024];
    unsigned noticed = 0;

    ag_state_print(&state, "alpha beta", &out);
    ag_out_add(&out, "", 1);
    (void)strcpy(text, out.bytes);
    T_CHECK(ag_state_parse(&back, paused, text));
    T_CHECK(back.failures == 4 && back.retry == 77 && back.verify_failed &&
            back.polled.wall == -3 && back.verified.boot == 1);
    T_SAME(back.polled.id, "boot-1");
    T_SAME(paused, "alpha beta");
    back.failures = 99;
    for (size_t i = 0; i + 1 < out.used; i++) {
        (void)strcpy(text, out.bytes);
        text[i] ^= 1;
        noticed += !ag_state_parse(&back, paused, text);
        (void)strcpy(text, out.bytes);
        text[i] = '\0';
        noticed += !ag_state_parse(&back, paused, text);
    }
    /* the last byte, a line's end, is no part of what counts */
    T_CHECK(noticed >= 2 * (out.used - 1) - 2);
    ag_out_free(&out);
}

static void a_list_holds_names_once(void)
{
    char list[16] = "";

    T_CHECK(ag_list_set(list, sizeof list, "a", true) &&
            !ag_list_set(list, sizeof list, "a", true));
    T_CHECK(ag_list_set(list, sizeof list, "ab", true) &&
            ag_list_set(list, sizeof list, "b", true));
    T_SAME(list, "a ab b");
    T_CHECK(ag_list_has(list, "b") && !ag_list_has(list, "c") && !ag_list_has("abc", "b"));
    T_CHECK(ag_list_set(list, sizeof list, "a", false));
    T_SAME(list, "ab b");
    T_CHECK(ag_list_set(list, sizeof list, "b", false) && !ag_list_set(list, 16, "b", false));
    T_SAME(list, "ab");
    T_CHECK(!ag_list_set(list, sizeof list, "quite-a-long-name", true));
    T_CHECK(ag_list_set(list, sizeof list, "ab", false));
    T_SAME(list, "");
}

int main(void)
{
    T_RUN(words_come_back_as_they_were);
    T_RUN(malformed_lines_are_refused);
    T_RUN(lines_are_put_together);
    T_RUN(a_line_without_end_is_noticed);
    T_RUN(long_texts_come_in_parts);
    T_RUN(orders_join_what_does_their_work);
    T_RUN(policy_can_allow_users_only_what_is_harmless);
    T_RUN(the_compiled_policy_is_understood);
    T_RUN(what_is_not_understood_is_no_policy);
    T_RUN(the_state_comes_back_and_damage_is_noticed);
    T_RUN(a_list_holds_names_once);
    return T_DONE();
}
