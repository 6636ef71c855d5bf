/* SPDX-License-Identifier: Apache-2.0 */
/* Progress out, cancel in: called by everything that takes long. */
#include "update/run.h"

#define TELL_EVERY_MS 100
#define ASK_EVERY_MS 200

static void tell(struct du_run *run, uint64_t now_ms)
{
    const defupd_event event = { .id = DEFUPD_EVENT_PROGRESS,
                                 .phase = run->phase,
                                 .component = run->telling,
                                 .bytes_done = run->done,
                                 .bytes_total = run->total };

    du_event_send(&run->ctx->events, event);
    run->told_ms = now_ms;
}

static defupd_code tick(void *user, uint64_t bytes, defupd_error *err)
{
    struct du_run *run = user;
    const uint64_t now_ms = run->ctx->sys->monotonic_ms();

    run->done += bytes;
    if (run->phase != DEFUPD_PHASE_NONE && now_ms - run->told_ms >= TELL_EVERY_MS)
        tell(run, now_ms);
    if (now_ms - run->asked_ms >= ASK_EVERY_MS) {
        run->asked_ms = now_ms;
        if (du_store_cancel_asked(&run->ctx->store))
            atomic_store(&run->ctx->cancel, true);
    }
    if (atomic_load(&run->ctx->cancel))
        return DU_FAIL(err, DEFUPD_E_CANCELLED, "cancelled; what was downloaded is kept");
    return DEFUPD_OK;
}

struct du_tick du_run_tick(struct du_run *run)
{
    return (struct du_tick){ .fn = tick, .user = run };
}

/* A phase begins; the one before it is told to its end. */
void du_run_phase(struct du_run *run, defupd_phase phase, const char *component, uint64_t total)
{
    if (run->phase != DEFUPD_PHASE_NONE)
        tell(run, run->ctx->sys->monotonic_ms());
    run->phase = (uint32_t)phase;
    run->telling = component;
    run->done = 0;
    run->total = total;
}
