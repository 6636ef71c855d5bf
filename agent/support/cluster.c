/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cluster.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "files.h"
#include "json.h"
#include "report/monitor.h"
#include "result.h"
#include "text.h"

#define OLD_S 7200 /* a posture without an interval counts as old when it lags by two of these */

struct host {
    const char *file;
    struct ag_seen seen;
    bool read; /* it is a posture */
    char **finding;
    size_t findings;
};

struct cluster {
    struct host *host;
    size_t hosts;
    bool no_memory;
};

/* A component over all hosts. */
struct row {
    const char *name;
    uint64_t version; /* that most hosts have; of two, the newer */
    size_t hosts;     /* that have it */
    size_t known;     /* that know the component */
};

__attribute__((format(printf, 3, 4))) static void find(struct cluster *cluster, struct host *host,
                                                       const char *format, ...)
{
    char **grown = reallocarray(host->finding, host->findings + 1, sizeof *grown);
    char *text = NULL;
    va_list args;

    if (grown != NULL)
        host->finding = grown;
    va_start(args, format);
    if (grown == NULL || vasprintf(&text, format, args) < 0)
        cluster->no_memory = true;
    else
        grown[host->findings++] = text;
    va_end(args);
}

static const struct ag_seen_definition *definition(const struct host *host, const char *name)
{
    size_t low = 0, high = host->seen.count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(host->seen.definition[middle].name, name);

        if (order == 0)
            return &host->seen.definition[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* What most hosts have installed of it. */
static bool count(const struct cluster *cluster, struct row *row)
{
    uint64_t *versions = calloc(cluster->hosts + 1, sizeof *versions);
    size_t known = 0, run = 0;

    if (versions == NULL)
        return false;
    for (size_t i = 0; i < cluster->hosts; i++) {
        const struct ag_seen_definition *d = definition(&cluster->host[i], row->name);

        if (d != NULL && d->enabled)
            versions[known++] = d->version;
    }
    qsort(versions, known, sizeof *versions, by_number);
    row->known = known;
    row->hosts = 0;
    for (size_t i = 0; i < known; i++) {
        run = i > 0 && versions[i] == versions[i - 1] ? run + 1 : 1;
        if (run >= row->hosts) {
            row->hosts = run;
            row->version = versions[i];
        }
    }
    free(versions);
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every component that some host names, once; yours to free(). NULL: no memory. */
static struct row *components(const struct cluster *cluster, size_t *rows)
{
    size_t all = 0, used = 0;
    const char **name;
    struct row *row;

    *rows = 0;
    for (size_t i = 0; i < cluster->hosts; i++)
        all += cluster->host[i].seen.count;
    name = calloc(all + 1, sizeof *name);
    row = calloc(all + 1, sizeof *row);
    if (name == NULL || row == NULL) {
        free(name);
        free(row);
        return NULL;
    }
    for (size_t i = 0; i < cluster->hosts; i++) {
        for (size_t d = 0; d < cluster->host[i].seen.count; d++)
            name[used++] = cluster->host[i].seen.definition[d].name;
    }
    qsort(name, used, sizeof *name, by_name);
    for (size_t i = 0; i < used; i++) {
        if (i == 0 || strcmp(name[i], name[i - 1]) != 0)
            row[(*rows)++].name = name[i];
    }
    free(name);
    return row;
}

static void compare_host(struct cluster *cluster, struct host *host, const struct row *rows,
                         size_t count_, int64_t newest)
{
    const int64_t interval_s = host->seen.interval_s > 0 ? host->seen.interval_s : OLD_S;
    char when[AG_WHEN], age[AG_WHEN];

    for (size_t i = 0; i < count_; i++) {
        const struct ag_seen_definition *d = definition(host, rows[i].name);

        if (d == NULL && rows[i].known * 2 > cluster->hosts)
            find(cluster, host, "does not know %s, which %zu hosts have", rows[i].name,
                 rows[i].known);
        else if (d != NULL && d->enabled && d->version != rows[i].version)
            find(cluster, host, "%s is at %" PRIu64 ", %zu of %zu hosts are at %" PRIu64, d->name,
                 d->version, rows[i].hosts, rows[i].known, rows[i].version);
    }
    for (size_t i = 0; i < host->seen.count; i++) {
        const struct ag_seen_definition *d = &host->seen.definition[i];

        if (ag_state_severity(d->state) == AG_FINE)
            continue;
        find(cluster, host, "%s is %s%s%s", d->name, d->state[0] != '\0' ? d->state : "in no state",
             d->lasterror_name[0] != '\0' ? ": " : "", d->lasterror_name);
    }
    if (!host->seen.connected)
        find(cluster, host, "has had no contact with a source for two intervals");
    if (host->seen.time > 0 && newest - host->seen.time > 2 * interval_s)
        find(cluster, host, "its posture is of %s, %.*s older than the newest",
             ag_time(when, host->seen.time),
             (int)(strlen(ag_age(age, host->seen.time, newest)) - 4), age); /* without its " ago" */
    for (const struct host *other = cluster->host; other < host; other++) {
        if (other->read && host->seen.uuid[0] != '\0' &&
            strcmp(other->seen.uuid, host->seen.uuid) == 0)
            find(cluster, host, "has the same identity as %s: a copy of its store", other->file);
    }
}

/* The software that most hosts run. */
static void compare_software(struct cluster *cluster)
{
    const char *most = "";
    size_t best = 0, alike;

    for (size_t i = 0; i < cluster->hosts; i++) {
        alike = 0;
        for (size_t j = 0; j < cluster->hosts; j++)
            alike += cluster->host[j].read && strcmp(cluster->host[i].seen.agent_version,
                                                     cluster->host[j].seen.agent_version) == 0;
        if (cluster->host[i].read && alike > best) {
            best = alike;
            most = cluster->host[i].seen.agent_version;
        }
        if (best * 2 > cluster->hosts)
            break;
    }
    for (size_t i = 0; i < cluster->hosts && best > 0; i++) {
        struct host *host = &cluster->host[i];

        if (host->read && strcmp(host->seen.agent_version, most) != 0)
            find(cluster, host, "runs version %s, most run %s",
                 host->seen.agent_version[0] != '\0' ? host->seen.agent_version : "unknown", most);
    }
}

static defupd_code compare(struct cluster *cluster, defupd_error *err)
{
    struct row *rows;
    int64_t newest = 0;
    size_t used = 0;
    bool done;

    rows = components(cluster, &used);
    done = rows != NULL;
    for (size_t i = 0; done && i < used; i++)
        done = count(cluster, &rows[i]);
    for (size_t i = 0; i < cluster->hosts; i++) {
        if (cluster->host[i].seen.time > newest)
            newest = cluster->host[i].seen.time;
    }
    for (size_t i = 0; done && i < cluster->hosts; i++) {
        if (cluster->host[i].read)
            compare_host(cluster, &cluster->host[i], rows, used, newest);
    }
    if (done)
        compare_software(cluster);
    free(rows);
    if (!done || cluster->no_memory)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while comparing");
    return DEFUPD_OK;
}

/* `text` after "WORD: " where it begins so: the line says it already. */
static const char *without(const char *text, const char *word)
{
    const size_t length = strlen(word);

    return strncmp(text, word, length) == 0 && strncmp(text + length, ": ", 2) == 0
               ? text + length + 2
               : text;
}

static void read_host(struct cluster *cluster, struct host *host, const char *file)
{
    char *bytes = NULL;
    size_t length = 0;
    defupd_error err = { 0 };

    host->file = file;
    if (ag_file_read("posture", file, AG_POSTURE_MAX, &bytes, &length, &err) == DEFUPD_OK &&
        ag_seen_parse(&host->seen, file, bytes, length, &err) == DEFUPD_OK)
        host->read = true;
    else
        find(cluster, host, "cannot be compared: %s",
             without(without(err.message, "--posture"), file));
    free(bytes);
}

static size_t odd_hosts(const struct cluster *cluster)
{
    size_t odd = 0;

    for (size_t i = 0; i < cluster->hosts; i++)
        odd += cluster->host[i].findings > 0;
    return odd;
}

static void print_text(const struct cluster *cluster, FILE *out)
{
    const size_t odd = odd_hosts(cluster);

    for (size_t i = 0; i < cluster->hosts; i++) {
        const struct host *host = &cluster->host[i];

        for (size_t f = 0; f < host->findings; f++)
            ag_line(out, "%s: %s", host->file, host->finding[f]);
    }
    if (odd == 0)
        ag_line(out, "%zu host%s, all alike and well.", cluster->hosts,
                cluster->hosts == 1 ? "" : "s");
    else
        ag_line(out, "%zu of %zu host%s %s odd.", odd, cluster->hosts,
                cluster->hosts == 1 ? "" : "s", odd == 1 ? "is" : "are");
}

static bool add_host(json_t *array, const struct host *host)
{
    json_t *row = ag_json_row(array), *findings = json_array();

    if (!ag_json_add(row, "findings", findings) || !ag_json_text(row, "file", host->file) ||
        !ag_json_text(row, "agent_uuid", host->seen.uuid))
        return false;
    for (size_t i = 0; i < host->findings; i++) {
        char *clean = strdup(host->finding[i]);

        if (clean == NULL)
            return false;
        ag_clean(clean);
        if (!ag_json_append(findings, json_string(clean))) {
            free(clean);
            return false;
        }
        free(clean);
    }
    return true;
}

static defupd_code print_json(const struct cluster *cluster, FILE *out, defupd_error *err)
{
    json_t *doc = json_object(), *array = json_array();
    bool done = ag_json_add(doc, "hosts", array) &&
                ag_json_number(doc, "odd", odd_hosts(cluster)) &&
                ag_json_number(doc, "count", cluster->hosts);
    char *text;

    for (size_t i = 0; done && i < cluster->hosts; i++)
        done = add_host(array, &cluster->host[i]);
    text = done ? json_dumps(doc, JSON_INDENT(2)) : NULL;
    json_decref(doc);
    if (text == NULL)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while writing the result");
    (void)fprintf(out, "%s\n", text);
    free(text);
    return DEFUPD_OK;
}

static defupd_code check(struct cluster *cluster, const struct ag_args *args, FILE *out,
                         defupd_error *err)
{
    if (args->word_count > AG_HOSTS_MAX)
        return AG_FAIL(err, DEFUPD_E_LIMIT, "more than %d postures", AG_HOSTS_MAX);
    cluster->host = calloc(args->word_count + 1, sizeof *cluster->host);
    if (cluster->host == NULL)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
    for (size_t i = 0; i < args->word_count; i++)
        read_host(cluster, &cluster->host[cluster->hosts++], args->words[i]);
    AG_TRY(compare(cluster, err));
    if (ag_given(args, AG_OPT_JSON))
        return print_json(cluster, out, err);
    print_text(cluster, out);
    return DEFUPD_OK;
}

int ag_cluster_check(const struct ag_args *args, FILE *out, FILE *errors)
{
    struct cluster cluster = { 0 };
    defupd_error err = { 0 };
    defupd_code rc = check(&cluster, args, out, &err);
    size_t odd = odd_hosts(&cluster);

    for (size_t i = 0; i < cluster.hosts; i++) {
        for (size_t f = 0; f < cluster.host[i].findings; f++)
            free(cluster.host[i].finding[f]);
        free(cluster.host[i].finding);
        ag_seen_free(&cluster.host[i].seen);
    }
    free(cluster.host);
    if (rc == DEFUPD_OK && (fflush(out) != 0 || ferror(out)))
        rc = AG_FAIL_ERRNO(&err, DEFUPD_E_IO, "cannot write to standard output");
    if (rc != DEFUPD_OK) {
        ag_text_error(errors, &err, args->verbose > 0);
        return defupd_code_exit(rc);
    }
    return odd > 0 ? 65 : 0;
}
