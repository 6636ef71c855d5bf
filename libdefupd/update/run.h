/* SPDX-License-Identifier: Apache-2.0 */
/* What the steps of one run share. Private to update/. */
#ifndef DU_UPDATE_RUN_H
#define DU_UPDATE_RUN_H

#include "fetch/fetch.h"
#include "manifest/manifest.h"
#include "plan/plan.h"
#include "tree/tree.h"
#include "update/import.h"
#include "update/refresh.h"
#include "update/report.h"
#include "update/update.h"

/* An honest publisher's clock and ours may differ by this much without one of them being wrong. */
#define DU_CLOCK_SLACK_S 600

/* What must not be built on: versions on disk that were found damaged, deltas that failed. */
struct du_distrust {
    uint64_t *version;
    size_t versions;
    unsigned char (*delta)[DU_SHA256_BYTES];
    size_t deltas;
};

/* What is awaited of the current generation. */
enum {
    DU_TRIAL_LEFT,     /* running time in seconds ... */
    DU_TRIAL_SEEN,     /* ... when the monotonic clock stood there: now */
    DU_TRIAL_STARTS,   /* counted */
    DU_TRIAL_MOST,     /* ... and allowed */
    DU_TRIAL_CONFIRMS, /* 1: the end of the time confirms */
    DU_TRIAL_NUMBERS
};
struct du_trial {
    struct du_fact fact; /* with a line for each component that nobody has confirmed */
    bool on;             /* there is such a line */
    uint64_t number[DU_TRIAL_NUMBERS];
};

/* One component in a run. */
struct du_part {
    char name[DU_NAME_MAX + 1];
    uint64_t named; /* version that the caller named, 0 if none */
    bool asked;     /* named by the request, the options or a policy: it must exist */
    struct du_manifest *manifest;
    struct du_plan plan;
    struct du_report_row *row; /* borrowed from the report */
    uint64_t installed;
    unsigned char installed_tree[DU_SHA256_BYTES];
    bool staged; /* the target stands complete in versions/ */
    uint64_t *quarantine;
    size_t quarantines;
    uint64_t *on_disk;
    size_t on_disks;
    struct du_distrust distrust;    /* and what this run alone passes over */
    const struct du_object *failed; /* after a failure: the object at which it happened, or NULL */
    uint64_t pin, skip;
    bool held;
    bool held_by_policy, pinned_by_policy;
    bool given_up;     /* failed its trial, and nothing can take its place: it stays */
    bool told_to_wait; /* its product was asked to be quiet, and waits to be told to go on */
};

struct du_run {
    struct du_context *ctx;
    const defupd_request *request;
    enum du_run_kind kind;
    int64_t now; /* fixed at the start of the run */
    unsigned char host_id[DU_HOST_ID_BYTES];
    struct du_generation current;
    bool lost;             /* `current` led nowhere: the newest generation on disk stands in */
    struct du_trial trial; /* of `current` */
    struct du_trust *trust;
    struct du_fetch *fetch; /* NULL without network */
    const defupd_import *from;
    struct du_import *import; /* the archive that stands in for the network; NULL: none */
    size_t source;            /* whose metadata is in use */
    int trust_dir;            /* -1 until opened */
    bool read_only;           /* saves are left out: no lock is held */
    bool pins;                /* ... but the options' root counts as if one was */
    bool contact;             /* a source gave metadata that verified */
    struct du_part *part;
    size_t parts;
    bool knows_all; /* every component's manifest is loaded */
    defupd_report *report;
    struct du_plan_facts facts; /* what is the same for every component */
    struct du_engine *engine;
    struct du_installed *other;

    uint64_t day_used; /* object bytes fetched today, when there is a limit */

    uint32_t phase; /* defupd_phase of progress events */
    uint64_t done, total;
    uint64_t told_ms, asked_ms; /* when progress was told, and cancel was looked for */
    const char *telling;        /* component of progress events */
};

/* Can what is missing be had from somewhere? */
static inline bool du_run_can_fetch(const struct du_run *run)
{
    return run->fetch != NULL || run->import != NULL;
}
/* Does what is missing cost bytes on a wire? */
static inline bool du_run_has_wire(const struct du_run *run)
{
    return run->kind != DU_RUN_INSTALL && run->kind != DU_RUN_IMPORT;
}

