/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <string.h>

const struct ag_option ag_options[AG_OPT_COUNT] = {
    { AG_OPT_CONFIG, 0, false, "config", "FILE",
      "Policy file. Default: /etc/defupd/policy.xml if it is there; none for another store, and "
      "none with both --state-dir and --source. Options on the command line take the place of its "
      "settings." },
    { AG_OPT_STATE_DIR, 0, false, "state-dir", "DIR",
      "State directory, the store. Default: /var/lib/defupd." },
    { AG_OPT_SOURCE, 0, true, "source", "URL",
      "Where to read the repository: an http, https or file URL of its top folder. May be given "
      "several times: sources are tried in this order." },
    { AG_OPT_TRUSTED_ROOT, 0, false, "trusted-root", "FILE",
      "The publisher's 1.root.json. Needed once: the store pins it at the first contact." },
    { AG_OPT_PROXY, 0, false, "proxy", "URL",
      "Proxy for all sources: http, https, socks5 (names are resolved here) or socks5h (there). A "
      "password in it is hidden from the process list, but "
      "--proxy-auth-file is the better place. The environment is not read." },
    { AG_OPT_PROXY_AUTH_FILE, 0, false, "proxy-auth-file", "FILE",
      "File with the proxy's credentials, one line USER:PASSWORD. It must belong to root or the "
      "store's owner and be closed to others (mode 0600)." },
    { AG_OPT_CA_FILE, 0, false, "ca-file", "FILE",
      "PEM file with the certificate authorities to trust instead of the system's." },
    { AG_OPT_RING, 0, false, "ring", "NAME", "Roll-out ring of this host." },
    { AG_OPT_ENGINE, 0, true, "engine", "NAME=VERSION",
      "An engine on this host, for releases that need one. May be given several times." },
    { AG_OPT_JSON, 0, false, "json", NULL,
      "Print one JSON document. The commands that fetch or install print one JSON line for each "
      "event first, and then a line {\"result\": ...}." },
    { AG_OPT_QUIET, 'q', false, "quiet", NULL,
      "Print errors only. Commands that are questions (list, status, ...) answer all the same." },
    { AG_OPT_VERBOSE, 'v', true, "verbose", NULL,
      "Print what is done on standard error; twice: in detail." },
    { AG_OPT_HELP, 'h', false, "help", NULL, "Print help, also on one command." },
    { AG_OPT_WORKER, 0, false, "worker", "FD", NULL },
    { AG_OPT_SCHEDULED, 0, false, "scheduled", NULL, NULL },
    { AG_OPT_GIVEN, 0, false, "given", NULL, NULL },
    { AG_OPT_DRY_RUN, 0, false, "dry-run", NULL,
      "Decide and say what would be done; download no content, install nothing." },
    { AG_OPT_WAIT, 0, false, "wait", "SECONDS",
      "Wait so long for another process that uses the store. Default: 0." },
    { AG_OPT_DETAILED_EXITCODE, 0, false, "detailed-exitcode", NULL,
      "Exit with 2 instead of 0 when something was new." },
    { AG_OPT_ACCEPT_QUARANTINED, 0, false, "accept-quarantined", NULL,
      "Take a named version (C@V) even when this host has refused it before." },
    { AG_OPT_OVER_BUDGET, 0, false, "over-budget", NULL,
      "Fetch a named version (C@V) even when it costs more bytes than the budget allows." },
    { AG_OPT_REPAIR, 0, false, "repair", NULL,
      "Replace damaged and missing files, fetching what is needed." },
    { AG_OPT_NAGIOS, 0, false, "nagios", NULL,
      "Print one line for Nagios and its kin instead, and exit with 0 (OK), 1 (WARNING), 2 "
      "(CRITICAL) or 3 (UNKNOWN)." },
    { AG_OPT_CSV, 0, false, "csv", NULL, "Print comma-separated values." },
    { AG_OPT_OUTPUT, 'o', false, "output", "FILE", "The file to write; it must not exist yet." },
    { AG_OPT_GRACE, 0, false, "grace", "DAYS",
      "Accept a timestamp and a snapshot that expired up to so many days ago, 0 to 366. Default: "
      "what policy says, else 14." },
};

#define WAIT AG_BIT(AG_OPT_WAIT)
#define DETAILED AG_BIT(AG_OPT_DETAILED_EXITCODE)
#define BY_NAME (AG_BIT(AG_OPT_ACCEPT_QUARANTINED) | AG_BIT(AG_OPT_OVER_BUDGET))
#define UPDATE_OPTIONS (WAIT | DETAILED | BY_NAME | AG_BIT(AG_OPT_DRY_RUN))

