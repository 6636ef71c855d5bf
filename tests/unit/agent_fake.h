/* SPDX-License-Identifier: Apache-2.0 */
/* A library that does what a test says: the client calls behind <defupd/...>, with facts from the
 * `fake` below, so that the command line is tested without store or network. Also runs the program
 * in a child process, with its output in files. */
#ifndef AGENT_FAKE_H
#define AGENT_FAKE_H

#include <signal.h>
#include <sys/wait.h>

#include <jansson.h>

#include <defupd/defupd.h>

#include "run/run.h"
#include "t.h"

struct defupd_report {
    const defupd_report_item *items;
    uint32_t count;
    uint64_t generation, fetched;
};
struct defupd_status {
    defupd_store_status store;
    const defupd_component_status *items;
    uint32_t count;
};
struct defupd_listing {
    const defupd_release *items;
    uint32_t count;
};
struct defupd_client {
    defupd_client_options options;
    int cancelled;
};

/* What the fake library answers. */
static struct {
    defupd_code open_code, call_code, write_code;
    int write_errno;
    const char *message;
    struct defupd_report report;
    bool no_report;
    bool read_ca; /* open() reads the CA file as whoever the process is by then */
    struct defupd_status status;
    struct defupd_listing listing;
    const defupd_event *events;
    size_t event_count;
    const defupd_damage *damage;
    size_t damage_count;
    int raise_times; /* the call gets as many signals, and ends as cancelled if one was passed on */
    int raise_signal;
    struct defupd_client client;
} fake;

/* Appends a line to the file "calls": what the program asked of the library. */
__attribute__((format(printf, 1, 2))) static void note_call(const char *format, ...)
{
    FILE *calls = fopen("calls", "a");
    __builtin_va_list args;

    if (calls == NULL)
        abort();
    __builtin_va_start(args, format);
    (void)vfprintf(calls, format, args);
    __builtin_va_end(args);
    (void)fputc('\n', calls);
    (void)fclose(calls);
}

static defupd_code fail(defupd_code code, defupd_error *error)
{
    if (code != DEFUPD_OK) {
        *error = (defupd_error){ .code = code, .origin = "fake.c", .line = 1 };
        (void)snprintf(error->message, sizeof error->message, "%s",
                       fake.message != NULL ? fake.message : "it failed");
    }
    return code;
}

static defupd_code call(const char *name, defupd_client *client, const defupd_request *request,
                        defupd_report **report, defupd_error *error)
{
    char words[256] = "";

    for (size_t i = 0; request->components != NULL && request->components[i] != NULL; i++) {
        (void)strcat(words, " ");
        (void)strcat(words, request->components[i]);
    }
    note_call("%s flags=%u%s", name, request->flags, words);
    for (size_t i = 0; i < fake.event_count; i++)
        client->options.on_event(client->options.event_user, &fake.events[i]);
    for (int i = 0; i < fake.raise_times; i++)
        (void)raise(fake.raise_signal);
    if (client->cancelled)
        return fail(DEFUPD_E_CANCELLED, error);
    if (report != NULL)
        *report = fake.no_report ? NULL : &fake.report;
    return fail(fake.call_code, error);
}

static void note_if(char *line, size_t size, const char *name, const char *text)
{
    const size_t used = strlen(line);

    if (text != NULL)
        (void)snprintf(line + used, size - used, " %s=%s", name, text);
}

static void note_source(const defupd_source *source)
{
    char line[1000] = "";

    note_if(line, sizeof line, "objects", source->object_url);
    note_if(line, sizeof line, "auth", source->auth);
    note_if(line, sizeof line, "proxy", source->proxy);
    note_if(line, sizeof line, "proxy-auth", source->proxy_auth);
    note_if(line, sizeof line, "no-proxy", source->no_proxy);
    note_if(line, sizeof line, "addresses", source->addresses);
    note_if(line, sizeof line, "ca", source->ca_file);
    note_if(line, sizeof line, "pin", source->pinned_key);
    note_if(line, sizeof line, "cert", source->client_cert);
    note_if(line, sizeof line, "key", source->client_key);
    note_if(line, sizeof line, "crl", source->crl_file);
    if (source->kind == DEFUPD_SOURCE_RELAY)
        note_call("relay %s grace=%llu group=%u attempts=%u methods=%u revocation=%u%s",
                  source->url, (unsigned long long)source->offline_grace_s, source->group,
                  source->attempts, source->proxy_methods, source->revocation, line);
    else if (source->proxy_methods != 0 || source->revocation != 0 || line[0] != '\0')
        note_call("source %s grace=%llu methods=%u revocation=%u%s", source->url,
                  (unsigned long long)source->offline_grace_s, source->proxy_methods,
                  source->revocation, line);
    else
        note_call("source %s grace=%llu", source->url, (unsigned long long)source->offline_grace_s);
}

