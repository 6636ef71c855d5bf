/* SPDX-License-Identifier: Apache-2.0 */
/* The man page from the table and the codes. */
#include <ctype.h>
#include <string.h>

#include <defupd/error.h>
#include <defupd/version.h>

#include "command.h"

/* Text as roff: a backslash, a minus that is one, and control characters at a line's start. */
static void roff(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        (void)fputs("\\&", out);
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            (void)fputs("\\e", out);
        else if (*text == '-')
            (void)fputs("\\-", out);
        else if (*text == '\'')
            (void)fputs("\\(aq", out);
        else
            (void)fputc(*text, out);
    }
}

static void paragraph(FILE *out, const char *text)
{
    roff(out, text);
    (void)fputc('\n', out);
}

static void option_entry(FILE *out, const struct ag_option *option)
{
    (void)fputs(".TP\n\\fB", out);
    if (option->letter != 0)
        (void)fprintf(out, "\\-%c\\fR, \\fB", option->letter);
    (void)fputs("\\-\\-", out);
    roff(out, option->name);
    (void)fputs("\\fR", out);
    if (option->arg != NULL) {
        (void)fputs(" \\fI", out);
        roff(out, option->arg);
        (void)fputs("\\fR", out);
    }
    (void)fputc('\n', out);
    paragraph(out, option->help);
}

static void command_entry(FILE *out, const struct ag_command *command)
{
    (void)fprintf(out, ".TP\n\\fB%s\\fR", command->name);
    if (command->synopsis[0] != '\0') {
        (void)fputc(' ', out);
        roff(out, command->synopsis);
    }
    (void)fputc('\n', out);
    /* The brief line is no sentence in the table; here it becomes one. */
    (void)fputc(toupper((unsigned char)command->brief[0]), out);
    roff(out, command->brief + 1);
    (void)fputs(".\n", out);
    paragraph(out, command->text);
    if (command->options != 0) {
        bool first = true;

        (void)fputs(".br\nOptions: ", out);
        for (size_t i = 0; i < AG_OPT_COUNT; i++) {
            if ((command->options & AG_BIT(i)) == 0)
                continue;
            (void)fputs(first ? "\\fB\\-\\-" : ", \\fB\\-\\-", out);
            roff(out, ag_options[i].name);
            (void)fputs("\\fR", out);
            first = false;
        }
        (void)fputs(".\n", out);
    }
}

/* Each exit code, and the names of the codes that lead to it. */
static void exit_entry(FILE *out, const struct ag_exit *row)
{
    bool first = true;

    (void)fprintf(out, ".TP\n\\fB%d\\fR\n", row->code);
    (void)fputc(toupper((unsigned char)row->text[0]), out);
    roff(out, row->text + 1);
    (void)fputs(".\n", out);
    for (unsigned i = 1; defupd_code_at(i) != 1; i++) {
        const defupd_code code = (defupd_code)defupd_code_at(i);

        if (defupd_code_exit(code) != row->code)
            continue;
        (void)fprintf(out, first ? "(%s \\-%d" : ",\n%s \\-%d", defupd_code_name(code), -(int)code);
        first = false;
    }
    if (!first)
        (void)fputs(")\n", out);
}

static void sections_of_tables(FILE *out)
{
    (void)fputs(".SH COMMANDS\n"
                "\\fIC\\fR is a component's name, \\fIV\\fR a version's number.\n",
                out);
    for (size_t i = 0; i < AG_CMD_COUNT; i++)
        command_entry(out, &ag_commands[i]);
    (void)fputs(".SH OPTIONS\n"
                "Options stand before or after the command. "
                "A value may follow as the next argument or after \\(aq=\\(aq.\n",
                out);
    for (size_t i = 0; i < AG_OPT_COUNT; i++) {
        if (ag_options[i].help != NULL)
            option_entry(out, &ag_options[i]);
    }
    (void)fputs(".SH EXIT STATUS\n"
                "After an error, standard error names the code and what to do about it; the code "
                "decides the exit status.\n",
                out);
    for (const struct ag_exit *row = ag_exits; row->text != NULL; row++)
        exit_entry(out, row);
}

