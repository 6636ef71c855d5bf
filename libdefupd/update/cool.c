/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources that asked to be left alone, or were found wrong: sources/HEX, the first 16 bytes of the
 * SHA-256 of the source's URL (docs/formats/store.md). It ends by itself, also when the clock was
 * wrong while it was written: more than the longest that a source may ask for is not believed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "base/when.h"
#include "sys/disk.h"
#include "update/run.h"

#define COOL_MAX_S 86400

static const char cool_key[] = "cool-until", aside_key[] = "aside-until";

/* Until when; 0 when that is over, or cannot be read: then the source says so again. */
static int64_t until_of(const struct du_context *ctx, const struct du_fact *fact, const char *key)
{
    const int64_t now = ctx->sys->now_s();
    uint64_t until;

    if (!du_fact_get_u64(fact, key, &until) || until > INT64_MAX || (int64_t)until <= now ||
        (int64_t)until - now > COOL_MAX_S)
        return 0;
    return (int64_t)until;
}

static void read_fact(const struct du_context *ctx, const char *name, struct du_fact *fact)
{
    if (du_store_fact_read(&ctx->store, DU_FACT_SOURCE, name, fact) != DU_FACT_READ)
        du_fact_free(fact);
}

static void remove_fact(struct du_run *run, const char *name)
{
    const struct du_fact nothing = { 0 };
    defupd_error err = { 0 };

    if (du_store_fact_write(&run->ctx->store, DU_FACT_SOURCE, name, &nothing, &err) != DEFUPD_OK)
        du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update", "%s", err.message);
}

static void note(struct du_run *run, size_t source, const char *key, int64_t until)
{
    const char *url = du_fetch_source_name(run->fetch, source);
    DU_AUTO_FACT fact = { 0 };
    defupd_error err = { 0 };
    char name[DU_SOURCE_KEY];

    if (run->read_only)
        return;
    du_fetch_key(name, url);
    read_fact(run->ctx, name, &fact);
    if (du_fact_set(&fact, "url", url, &err) != DEFUPD_OK ||
        du_fact_set_u64(&fact, key, (uint64_t)until, &err) != DEFUPD_OK ||
        du_store_fact_write(&run->ctx->store, DU_FACT_SOURCE, name, &fact, &err) != DEFUPD_OK)
        du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update",
               "what is known of %s could not be recorded: %s", url, err.message);
}

static void note_cool(void *user, size_t source, uint32_t seconds)
{
    struct du_run *run = user;
    const int64_t until = run->ctx->sys->now_s() + (int64_t)seconds;

    du_fetch_cool(run->fetch, source, until);
    note(run, source, cool_key, until);
}

static void note_aside(void *user, size_t source, uint32_t seconds)
{
    struct du_run *run = user;

    note(run, source, aside_key, run->ctx->sys->now_s() + (int64_t)seconds);
}

void du_cool_aside(struct du_run *run, size_t source, uint32_t seconds)
{
    du_fetch_aside(run->fetch, source);
    note_aside(run, source, seconds);
}

defupd_code du_cool_begin(struct du_run *run, defupd_error *err)
{
    DU_AUTO_NAMES names = { 0 };
    defupd_error why = { 0 };

    du_fetch_on_cool(run->fetch, note_cool, note_aside, run);
    if (du_store_fact_names(&run->ctx->store, DU_FACT_SOURCE, &names, &why) == DEFUPD_E_NOMEM)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a run");
    for (size_t i = 0; i < names.count; i++) {
        DU_AUTO_FACT fact = { 0 };
        int64_t cool, aside;

        read_fact(run->ctx, names.item[i], &fact);
        cool = until_of(run->ctx, &fact, cool_key);
        aside = until_of(run->ctx, &fact, aside_key);
        if (cool == 0 && aside == 0 && !run->read_only)
            remove_fact(run, names.item[i]);
        for (size_t s = 0; s < du_fetch_sources(run->fetch); s++) {
            char name[DU_SOURCE_KEY];

            du_fetch_key(name, du_fetch_source_name(run->fetch, s));
            if (strcmp(name, names.item[i]) != 0)
                continue;
            if (cool != 0)
                du_fetch_cool(run->fetch, s, cool);
            if (aside != 0)
                du_fetch_aside(run->fetch, s);
        }
    }
    return DEFUPD_OK;
}

int64_t du_cool_until(const struct du_context *ctx)
{
    const char *const *url = ctx->options->sources;
    int64_t first = 0;

    for (; url != NULL && *url != NULL; url++) {
        DU_AUTO_FREE char *shown = du_fetch_name(*url);
        DU_AUTO_FACT fact = { 0 };
        char name[DU_SOURCE_KEY];
        int64_t until;

        if (shown == NULL)
            return 0;
        du_fetch_key(name, shown);
        read_fact(ctx, name, &fact);
        until = until_of(ctx, &fact, cool_key);
        if (until == 0)
            return 0;
        if (first == 0 || until < first)
            first = until;
    }
    return first;
}
