/* SPDX-License-Identifier: Apache-2.0 */
/* The entry points: arguments in, the error boundary, one call into update/. */
#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/options.h"
#include "store/store.h"
#include "sys/disk.h"
#include "update/import.h"
#include "update/update.h"

struct defupd_client {
    struct du_context ctx;
    defupd_client_options options;
};

defupd_code du_client_open_sys(defupd_client **client, const defupd_client_options *options,
                               const struct du_sys *sys, defupd_error *err)
{
    defupd_client *made = calloc(1, sizeof *made);
    defupd_code rc;

    if (made == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a client");
    made->ctx.store = (struct du_store){ .dir = -1, .lock = -1 };
    made->ctx.sys = sys;
    made->ctx.options = &made->options;
    atomic_init(&made->ctx.cancel, false);
    rc = du_options_import(&made->options, options, err);
    if (rc == DEFUPD_OK)
        rc = du_store_open(&made->ctx.store, made->options.state_dir, sys, err);
    if (rc != DEFUPD_OK) {
        defupd_client_close(made);
        return rc;
    }
    made->ctx.events = (struct du_events){ .on_event = made->options.on_event,
                                           .event_user = made->options.event_user,
                                           .on_log = made->options.on_log,
                                           .log_user = made->options.log_user };
    *client = made;
    return DEFUPD_OK;
}

defupd_code defupd_client_open(defupd_client **client, const defupd_client_options *options,
                               defupd_error *error)
{
    defupd_error scratch = { 0 };
    defupd_error *err = error != NULL ? error : &scratch;

    if (client == NULL || options == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID,
                       "defupd_client_open: client and options must be given");
    *client = NULL;
    return du_client_open_sys(client, options, &du_sys_posix, err);
}

void defupd_client_close(defupd_client *client)
{
    const int saved = errno;

    if (client == NULL)
        return;
    du_trust_freep(&client->ctx.trust);
    du_store_close(&client->ctx.store);
    du_options_free(&client->options);
    free(client);
    errno = saved;
}

void defupd_cancel(defupd_client *client)
{
    if (client != NULL)
        atomic_store(&client->ctx.cancel, true);
}

static defupd_code no_client(defupd_error *err, const char *call)
{
    return DU_FAIL(err, DEFUPD_E_INVALID, "%s: client is NULL", call);
}

/* What every entry point does first: an error to write to, and a client that is there. */
#define ENTER(client, error)                                  \
    defupd_error scratch = { 0 };                             \
    defupd_error *err = (error) != NULL ? (error) : &scratch; \
    if ((client) == NULL)                                     \
    return no_client(err, __func__)

defupd_code defupd_client_cancel_other(defupd_client *client, uint64_t *pid, defupd_error *error)
{
    uint64_t asked = 0;

    ENTER(client, error);
    DU_TRY(du_store_cancel_ask(&client->ctx.store, &asked, err));
    if (pid != NULL)
        *pid = asked;
    return DEFUPD_OK;
}

/* The kinds of calls that have a report: those of runs, and beyond them */
enum { EXPLAIN = DU_RUN_IMPORT + 1, BACK };

static defupd_code run_with(defupd_client *client, unsigned kind, const defupd_request *request,
                            const defupd_import *import, defupd_report **report, defupd_error *err)
{
    struct du_context *ctx = &client->ctx;
    defupd_report *made = NULL;
    defupd_request own;
    defupd_code rc;

    if (report != NULL)
        *report = NULL;
    DU_TRY(du_request_import(&own, request, err));
    if (kind >= BACK)
        rc = du_back(ctx, &own, (enum du_back_kind)(kind - BACK), &made, err);
    else if (kind == EXPLAIN)
        rc = du_explain(ctx, &own, &made, err);
    else
        rc = du_run(ctx, (enum du_run_kind)kind, &own, import, &made, err);
    if (report != NULL) /* the caller's when he wants it, also when the call failed */
        *report = made;
    else
        defupd_report_free(made);
    return rc;
}

/* A whole entry point of that form; `call` is its name. */
static defupd_code run(const char *call, defupd_client *client, unsigned kind,
                       const defupd_request *request, defupd_report **report, defupd_error *error)
{
    defupd_error scratch = { 0 };
    defupd_error *err = error != NULL ? error : &scratch;

    return client != NULL ? run_with(client, kind, request, NULL, report, err)
                          : no_client(err, call);
}

defupd_code defupd_client_check(defupd_client *client, const defupd_request *request,
                                defupd_report **report, defupd_error *error)
{
    return run(__func__, client, DU_RUN_CHECK, request, report, error);
}

defupd_code defupd_client_explain(defupd_client *client, const defupd_request *request,
                                  defupd_report **report, defupd_error *error)
{
    return run(__func__, client, EXPLAIN, request, report, error);
}

defupd_code defupd_client_update(defupd_client *client, const defupd_request *request,
                                 defupd_report **report, defupd_error *error)
{
    return run(__func__, client, DU_RUN_UPDATE, request, report, error);
}

defupd_code defupd_client_download(defupd_client *client, const defupd_request *request,
                                   defupd_report **report, defupd_error *error)
{
    return run(__func__, client, DU_RUN_DOWNLOAD, request, report, error);
}

defupd_code defupd_client_install(defupd_client *client, const defupd_request *request,
                                  defupd_report **report, defupd_error *error)
{
    return run(__func__, client, DU_RUN_INSTALL, request, report, error);
}

defupd_code defupd_client_import(defupd_client *client, const defupd_import *import,
                                 const defupd_request *request, defupd_report **report,
                                 defupd_error *error)
{
    ENTER(client, error);
    if (report != NULL)
        *report = NULL;
    if (import == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "%s: import is NULL", __func__);
    if (import->struct_size != sizeof *import)
        return DU_FAIL(
            err, import->struct_size > sizeof *import ? DEFUPD_E_UNSUPPORTED : DEFUPD_E_INVALID,
            "import: struct_size is %u; start from DEFUPD_IMPORT_INIT",
            (unsigned)import->struct_size);
    if (import->path == NULL || import->path[0] == '\0')
        return DU_FAIL(err, DEFUPD_E_INVALID, "import: no path");
    if (import->grace_s > DU_IMPORT_GRACE_MAX_S)
        return DU_FAIL(err, DEFUPD_E_INVALID, "import: a grace of more than a year");
    return run_with(client, DU_RUN_IMPORT, request, import, report, err);
}

defupd_code defupd_client_rollback(defupd_client *client, const defupd_request *request,
                                   defupd_report **report, defupd_error *error)
{
    return run(__func__, client, BACK + DU_BACK_ORDER, request, report, error);
}

defupd_code defupd_client_reject(defupd_client *client, const defupd_request *request,
                                 defupd_report **report, defupd_error *error)
{
    return run(__func__, client, BACK + DU_BACK_REJECTED, request, report, error);
}

defupd_code defupd_client_confirm(defupd_client *client, const defupd_request *request,
                                  defupd_error *error)
{
    return run(__func__, client, BACK + DU_BACK_NOT, request, NULL, error);
}

defupd_code defupd_client_early(defupd_client *client, defupd_report **report, defupd_error *error)
{
    return run(__func__, client, BACK + DU_BACK_CRASHED, NULL, report, error);
}

defupd_code defupd_client_verify(defupd_client *client, const defupd_request *request,
                                 defupd_damage_fn on_damage, void *user, uint64_t *files,
                                 defupd_error *error)
{
    uint64_t looked_at = 0;
    defupd_request own;
    defupd_code rc;

    ENTER(client, error);
    DU_TRY(du_request_import(&own, request, err));
    rc = du_verify(&client->ctx, &own, on_damage, user, &looked_at, err);
    if (files != NULL)
        *files = looked_at;
    return rc;
}

defupd_code defupd_client_status(defupd_client *client, defupd_status **status, defupd_error *error)
{
    ENTER(client, error);
    if (status == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "%s: status is NULL", __func__);
    *status = NULL;
    return du_status(&client->ctx, status, err);
}

defupd_code defupd_client_list(defupd_client *client, const char *component,
                               defupd_listing **listing, defupd_error *error)
{
    ENTER(client, error);
    if (listing == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "%s: listing is NULL", __func__);
    *listing = NULL;
    if (component != NULL && !du_name_ok(component))
        return DU_FAIL(err, DEFUPD_E_INVALID, "'%s' is not a component's name", component);
    return du_list(&client->ctx, component, listing, err);
}

static defupd_code hold(const char *call, defupd_client *client, const char *component,
                        enum du_hold_change change, uint64_t version, defupd_error *error)
{
    defupd_error scratch = { 0 };
    defupd_error *err = error != NULL ? error : &scratch;

    return client != NULL ? du_hold(&client->ctx, component, change, version, err)
                          : no_client(err, call);
}

defupd_code defupd_client_hold(defupd_client *client, const char *component, defupd_error *error)
{
    return hold(__func__, client, component, DU_HOLD, 0, error);
}

defupd_code defupd_client_pin(defupd_client *client, const char *component, uint64_t version,
                              defupd_error *error)
{
    return hold(__func__, client, component, DU_PIN, version, error);
}

defupd_code defupd_client_unhold(defupd_client *client, const char *component, defupd_error *error)
{
    return hold(__func__, client, component, DU_UNHOLD, 0, error);
}

defupd_code defupd_client_doctor(defupd_client *client, defupd_step_fn on_step, void *user,
                                 defupd_error *error)
{
    ENTER(client, error);
    if (on_step == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "%s: on_step is NULL", __func__);
    return du_doctor(&client->ctx, on_step, user, err);
}

defupd_code defupd_client_clean(defupd_client *client, uint64_t *bytes, defupd_error *error)
{
    uint64_t freed = 0;

    ENTER(client, error);
    DU_TRY(du_clean(&client->ctx, &freed, err));
    if (bytes != NULL)
        *bytes = freed;
    return DEFUPD_OK;
}

defupd_code defupd_client_trust_reset(defupd_client *client, defupd_error *error)
{
    ENTER(client, error);
    return du_trust_reset(&client->ctx, err);
}

defupd_code defupd_client_trust_show(defupd_client *client, defupd_role_fn on_role, void *user,
                                     defupd_error *error)
{
    ENTER(client, error);
    if (on_role == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "%s: on_role is NULL", __func__);
    return du_trust_show(&client->ctx, on_role, user, err);
}

defupd_code defupd_client_write_report(defupd_client *client, const char *name, const void *bytes,
                                       uint64_t count, defupd_error *error)
{
    static const char *const names[] = { "local.xml", "posture.json", "policy.last.xml",
                                         "examples.written", NULL };
    ENTER(client, error);
    bool known = false;

    for (size_t i = 0; name != NULL && names[i] != NULL; i++)
        known = known || strcmp(name, names[i]) == 0;
    if (!known || bytes == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "'%s' is not a report's name", name ? name : "");
    return du_store_write_report(&client->ctx.store, name, bytes, (size_t)count, err);
}

defupd_code defupd_client_slot(defupd_client *client, uint64_t interval_s, uint64_t *slot_s,
                               defupd_error *error)
{
    ENTER(client, error);
    if (interval_s == 0 || slot_s == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "%s: interval_s is 0 or slot_s is NULL", __func__);
    return du_slot(&client->ctx, interval_s, slot_s, err);
}