/* --- bind.c: the refresh workflow over this run's store and source --- */
void du_bind_io(struct du_run *run, struct du_refresh_io *io);
void du_bind_options(const struct du_run *run, struct du_refresh_options *options);
/* Open trust/ and load what is trusted; `pin` also from the options. */
DEFUPD_MUST_CHECK defupd_code du_bind_trust(struct du_run *run, defupd_error *err);
/* The same where trust is welcome, not needed: run->trust stays NULL when there is none or it does
 * not hold. Lack of memory says nothing about it, and is the only failure. */
DEFUPD_MUST_CHECK defupd_code du_bind_trust_if_sound(struct du_run *run, defupd_error *err);
/* Keep what the run trusted for the handle's next look; run->trust is NULL afterwards. */
void du_bind_keep(struct du_run *run);
/* The verified manifest of a component, from disk or source; *out NULL when it is not offered and
 * `must` is false. */
DEFUPD_MUST_CHECK defupd_code du_bind_manifest(struct du_run *run, const char *component,
                                               struct du_manifest **out, defupd_error *err);

/* --- tick.c: progress and cancel --- */
struct du_tick du_run_tick(struct du_run *run);
void du_run_phase(struct du_run *run, defupd_phase phase, const char *component, uint64_t total);

/* --- part.c: one component's facts and plan --- */
DEFUPD_MUST_CHECK defupd_code du_part_facts(struct du_run *run, struct du_part *part,
                                            defupd_error *err);
void du_part_plan(struct du_run *run, struct du_part *part);
/* What the plan says goes into the part's row. */
void du_part_tell(struct du_part *part);
void du_part_free(struct du_part *part);
/* After all parts are planned or done: do the needs of this one hold with what the others will be?
 */
bool du_part_needs_hold(const struct du_run *run, const struct du_part *part,
                        const struct du_generation *next, const struct du_need **unmet);

/* --- rule.c: what policy says of a component --- */
/* Never NULL: a component without a rule has one that says nothing. */
const defupd_rule *du_rule_of(const defupd_client_options *options, const char *component);
bool du_rule_disabled(const defupd_client_options *options, const char *component);
/* DEFUPD_E_DISABLED when it is switched off. */
DEFUPD_MUST_CHECK defupd_code du_rule_check(const struct du_run *run, struct du_part *part,
                                            defupd_error *err);
/* Policy's hold and pin into the part's. */
void du_rule_apply(const struct du_run *run, struct du_part *part);

/* --- object.c: objects into downloads/ --- */
/* Fetch (unless it is there), or take from the archive, and vouch for one object of a component's
 * version; *fd yours, `file` is a view of it. With no network: DEFUPD_E_NOT_DOWNLOADED. */
DEFUPD_MUST_CHECK defupd_code du_run_object(struct du_run *run, const char *component,
                                            uint64_t version, const struct du_object *object,
                                            int *fd, struct du_verified_file *file,
                                            defupd_error *err);
/* downloads/ name of an object below objects/: "objects/ab/abcd...". `out` gets 80 bytes. */
void du_object_path(char *out, const unsigned char sha256[DU_SHA256_BYTES]);

/* --- distrust.c: distrust/COMPONENT --- */
void du_distrust_free(struct du_distrust *distrust);
bool du_distrust_has_version(const struct du_distrust *distrust, uint64_t version);
bool du_distrust_has_delta(const struct du_distrust *distrust,
                           const unsigned char sha256[DU_SHA256_BYTES]);
/* Add to the lists in memory. DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_distrust_version(struct du_distrust *distrust, uint64_t version,
                                                  defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_distrust_delta(struct du_distrust *distrust,
                                                const unsigned char sha256[DU_SHA256_BYTES],
                                                defupd_error *err);
/* Add what the file says; an unreadable one says nothing. DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_distrust_read(const struct du_run *run, const char *component,
                                               struct du_distrust *distrust, defupd_error *err);
/* Add to the file: a version (0: none), a delta (NULL: none). Failures are logged: it is only
 * learnt again. */
void du_distrust_note(struct du_run *run, const char *component, uint64_t version,
                      const unsigned char *delta);
