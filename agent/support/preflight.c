/* SPDX-License-Identifier: Apache-2.0 */
#include "support/preflight.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "become.h"
#include "fail.h"
#include "json.h"
#include "prepare.h"
#include "result.h"
#include "text.h"

#define SPACE_FAIL (UINT64_C(16) << 20) /* with less, not even metadata has room to breathe */
#define SPACE_WARN (UINT64_C(256) << 20)
#define INODES_WARN 10000u
#define LEFTOVERS 3 /* that are named */
#define CLOCK_SLACK_S 600
#define CLOCK_FLOOR 1767225600 /* 2026-01-01: this software is younger */

/* One look at everything; `probe` is a client over an empty store of its own. */
struct look {
    struct ag_preflight *preflight;
    struct ag_doctor *doctor; /* NULL: not wanted */
    const struct ag_args *args;
    char *state_dir;
    struct ag_owner owner;
    char scratch[64];
    struct ag_setup setup; /* the probe's */
    defupd_client *probe;
    defupd_status *status; /* of the store itself; NULL when there is none */
};

__attribute__((format(printf, 5, 6))) static void add(struct look *look, const char *name,
                                                      enum ag_verdict verdict, defupd_code code,
                                                      const char *format, ...)
{
    struct ag_preflight *preflight = look->preflight;
    struct ag_check *check = &preflight->check[preflight->count];
    va_list args;

    if (preflight->count >= AG_CHECKS_MAX)
        return;
    preflight->count++;
    check->name = name;
    check->verdict = verdict;
    check->code = code;
    va_start(args, format);
    (void)vsnprintf(check->text, sizeof check->text, format, args);
    va_end(args);
    ag_clean(check->text);
}

/* The folder whose file system the store is or will be on: the nearest one that is there. */
static const char *existing(char *path)
{
    while (access(path, F_OK) != 0 && strrchr(path, '/') != NULL && strrchr(path, '/') != path)
        *strrchr(path, '/') = '\0';
    return access(path, F_OK) == 0 ? path : "/";
}

static void look_at_folder(struct look *look)
{
    struct stat st;

    if (stat(look->state_dir, &st) != 0 && errno == ENOENT) {
        char *path = strdup(look->state_dir);
        const char *parent = path != NULL ? existing(path) : "/";

        if (access(parent, W_OK) == 0)
            add(look, "state-dir", AG_PASS, DEFUPD_OK, "%s does not exist yet and can be made",
                look->state_dir);
        else
            add(look, "state-dir", AG_FAILS, DEFUPD_E_CANNOT_CREATE,
                "%s does not exist, and %s may not be written", look->state_dir, parent);
        free(path);
        return;
    }
    if (access(look->state_dir, R_OK | W_OK | X_OK) != 0)
        add(look, "state-dir", AG_FAILS, DEFUPD_E_STORE_OWNER,
            "%s may not be read and written by user %u; it belongs to user %u", look->state_dir,
            (unsigned)geteuid(), (unsigned)look->owner.uid);
    else
        add(look, "state-dir", AG_PASS, DEFUPD_OK, "%s can be read and written", look->state_dir);
}

static uint64_t installed_bytes(const struct look *look)
{
    const defupd_component_status *item;
    uint64_t bytes = 0;

    for (uint32_t i = 0; look->status != NULL && (item = defupd_status_at(look->status, i)) != NULL;
         i++)
        bytes += item->size;
    return bytes;
}

/* A new set stands beside the old one until it is active, and what came for it in downloads/. */
static void look_at_space(struct look *look)
{
    const uint64_t wanted = SPACE_WARN + 2 * installed_bytes(look);
    char *path = strdup(look->state_dir);
    char free_text[AG_AMOUNT], wanted_text[AG_AMOUNT];
    struct statvfs st;
    uint64_t space;

    if (path == NULL || statvfs(existing(path), &st) != 0) {
        add(look, "disk-space", AG_FAILS, DEFUPD_E_IO, "cannot be told: %s", strerror(errno));
        free(path);
        return;
    }
    space = (uint64_t)st.f_bavail * st.f_frsize;
    (void)ag_bytes(free_text, space);
    (void)ag_bytes(wanted_text, wanted);
    if (space < SPACE_FAIL)
        add(look, "disk-space", AG_FAILS, DEFUPD_E_NO_SPACE, "%s free at %s", free_text, path);
    else if (space < wanted)
        add(look, "disk-space", AG_WARN, DEFUPD_OK, "%s free at %s; %s would be comfortable",
            free_text, path, wanted_text);
    else
        add(look, "disk-space", AG_PASS, DEFUPD_OK, "%s free at %s", free_text, path);
    if (st.f_files > 0 && st.f_favail < INODES_WARN)
        add(look, "inodes", AG_WARN, DEFUPD_OK, "%" PRIu64 " files can still be made at %s",
            (uint64_t)st.f_favail, path);
    free(path);
}

