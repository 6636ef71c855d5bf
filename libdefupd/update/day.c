/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes per day, counted in schedule/agent while there is a limit: "day N" (days since 1970, UTC),
 * "day-bytes N", and while an object is fetched "fetching HEX HAVE", so that what a killed process
 * had fetched of it is found by looking at the download.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "update/run.h"

#define DAY_S 86400

int64_t du_day_ends(const struct du_run *run)
{
    return (run->now / DAY_S + 1) * DAY_S;
}

uint64_t du_day_used(const struct du_fact *fact, int64_t now)
{
    uint64_t day, bytes = 0;

    /* Another day's count says nothing, also one of a day to come: the clock was wrong then, or is
     * now. */
    if (du_fact_get_u64(fact, "day", &day) && day == (uint64_t)(now / DAY_S))
        (void)du_fact_get_u64(fact, "day-bytes", &bytes);
    return bytes;
}

/* What came of the object that a killed process was fetching. */
static uint64_t left_over(const struct du_run *run, const struct du_fact *fact)
{
    char text[DU_SHA256_HEX + 32];
    unsigned char sha256[DU_SHA256_BYTES];
    uint64_t before, now;
    char *blank;
    bool complete;

    if (du_fact_get(fact, "fetching", text, sizeof text) == NULL ||
        (blank = strchr(text, ' ')) == NULL)
        return 0;
    *blank = '\0';
    if (!du_unhex(sha256, sizeof sha256, text) || !du_parse_u64(blank + 1, UINT64_MAX, &before))
        return 0;
    now = du_store_download_bytes(&run->ctx->store, sha256, &complete);
    return now > before ? now - before : 0;
}

void du_day_begin(struct du_run *run)
{
    DU_AUTO_FACT fact = { 0 };

    if (run->ctx->options->bytes_per_day == 0 || run->read_only ||
        du_store_fact_read(&run->ctx->store, DU_FACT_SCHEDULE, "agent", &fact) != DU_FACT_READ)
        return;
    run->day_used = du_day_used(&fact, run->now);
    if (!du_add(run->day_used, left_over(run, &fact), &run->day_used))
        run->day_used = UINT64_MAX;
}

static defupd_code write_fact(struct du_run *run, const char *fetching, defupd_error *err)
{
    struct du_store *store = &run->ctx->store;
    DU_AUTO_FACT fact = { 0 };

    if (du_store_fact_read(store, DU_FACT_SCHEDULE, "agent", &fact) == DU_FACT_UNREADABLE)
        du_fact_free(&fact);
    DU_TRY(du_fact_set_u64(&fact, "day", (uint64_t)(run->now / DAY_S), err));
    DU_TRY(du_fact_set_u64(&fact, "day-bytes", run->day_used, err));
    DU_TRY(du_fact_set(&fact, "fetching", fetching, err));
    return du_store_fact_write(store, DU_FACT_SCHEDULE, "agent", &fact, err);
}

static void count(struct du_run *run, const char *fetching)
{
    defupd_error err = { 0 };

    if (write_fact(run, fetching, &err) != DEFUPD_OK)
        du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update",
               "the day's bytes could not be counted: %s", err.message);
}

void du_day_fetching(struct du_run *run, const struct du_object *object)
{
    char hex[DU_SHA256_HEX + 1], text[DU_SHA256_HEX + 32];
    bool complete;

    if (run->ctx->options->bytes_per_day == 0)
        return;
    du_hex(hex, object->sha256, DU_SHA256_BYTES);
    (void)snprintf(text, sizeof text, "%s %" PRIu64, hex,
                   du_store_download_bytes(&run->ctx->store, object->sha256, &complete));
    count(run, text);
}

void du_day_fetched(struct du_run *run, uint64_t bytes)
{
    if (run->ctx->options->bytes_per_day == 0)
        return;
    if (!du_add(run->day_used, bytes, &run->day_used))
        run->day_used = UINT64_MAX;
    count(run, NULL);
}