/* A version has been repaired or found right. */
void du_distrust_forget(struct du_run *run, const char *component, uint64_t version);

/* --- detour.c --- */
/*
 * What to do after part->failed has failed with *err. DEFUPD_OK: another path is planned, and the
 * failure has been told; fetch and stage again. Else the code to end the part with, err filled:
 * there is no other path, or no object was at fault.
 */
DEFUPD_MUST_CHECK defupd_code du_run_detour(struct du_run *run, struct du_part *part,
                                            defupd_error *err);

/* --- build.c --- */
/* Build the target in a staging directory by the plan's path; *fd and index yours. */
DEFUPD_MUST_CHECK defupd_code du_run_build(struct du_run *run, struct du_part *part, int *fd,
                                           struct du_index *index, defupd_error *err);
/* Unpack a release's full bundle into a staging directory of its own; *fd and index yours. */
DEFUPD_MUST_CHECK defupd_code du_run_unpack(struct du_run *run, const char *component,
                                            const struct du_release *release, bool reuse, int *fd,
                                            struct du_index *index, defupd_error *err);
/* By inode, size and time when a record is given; else, since they may have changed harmlessly (a
 * restored backup), by its bytes. A cancel or lack of memory while they are read says nothing about
 * the file, and is in err when the answer is false. */
bool du_file_is_right(const struct du_record *record, const struct du_file *file,
                      struct du_place *place, const struct du_tick *tick, defupd_error *err);

/* --- install.c --- */
/* Make the part's target stand complete in versions/. */
DEFUPD_MUST_CHECK defupd_code du_run_stage(struct du_run *run, struct du_part *part,
                                           defupd_error *err);
/* Is a version on disk what its record says? Files that inode, size and time do not vouch for are
 * hashed, of a distrusted version all. DEFUPD_E_DAMAGED names the first path. */
DEFUPD_MUST_CHECK defupd_code du_version_check(struct du_run *run, const char *component,
                                               uint64_t version,
                                               const unsigned char tree[DU_SHA256_BYTES],
                                               defupd_error *err);

/* --- activate.c --- */
/* A release is to be taken, and nothing has failed yet. */
bool du_part_is_going(const struct du_part *part);
/* Withdrawn, nothing replaces it, and policy wants it gone. */
bool du_part_is_leaving(const struct du_part *part);
/* Does the next generation differ in this component? */
bool du_part_is_moving(const struct du_part *part);
/* Switch to a generation with all that is staged. */
DEFUPD_MUST_CHECK defupd_code du_run_activate(struct du_run *run, defupd_error *err);

/* --- hook.c: nothing happens where the options name no hook --- */
/* DEFUPD_E_VALIDATION: refused, and in quarantine now. _POSTPONED, _HOOK: it stays for now.
 * _CANCELLED, _NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_hook_validate(struct du_run *run, struct du_part *part,
                                               defupd_error *err);
/* DEFUPD_E_POSTPONED, _HOOK, _CANCELLED, _NOMEM. du_hook_post() must follow in any case. */
DEFUPD_MUST_CHECK defupd_code du_hook_pre(struct du_run *run, struct du_part *part,
                                          defupd_error *err);
/* run_failed: NULL, or why the run fails that had begun the switch. */
void du_hook_post(struct du_run *run, struct du_part *part, const defupd_error *run_failed);

/* --- trial.c --- */
/* Of run->current, as its fact says; of one without a readable fact, where the options want trials,
 * all that no other generation confirms, with all the time. DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_trial_read(struct du_run *run, defupd_error *err);
/* [L] Keep what run->trial says. */
DEFUPD_MUST_CHECK defupd_code du_trial_write(struct du_run *run, defupd_error *err);
bool du_trial_awaits(const struct du_run *run, const char *component);
/* It is not awaited any more. */
void du_trial_drop(struct du_run *run, const char *component);
/* Does a new release of the component begin a trial? */
bool du_trial_is_wanted(const struct du_run *run, const char *component);
/* By the generations on disk: 1: confirmed, or it needed no confirmation. 0: none has it. -1: there
 * are some, but on trial. Those that cannot be read say nothing. -2: no memory to look. */
int du_trial_verdict(const struct du_run *run, const char *component, uint64_t version);
/* [L] du_store_activate(): what of `next` is awaited is known before it is current. Told afterwards
 * where a trial begins. */
