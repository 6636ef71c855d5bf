/* SPDX-License-Identifier: Apache-2.0 */
/* STATE/relay/figures, in the form of a fact (docs/formats/relay.md). */
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "relay/relay_priv.h"
#include "store/store.h"
#include "trust/trust.h"

#define FIGURES "figures"
#define FIGURES_MAX 8192

/* Numbers, by their keys. */
static const struct {
    const char *key;
    size_t at;
} numbers[] = {
    { "version", offsetof(struct du_relay_figures, version) },
    { "confirmed", offsetof(struct du_relay_figures, confirmed) },
    { "upstream-since", offsetof(struct du_relay_figures, upstream_since) },
    { "expires", offsetof(struct du_relay_figures, expires) },
    { "last-sync", offsetof(struct du_relay_figures, last_sync) },
    { "last-success", offsetof(struct du_relay_figures, last_success) },
    { "components", offsetof(struct du_relay_figures, components) },
    { "objects", offsetof(struct du_relay_figures, objects) },
    { "object-bytes", offsetof(struct du_relay_figures, object_bytes) },
    { "named", offsetof(struct du_relay_figures, named) },
    { "missing", offsetof(struct du_relay_figures, missing) },
};
#define NUMBERS (sizeof numbers / sizeof numbers[0])

/* An error's code is negative; the fact has it without its sign. */
defupd_code du_relay_figures_save(const struct du_relay_figures *figures, const struct du_sys *sys,
                                  int top, defupd_error *err)
{
    DU_AUTO_FACT fact = { .text = DU_BUF(FIGURES_MAX) };
    DU_AUTO_BUF text = DU_BUF(FIGURES_MAX);

    DU_TRY(du_fact_set(&fact, "mode", figures->mode == DU_RELAY_CACHE ? "cache" : "mirror", err));
    for (size_t i = 0; i < NUMBERS; i++) {
        uint64_t number;

        memcpy(&number, (const char *)figures + numbers[i].at, sizeof number);
        DU_TRY(du_fact_set_u64(&fact, numbers[i].key, number, err));
    }
    DU_TRY(du_fact_set_u64(&fact, "last-error", (uint64_t) - (int64_t)figures->last_error, err));
    if (figures->last_error_text[0] != '\0')
        DU_TRY(du_fact_set(&fact, "last-error-text", figures->last_error_text, err));
    if (figures->source[0] != '\0')
        DU_TRY(du_fact_set(&fact, "source", figures->source, err));
    DU_TRY(du_buf_add_text(&text, DU_FACT_HEAD, err));
    DU_TRY(du_buf_add(&text, fact.text.data, fact.text.len, err));
    DU_TRY(du_fact_seal(&text, 0, err));
    return du_file_replace(sys, top, FIGURES, text.data, text.len, 0644, err);
}

static bool parse(struct du_relay_figures *out, struct du_fact *fact)
{
    char mode[8];
    uint64_t number;

    if (du_fact_get(fact, "mode", mode, sizeof mode) == NULL)
        return false;
    out->mode = strcmp(mode, "cache") == 0 ? DU_RELAY_CACHE : DU_RELAY_MIRROR;
    for (size_t i = 0; i < NUMBERS; i++) {
        if (!du_fact_get_u64(fact, numbers[i].key, &number) || number > INT64_MAX)
            return false;
        memcpy((char *)out + numbers[i].at, &number, sizeof number);
    }
    if (!du_fact_get_u64(fact, "last-error", &number) || number > INT32_MAX)
        return false;
    out->last_error = -(int32_t)number;
    (void)du_fact_get(fact, "last-error-text", out->last_error_text, sizeof out->last_error_text);
    (void)du_fact_get(fact, "source", out->source, sizeof out->source);
    return true;
}

defupd_code du_relay_figures_load(struct du_relay_figures *out, const struct du_sys *sys, int top,
                                  defupd_error *err)
{
    DU_AUTO_BUF bytes = DU_BUF(FIGURES_MAX);
    DU_AUTO_FACT fact = { .text = DU_BUF(FIGURES_MAX) };
    struct du_relay_figures read = { 0 };
    const size_t head = strlen(DU_FACT_HEAD);
    size_t body;

    *out = read;
    if (du_file_read(sys, top, FIGURES, &bytes, err) != DEFUPD_OK)
        return du_is_missing(err) ? DEFUPD_OK : err->code;
    if (!du_fact_holds(du_buf_bytes(&bytes), &body))
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "relay/figures is damaged");
    DU_TRY(du_buf_add(&fact.text, bytes.data + head, body - head, err));
    if (!parse(&read, &fact))
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "relay/figures is not to be understood");
    *out = read;
    return DEFUPD_OK;
}

defupd_code du_relay_figures_read(struct du_relay_figures *out, const char *state_dir,
                                  defupd_error *err)
{
    const struct du_sys *sys = &du_sys_posix;
    DU_AUTO_FD top = -1;
    char *path;

    *out = (struct du_relay_figures){ 0 };
    if (asprintf(&path, "%s/" DU_RELAY_FOLDER, state_dir) < 0)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a path");
    top = sys->openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (top < 0 && errno != ENOENT)
        (void)DU_FAIL_IO(err, "open %s", path);
    else
        err->code = DEFUPD_OK;
    free(path);
    if (top < 0)
        return err->code;
    return du_relay_figures_load(out, sys, top, err);
}

uint64_t du_relay_lag_s(const struct du_relay_figures *figures, int64_t now)
{
    return figures->confirmed != 0 && figures->confirmed < now
               ? (uint64_t)(now - figures->confirmed)
               : 0;
}
