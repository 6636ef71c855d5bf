/* SPDX-License-Identifier: Apache-2.0 */
/* What an administrator changes by hand: holds, pins, leftovers, the pinned root. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "crypto/crypto.h"
#include "sys/disk.h"
#include "update/run.h"

static defupd_code lock(struct du_context *ctx, defupd_error *err)
{
    return du_store_lock(&ctx->store, ctx->options->lock_wait_ms, NULL, err);
}

static defupd_code change_hold(struct du_context *ctx, const char *component,
                               enum du_hold_change change, uint64_t version, defupd_error *err)
{
    DU_AUTO_FACT fact = { 0 };

    /* An unreadable record means held; a person's word replaces it. */
    if (change == DU_UNHOLD ||
        du_store_fact_read(&ctx->store, DU_FACT_HOLD, component, &fact) == DU_FACT_UNREADABLE)
        du_fact_free(&fact);
    switch (change) {
    case DU_HOLD: DU_TRY(du_fact_set_u64(&fact, "hold", (uint64_t)ctx->sys->now_s(), err)); break;
    case DU_PIN: DU_TRY(du_fact_set_u64(&fact, "pin", version, err)); break;
    case DU_UNHOLD: break; /* empty: the file goes, and a rollback's skip with it */
    }
    return du_store_fact_write(&ctx->store, DU_FACT_HOLD, component, &fact, err);
}

/* What policy holds, policy must release: seeming to do it here would only mislead. */
static defupd_code check_rule(const struct du_context *ctx, const char *component,
                              enum du_hold_change change, uint64_t version, defupd_error *err)
{
    const defupd_rule *rule = du_rule_of(ctx->options, component);

    if (change == DU_UNHOLD && (rule->flags & DEFUPD_RULE_HELD) != 0)
        return DU_FAIL(err, DEFUPD_E_HELD, "policy holds %s; only policy can release it",
                       component);
    if (rule->pin_version != 0 &&
        (change == DU_UNHOLD || (change == DU_PIN && version != rule->pin_version)))
        return DU_FAIL(err, DEFUPD_E_HELD,
                       "policy pins %s to %" PRIu64 "; only policy can release it", component,
                       rule->pin_version);
    return DEFUPD_OK;
}

defupd_code du_hold(struct du_context *ctx, const char *component, enum du_hold_change change,
                    uint64_t version, defupd_error *err)
{
    defupd_code rc;

    if (component == NULL || !du_name_ok(component))
        return DU_FAIL(err, DEFUPD_E_INVALID, "'%s' is not a component's name",
                       component != NULL ? component : "");
    if (change == DU_PIN && (version == 0 || version > DU_VERSION_MAX))
        return DU_FAIL(err, DEFUPD_E_INVALID, "%" PRIu64 " is not a version", version);
    DU_TRY(check_rule(ctx, component, change, version, err));
    DU_TRY(lock(ctx, err));
    rc = change_hold(ctx, component, change, version, err);
    du_store_unlock(&ctx->store);
    return rc;
}

defupd_code du_clean(struct du_context *ctx, uint64_t *bytes, defupd_error *err)
{
    defupd_code rc;

    DU_TRY(lock(ctx, err));
    rc = du_store_clean(&ctx->store, bytes, err);
    du_store_unlock(&ctx->store);
    return rc;
}

static defupd_code make_host_id(struct du_context *ctx, unsigned char id[DU_HOST_ID_BYTES],
                                defupd_error *err)
{
    defupd_code rc;

    DU_TRY(lock(ctx, err));
    rc = du_store_host_id(&ctx->store, id, err);
    du_store_unlock(&ctx->store);
    return rc;
}

defupd_code du_slot(struct du_context *ctx, uint64_t interval_s, uint64_t *slot_s,
                    defupd_error *err)
{
    unsigned char id[DU_HOST_ID_BYTES], hmac[DU_SHA256_BYTES];
    uint64_t number = 0;

    if (!du_store_host_id_peek(&ctx->store, id))
        DU_TRY(make_host_id(ctx, id, err));
    du_hmac_sha256(hmac, id, sizeof id, "slot", 4);
    for (size_t i = 0; i < 8; i++)
        number = number << 8 | hmac[i];
    *slot_s = number % interval_s;
    return DEFUPD_OK;
}

