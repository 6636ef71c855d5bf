/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which release, by which objects. Pure: every fact comes in as an argument, so a test is a table.
 * Layer: uses base/, and of manifest/ its types and du_manifest_find().
 *
 * gate.c    may this host take this release? (DESIGN's table of gates, docs/architecture.md)
 * target.c  the release to go to
 * path.c    the cheapest objects that lead there
 * say.c     the line for people
 *
 * Judged here: what a release requires, withdrawal, hold, pin, licence, quarantine, skip, roll-out
 * with rings, delay, needs, usable objects, their bytes. Schedule and source's cool-down are the
 * caller's.
 *
 * Scheduled and update: the newest release above the installed one that passes all gates; when
 *   that is not the newest there is, reason and text say why not. Nothing goes down by itself, also
 *   not to an older pin.
 * Named: that release and no other. Newer than what is installed it is an UPDATE, older a ROLLBACK,
 *   with nothing installed an INSTALL. A pinned component may be ordered to its pin, also an older
 *   one.
 * Installed release withdrawn (scheduled and update): REPLACE by the newer of what the gates let
 *   through and `replace-by`; without either by the newest older release, of those on disk if there
 *   are any. When there is none, it stays; or, where that is wanted and no release is there that
 *   only has to wait, it goes (REMOVE, without a target).
 * Version used twice (the manifest's tree of the installed version is another one): no delta from
 *   it is used; VERSION_REUSED unless there is a newer release to go to.
 * Path: the fewest bytes that are still to be fetched, by the full bundle, a delta, or two deltas
 *   through another release; of equally dear ones the full bundle, then the single delta, then what
 *   starts from the installed version. So a path never costs more than the full bundle. A delta
 *   may start from any version on disk that is not known to be damaged; a damaged target on disk is
 *   mended from its full bundle. The release between two
 *   deltas only passes through staging, so no gate is asked about it; but it must be listed (its
 *   tree is checked against the signed one), understood and not withdrawn: the objects of a
 *   withdrawn release need not be kept by the repository, and its tree is nothing to build on.
 */
#ifndef DU_PLAN_PLAN_H
#define DU_PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <defupd/client.h>
#include <defupd/report.h>

#include "base/bytes.h"
#include "base/err.h"
#include "manifest/manifest.h"

enum du_order {
    DU_ORDER_SCHEDULED, /* all gates */
    DU_ORDER_UPDATE,    /* a person: `update`, `forceupdate` */
    DU_ORDER_NAMED      /* a person names the version: `update C@V` */
};

struct du_engine {
    const char *name;
    const char *version; /* dotted numbers */
};
struct du_installed {
    const char *component;
    uint64_t version;
};

/* What this host is and has. All borrowed. */
struct du_plan_facts {
    enum du_order order;
    uint64_t named;                      /* with DU_ORDER_NAMED */
    int64_t now;                         /* fixed at the start of the run */
    uint64_t installed;                  /* 0 if none */
    const unsigned char *installed_tree; /* digest of its index; NULL if none or not known */
    uint64_t held;                       /* installed version is kept: 1, else 0 */
    uint64_t pin;                        /* 0 if none */
    bool held_by_policy, pinned_by_policy;
    uint64_t delay_s;                      /* to wait after a release's publication */
    const defupd_licence *const *licences; /* NULL: none are needed */
    const char *licence;                   /* class; NULL: the one a release states */
    bool remove_withdrawn;                 /* what nothing replaces goes */
    uint64_t skip;                         /* left by a rollback; 0 if none */
    const uint64_t *quarantine;
    size_t quarantines;
    bool accept_quarantined;
    const uint64_t *on_disk; /* versions complete in versions/, with the manifest's tree as far as
                                it lists them: cost no bytes */
    size_t on_disks;
    uint32_t cohort; /* of the release being judged: asked through `cohort_of` when set */
    uint32_t (*cohort_of)(void *user, uint64_t version);
    void *cohort_user;
    const char *ring;               /* NULL if none */
    const struct du_engine *engine; /* "defupd" is known without */
    size_t engines;
    const struct du_installed
        *other; /* components with the version they will have after this run */
    size_t others;
    const uint64_t *damaged; /* versions that are not what they should be on disk */
    size_t damageds;
    const char *const *codec; /* delta and bundle codecs this client decodes, NULL-terminated */
    bool has_budget;
    uint64_t budget; /* most bytes to fetch, when has_budget */
    bool has_day;
    uint64_t day; /* most bytes to fetch today, when has_day */
    int64_t day_ends;
    bool metered;         /* no full bundle where something is installed */
    bool over_budget;     /* a person said that bytes do not count for a named version */
    uint64_t through_max; /* largest tree to build between two deltas; 0: any */
    /* Bytes of an object that need no fetching any more: all of them, or a part. */
    uint64_t (*have)(void *user, const struct du_object *object);
    void *have_user;
    /* An object that is not to be used, because it has failed. NULL: all may be used. */
    bool (*refused)(void *user, const struct du_object *object);
    void *refused_user;
};

#define DU_PLAN_STEPS_MAX 2
struct du_plan {
    int32_t action;   /* defupd_action */
    int32_t reason;   /* defupd_reason */
    defupd_code code; /* DEFUPD_OK, or a failure. Named: why the order cannot be followed
                         (NO_RELEASE, WITHDRAWN, HELD, QUARANTINED, NEEDS, NO_OBJECT,
                         UNLICENSED, BUDGET, MANIFEST_NEWER for what a newer client must read). Else
                         NO_REPLACEMENT, VERSION_REUSED, UNLICENSED, BUDGET for the day's bytes and
                         where bytes are dear, and with nothing installed NEEDS, NO_OBJECT, BUDGET,
                         MANIFEST_NEWER; other gates are no failures. */
    const struct du_release *target; /* borrowed from the manifest; NULL: nothing is taken */
    uint64_t newest;                 /* newest visible release that is not withdrawn, 0 if none */
    bool on_disk;                    /* the target is in versions/ */
    const struct du_object *step[DU_PLAN_STEPS_MAX]; /* in order; step[0]->from is 0 or a version on
                                                        disk */
    uint64_t step_version[DU_PLAN_STEPS_MAX];        /* version that each step yields */
    size_t steps;
    uint64_t bytes;      /* still to fetch */
    uint64_t full_bytes; /* of the target's full bundle, 0 if it has none */
    char text[256];      /* one line for people; "" when nothing needs saying. Also set beside a
                            target: why not the newest. With `code`: what failed. */
};

/* "delta from 1002, 5,791 bytes instead of 1,024,594": how the plan leads to its target, and what
 * of it is still to be fetched; "" without a target. */
void du_plan_how(const struct du_plan *plan, char *out, size_t size);

/* Never fails: what stands in the way is in reason, code and text. */
void du_plan_make(struct du_plan *plan, const struct du_manifest *manifest,
                  const struct du_plan_facts *facts);

/* The path alone, to one release, whatever the gates say: fills target, on_disk, step,
 * step_version, steps, bytes and full_bytes. False: none of its objects is of use. */
bool du_plan_path(struct du_plan *plan, const struct du_manifest *manifest,
                  const struct du_plan_facts *facts, const struct du_release *release);

/* The licence gate by itself: may something of this class (that of the policy, else the release's;
 * "" for none) be taken? `licences` NULL: none are needed. */
bool du_plan_licensed(const defupd_licence *const *licences, const char *class, int64_t now);

/* Where a rollback without a named version goes: the newest of `on_disk` that is older than
 * `installed`, not withdrawn in the manifest (may be NULL) and not in quarantine; 0 if none. */
uint64_t du_plan_rollback(const struct du_manifest *manifest, const struct du_plan_facts *facts);

/* First 8 bytes, big endian, of HMAC-SHA256(host-id, component NUL version), modulo 1000: computed
 * by the caller's digest. */
uint32_t du_plan_cohort(const unsigned char hmac[DU_SHA256_BYTES]);

/* Compare dotted numbers ("1.10" > "1.9"); -1, 0, 1. Missing parts are 0; what follows the digits
 * in a part is not looked at. */
int du_plan_compare_versions(const char *a, const char *b);

#endif
