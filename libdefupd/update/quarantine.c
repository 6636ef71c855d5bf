/* SPDX-License-Identifier: Apache-2.0 */
/* Releases that this host refuses: quarantine/COMPONENT (docs/formats/store.md). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "update/run.h"

#define VERSIONS_MAX 64 /* the oldest refusals go first */
#define LIST_MAX 4096
_Static_assert(VERSIONS_MAX *DU_VERSION_TEXT < LIST_MAX, "the versions fit");

struct refused {
    uint64_t version[VERSIONS_MAX + 1];
    size_t count;
};

/* Those on file, but for one. */
static void read_others(const struct du_fact *fact, uint64_t but, struct refused *refused)
{
    char list[LIST_MAX];
    char *rest = list;

    refused->count = 0;
    if (du_fact_get(fact, "refuse", list, sizeof list) == NULL)
        return;
    for (char *word; (word = strsep(&rest, ",")) != NULL && refused->count < VERSIONS_MAX;) {
        uint64_t version;
        if (du_version_parse(word, &version) && version != but)
            refused->version[refused->count++] = version;
    }
}

bool du_quarantine_has(const struct du_fact *fact, uint64_t version)
{
    struct refused all, others;

    read_others(fact, 0, &all);
    read_others(fact, version, &others);
    return all.count != others.count;
}

static defupd_code write_list(struct du_run *run, const char *component, struct du_fact *fact,
                              const struct refused *refused, const char *why, defupd_error *err)
{
    DU_AUTO_BUF text = DU_BUF(LIST_MAX);
    const size_t first = refused->count > VERSIONS_MAX ? refused->count - VERSIONS_MAX : 0;

    for (size_t i = first; i < refused->count; i++)
        DU_TRY(
            du_buf_printf(&text, err, "%s%" PRIu64, text.len > 0 ? "," : "", refused->version[i]));
    DU_TRY(du_fact_set(fact, "refuse", text.len > 0 ? du_buf_text(&text) : NULL, err));
    DU_TRY(du_fact_set(fact, "why", text.len > 0 ? why : NULL, err));
    return du_store_fact_write(&run->ctx->store, DU_FACT_QUARANTINE, component, fact, err);
}

void du_quarantine_add(struct du_run *run, const char *component, uint64_t version, const char *why)
{
    struct refused refused;
    DU_AUTO_FACT fact = { 0 };
    defupd_error err = { 0 };
    char text[400];

    /* What cannot be read refuses nothing: it begins anew with this one. */
    if (du_store_fact_read(&run->ctx->store, DU_FACT_QUARANTINE, component, &fact) ==
        DU_FACT_UNREADABLE)
        du_fact_free(&fact);
    read_others(&fact, version, &refused);
    refused.version[refused.count++] = version;
    (void)snprintf(text, sizeof text, "%" PRIu64 " %s", version, why);
    text[du_utf8_prefix(text, strlen(text))] = '\0';
    if (write_list(run, component, &fact, &refused, text, &err) != DEFUPD_OK)
        du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update",
               "%s: the refusal of %" PRIu64
               " could not be recorded, it will be validated again: %s",
               component, version, err.message);
}

void du_quarantine_drop(struct du_run *run, const char *component, uint64_t version)
{
    struct refused refused;
    DU_AUTO_FACT fact = { 0 };
    defupd_error err = { 0 };

    if (du_store_fact_read(&run->ctx->store, DU_FACT_QUARANTINE, component, &fact) != DU_FACT_READ)
        return;
    read_others(&fact, version, &refused);
    if (du_quarantine_has(&fact, version) &&
        write_list(run, component, &fact, &refused, NULL, &err) != DEFUPD_OK)
        du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update",
               "%s: %" PRIu64 " could not be taken out of quarantine: %s", component, version,
               err.message);
}