static void look_at_clock(struct look *look)
{
    const int64_t now = (int64_t)time(NULL);
    const defupd_component_status *item;
    char is[AG_WHEN], least[AG_WHEN];
    int64_t floor = CLOCK_FLOOR;

    for (uint32_t i = 0; look->status != NULL && (item = defupd_status_at(look->status, i)) != NULL;
         i++)
        floor = item->published > floor ? item->published : floor;
    (void)ag_time(is, now);
    if (now + CLOCK_SLACK_S < floor)
        add(look, "clock", AG_FAILS, DEFUPD_E_CLOCK, "says %s, but something here is of %s", is,
            ag_time(least, floor));
    else
        add(look, "clock", AG_PASS, DEFUPD_OK, "%s", is);
}

static void look_at_trust(struct look *look)
{
    const defupd_store_status *store =
        look->status != NULL ? defupd_status_store(look->status) : NULL;
    char expires[AG_WHEN];

    if (store != NULL && store->root_version != 0 && store->timestamp_expires != 0 &&
        store->timestamp_expires < (int64_t)time(NULL))
        add(look, "trust-root", AG_WARN, DEFUPD_OK,
            "root %" PRIu64 " is pinned; the metadata in the store expired at %s",
            store->root_version, ag_time(expires, store->timestamp_expires));
    else if (store != NULL && store->root_version != 0)
        add(look, "trust-root", AG_PASS, DEFUPD_OK, "root %" PRIu64 " is pinned",
            store->root_version);
    else if (look->setup.trusted_root_bytes > 0)
        add(look, "trust-root", AG_PASS, DEFUPD_OK, "none is pinned yet; one is given");
    else
        add(look, "trust-root", AG_FAILS, DEFUPD_E_NO_ROOT,
            "none is pinned and none is given; --trusted-root names the publisher's 1.root.json");
}

/* What came of each source. */
static void on_event(void *user, const defupd_event *event)
{
    struct look *look = user;

    if (event->id != DEFUPD_EVENT_SOURCE_ASKED)
        return;
    if (event->code == DEFUPD_OK)
        add(look, "source", AG_PASS, DEFUPD_OK, "%s answers, %" PRIu64 " ms", event->source,
            event->duration_ms);
    else
        add(look, "source", AG_FAILS, (defupd_code)event->code, "%s: %s", event->source,
            event->text != NULL ? event->text : defupd_code_text((defupd_code)event->code));
}

static void on_log(void *user, defupd_level level, const char *module, const char *text)
{
    (void)user, (void)level, (void)module, (void)text;
}

/* One that answers is enough: the failures of others become warnings. */
static void soften_sources(struct look *look, size_t from)
{
    bool one = false;

    for (size_t i = from; i < look->preflight->count; i++)
        one = one || look->preflight->check[i].verdict == AG_PASS;
    for (size_t i = from; one && i < look->preflight->count; i++) {
        struct ag_check *check = &look->preflight->check[i];
        if (check->verdict == AG_FAILS)
            check->verdict = AG_WARN;
    }
}

static void look_at_licences(struct look *look, const defupd_report *report)
{
    const defupd_report_item *item;
    bool some = false;

    for (uint32_t i = 0; (item = defupd_report_at(report, i)) != NULL; i++) {
        if (item->reason != DEFUPD_REASON_UNLICENSED)
            continue;
        some = true;
        add(look, "licence", AG_FAILS, DEFUPD_E_UNLICENSED, "%s: %s", item->component, item->text);
    }
    if (!some)
        add(look, "licence", AG_PASS, DEFUPD_OK, "nothing is held back for want of one");
}

