/* SPDX-License-Identifier: Apache-2.0 */
/* The command line is read once, and every wrong use gets one clear line. */
#include "agent_fake.h"

#include "options.h"

static struct ag_args args;

static defupd_code parse(defupd_error *err, const char *const *words)
{
    char *argv[16];
    size_t n = 0;

    ag_args_free(&args);
    for (; words[n] != NULL; n++)
        argv[n] = (char *)(uintptr_t)words[n];
    argv[n] = NULL;
    return ag_args_parse(&args, argv, err);
}
#define PARSE(err, ...) parse((err), (const char *const[]){ __VA_ARGS__, NULL })

static void options_stand_before_or_after_the_command(void)
{
    defupd_error err = { 0 };

    T_OK(PARSE(&err, "--state-dir", "/s", "--source=http://a/", "update", "--dry-run", "tetra@7",
               "--source", "file:///b", "-vv", "crs", "--wait=3", "--engine", "av=2"),
         &err);
    T_CHECK(args.command->id == AG_CMD_UPDATE && args.word_count == 2);
    T_SAME(args.words[0], "tetra@7");
    T_SAME(args.words[1], "crs");
    T_SAME(args.value[AG_OPT_STATE_DIR], "/s");
    T_SAME(args.sources[0], "http://a/");
    T_SAME(args.sources[1], "file:///b");
    T_CHECK(args.sources[2] == NULL);
    T_SAME(args.engines[0], "av=2");
    T_CHECK(args.verbose == 2 && args.wait_ms == 3000 && ag_given(&args, AG_OPT_DRY_RUN));
    T_CHECK(!ag_given(&args, AG_OPT_JSON));
    T_OK(PARSE(&err, "pin", "tetra@9007199254740991"), &err);
    T_SAME(args.pin_name, "tetra");
    T_CHECK(args.pin_version == 9007199254740991);
    T_OK(PARSE(&err, "trust", "reset"), &err);
    T_CHECK(args.trust_reset);
    T_OK(PARSE(&err, "hold", "--", "tetra"), &err);
    T_SAME(args.words[0], "tetra");
    ag_args_free(&args);
}

static void commands_have_their_other_spellings(void)
{
    static const char *const forms[] = { "forceupdate", "--forceupdate", "-forceupdate" };
    defupd_error err = { 0 };

    for (size_t i = 0; i < 3; i++) {
        T_OK(PARSE(&err, "--json", forms[i], "tetra"), &err);
        T_CHECK(args.command->id == AG_CMD_FORCEUPDATE && args.word_count == 1);
    }
    T_OK(PARSE(&err, "--version"), &err);
    T_CHECK(args.command->id == AG_CMD_VERSION);
    T_OK(PARSE(&err, "--help"), &err);
    T_CHECK(args.command->id == AG_CMD_HELP && args.help_command == NULL);
    T_OK(PARSE(&err, "pin", "-h"), &err); /* although the words are missing */
    T_CHECK(args.command->id == AG_CMD_HELP && args.help_command->id == AG_CMD_PIN);
    T_OK(PARSE(&err, "help", "rollback"), &err);
    T_CHECK(args.help_command->id == AG_CMD_ROLLBACK);
    ag_args_free(&args);
}