const struct ag_command ag_commands[AG_CMD_COUNT] = {
    { AG_CMD_CHECK, AG_WORDS_VERSIONS, AG_CMD_REPORTS, WAIT | DETAILED, "check", "[C[@V]]...",
      "show what is available, and its cost in bytes",
      "Contacts the sources and reads their signed metadata; downloads no content. For each "
      "component: what is installed, what is available, how many bytes an update would fetch and "
      "by which path, or why nothing would be done." },
    { AG_CMD_UPDATE, AG_WORDS_VERSIONS, AG_CMD_REPORTS | AG_CMD_STREAMS, UPDATE_OPTIONS, "update",
      "[C[@V]]...", "check, download and install",
      "Brings all components, or the named ones, to the newest release meant for this host, or to "
      "the named version. All that can be updated becomes active in one step; what fails leaves "
      "the installed version in place. Nothing new is no error." },
    { AG_CMD_FORCEUPDATE, AG_WORDS_VERSIONS, AG_CMD_REPORTS | AG_CMD_STREAMS, UPDATE_OPTIONS,
      "forceupdate", "[C[@V]]...", "update now",
      "The same as update: now, whatever a schedule says. A running agent does it, or lets this "
      "join "
      "what it is doing already. --forceupdate and -forceupdate are other spellings." },
    { AG_CMD_DOWNLOAD, AG_WORDS_VERSIONS, AG_CMD_REPORTS | AG_CMD_STREAMS,
      WAIT | DETAILED | BY_NAME, "download", "[C[@V]]...",
      "the first half of update: fetch, install nothing",
      "What was fetched is kept for some days and installed by install, which needs no network." },
    { AG_CMD_INSTALL, AG_WORDS_VERSIONS, AG_CMD_REPORTS | AG_CMD_STREAMS, WAIT | DETAILED | BY_NAME,
      "install", "[C[@V]]...", "the second half: install what was downloaded",
      "Works without network, also after the metadata has expired meanwhile." },
    { AG_CMD_IMPORT, AG_WORDS_PATH, AG_CMD_REPORTS | AG_CMD_STREAMS,
      WAIT | DETAILED | AG_BIT(AG_OPT_DRY_RUN) | AG_BIT(AG_OPT_GRACE), "import", "ARCHIVE",
      "update from an archive, without network",
      "ARCHIVE is a .zip, .tar or .tar.zst that defupd-publish export-offline has written, or a "
      "folder with the same files. It is verified like any source; what it holds and nobody has "
      "signed is refused. The posture that this host prints afterwards is its receipt: by it the "
      "next archive holds what is lacking here." },
    { AG_CMD_CANCEL, AG_WORDS_NONE, 0, 0, "cancel", "",
      "ask another process at work on this store to stop",
      "Does not wait for it. What it has downloaded is kept; if it has already switched to the new "
      "set, it completes." },
    { AG_CMD_LIST, AG_WORDS_MAYBE_ONE, AG_CMD_ANSWERS, 0, "list", "[C]",
      "list releases: published, downloaded, installed", "From what the store knows: no network." },
    { AG_CMD_ROLLBACK, AG_WORDS_VERSIONS, AG_CMD_REPORTS, WAIT, "rollback", "[C[@V]]...",
      "go back to an earlier version on disk",
      "Each named component goes to its named version, or to the newest earlier one that is "
      "neither withdrawn nor in quarantine; without names, everything goes to the set before this "
      "one. Needs no network. The version left behind is skipped by later updates until unhold, or "
      "until it is named: update C@V." },
    { AG_CMD_HOLD, AG_WORDS_ONE, AG_CMD_LOGS, WAIT, "hold", "C", "keep a component at its version",
      "Until unhold. May be given before the component is installed or known; status shows it." },
    { AG_CMD_UNHOLD, AG_WORDS_ONE, AG_CMD_LOGS, WAIT, "unhold", "C",
      "let a component be updated again",
      "Removes a hold, a pin, and the skip that a rollback left." },
    { AG_CMD_PIN, AG_WORDS_PIN, AG_CMD_LOGS, WAIT, "pin", "C@V",
      "let a component go to one version only",
      "Until unhold. The next update takes the component there." },
    { AG_CMD_VERIFY, AG_WORDS_COMPONENTS, AG_CMD_REPORTS, WAIT | AG_BIT(AG_OPT_REPAIR), "verify",
      "[C]...", "compare every installed byte with what was signed",
      "Names each file that differs, is missing or is not part of the release. With --repair they "
      "are mended." },
    { AG_CMD_CONFIRM, AG_WORDS_VERSIONS, AG_CMD_REPORTS, WAIT, "confirm", "[C[@V]]...",
      "end a trial: what is installed is good",
      "Of the named components, or of all. With a version, only that one is confirmed, and not "
      "another that came meanwhile. When nothing is on trial, nothing is done, and that is no "
      "error: a product may call it at each start." },
    { AG_CMD_REJECT, AG_WORDS_VERSIONS, AG_CMD_REPORTS, WAIT, "reject", "[C[@V]]...",
      "end a trial: what is installed is bad",
      "The named components, or all that are on trial, go back to their newest confirmed versions, "
      "and the rejected releases into quarantine on this host. Needs no network." },
    { AG_CMD_EARLY, AG_WORDS_NONE, AG_CMD_LOGS, WAIT, "early", "",
      "count a start of the product during a trial",
      "Counts a start of the product while something is on trial. After too many of them, or when "
      "its time is over, the product finds the set that was confirmed before. For the product's "
      "unit, as ExecStartPre=-+defupd early, or for a boot script. Needs no network and no agent, "
      "calls no hook, and does nothing when nothing is on trial." },
    { AG_CMD_CLEAN, AG_WORDS_NONE, AG_CMD_LOGS, WAIT, "clean", "",
      "throw away downloads and staging",
      "What is installed stays, and so do the earlier versions kept for a rollback." },
    { AG_CMD_STATUS, AG_WORDS_NONE, AG_CMD_ANSWERS, 0, "status", "",
      "what is installed, how it went, what to do",
      "Read from the store alone: no network, no waiting for an update under way." },
    { AG_CMD_POSTURE, AG_WORDS_NONE, AG_CMD_ANSWERS, AG_BIT(AG_OPT_NAGIOS), "posture", "",
      "the same for monitoring, as JSON",
      "The document that every attempt also leaves in STATE/posture.json." },
    { AG_CMD_WHY, AG_WORDS_ONE, AG_CMD_ANSWERS, 0, "why", "C",
      "why a component did not update, and what helps",
      "What would be decided now from what the store knows (no network), the gate that is in the "
      "way and what passes it, how the last attempt ended, when the next one is planned." },
    { AG_CMD_DELIVER, AG_WORDS_NONE, 0, 0, "deliver", "",
      "send what waits for the policy's report URL, now",
      "Events and the posture of each run wait in STATE/outbox until the receiver has taken them. "
      "Every run sends what is due; this does not wait for the end of a back-off." },
    { AG_CMD_DOCTOR, AG_WORDS_NONE, AG_CMD_ANSWERS, 0, "doctor", "",
      "what is wrong on the way to the sources, step by step",
      "For each source: addresses, connection, proxy, TLS with its certificate, HTTP, signed "
      "metadata, clock; each pass, fail or skipped, with milliseconds and advice. One request like "
      "an update's, so what fails here fails there. Changes nothing. Exits with 0 when no step "
      "failed, else with the first failure's code." },
    { AG_CMD_PREFLIGHT, AG_WORDS_NONE, AG_CMD_ANSWERS | AG_CMD_NO_STORE, AG_BIT(AG_OPT_CSV),
      "preflight", "", "would an update work here: a look at all it needs",
      "Configuration, permissions, disk space, clock, trusted root, each source (asked for real, "
      "by "
      "way of an empty store in the temporary folder), licence, leftovers, what runs. Changes "
      "nothing. Exits with 0, also after warnings, else with the first failure's code." },
    { AG_CMD_CLUSTER_CHECK, AG_WORDS_FILES, AG_CMD_ANSWERS | AG_CMD_NO_STORE, 0, "cluster-check",
      "POSTURE...", "compare postures of several hosts, name the odd ones",
      "A host is odd when it is at another version than most, misses a component that most have, "
      "is stale, failing or the like, runs other software, had no contact, or shares its identity "
      "with another. Exits with 65 when there is one." },
    { AG_CMD_SUPPORT_BUNDLE, AG_WORDS_NONE, AG_CMD_ANSWERS | AG_CMD_NO_STORE, AG_BIT(AG_OPT_OUTPUT),
      "support-bundle", "-o FILE", "one tar.gz of logs, reports and policy, for support",
      "Also a preflight, a doctor's run, status, list, versions of all libraries and names in the "
      "store. Secrets are left out; contents.txt in it tells what is there and what is not." },
    { AG_CMD_TRUST, AG_WORDS_TRUST, AG_CMD_ANSWERS | AG_CMD_LOGS, WAIT, "trust", "show|reset",
      "show the trusted keys, or pin a root anew",
      "show prints each trusted role with version, expiry and keys. reset pins the file of "
      "--trusted-root and forgets all metadata and versions seen before: on purpose, when the "
      "publisher has lost the keys. What is installed stays." },
    { AG_CMD_CONFIG, AG_WORDS_CONFIG, AG_CMD_ANSWERS | AG_CMD_NO_STORE, 0, "config",
      "show|test|export|init", "show, check or print the policy",
      "show prints each setting with its value and where that came from: file and line, the "
      "command "
      "line, or the default. test [FILE] checks a policy file and its drop-ins (FILE, or the one "
      "that is in use) and names all errors with file, line and what is allowed; exit code 78 when "
      "there is one. export prints the policy in force as one file that can be loaded again. init "
      "writes examples "
      "beside the policy file, once: what was deleted is not written again." },
    { AG_CMD_HELP, AG_WORDS_COMMAND, AG_CMD_ANSWERS | AG_CMD_NO_STORE, 0, "help", "[COMMAND]",
      "print help", "On one command, or on all." },
    { AG_CMD_VERSION, AG_WORDS_NONE, AG_CMD_ANSWERS | AG_CMD_NO_STORE, 0, "version", "",
      "print the version, and those of libraries in use", "--version is another spelling." },
};

