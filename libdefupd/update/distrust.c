/* SPDX-License-Identifier: Apache-2.0 */
/* What this host has learnt not to build on: distrust/COMPONENT (docs/formats/store.md). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "update/run.h"

#define DELTAS_MAX 32
#define VERSIONS_MAX 128
#define LIST_MAX 4096 /* bytes of either list */
_Static_assert(DELTAS_MAX *(DU_SHA256_HEX + 1) < LIST_MAX, "the deltas fit");
_Static_assert(VERSIONS_MAX *DU_VERSION_TEXT < LIST_MAX, "the versions fit");

void du_distrust_free(struct du_distrust *distrust)
{
    free(distrust->version);
    free(distrust->delta);
    *distrust = (struct du_distrust){ 0 };
}

bool du_distrust_has_version(const struct du_distrust *distrust, uint64_t version)
{
    for (size_t i = 0; i < distrust->versions; i++) {
        if (distrust->version[i] == version)
            return true;
    }
    return false;
}

bool du_distrust_has_delta(const struct du_distrust *distrust,
                           const unsigned char sha256[DU_SHA256_BYTES])
{
    for (size_t i = 0; i < distrust->deltas; i++) {
        if (memcmp(distrust->delta[i], sha256, DU_SHA256_BYTES) == 0)
            return true;
    }
    return false;
}

defupd_code du_distrust_version(struct du_distrust *distrust, uint64_t version, defupd_error *err)
{
    uint64_t *more;

    if (du_distrust_has_version(distrust, version))
        return DEFUPD_OK;
    more = realloc(distrust->version, (distrust->versions + 1) * sizeof *more);
    if (more == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for what is distrusted");
    distrust->version = more;
    more[distrust->versions++] = version;
    return DEFUPD_OK;
}

defupd_code du_distrust_delta(struct du_distrust *distrust,
                              const unsigned char sha256[DU_SHA256_BYTES], defupd_error *err)
{
    unsigned char(*more)[DU_SHA256_BYTES];

    if (du_distrust_has_delta(distrust, sha256))
        return DEFUPD_OK;
    more = realloc(distrust->delta, (distrust->deltas + 1) * sizeof *more);
    if (more == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for what is distrusted");
    distrust->delta = more;
    memcpy(more[distrust->deltas++], sha256, DU_SHA256_BYTES);
    return DEFUPD_OK;
}

/* Words that are no version or digest are passed over: nothing is distrusted because of them. */
static defupd_code parse(struct du_distrust *distrust, const struct du_fact *fact,
                         defupd_error *err)
{
    char list[LIST_MAX];
    char *rest = list;

    if (du_fact_get(fact, "version", list, sizeof list) != NULL) {
        for (const char *word; (word = strsep(&rest, ",")) != NULL;) {
            uint64_t version;
            if (du_version_parse(word, &version))
                DU_TRY(du_distrust_version(distrust, version, err));
        }
    }
    rest = list;
    if (du_fact_get(fact, "delta", list, sizeof list) != NULL) {
        for (const char *word; (word = strsep(&rest, ",")) != NULL;) {
            unsigned char sha256[DU_SHA256_BYTES];
            if (du_unhex(sha256, sizeof sha256, word))
                DU_TRY(du_distrust_delta(distrust, sha256, err));
        }
    }
    return DEFUPD_OK;
}

defupd_code du_distrust_read(const struct du_run *run, const char *component,
                             struct du_distrust *distrust, defupd_error *err)
{
    DU_AUTO_FACT fact = { 0 };

    switch (du_store_fact_read(&run->ctx->store, DU_FACT_DISTRUST, component, &fact)) {
    case DU_FACT_ABSENT: return DEFUPD_OK;
    case DU_FACT_UNREADABLE:
        du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update",
               "%s: distrust/%s cannot be read: nothing is distrusted", component, component);
        return DEFUPD_OK;
    case DU_FACT_READ: break;
    }
    return parse(distrust, &fact, err);
}

/* --- on disk --- */

/* The newest of the lists; versions that are gone from the disk are dropped. */
static defupd_code print(struct du_run *run, const char *component,
                         const struct du_distrust *distrust, struct du_fact *fact,
                         defupd_error *err)
{
    DU_AUTO_BUF versions = DU_BUF(LIST_MAX), deltas = DU_BUF(LIST_MAX);
    DU_AUTO_FREE uint64_t *on_disk = NULL;
    size_t count, first;

    DU_TRY(du_store_versions(&run->ctx->store, component, &on_disk, &count, err));
    first = distrust->versions > VERSIONS_MAX ? distrust->versions - VERSIONS_MAX : 0;
    for (size_t i = first; i < distrust->versions; i++) {
        bool here = false;
        for (size_t j = 0; j < count; j++)
            here = here || on_disk[j] == distrust->version[i];
        if (here)
            DU_TRY(du_buf_printf(&versions, err, "%s%" PRIu64, versions.len > 0 ? "," : "",
                                 distrust->version[i]));
    }
    first = distrust->deltas > DELTAS_MAX ? distrust->deltas - DELTAS_MAX : 0;
    for (size_t i = first; i < distrust->deltas; i++) {
        char hex[DU_SHA256_HEX + 1];
        du_hex(hex, distrust->delta[i], DU_SHA256_BYTES);
        DU_TRY(du_buf_printf(&deltas, err, "%s%s", deltas.len > 0 ? "," : "", hex));
    }
    DU_TRY(du_fact_set(fact, "version", versions.len > 0 ? du_buf_text(&versions) : NULL, err));
    return du_fact_set(fact, "delta", deltas.len > 0 ? du_buf_text(&deltas) : NULL, err);
}

static void write_fact(struct du_run *run, const char *component,
                       const struct du_distrust *distrust)
{
    DU_AUTO_FACT fact = { 0 };
    defupd_error err = { 0 };

    if (run->read_only)
        return;
    if (du_store_fact_read(&run->ctx->store, DU_FACT_DISTRUST, component, &fact) ==
        DU_FACT_UNREADABLE)
        du_fact_free(&fact);
    if (print(run, component, distrust, &fact, &err) != DEFUPD_OK ||
        du_store_fact_write(&run->ctx->store, DU_FACT_DISTRUST, component, &fact, &err) !=
            DEFUPD_OK)
        du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update",
               "%s: what must not be built on could not be recorded: %s", component, err.message);
}

/* What a run passes over for other reasons is no knowledge to keep, so the file's own lists are
 * what is added to. */
void du_distrust_note(struct du_run *run, const char *component, uint64_t version,
                      const unsigned char *delta)
{
    DU_AUTO(du_distrust_free) struct du_distrust known = { 0 };
    defupd_error err = { 0 };

    if (du_distrust_read(run, component, &known, &err) == DEFUPD_OK &&
        (version == 0 || du_distrust_version(&known, version, &err) == DEFUPD_OK) &&
        (delta == NULL || du_distrust_delta(&known, delta, &err) == DEFUPD_OK))
        write_fact(run, component, &known);
}

void du_distrust_forget(struct du_run *run, const char *component, uint64_t version)
{
    DU_AUTO(du_distrust_free) struct du_distrust known = { 0 };
    defupd_error err = { 0 };
    size_t kept = 0;

    if (du_distrust_read(run, component, &known, &err) != DEFUPD_OK ||
        !du_distrust_has_version(&known, version))
        return;
    for (size_t i = 0; i < known.versions; i++) {
        if (known.version[i] != version)
            known.version[kept++] = known.version[i];
    }
    known.versions = kept;
    write_fact(run, component, &known);
}