static const char before[] =
    ".SH NAME\n"
    "defupd \\- keep security definitions up to date\n"
    ".SH SYNOPSIS\n"
    ".B defupd\n"
    "[\\fIOPTION\\fR]... \\fICOMMAND\\fR [\\fIARGUMENT\\fR]...\n"
    ".SH DESCRIPTION\n"
    "Fetches sets of security definitions (components) from a repository, verifies them against "
    "the publisher\\(aqs signatures, and installs them: all at once, by one switch, or not at all. "
    "An installed set stays whole whatever happens. "
    "Earlier versions stay on disk to go back to.\n"
    ".PP\n"
    "What to do is said by a policy, \\fI/etc/defupd/policy.xml\\fR, or by options alone: with "
    "\\fB\\-\\-state\\-dir\\fR and \\fB\\-\\-source\\fR nothing under /etc is read. Nothing is "
    "read from the "
    "environment. When the policy is not valid, the last good one stays in force. "
    "Only the first contact needs \\fB\\-\\-trusted\\-root\\fR; "
    "the store pins it, and follows the publisher from there.\n"
    ".PP\n"
    "A store can be read by its owner and by root, and one that belongs to root by everybody; only "
    "the owner and root change it. For other readers, products among them, let root own it. "
    "When root works on a store of another user, the files named by options are opened first; "
    "then the process becomes that user before it touches the store.\n"
    ".PP\n"
    "Where \\fBdefupd\\-agent\\fR(8) runs on the store, commands that change it are handed over to "
    "it, "
    "unless options name sources, a root, a proxy, engines or another policy. "
    "What it says is printed here, and the exit status is that of its run; "
    "an interrupt then ends the waiting, not the run.\n"
    ".PP\n"
    "An interrupt (SIGINT, SIGTERM, SIGHUP) cancels: downloads are kept, what is installed stays, "
    "the exit status is 75. A second one ends the program at once; "
    "the store is then whole as well.\n";

