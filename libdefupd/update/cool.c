/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources that asked to be left alone: sources/HEX, the first 16 bytes of the SHA-256 of the
 * source's URL (docs/formats/store.md). It ends by itself, also when the clock was wrong while it
 * was written: more than the longest that a source may ask for is not believed.
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
#define NAME_BYTES 16
#define NAME_TEXT (2 * NAME_BYTES + 1)

static void name_of(char out[NAME_TEXT], const char *url)
{
    unsigned char sha256[DU_SHA256_BYTES];

    du_sha256(sha256, url, strlen(url));
    du_hex(out, sha256, NAME_BYTES);
}

/* Until when; 0 when that is over, or cannot be read: then the source says so again. */
static int64_t read_until(const struct du_context *ctx, const char *name)
{
    const int64_t now = ctx->sys->now_s();
    DU_AUTO_FACT fact = { 0 };
    uint64_t until;

    if (du_store_fact_read(&ctx->store, DU_FACT_SOURCE, name, &fact) != DU_FACT_READ ||
        !du_fact_get_u64(&fact, "cool-until", &until) || until > INT64_MAX ||
        (int64_t)until <= now || (int64_t)until - now > COOL_MAX_S)
        return 0;
    return (int64_t)until;
}

static void remove_fact(struct du_run *run, const char *name)
{
    const struct du_fact nothing = { 0 };
    defupd_error err = { 0 };

    if (du_store_fact_write(&run->ctx->store, DU_FACT_SOURCE, name, &nothing, &err) != DEFUPD_OK)
        du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update", "%s", err.message);
}

static void note(void *user, size_t source, uint32_t seconds)
{
    struct du_run *run = user;
    const char *url = du_fetch_source_name(run->fetch, source);
    const int64_t until = run->ctx->sys->now_s() + (int64_t)seconds;
    DU_AUTO_FACT fact = { 0 };
    defupd_error err = { 0 };
    char name[NAME_TEXT];

    du_fetch_cool(run->fetch, source, until);
    name_of(name, url);
    if (du_fact_set(&fact, "url", url, &err) != DEFUPD_OK ||
        du_fact_set_u64(&fact, "cool-until", (uint64_t)until, &err) != DEFUPD_OK ||
        du_store_fact_write(&run->ctx->store, DU_FACT_SOURCE, name, &fact, &err) != DEFUPD_OK)
        du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update",
               "that %s is to be left alone could not be recorded: %s", url, err.message);
}

defupd_code du_cool_begin(struct du_run *run, defupd_error *err)
{
    DU_AUTO_NAMES names = { 0 };
    defupd_error why = { 0 };

    du_fetch_on_cool(run->fetch, note, run);
    if (du_store_fact_names(&run->ctx->store, DU_FACT_SOURCE, &names, &why) == DEFUPD_E_NOMEM)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a run");
    for (size_t i = 0; i < names.count; i++) {
        const int64_t until = read_until(run->ctx, names.item[i]);

        if (until == 0)
            remove_fact(run, names.item[i]);
        for (size_t s = 0; until != 0 && s < du_fetch_sources(run->fetch); s++) {
            char name[NAME_TEXT];

            name_of(name, du_fetch_source_name(run->fetch, s));
            if (strcmp(name, names.item[i]) == 0)
                du_fetch_cool(run->fetch, s, until);
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
        char name[NAME_TEXT];
        int64_t until;

        if (shown == NULL)
            return 0;
        name_of(name, shown);
        until = read_until(ctx, name);
        if (until == 0)
            return 0;
        if (first == 0 || until < first)
            first = until;
    }
    return first;
}