static void every_wrong_use_gets_one_clear_line(void)
{
    static const struct {
        const char *words[6];
        const char *line;
    } wrong[] = {
        { { NULL }, "no command given; see 'defupd help'" },
        { { "udpate" }, "unknown command 'udpate': did you mean 'update'?" },
        { { "xyzzy" }, "unknown command 'xyzzy'; see 'defupd help'" },
        { { "help", "chekc" }, "unknown command 'chekc': did you mean 'check'?" },
        { { "update", "--dryrun" }, "unknown option '--dryrun': did you mean '--dry-run'?" },
        { { "update", "--frobnicate=1" }, "unknown option '--frobnicate'; see 'defupd help'" },
        { { "-x", "update" }, "unknown option '-x'; see 'defupd help'" },
        { { "update", "rollback", "--forceupdate" },
          "'update' and '--forceupdate' are two commands: give one" },
        { { "status", "--dry-run" }, "--dry-run does not go with 'status'" },
        { { "--state-dir" }, "--state-dir needs a DIR" },
        { { "--state-dir", "--json", "status" }, "--state-dir needs a DIR" },
        { { "--state-dir=", "status" }, "--state-dir needs a DIR that is not empty" },
        { { "support-bundle", "-o" }, "-o needs a FILE" },
        { { "support-bundle", "-qo", "--json" }, "-o needs a FILE" },
        { { "support-bundle", "-oa", "-ob" }, "--output is given twice" },
        { { "status", "-ofile" }, "--output does not go with 'status'" },
        { { "cluster-check" }, "'cluster-check' needs a file: defupd cluster-check POSTURE..." },
        { { "--json=yes", "status" }, "--json takes no value" },
        { { "--state-dir=/a", "--state-dir=/b", "status" }, "--state-dir is given twice" },
        { { "-q", "-v", "update" }, "--quiet and --verbose contradict each other" },
        { { "--source", "ftp://x/", "check" },
          "--source 'ftp://x/' is not an http, https or file URL" },
        { { "--source", "gopher://u:secret@x/", "check" },
          "--source 'gopher://***@x/' is not an http, https or file URL" },
        { { "--source", "/srv/repo", "check" },
          "--source needs a URL: for a directory say file:///srv/repo" },
        { { "--engine", "av", "check" }, "--engine 'av' is not of the form NAME=VERSION" },
        { { "--engine", "=1", "check" }, "--engine '=1' is not of the form NAME=VERSION" },
        { { "update", "--wait", "soon" }, "--wait 'soon' is not a number of seconds" },
        { { "update", "--wait", "4294968" }, "--wait '4294968' is not a number of seconds" },
        { { "--proxy", "joe:pw@px:3128", "check" },
          "--proxy '***@px:3128' is not of the form http://HOST:PORT, or with https, socks5, "
          "socks5h" },
        { { "--proxy", "socks4://px", "check" },
          "--proxy 'socks4://px' is not of the form http://HOST:PORT, or with https, socks5, "
          "socks5h" },
        { { "--proxy-auth-file", "f", "check" }, "--proxy-auth-file needs --proxy" },
        { { "update", "Tetra" }, "'Tetra' is not a component (NAME or NAME@VERSION)" },
        { { "update", "tetra@0" }, "'tetra@0' is not a component (NAME or NAME@VERSION)" },
        { { "update", "tetra@01" }, "'tetra@01' is not a component (NAME or NAME@VERSION)" },
        { { "update", "tetra@9007199254740992" },
          "'tetra@9007199254740992' is not a component (NAME or NAME@VERSION)" },
        { { "update", "" }, "'' is not a component (NAME or NAME@VERSION)" },
        { { "hold", "../x" }, "'../x' is not a component's name" },
        { { "hold", "tetra@1" }, "'hold' takes a component without version: 'tetra'" },
        { { "hold" }, "'hold' needs one component: defupd hold C" },
        { { "unhold", "a", "b" }, "'unhold' needs one component: defupd unhold C" },
        { { "list", "a", "b" }, "'list' takes one component at most" },
        { { "pin", "tetra" }, "'tetra' is not a component with its version (NAME@VERSION)" },
        { { "pin" }, "'pin' needs one component with its version: defupd pin C@V" },
        { { "import" }, "'import' needs one archive: defupd import ARCHIVE" },
        { { "import", "a", "b" }, "'import' needs one archive: defupd import ARCHIVE" },
        { { "import", "a", "--grace", "367" },
          "--grace '367' is not a number of days from 0 to 366" },
        { { "import", "a", "--grace", "1w" },
          "--grace '1w' is not a number of days from 0 to 366" },
        { { "update", "--grace", "3" }, "--grace does not go with 'update'" },
        { { "clean", "tetra" }, "'clean' takes no argument: 'tetra'" },
        { { "trust" }, "'trust' needs one word: show or reset" },
        { { "trust", "me" }, "'trust' needs one word: show or reset" },
        { { "help", "a", "b" }, "'help' takes one command at most" },
        { { "update", "tetra", "--accept-quarantined" },
          "--accept-quarantined needs a named version: C@V" },
        { { "update", "--over-budget" }, "--over-budget needs a named version: C@V" },
    };
    defupd_error err = { 0 };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        T_FAILS(parse(&err, wrong[i].words), DEFUPD_E_INVALID, &err);
        T_SAME(err.message, wrong[i].line);
    }
    ag_args_free(&args);
}

static void a_wrong_use_touches_nothing_and_exits_with_64(void)
{
    T_CHECK(RUN("--state-dir", ".", "updat\x1b[31m") == 64);
    T_SAME(OUT(), "");
    T_SAME(ERR(), "defupd: unknown command 'updat?[31m'; see 'defupd help'\n");
    T_SAME(CALLS(), "(no file)");
}

static void what_is_before_an_at_sign_vanishes_from_the_process_list(void)
{
    static const char *const given[] = { "defupd",
                                         "--proxy=http://joe:secret@px:3128/",
                                         "--proxy",
                                         "joe:p@ss/w@px:3128",
                                         "--source=https://tok@host/a",
                                         "update",
                                         "tetra@1003",
                                         "http://host/plain" };
    static const char *const left[] = { "defupd",
                                        "--proxy=http://**********@px:3128/",
                                        "--proxy",
                                        "**********@px:3128",
                                        "--source=https://***@host/a",
                                        "update",
                                        "tetra@1003",
                                        "http://host/plain" };
    char *argv[8];

    for (size_t i = 0; i < 8; i++)
        argv[i] = strdup(given[i]);
    ag_args_blank(8, argv);
    for (size_t i = 0; i < 8; i++) {
        T_SAME(argv[i], left[i]);
        free(argv[i]);
    }
}

static void a_url_is_shown_without_its_user(void)
{
    char out[64];

    T_SAME(ag_url_shown(out, sizeof out, "http://u:p@h/x"), "http://***@h/x");
    T_SAME(ag_url_shown(out, sizeof out, "http://h/x"), "http://h/x");
    T_SAME(ag_url_shown(out, sizeof out, "u:p@h:1"), "***@h:1");
}

int main(void)
{
    T_RUN(options_stand_before_or_after_the_command);
    T_RUN(commands_have_their_other_spellings);
    T_RUN(every_wrong_use_gets_one_clear_line);
    T_RUN(a_wrong_use_touches_nothing_and_exits_with_64);
    T_RUN(what_is_before_an_at_sign_vanishes_from_the_process_list);
    T_RUN(a_url_is_shown_without_its_user);
    return T_DONE();
}