/* Ask the sources for real: connection, TLS, proxy, signatures; nothing of it reaches the store. */
static void look_at_sources(struct look *look)
{
    const size_t from = look->preflight->count;
    defupd_report *report = NULL;
    defupd_error err = { 0 };
    defupd_code rc;

    rc = defupd_client_check(look->probe, NULL, &report, &err);
    soften_sources(look, from);
    if (rc != DEFUPD_OK && look->preflight->count == from)
        add(look, "source", AG_FAILS, rc, "%s", err.message);
    if (report != NULL && rc == DEFUPD_OK)
        look_at_licences(look, report);
    defupd_report_free(report);
}

static void look_at_leftovers(struct look *look)
{
    char *path = NULL, names[200] = "";
    const struct dirent *entry;
    size_t count = 0;
    DIR *dir;

    if (look->status == NULL || asprintf(&path, "%s/staging", look->state_dir) < 0)
        return;
    dir = opendir(path);
    free(path);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        const size_t used = strlen(names);

        if (entry->d_name[0] == '.')
            continue;
        if (count++ < LEFTOVERS)
            (void)snprintf(names + used, sizeof names - used, "%s%.40s", used > 0 ? ", " : "",
                           entry->d_name);
    }
    if (dir != NULL)
        (void)closedir(dir);
    if (count > 0 && defupd_status_store(look->status)->busy_pid == 0)
        add(look, "leftovers", AG_WARN, DEFUPD_OK,
            "%zu in staging (%s), from a run that broke off; the next run or 'defupd clean' "
            "removes them",
            count, names);
    else
        add(look, "leftovers", AG_PASS, DEFUPD_OK, "none");
}

static bool agent_answers(const struct look *look)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    bool there;
    int fd;

    if ((size_t)snprintf(to.sun_path, sizeof to.sun_path, "%s/agent.sock", look->state_dir) >=
        sizeof to.sun_path)
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    there = fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) == 0;
    if (fd >= 0)
        (void)close(fd);
    return there;
}

static void look_at_running(struct look *look)
{
    const uint64_t pid = look->status != NULL ? defupd_status_store(look->status)->busy_pid : 0;

    if (pid != 0)
        add(look, "running", AG_WARN, DEFUPD_OK, "process %" PRIu64 " works on the store now", pid);
    else if (agent_answers(look))
        add(look, "running", AG_PASS, DEFUPD_OK, "the agent runs");
    else
        add(look, "running", AG_PASS, DEFUPD_OK, "no agent and no update runs");
}

static void look_at_relay(struct look *look)
{
    const int64_t now = (int64_t)time(NULL);
    struct ag_relay_facts relay;
    const int64_t *n = relay.number;
    char when[AG_WHEN];

    if (!look->setup.report.is_relay)
        return;
    ag_relay_facts_read(&relay, look->state_dir, look->setup.report.relay_caches, now);
    if (relay.lasterror != 0 && n[AG_RELAY_VERSION] == 0)
        add(look, "relay", AG_WARN, (defupd_code)(int32_t)relay.lasterror,
            "nothing is held yet, the last attempt failed: %s", relay.lasterror_text);
    else if (relay.lasterror != 0)
        add(look, "relay", AG_WARN, (defupd_code)(int32_t)relay.lasterror,
            "what is served was confirmed %s, the last attempt failed: %s",
            ag_age(when, n[AG_RELAY_CONFIRMED], now), relay.lasterror_text);
    else if (n[AG_RELAY_VERSION] == 0)
        add(look, "relay", AG_WARN, DEFUPD_OK, "nothing is held yet; the next update fetches it");
    else
        add(look, "relay", AG_PASS, DEFUPD_OK,
            "serves timestamp %" PRId64 ", confirmed %s; %" PRId64 " of %" PRId64 " objects held",
            n[AG_RELAY_VERSION], ag_age(when, n[AG_RELAY_CONFIRMED], now),
            n[AG_RELAY_NAMED] - n[AG_RELAY_MISSING], n[AG_RELAY_NAMED]);
}