DEFUPD_MUST_CHECK defupd_code du_trial_activate(struct du_run *run, struct du_generation *next,
                                                bool *switched, defupd_error *err);
/* Begin a run about a trial: without the lock when nothing is on trial. DEFUPD_E_NOT_INSTALLED for
 * a word that names what is not installed, or another version of it. */
DEFUPD_MUST_CHECK defupd_code du_trial_enter(struct du_run *run, struct du_context *ctx,
                                             const defupd_request *request, defupd_error *err);
/* Is the member one of the request's words, or are there no words? */
bool du_trial_is_named(const struct du_run *run, const struct du_member *member);
/* Keep the time that has passed, with DU_BACK_CRASHED count a start, and end the trial when that
 * was the last one or its time is over. */
DEFUPD_MUST_CHECK defupd_code du_trial_look(struct du_context *ctx, enum du_back_kind kind,
                                            defupd_report **report, defupd_error *err);

/* --- quarantine.c: failures to write are logged --- */
bool du_quarantine_has(const struct du_fact *fact, uint64_t version);
void du_quarantine_add(struct du_run *run, const char *component, uint64_t version,
                       const char *why);
void du_quarantine_drop(struct du_run *run, const char *component, uint64_t version);

/* --- cool.c: sources that asked to be left alone --- */
/* Tell run->fetch what is known, and keep what it hears. */
DEFUPD_MUST_CHECK defupd_code du_cool_begin(struct du_run *run, defupd_error *err);
/* Ask a source after all others for a while. */
void du_cool_aside(struct du_run *run, size_t source, uint32_t seconds);
/* When the first of the options' sources may be asked; 0: one may be asked now, or there is none.
 */
int64_t du_cool_until(const struct du_context *ctx);

/* --- day.c --- */
int64_t du_day_ends(const struct du_run *run);
/* By schedule/agent, without what a killed process was fetching. */
uint64_t du_day_used(const struct du_fact *fact, int64_t now);
void du_day_begin(struct du_run *run);
/* Around the fetching of an object. */
void du_day_fetching(struct du_run *run, const struct du_object *object);
void du_day_fetched(struct du_run *run, uint64_t bytes);

/* --- attempt.c: facts about attempts --- */
struct du_attempt {
    int64_t at;
    int64_t success; /* 0: keep the old one */
    defupd_code code;
    const char *text;
    const char *source;
    int64_t next;     /* when the next one is planned; 0: keep what is known */
    uint64_t version; /* that became active, by `path` (for people); NULL when none did */
    const char *path;
};
/* Does an attempt that ended so say something about this host? What a person asked for that cannot
 * be had, or called off, does not: no monitor should raise an alarm for it. */
bool du_attempt_counts(const struct du_run *run, defupd_code code);
/* What does not count leaves the facts as they are, but for the contact. Failures to write are
 * logged: a report must not fail an update. */
void du_attempt_write(struct du_run *run, const char *name, const struct du_attempt *attempt,
                      bool contact);

/* --- repair.c --- */
DEFUPD_MUST_CHECK defupd_code du_version_repair(struct du_run *run, const char *component,
                                                const struct du_release *release,
                                                defupd_damage_fn on_damage, void *user,
                                                defupd_error *err);

/* --- run.c --- */
/* DEFUPD_E_NO_SOURCE when the options name none. Opens no connection. */
DEFUPD_MUST_CHECK defupd_code du_run_open_fetch(struct du_run *run, defupd_error *err);
/* Sources in order until `ask` succeeds with one, whose number is run->source then; what it fails
 * with decides whether the next one is asked. */
typedef defupd_code (*du_ask_fn)(struct du_run *run, defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_run_ask_sources(struct du_run *run, du_ask_fn ask,
                                                 defupd_error *err);

/* --- begin.c --- */
/* Lock, host-id, current generation. */
DEFUPD_MUST_CHECK defupd_code du_run_begin(struct du_run *run, struct du_context *ctx,
                                           const defupd_request *request, defupd_error *err);
void du_run_end(struct du_run *run);
void du_run_sweep(struct du_run *run);
void du_run_event(const struct du_run *run, defupd_event_id id, const struct du_report_row *row);

#endif