const struct ag_exit ag_exits[] = {
    { 0, "done, also when nothing was new" },
    { 2, "with --detailed-exitcode: done, and something was new" },
    { 64, "wrong use: the call is to be corrected" },
    { 65, "bad or untrusted data: a release, its signatures, or installed files" },
    { 69, "unavailable: the network, a source, or something else that is needed" },
    { 70, "internal error, or out of memory" },
    { 73, "something cannot be created" },
    { 74, "a file operation failed, or there is no space left" },
    { 75, "try later: busy, rate-limited, cancelled, or the source is behind" },
    { 77, "not permitted" },
    { 78, "configuration: something is missing or wrong in it" },
    { 0, NULL },
};

const struct ag_command *ag_command_find(const char *name)
{
    for (size_t i = 0; i < AG_CMD_COUNT; i++) {
        if (strcmp(ag_commands[i].name, name) == 0)
            return &ag_commands[i];
    }
    return NULL;
}

const struct ag_option *ag_option_find(const char *name, size_t length)
{
    for (size_t i = 0; i < AG_OPT_COUNT; i++) {
        if (strlen(ag_options[i].name) == length && memcmp(ag_options[i].name, name, length) == 0)
            return &ag_options[i];
    }
    return NULL;
}

const struct ag_option *ag_option_letter(char letter)
{
    for (size_t i = 0; i < AG_OPT_COUNT; i++) {
        if (letter != 0 && ag_options[i].letter == letter)
            return &ag_options[i];
    }
    return NULL;
}

