/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to each source, step by step. There is one request, the one that every update begins
 * with; its failure belongs to one step, those before it have passed, those after it could not be
 * taken. So what is told here is what an update meets.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/scope.h"
#include "base/when.h"
#include "update/run.h"

#define STEPS (DEFUPD_STEP_CLOCK + 1)

static const char *const names[STEPS] = { "resolve", "connect",  "proxy", "tls",
                                          "http",    "metadata", "clock" };

struct seen {
    int32_t result;
    defupd_code code;
    uint64_t ms;
    char text[768];
};

struct look {
    struct du_run *run;
    defupd_step_fn on_step;
    void *user;
    defupd_error first; /* failure of all */
    struct du_probe probe;
    struct seen seen[STEPS];
};

/* The step that a failed request belongs to. */
static int32_t step_of(const struct du_probe *probe, defupd_code code)
{
    if (code == DEFUPD_E_RESOLVE)
        return DEFUPD_STEP_RESOLVE;
    if (code == DEFUPD_E_PROXY_AUTH || code == DEFUPD_E_PROXY_CONNECT ||
        code == DEFUPD_E_PROXY_DOWNLOAD)
        return DEFUPD_STEP_PROXY;
    if (code == DEFUPD_E_TLS_CLIENT_CERT)
        return DEFUPD_STEP_TLS;
    if (probe->ready || probe->local || code == DEFUPD_E_COOL_DOWN)
        return DEFUPD_STEP_HTTP;
    if (code == DEFUPD_E_CONNECT || (code == DEFUPD_E_TIMEOUT && !probe->connected))
        return DEFUPD_STEP_CONNECT;
    return probe->secure ? DEFUPD_STEP_TLS : DEFUPD_STEP_HTTP;
}

/* What comes after a step on the way cannot be taken; the clock is looked at in any case. */
static void fail(struct look *look, int32_t step, const defupd_error *why)
{
    struct seen *seen = &look->seen[step];

    for (int32_t i = step + 1; i < DEFUPD_STEP_CLOCK; i++)
        look->seen[i] = (struct seen){ .result = DEFUPD_STEP_SKIPPED, .text = "not reached" };
    seen->result = DEFUPD_STEP_FAIL;
    seen->code = why->code;
    (void)snprintf(seen->text, sizeof seen->text, "%s", why->message);
    if (look->first.code == DEFUPD_OK)
        look->first = *why;
}

__attribute__((format(printf, 5, 6))) static void see(struct look *look, int32_t step,
                                                      int32_t result, uint64_t ms,
                                                      const char *format, ...)
{
    struct seen *seen = &look->seen[step];
    __builtin_va_list args;

    __builtin_va_start(args, format);
    (void)vsnprintf(seen->text, sizeof seen->text, format, args);
    __builtin_va_end(args);
    seen->result = result;
    seen->code = DEFUPD_OK;
    seen->ms = ms;
}

#define PASS DEFUPD_STEP_PASS
#define SKIP DEFUPD_STEP_SKIPPED

static const char *revocation_text(const struct look *look)
{
    const defupd_source *given = du_fetch_source_given(look->run->fetch, look->run->source);

    if (given == NULL || given->revocation == DEFUPD_REVOCATION_NONE)
        return "revocation not asked for";
    return look->probe.waived != 0 ? "revocation status not known, accepted" : "not revoked";
}

/* What is to be said of each step if it was passed. */
static void see_way(struct look *look)
{
    const struct du_probe *p = &look->probe;

    if (p->local || p->proxied) {
        const char *why = p->local ? "a local folder" : "left to the proxy";
        see(look, DEFUPD_STEP_RESOLVE, SKIP, 0, "%s", why);
        see(look, DEFUPD_STEP_CONNECT, SKIP, 0, "%s", why);
    } else {
        see(look, DEFUPD_STEP_RESOLVE, PASS, p->resolve_ms, "%s", p->addresses);
        see(look, DEFUPD_STEP_CONNECT, PASS, p->connect_ms, "%s", p->peer);
    }
    if (p->proxied)
        see(look, DEFUPD_STEP_PROXY, PASS, p->connect_ms, "%s, %s",
            p->proxy != NULL ? p->proxy : "", p->peer);
    else
        see(look, DEFUPD_STEP_PROXY, SKIP, 0, "none");
    if (p->secure)
        see(look, DEFUPD_STEP_TLS, PASS, p->tls_ms, "%s, %s, issued by %s, until %s, %s", p->tls,
            p->subject, p->issuer, p->expires, revocation_text(look));
    else
        see(look, DEFUPD_STEP_TLS, SKIP, 0, "%s", p->local ? "a local folder" : "not used");
    see(look, DEFUPD_STEP_HTTP, PASS, p->http_ms, "metadata/timestamp.json is there");
}