/* What a policy sets. */
static void note_lists(const defupd_client_options *options)
{
    for (size_t i = 0; options->source_list != NULL && options->source_list[i] != NULL; i++)
        note_source(options->source_list[i]);
    for (size_t i = 0; options->components != NULL && options->components[i] != NULL; i++)
        note_call("component %s", options->components[i]);
    for (size_t i = 0; options->rules != NULL && options->rules[i] != NULL; i++) {
        const defupd_rule *rule = options->rules[i];

        note_call("rule %s flags=%u pin=%llu age=%llu delay=%llu ring=%s licence=%s",
                  rule->component, rule->flags, (unsigned long long)rule->pin_version,
                  (unsigned long long)rule->max_age_s, (unsigned long long)rule->delay_s,
                  rule->ring != NULL ? rule->ring : "", rule->licence != NULL ? rule->licence : "");
    }
    for (size_t i = 0; options->licences != NULL && options->licences[i] != NULL; i++)
        note_call("licence %s until %lld", options->licences[i]->name,
                  (long long)options->licences[i]->expires);
}

defupd_code defupd_client_open(defupd_client **client, const defupd_client_options *options,
                               defupd_error *error)
{
    const size_t root = (size_t)options->trusted_root_bytes;

    note_call("open state=%s root=%.*s proxy=%s ca=%s ring=%s wait=%u uid=%u groups=%d",
              options->state_dir, (int)root, root > 0 ? (const char *)options->trusted_root : "",
              options->proxy != NULL ? options->proxy : "",
              options->ca_file != NULL ? options->ca_file : "",
              options->ring != NULL ? options->ring : "", options->lock_wait_ms,
              (unsigned)geteuid(), getgroups(0, NULL));
    for (size_t i = 0; options->sources != NULL && options->sources[i] != NULL; i++)
        note_call("source %s", options->sources[i]);
    for (size_t i = 0; options->engines != NULL && options->engines[i] != NULL; i++)
        note_call("engine %s", options->engines[i]);
    note_lists(options);
    if (options->trial_s != 0)
        note_call("trial %llu s, %llu starts%s", (unsigned long long)options->trial_s,
                  (unsigned long long)options->trial_starts,
                  (options->flags & DEFUPD_CLIENT_TRIAL_CONFIRMS) != 0 ? ", confirms" : "");
    if (options->max_bytes_per_s != 0)
        note_call("rate=%llu keep-alive=%u retry-delay=%u flags=%u",
                  (unsigned long long)options->max_bytes_per_s, options->keep_alive_s,
                  options->retry_delay_ms, options->flags);
    if (fake.read_ca && options->ca_file != NULL) {
        FILE *file = fopen(options->ca_file, "r");
        char text[16] = "";

        note_call("ca holds %s", file != NULL && fgets(text, sizeof text, file) != NULL
                                     ? text
                                     : "(cannot be read)");
        if (file != NULL)
            (void)fclose(file);
    }
    *client = NULL;
    if (fake.open_code != DEFUPD_OK)
        return fail(fake.open_code, error);
    fake.client.options = *options;
    *client = &fake.client;
    return DEFUPD_OK;
}

void defupd_client_close(defupd_client *client)
{
    if (client != NULL)
        note_call("close");
}

void defupd_cancel(defupd_client *client)
{
    client->cancelled = 1;
}