#define WORD 24 /* longer words are near to nothing */

/* Edits (insert, remove, replace, swap two neighbours) from one word to the other. */
static size_t distance(const char *a, const char *b)
{
    const size_t m = strlen(a), n = strlen(b);
    size_t d[WORD + 1][WORD + 1];

    if (m > WORD || n > WORD)
        return WORD;
    for (size_t i = 0; i <= m; i++) {
        for (size_t j = 0; j <= n; j++) {
            size_t best;

            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[m][n];
}

/* Take `known` as the nearest when it beats what is there; a third of the word may be wrong. */
static void nearer(const char *word, const char *known, const char **best, size_t *least)
{
    const size_t edits = distance(word, known);

    if (edits < *least && edits <= 1 + strlen(known) / 4) {
        *least = edits;
        *best = known;
    }
}

const char *ag_command_nearest(const char *name)
{
    const char *best = NULL;
    size_t least = WORD;

    for (size_t i = 0; i < AG_CMD_COUNT; i++)
        nearer(name, ag_commands[i].name, &best, &least);
    return best;
}

const char *ag_option_nearest(const char *name)
{
    const char *best = NULL;
    size_t least = WORD;

    for (size_t i = 0; i < AG_OPT_COUNT; i++) {
        if (ag_options[i].help != NULL)
            nearer(name, ag_options[i].name, &best, &least);
    }
    return best;
}