static defupd_code no_load(void *user, const char *name, struct du_buf *out, defupd_error *err)
{
    (void)user;
    (void)out;
    errno = ENOENT;
    return DU_FAIL_IO(err, "open %s", name);
}

static defupd_code no_save(void *user, const char *name, struct du_bytes bytes, defupd_error *err)
{
    (void)user;
    (void)name;
    (void)bytes;
    (void)err;
    return DEFUPD_OK;
}

static defupd_code no_remove(void *user, const char *name, defupd_error *err)
{
    (void)user;
    (void)name;
    (void)err;
    return DEFUPD_OK;
}

static defupd_code no_roots(void *user, void (*each)(void *arg, uint64_t version), void *arg,
                            defupd_error *err)
{
    (void)user;
    (void)each;
    (void)arg;
    (void)err;
    return DEFUPD_OK;
}

/* Would it be taken by an empty store? */
static defupd_code try_root(struct du_run *run, defupd_error *err)
{
    const struct du_refresh_io nothing = {
        .load = no_load, .save = no_save, .remove = no_remove, .roots = no_roots
    };
    struct du_refresh_options options;
    DU_AUTO_TRUST *trust = NULL;

    du_bind_options(run, &options);
    return du_refresh_load(&trust, &nothing, &options, err);
}

static defupd_code forget_all(struct du_run *run, defupd_error *err)
{
    DU_AUTO_NAMES names = { 0 };
    DU_AUTO_FD dir = -1;

    DU_TRY(du_store_trust_dir(&run->ctx->store, &dir, err));
    DU_TRY(du_dir_names(run->ctx->sys, dir, &names, err));
    for (size_t i = 0; i < names.count; i++)
        DU_TRY(du_tree_remove(run->ctx->sys, dir, names.item[i], NULL, err));
    return du_dir_sync(run->ctx->sys, dir, "trust", err);
}

/* The new root is tried before the old trust goes. Dying in between leaves a store without a pinned
 * root: it says so, and the same command completes it. */
defupd_code du_trust_reset(struct du_context *ctx, defupd_error *err)
{
    static const defupd_request none = DEFUPD_REQUEST_INIT;
    DU_AUTO(du_run_end) struct du_run run = { .trust_dir = -1 };
    struct du_refresh_io io;
    struct du_refresh_options options;

    if (ctx->options->trusted_root_bytes == 0)
        return DU_FAIL(err, DEFUPD_E_NO_ROOT, "no trusted root was given to pin");
    DU_TRY(du_run_begin(&run, ctx, &none, err));
    DU_TRY(try_root(&run, err));
    DU_TRY(forget_all(&run, err));
    DU_TRY(du_store_trust_dir(&ctx->store, &run.trust_dir, err));
    du_bind_io(&run, &io);
    du_bind_options(&run, &options);
    options.pin_now = true;
    return du_refresh_load(&run.trust, &io, &options, err);
}

struct show {
    defupd_role_fn on_role;
    void *user;
};

static void show(void *user, const struct du_role_info *info)
{
    const struct show *to = user;
    const defupd_role role = { .struct_size = (uint32_t)sizeof role,
                               .threshold = info->threshold,
                               .version = info->version,
                               .expires = info->expires,
                               .name = info->name,
                               .keyids = info->keyids };

    to->on_role(to->user, &role);
}

defupd_code du_trust_show(struct du_context *ctx, defupd_role_fn on_role, void *user,
                          defupd_error *err)
{
    static const defupd_request none = DEFUPD_REQUEST_INIT;
    DU_AUTO(du_run_end)
    struct du_run run = { .kind = DU_RUN_INSTALL, .trust_dir = -1, .read_only = true };
    struct show to = { on_role, user };

    DU_TRY(du_run_begin(&run, ctx, &none, err));
    DU_TRY(du_bind_trust(&run, err));
    du_trust_roles(run.trust, show, &to);
    return DEFUPD_OK;
}
