/* SPDX-License-Identifier: Apache-2.0 */
/* Releases that can be had, and versions that are here. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "sys/disk.h"
#include "update/run.h"

struct list_row {
    defupd_release release; /* its strings point below */
    char component[DU_NAME_MAX + 1];
    char label[DU_LABEL_MAX + 1];
    char *note;
};

struct defupd_listing {
    struct list_row **row;
    uint32_t count;
};

uint32_t defupd_listing_count(const defupd_listing *listing)
{
    return listing->count;
}

const defupd_release *defupd_listing_at(const defupd_listing *listing, uint32_t index)
{
    return index < listing->count ? &listing->row[index]->release : NULL;
}

void defupd_listing_free(defupd_listing *listing)
{
    if (listing == NULL)
        return;
    for (uint32_t i = 0; i < listing->count; i++) {
        free(listing->row[i]->note);
        free(listing->row[i]);
    }
    free(listing->row);
    free(listing);
}

static defupd_code add_row(defupd_listing *listing, const char *component, uint64_t version,
                           struct list_row **out, defupd_error *err)
{
    struct list_row **rows = realloc(listing->row, (listing->count + 1) * sizeof *rows);
    struct list_row *row = calloc(1, sizeof *row);

    if (rows != NULL)
        listing->row = rows;
    if (rows == NULL || row == NULL) {
        free(row);
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a list");
    }
    (void)snprintf(row->component, sizeof row->component, "%s", component);
    row->release = (defupd_release){ .struct_size = (uint32_t)sizeof row->release,
                                     .version = version,
                                     .component = row->component,
                                     .label = row->label,
                                     .note = "" };
    rows[listing->count++] = row;
    *out = row;
    return DEFUPD_OK;
}

static void flag_row(const struct du_run *run, const struct du_part *part, struct list_row *row)
{
    const uint64_t version = row->release.version;

    if (part->installed == version)
        row->release.flags |= DEFUPD_RELEASE_CURRENT;
    if (part->pin == version)
        row->release.flags |= DEFUPD_RELEASE_PINNED;
    if (part->skip == version)
        row->release.flags |= DEFUPD_RELEASE_SKIPPED;
    for (size_t i = 0; i < part->on_disks; i++) {
        if (part->on_disk[i] == version)
            row->release.flags |= DEFUPD_RELEASE_ON_DISK;
    }
    for (size_t i = 0; i < part->quarantines; i++) {
        if (part->quarantine[i] == version)
            row->release.flags |= DEFUPD_RELEASE_QUARANTINED;
    }
    (void)run;
}