#define FAKE_CALL(name)                                                                    \
    defupd_code defupd_client_##name(defupd_client *client, const defupd_request *request, \
                                     defupd_report **report, defupd_error *error)          \
    {                                                                                      \
        return call(#name, client, request, report, error);                                \
    }
FAKE_CALL(check)
FAKE_CALL(update)
FAKE_CALL(explain)
FAKE_CALL(download)
FAKE_CALL(install)
FAKE_CALL(rollback)
FAKE_CALL(reject)

defupd_code defupd_client_confirm(defupd_client *client, const defupd_request *request,
                                  defupd_error *error)
{
    return call("confirm", client, request, NULL, error);
}

defupd_code defupd_client_early(defupd_client *client, defupd_report **report, defupd_error *error)
{
    const defupd_request request = DEFUPD_REQUEST_INIT;

    return call("early", client, &request, report, error);
}

defupd_code defupd_client_import(defupd_client *client, const defupd_import *import,
                                 const defupd_request *request, defupd_report **report,
                                 defupd_error *error)
{
    note_call("archive %s%s grace %llu", import->path, import->fd > 2 ? " open" : "",
              (unsigned long long)import->grace_s);
    return call("import", client, request, report, error);
}

defupd_code defupd_client_verify(defupd_client *client, const defupd_request *request,
                                 defupd_damage_fn on_damage, void *user, uint64_t *files,
                                 defupd_error *error)
{
    for (size_t i = 0; i < fake.damage_count; i++)
        on_damage(user, &fake.damage[i]);
    *files = 12;
    return call("verify", client, request, NULL, error);
}

defupd_code defupd_client_cancel_other(defupd_client *client, uint64_t *pid, defupd_error *error)
{
    (void)client;
    *pid = 4711;
    return fail(fake.call_code, error);
}

defupd_code defupd_client_status(defupd_client *client, defupd_status **status, defupd_error *error)
{
    (void)client;
    *status = &fake.status;
    return fail(DEFUPD_OK, error);
}

defupd_code defupd_client_list(defupd_client *client, const char *component,
                               defupd_listing **listing, defupd_error *error)
{
    (void)client;
    note_call("list %s", component != NULL ? component : "");
    *listing = &fake.listing;
    return fail(fake.call_code, error);
}

defupd_code defupd_client_hold(defupd_client *client, const char *component, defupd_error *error)
{
    (void)client;
    note_call("hold %s", component);
    return fail(fake.call_code, error);
}

defupd_code defupd_client_unhold(defupd_client *client, const char *component, defupd_error *error)
{
    (void)client;
    note_call("unhold %s", component);
    return fail(fake.call_code, error);
}

defupd_code defupd_client_pin(defupd_client *client, const char *component, uint64_t version,
                              defupd_error *error)
{
    (void)client;
    note_call("pin %s to %llu", component, (unsigned long long)version);
    return fail(fake.call_code, error);
}

defupd_code defupd_client_clean(defupd_client *client, uint64_t *bytes, defupd_error *error)
{
    (void)client;
    *bytes = 1234567;
    return fail(fake.call_code, error);
}

defupd_code defupd_client_trust_reset(defupd_client *client, defupd_error *error)
{
    (void)client;
    note_call("trust reset");
    return fail(fake.call_code, error);
}

defupd_code defupd_client_doctor(defupd_client *client, defupd_step_fn on_step, void *user,
                                 defupd_error *error)
{
    const defupd_step step = { .struct_size = sizeof step,
                               .step = DEFUPD_STEP_RESOLVE,
                               .source = "http://h",
                               .name = "resolve",
                               .text = "192.0.2.1",
                               .duration_ms = 3,
                               .advice = "" };

    (void)client;
    on_step(user, &step);
    return fail(fake.call_code, error);
}

defupd_code defupd_client_trust_show(defupd_client *client, defupd_role_fn on_role, void *user,
                                     defupd_error *error)
{
    const defupd_role root = { .struct_size = sizeof root,
                               .threshold = 2,
                               .version = 3,
                               .expires = 1795251600,
                               .name = "root",
                               .keyids = "ed25519:8f3c ecdsa:77aa" };

    (void)client;
    on_role(user, &root);
    return fail(fake.call_code, error);
}

defupd_code defupd_client_slot(defupd_client *client, uint64_t interval_s, uint64_t *slot_s,
                               defupd_error *error)
{
    (void)client;
    *slot_s = interval_s - 1;
    return fail(fake.call_code, error);
}

/* Writes into the working directory, which is the test's own. */
defupd_code defupd_client_write_report(defupd_client *client, const char *name, const void *bytes,
                                       uint64_t count, defupd_error *error)
{
    FILE *file;

    (void)client;
    if (fake.write_code != DEFUPD_OK) {
        (void)fail(fake.write_code, error);
        error->sys_errno = fake.write_errno;
        return fake.write_code;
    }
    file = fopen(name, "w");
    if (file == NULL || fwrite(bytes, 1, (size_t)count, file) != count || fclose(file) != 0)
        abort();
    return DEFUPD_OK;
}

uint32_t defupd_report_count(const defupd_report *report)
{
    return report->count;
}
const defupd_report_item *defupd_report_at(const defupd_report *report, uint32_t index)
{
    return index < report->count ? &report->items[index] : NULL;
}
uint64_t defupd_report_generation(const defupd_report *report)
{
    return report->generation;
}
const char *defupd_report_source(const defupd_report *report)
{
    (void)report;
    return "http://up.example/repo";
}
uint64_t defupd_report_fetched(const defupd_report *report)
{
    return report->fetched;
}
void defupd_report_free(defupd_report *report)
{
    (void)report;
}
const defupd_store_status *defupd_status_store(const defupd_status *status)
{
    return &status->store;
}
uint32_t defupd_status_count(const defupd_status *status)
{
    return status->count;
}
const defupd_component_status *defupd_status_at(const defupd_status *status, uint32_t index)
{
    return index < status->count ? &status->items[index] : NULL;
}
void defupd_status_free(defupd_status *status)
{
    (void)status;
}
uint32_t defupd_listing_count(const defupd_listing *listing)
{
    return listing->count;
}
const defupd_release *defupd_listing_at(const defupd_listing *listing, uint32_t index)
{
    return index < listing->count ? &listing->items[index] : NULL;
}
void defupd_listing_free(defupd_listing *listing)
{
    (void)listing;
}
const char *defupd_state_name(defupd_state state)
{
    static const char *const names[] = { "never",       "updating",  "fresh",      "due",
                                         "stale",       "failing",   "held",       "trial",
                                         "quarantined", "withdrawn", "unlicensed", "disabled" };

    return (size_t)state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}
const char *defupd_version(void)
{
    return DEFUPD_VERSION;
}
void defupd_version_details(char *out, unsigned long size)
{
    (void)snprintf(out, size, "libfake 1.0");
}

/* A small file's text, in a buffer that the next call with the same number overwrites. */
static inline const char *read_text(int number, const char *path)
{
    static char text[3][65536];
    FILE *file = fopen(path, "r");
    size_t n = 0;

    if (file != NULL) {
        n = fread(text[number], 1, sizeof text[number] - 1, file);
        (void)fclose(file);
    }
    text[number][n] = '\0';
    return file != NULL ? text[number] : "(no file)";
}
#define OUT() read_text(0, "out")
#define ERR() read_text(1, "err")
#define CALLS() read_text(2, "calls")

/* What the process list shows by now goes into the file "argv". */
static inline void leave_arguments(int argc, char **argv)
{
    FILE *file = fopen("argv", "w");

    for (int i = 0; i < argc && file != NULL; i++)
        (void)fprintf(file, "%s\n", argv[i]);
    if (file != NULL)
        (void)fclose(file);
}

/* Run the program with these arguments (NULL-terminated); its exit code, or 128 + signal. */
static inline int run_program(const char *const *args)
{
    char *argv[32];
    int argc = 0, status;
    pid_t child;

    argv[argc++] = strdup("defupd");
    while (*args != NULL && argc < 31)
        argv[argc++] = strdup(*args++);
    argv[argc] = NULL;
    (void)unlink("calls");
    (void)fflush(stdout);
    child = fork();
    if (child == 0) {
        if (freopen("out", "w", stdout) == NULL || freopen("err", "w", stderr) == NULL)
            _exit(99);
        status = ag_main(argc, argv);
        leave_arguments(argc, argv);
        if (fflush(stdout) != 0 || fflush(stderr) != 0)
            _exit(98);
        for (int i = 0; i < argc; i++)
            free(argv[i]);
        _exit(status);
    }
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    if (child < 0 || waitpid(child, &status, 0) != child)
        abort();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
#define RUN(...) run_program((const char *const[]){ __VA_ARGS__, NULL })

/* The value at a path such as "result.components.0.to", as compact JSON; "(none)" when there is
 * none. `line`: 1 for the first line of the file, 0: the file is one document. */
static inline const char *json_at(const char *file, int line, const char *path)
{
    static char found[4096];
    FILE *in = fopen(file, "r");
    json_t *doc = NULL, *value;
    char *row = NULL, *text = NULL;
    size_t size = 0;

    (void)snprintf(found, sizeof found, "(none)");
    if (in == NULL)
        return found;
    if (line == 0)
        doc = json_loadf(in, 0, NULL);
    for (int i = 0; i < line && getline(&row, &size, in) > 0; i++) {
        if (i + 1 == line)
            doc = json_loads(row, 0, NULL);
    }
    for (value = doc; value != NULL && *path != '\0'; path += strspn(path, ".")) {
        const size_t length = strcspn(path, ".");
        char key[64];

        (void)snprintf(key, sizeof key, "%.*s", (int)length, path);
        value = json_is_array(value) ? json_array_get(value, (size_t)atoi(key))
                                     : json_object_get(value, key);
        path += length;
    }
    if (value != NULL)
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text != NULL)
        (void)snprintf(found, sizeof found, "%s", text);
    free(text);
    free(row);
    json_decref(doc);
    (void)fclose(in);
    return found;
}

#define T_HAS(text, part)                                                                      \
    do {                                                                                       \
        const char *t_text_ = (text);                                                          \
        if (strstr(t_text_, (part)) == NULL) {                                                 \
            printf("# %s:%d: \"%s\" is not in:\n# %s\n", __FILE__, __LINE__, (part), t_text_); \
            t_failed++;                                                                        \
        }                                                                                      \
    } while (0)

#endif