static const char after[] =
    ".SH JSON OUTPUT\n"
    "Times are Unix seconds, 0 for never; versions are numbers, 0 for none; labels and texts are "
    "\"\" for none. Members may be added.\n"
    ".PP\n"
    "Every document has \\fBcommand\\fR, \\fBcode\\fR (0 or negative), \\fBname\\fR "
    "(PROXY_CONNECT), \\fBtext\\fR, \\fBadvice\\fR and \\fBexit\\fR (the exit status). "
    "Beside them stand:\n"
    ".TP\n"
    "check, update, forceupdate, download, install, rollback\n"
    "\\fBcomponents\\fR, an array of objects with "
    "component, action (none, install, update, rollback, replace), "
    "progress (planned, downloaded, staged, active), "
    "reason (none, newest, held, pinned, skipped, quarantined, rollout, paused, needs, requires, "
    "no\\-object, withdrawn, no\\-release, budget), code, name, text, from, from_label, to, "
    "to_label, "
    "newest, bytes, full_bytes, objects, via (full, delta, delta+delta, disk), base (where the "
    "first delta starts), through (the "
    "release between two deltas), how (for people); \\fBgeneration\\fR (made, or 0), "
    "\\fBsource\\fR, \\fBfetched\\fR (bytes)\n"
    ".TP\n"
    "status\n"
    "\\fBstore\\fR, \\fBcomponents\\fR, \\fBagent\\fR and \\fBpolicy_error\\fR (why the last good "
    "policy is in force)\n"
    ".TP\n"
    "config show, config test\n"
    "Documents of their own: \\fBpolicy\\fR (its file), \\fBin_force\\fR (file, last\\-good, "
    "built\\-in), \\fBerror\\fR and \\fBsettings\\fR with setting, value, origin (file, default, "
    "or the "
    "option), file, line; \\fBfile\\fR, \\fBok\\fR and \\fBerrors\\fR\n"
    ".TP\n"
    "list\n"
    "\\fBreleases\\fR with flags: current, on\\-disk, downloaded, pinned, skipped, withdrawn, "
    "quarantined, invisible, unlisted\n"
    ".TP\n"
    "verify\n"
    "\\fBfiles\\fR (read), \\fBdamaged_count\\fR, \\fBrepaired_count\\fR, and "
    "\\fBdamaged\\fR with component, version, path, what, repaired (the first 10000)\n"
    ".TP\n"
    "trust show, cancel, clean, version\n"
    "\\fBroles\\fR; \\fBpid\\fR (0: nobody was at work); \\fBfreed\\fR (bytes); "
    "\\fBversion\\fR and \\fBlibraries\\fR\n"
    ".PP\n"
    "update, forceupdate, download and install print a line for each event first: time "
    "(2026\\-11\\-21T09:00:00Z), id, name, "
    "and component, version, from, code, source, text where they apply; "
    "for progress (id 900) phase, bytes_done, bytes_total instead of the code. "
    "The last line is {\"result\": DOCUMENT}; with \\fB\\-\\-quiet\\fR it is the only one. "
    "posture prints its own document, with or without \\fB\\-\\-json\\fR.\n"
    ".SH FILES\n"
    "\\fISTATE\\fR stands for the state directory.\n"
    ".TP\n"
    ".I /var/lib/defupd\n"
    "The default state directory.\n"
    ".TP\n"
    ".I /etc/defupd/policy.xml\n"
    "The policy, with drop\\-ins in \\fI/etc/defupd/policy.d/\\fR. They must belong to root or the "
    "store\\(aqs owner and be writable by nobody else. The reference is docs/formats/policy.md; "
    "the "
    "schema is share/defupd/policy.rng.\n"
    ".TP\n"
    ".I STATE/policy.last.xml\n"
    "The last good policy, in force while the file is bad.\n"
    ".TP\n"
    ".I STATE/current/C/\n"
    "The installed tree of component C.\n"
    ".TP\n"
    ".I STATE/local.xml\n"
    "Report of the last attempt, for people and monitoring. "
    "\\fB//C/lasterror\\fR is the last attempt\\(aqs code as an unsigned 32\\-bit number: "
    "4294965193 is \\-2103.\n"
    ".TP\n"
    ".I STATE/posture.json\n"
    "The same as JSON; \\fBdefupd posture\\fR prints it as it is now.\n"
    ".SH EXAMPLES\n"
    "The first installation, and later updates:\n"
    ".PP\n"
    ".nf\n"
    "defupd \\-\\-source https://updates.example.com/repo "
    "\\-\\-trusted\\-root 1.root.json update\n"
    "defupd \\-\\-source https://updates.example.com/repo update\n"
    ".fi\n"
    ".PP\n"
    "Back to the version before, and later forward again:\n"
    ".PP\n"
    ".nf\n"
    "defupd rollback tetra\n"
    "defupd unhold tetra\n"
    ".fi\n"
    ".PP\n"
    "Through a proxy with a password:\n"
    ".PP\n"
    ".nf\n"
    "(umask 077; echo \\(aqagent:secret\\(aq >/etc/defupd\\-proxy)\n"
    "defupd \\-\\-proxy http://10.0.0.1:3128 \\-\\-proxy\\-auth\\-file /etc/defupd\\-proxy \\e\n"
    "    \\-\\-source https://updates.example.com/repo update\n"
    ".fi\n"
    ".SH SEE ALSO\n"
    "\\fBdefupd\\-agent\\fR(8). "
    "The folder docs of the source: errors.md explains each code, "
    "formats/reports.md the reports.\n";

void ag_man(FILE *out)
{
    (void)fprintf(out,
                  ".\\\" Made from the tables in agent/command.c: change it there.\n"
                  ".TH DEFUPD 1 \"\" \"defupd %s\" \"defupd\"\n%s",
                  DEFUPD_VERSION, before);
    sections_of_tables(out);
    (void)fputs(after, out);
}