static defupd_code list_release(const struct du_run *run, const struct du_part *part,
                                const struct du_release *release, defupd_listing *listing,
                                defupd_error *err)
{
    struct list_row *row;
    bool complete = false;

    DU_TRY(add_row(listing, part->name, release->version, &row, err));
    row->release.published = release->published;
    flag_row(run, part, row);
    if (release->requires != NULL) {
        row->release.flags |= DEFUPD_RELEASE_INVISIBLE;
        return DEFUPD_OK;
    }
    row->release.size = release->size;
    row->release.files = release->files;
    row->release.full_bytes = release->full.bytes;
    memcpy(row->label, release->label, sizeof row->label);
    if (release->note != NULL) {
        row->note = strdup(release->note);
        if (row->note == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a list");
        row->release.note = row->note;
    }
    if (release->withdrawn)
        row->release.flags |= DEFUPD_RELEASE_WITHDRAWN;
    if (release->full.bytes > 0 &&
        du_store_download_bytes(&run->ctx->store, release->full.sha256, &complete) > 0 && complete)
        row->release.flags |= DEFUPD_RELEASE_DOWNLOADED;
    return DEFUPD_OK;
}

/* On disk, but no longer published. */
static defupd_code list_unlisted(const struct du_run *run, const struct du_part *part,
                                 uint64_t version, defupd_listing *listing, defupd_error *err)
{
    const struct du_member *member = du_generation_find(&run->current, part->name);
    DU_AUTO_RECORD record = { 0 };
    defupd_error ignored = { 0 };
    struct list_row *row;

    DU_TRY(add_row(listing, part->name, version, &row, err));
    flag_row(run, part, row);
    row->release.flags |= DEFUPD_RELEASE_UNLISTED;
    if (member != NULL && member->version == version) {
        memcpy(row->label, member->label, sizeof row->label);
        row->release.published = member->published;
    }
    if (du_store_record(&run->ctx->store, part->name, version, &record, &ignored) == DEFUPD_OK) {
        row->release.size = record.index.bytes;
        row->release.files = record.index.count;
    }
    return DEFUPD_OK;
}

static int newest_first(const void *a, const void *b)
{
    const struct list_row *const *x = a, *const *y = b;
    const int order = strcmp((*x)->component, (*y)->component);

    if (order != 0)
        return order;
    return (*x)->release.version > (*y)->release.version   ? -1
           : (*x)->release.version < (*y)->release.version ? 1
                                                           : 0;
}

static defupd_code list_part(struct du_run *run, struct du_part *part, defupd_listing *listing,
                             defupd_error *err)
{
    defupd_error ignored = { 0 };

    DU_TRY(du_report_add(run->report, part->name, &part->row, err));
    DU_TRY(du_part_facts(run, part, err));
    if (run->trust != NULL)
        (void)!du_bind_manifest(run, part->name, &part->manifest, &ignored);
    for (size_t i = 0; part->manifest != NULL && i < part->manifest->count; i++)
        DU_TRY(list_release(run, part, &part->manifest->release[i], listing, err));
    for (size_t i = 0; i < part->on_disks; i++) {
        if (part->manifest == NULL || du_manifest_find(part->manifest, part->on_disk[i]) == NULL)
            DU_TRY(list_unlisted(run, part, part->on_disk[i], listing, err));
    }
    return DEFUPD_OK;
}

struct offer {
    struct du_run *run;
    const char *only;
    defupd_listing *listing;
    bool found;
    defupd_code rc;
    defupd_error *err;
};

static void list_name(struct offer *offer, const char *name)
{
    DU_AUTO(du_part_free) struct du_part part = { 0 };

    if (offer->rc != DEFUPD_OK || (offer->only != NULL && strcmp(offer->only, name) != 0))
        return;
    for (uint32_t i = 0; i < offer->listing->count; i++) {
        if (strcmp(offer->listing->row[i]->component, name) == 0)
            return;
    }
    offer->found = true;
    (void)snprintf(part.name, sizeof part.name, "%s", name);
    offer->rc = list_part(offer->run, &part, offer->listing, offer->err);
}

static void offered(void *user, const char *name)
{
    list_name(user, name);
}

static defupd_code fill(struct offer *offer)
{
    struct du_run *run = offer->run;
    DU_AUTO_NAMES on_disk = { 0 };

    if (run->trust != NULL)
        DU_TRY(du_trust_components(run->trust, offered, offer, offer->err));
    DU_TRY(offer->rc);
    DU_TRY(du_store_components(&run->ctx->store, &on_disk, offer->err));
    for (size_t i = 0; i < on_disk.count; i++)
        list_name(offer, on_disk.item[i]);
    DU_TRY(offer->rc);
    if (offer->only != NULL && !offer->found)
        return DU_FAIL(offer->err, DEFUPD_E_NO_COMPONENT,
                       "no component '%s' is known here; 'defupd check' asks the source for news",
                       offer->only);
    return DEFUPD_OK;
}

defupd_code du_list(struct du_context *ctx, const char *component, defupd_listing **out,
                    defupd_error *err)
{
    static const defupd_request none = DEFUPD_REQUEST_INIT;
    DU_AUTO(du_run_end)
    struct du_run run = { .kind = DU_RUN_INSTALL, .trust_dir = -1, .read_only = true };
    struct offer offer = { .run = &run, .only = component, .err = err };
    defupd_code rc;

    DU_TRY(du_run_begin(&run, ctx, &none, err));
    DU_TRY(du_bind_trust_if_sound(&run, err));
    offer.listing = calloc(1, sizeof *offer.listing);
    if (offer.listing == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a list");
    rc = fill(&offer);
    if (rc != DEFUPD_OK) {
        defupd_listing_free(offer.listing);
        return rc;
    }
    if (offer.listing->count > 0)
        qsort(offer.listing->row, offer.listing->count, sizeof *offer.listing->row, newest_first);
    *out = offer.listing;
    return DEFUPD_OK;
}