/* What the store itself says, without its lock and without a source. */
static void open_store(struct look *look)
{
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    defupd_client *client = NULL;
    defupd_error err = { 0 };
    defupd_code rc;

    options.state_dir = look->state_dir;
    rc = defupd_client_open(&client, &options, &err);
    if (rc == DEFUPD_OK)
        rc = defupd_client_status(client, &look->status, &err);
    defupd_client_close(client);
    if (rc != DEFUPD_OK)
        add(look, "store", AG_FAILS, rc, "%s", err.message);
    else if (defupd_status_store(look->status)->generation == 0)
        add(look, "store", AG_PASS, DEFUPD_OK, "nothing is installed yet");
    else
        add(look, "store", AG_PASS, DEFUPD_OK, "generation %" PRIu64 " is active",
            defupd_status_store(look->status)->generation);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_scratch(const char *path)
{
    if (path[0] != '\0')
        (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* The root that the store has pinned, for the probe to trust. */
static void find_root(const struct look *look, char path[4200])
{
    for (unsigned version = 1; version <= 64; version++) {
        (void)snprintf(path, 4200, "%s/trust/roots/%u.root.json", look->state_dir, version);
        if (access(path, R_OK) == 0)
            return;
    }
    path[0] = '\0';
}

/* A client with this host's policy and options over an empty store in the temporary folder. */
static defupd_code open_probe(struct look *look, defupd_error *err)
{
    const char *top = getenv("TMPDIR");
    struct ag_args args = *look->args;
    char root[4200];

    (void)snprintf(look->scratch, sizeof look->scratch, "%s/defupd-preflight-XXXXXX",
                   top != NULL && strlen(top) < 30 ? top : "/tmp");
    if (mkdtemp(look->scratch) == NULL) {
        look->scratch[0] = '\0';
        return AG_FAIL_ERRNO(err, DEFUPD_E_CANNOT_CREATE, "cannot make a temporary folder");
    }
    /* Then ag_prepare() becomes that user, as every run does. */
    if (ag_owner_is_other(&look->owner) &&
        lchown(look->scratch, look->owner.uid, look->owner.gid) != 0)
        return AG_FAIL_ERRNO(err, DEFUPD_E_IO, "cannot give %s away", look->scratch);
    args.command = ag_command_find("check");
    args.value[AG_OPT_STATE_DIR] = look->scratch;
    args.given |= AG_BIT(AG_OPT_STATE_DIR);
    if (!ag_given(&args, AG_OPT_CONFIG) && !ag_given(look->args, AG_OPT_STATE_DIR) &&
        args.sources[0] == NULL) {
        args.value[AG_OPT_CONFIG] = "/etc/defupd/policy.xml";
        args.given |= AG_BIT(AG_OPT_CONFIG);
    }
    find_root(look, root);
    if (!ag_given(&args, AG_OPT_TRUSTED_ROOT) && root[0] != '\0') {
        args.value[AG_OPT_TRUSTED_ROOT] = root;
        args.given |= AG_BIT(AG_OPT_TRUSTED_ROOT);
    }
    return ag_prepare(&look->probe, &look->setup, &args, on_event, on_log, look, err);
}

static void look_at_all(struct look *look)
{
    defupd_error err = { 0 };
    const defupd_code rc = open_probe(look, &err);

    if (rc != DEFUPD_OK)
        add(look, "configuration", AG_FAILS, rc, "%s", err.message);
    else if (look->setup.report.policy_code != DEFUPD_OK)
        add(look, "configuration", AG_FAILS, look->setup.report.policy_code,
            "the policy file cannot be taken; 'defupd config test' tells why");
    else
        add(look, "configuration", AG_PASS, DEFUPD_OK, "can be used");
    look_at_folder(look);
    if (access(look->state_dir, F_OK) == 0)
        open_store(look);
    look_at_space(look);
    look_at_clock(look);
    look_at_trust(look);
    if (rc == DEFUPD_OK) {
        look_at_sources(look);
        if (look->doctor != NULL)
            (void)!defupd_client_doctor(look->probe, ag_doctor_step, look->doctor, &err);
    }
    look_at_leftovers(look);
    look_at_running(look);
    look_at_relay(look);
}

void ag_preflight_run(struct ag_preflight *preflight, struct ag_doctor *doctor,
                      const struct ag_args *args)
{
    struct look look = {
        .preflight = preflight, .doctor = doctor, .args = args, .setup.ca_fd = -1
    };
    const char *dir = args->value[AG_OPT_STATE_DIR];
    defupd_error err = { 0 };

    preflight->count = 0;
    look.state_dir =
        dir == NULL || dir[0] == '/' ? strdup(dir != NULL ? dir : AG_DEFAULT_STATE_DIR) : NULL;
    if (look.state_dir == NULL && dir != NULL && dir[0] != '/') {
        char *here = getcwd(NULL, 0);

        if (here == NULL || asprintf(&look.state_dir, "%s/%s", here, dir) < 0)
            look.state_dir = NULL;
        free(here);
    }
    if (look.state_dir == NULL || ag_owner_find(look.state_dir, &look.owner, &err) != DEFUPD_OK)
        add(&look, "state-dir", AG_FAILS, look.state_dir == NULL ? DEFUPD_E_NOMEM : err.code, "%s",
            look.state_dir == NULL ? "out of memory" : err.message);
    else
        look_at_all(&look);
    defupd_client_close(look.probe);
    ag_setup_free(&look.setup);
    defupd_status_free(look.status);
    remove_scratch(look.scratch);
    free(look.state_dir);
}

static const char *const verdicts[] = { "ok", "warning", "failed" };

/* RFC 4180: quoted, quotes doubled. */
static void csv_field(FILE *out, const char *text, char end)
{
    (void)fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            (void)fputc('"', out);
        (void)fputc(*text, out);
    }
    (void)fprintf(out, "\"%c", end);
}

static void print_csv(FILE *out, const struct ag_preflight *preflight)
{
    (void)fputs("check,result,code,text\n", out);
    for (size_t i = 0; i < preflight->count; i++) {
        const struct ag_check *check = &preflight->check[i];

        (void)fprintf(out, "%s,%s,%d,", check->name, verdicts[check->verdict], (int)check->code);
        csv_field(out, check->text, '\n');
    }
}

static void print_table(FILE *out, const struct ag_preflight *preflight)
{
    struct ag_table table;

    ag_table_start(&table, 0, (const char *const[]){ "CHECK", "RESULT", "", NULL });
    for (size_t i = 0; i < preflight->count; i++) {
        const struct ag_check *check = &preflight->check[i];

        ag_table_row(&table,
                     (const char *const[]){ check->name, verdicts[check->verdict], check->text });
        if (check->verdict == AG_FAILS)
            ag_table_note(&table, "  %d %s: %s", (int)check->code, defupd_code_name(check->code),
                          defupd_code_advice(check->code));
    }
    ag_table_end(&table, out);
}

static bool add_json(json_t *array, const struct ag_check *check)
{
    json_t *row = ag_json_row(array);

    return ag_json_text(row, "check", check->name) &&
           ag_json_text(row, "result", verdicts[check->verdict]) &&
           ag_json_add(row, "code", json_integer(check->code)) &&
           ag_json_text(row, "text", check->text);
}

defupd_code ag_preflight_print(FILE *out, const struct ag_preflight *preflight,
                               enum ag_preflight_form form, defupd_error *err)
{
    json_t *doc, *array;
    char *text;
    bool done;

    if (form == AG_AS_CSV)
        print_csv(out, preflight);
    else if (form == AG_AS_TABLE)
        print_table(out, preflight);
    if (form != AG_AS_JSON)
        return DEFUPD_OK;
    doc = json_object();
    array = json_array();
    done = ag_json_add(doc, "checks", array);
    for (size_t i = 0; done && i < preflight->count; i++)
        done = add_json(array, &preflight->check[i]);
    text = done ? json_dumps(doc, JSON_INDENT(2)) : NULL;
    json_decref(doc);
    if (text == NULL)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while writing the result");
    (void)fprintf(out, "%s\n", text);
    free(text);
    return DEFUPD_OK;
}

int ag_preflight(const struct ag_args *args, FILE *out, FILE *errors)
{
    struct ag_preflight preflight;
    defupd_error err = { 0 };
    defupd_code rc;

    ag_preflight_run(&preflight, NULL, args);
    rc = ag_preflight_print(out, &preflight,
                            ag_given(args, AG_OPT_CSV)    ? AG_AS_CSV
                            : ag_given(args, AG_OPT_JSON) ? AG_AS_JSON
                                                          : AG_AS_TABLE,
                            &err);
    if (rc == DEFUPD_OK && (fflush(out) != 0 || ferror(out)))
        rc = AG_FAIL_ERRNO(&err, DEFUPD_E_IO, "cannot write to standard output");
    if (rc != DEFUPD_OK) {
        ag_text_error(errors, &err, args->verbose > 0);
        return defupd_code_exit(rc);
    }
    for (size_t i = 0; i < preflight.count; i++) {
        if (preflight.check[i].verdict == AG_FAILS)
            return defupd_code_exit(preflight.check[i].code);
    }
    return 0;
}