static void see_clock(struct look *look)
{
    const int64_t now = look->run->ctx->sys->now_s();
    const int64_t ahead = now - look->probe.date;
    defupd_error err = { 0 };

    if (look->probe.date < 0) {
        see(look, DEFUPD_STEP_CLOCK, SKIP, 0, "the source tells no time");
        return;
    }
    see(look, DEFUPD_STEP_CLOCK, PASS, 0, "%" PRId64 " s from the source's", ahead);
    if (ahead <= DU_CLOCK_SLACK_S && -ahead <= DU_CLOCK_SLACK_S)
        return;
    (void)DU_FAIL(&err, DEFUPD_E_CLOCK, "this machine's clock is %" PRId64 " s %s the source's",
                  ahead > 0 ? ahead : -ahead, ahead > 0 ? "ahead of" : "behind");
    fail(look, DEFUPD_STEP_CLOCK, &err);
}

static defupd_code see_metadata(struct look *look, defupd_error *err)
{
    struct du_run *run = look->run;
    const uint64_t start_ms = run->ctx->sys->monotonic_ms();
    struct du_refresh_options options;
    struct du_refresh_io io;
    bool unchanged;

    DU_TRY(du_bind_trust(run, err));
    du_bind_io(run, &io);
    du_bind_options(run, &options);
    DU_TRY(du_refresh_cycle(run->trust, &io, &options, &unchanged, err));
    see(look, DEFUPD_STEP_METADATA, PASS, run->ctx->sys->monotonic_ms() - start_ms,
        "signed by the trusted root, timestamp %" PRIu64 "%s",
        du_trust_version(run->trust, "timestamp"), unchanged ? ", nothing new" : "");
    return DEFUPD_OK;
}

static void tell(const struct look *look)
{
    for (int32_t i = 0; i < STEPS; i++) {
        const struct seen *seen = &look->seen[i];
        const defupd_step step = {
            .struct_size = (uint32_t)sizeof step,
            .step = i,
            .result = seen->result,
            .code = seen->code,
            .duration_ms = seen->ms,
            .source = du_fetch_source_name(look->run->fetch, look->run->source),
            .name = names[i],
            .text = seen->text,
            .advice = seen->code != DEFUPD_OK ? defupd_code_advice(seen->code) : "",
        };

        look->on_step(look->user, &step);
    }
}

/* Only what says nothing of the source is returned. */
static defupd_code look_at(struct look *look, defupd_error *err)
{
    struct du_run *run = look->run;
    DU_AUTO_BUF body = DU_BUF(DU_TIMESTAMP_MAX);
    struct du_fetch_file file = { .path = "metadata/timestamp.json",
                                  .bytes_max = DU_TIMESTAMP_MAX };
    defupd_error own = { 0 };
    defupd_code rc;

    rc = du_fetch_probe(run->fetch, run->source, &file, &body, &look->probe, &own);
    see_way(look);
    see(look, DEFUPD_STEP_METADATA, SKIP, 0, "not reached");
    if (rc == DEFUPD_OK)
        rc = see_metadata(look, &own);
    if (rc == DEFUPD_E_CANCELLED || rc == DEFUPD_E_NOMEM) {
        *err = own;
        return rc;
    }
    if (rc != DEFUPD_OK)
        fail(look, body.len > 0 ? DEFUPD_STEP_METADATA : step_of(&look->probe, rc), &own);
    see_clock(look);
    tell(look);
    return DEFUPD_OK;
}

static defupd_code look_at_all(struct look *look, defupd_error *err)
{
    struct du_run *run = look->run;

    DU_TRY(du_run_open_fetch(run, err));
    for (size_t i = 0; i < du_fetch_sources(run->fetch); i++) {
        run->source = i;
        DU_TRY(look_at(look, err));
    }
    if (look->first.code != DEFUPD_OK)
        *err = look->first;
    return look->first.code;
}

defupd_code du_doctor(struct du_context *ctx, defupd_step_fn on_step, void *user, defupd_error *err)
{
    static const defupd_request none = DEFUPD_REQUEST_INIT;
    DU_AUTO(du_run_end)
    struct du_run run = { .kind = DU_RUN_CHECK, .trust_dir = -1, .read_only = true, .pins = true };
    struct look look = { .run = &run, .on_step = on_step, .user = user };
    defupd_code rc;

    DU_TRY(du_run_begin(&run, ctx, &none, err));
    rc = look_at_all(&look, err);
    du_trust_freep(&run.trust); /* it went ahead of the store's: not for the next call */
    return rc;
}
