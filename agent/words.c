/* SPDX-License-Identifier: Apache-2.0 */
#include "words.h"

#include <stddef.h>

#include <defupd/defupd.h>

struct word {
    int64_t value;
    const char *name, *text;
};

static const struct word events[] = {
    { DEFUPD_EVENT_REQUESTED, "requested", NULL },
    { DEFUPD_EVENT_DOWNLOADING, "downloading", NULL },
    { DEFUPD_EVENT_SUCCEEDED, "succeeded", NULL },
    { DEFUPD_EVENT_FAILED, "failed", NULL },
    { DEFUPD_EVENT_ROLLED_BACK, "rolled back", NULL },
    { DEFUPD_EVENT_WITHDRAWN, "withdrawn", NULL },
    { DEFUPD_EVENT_UNCHANGED, "unchanged", NULL },
    { DEFUPD_EVENT_TRIAL, "trial", NULL },
    { DEFUPD_EVENT_CONFIRMED, "confirmed", NULL },
    { DEFUPD_EVENT_SOURCE_FAILED, "source failed", NULL },
    { DEFUPD_EVENT_DAMAGED, "damaged", NULL },
    { DEFUPD_EVENT_REPAIRED, "repaired", NULL },
    { DEFUPD_EVENT_DETOUR, "detour", NULL },
    { DEFUPD_EVENT_SOURCE_ASKED, "source asked", NULL },
    { DEFUPD_EVENT_FETCHED, "fetched", NULL },
    { DEFUPD_EVENT_PROGRESS, "progress", NULL },
    { DEFUPD_EVENT_RELAY_REQUESTED, "relay update requested", NULL },
    { DEFUPD_EVENT_RELAY_SUCCEEDED, "relay update succeeded", NULL },
    { DEFUPD_EVENT_RELAY_FAILED, "relay update failed", NULL },
};

static const struct word phases[] = {
    { DEFUPD_PHASE_NONE, "none", NULL },         { DEFUPD_PHASE_METADATA, "metadata", NULL },
    { DEFUPD_PHASE_DOWNLOAD, "download", NULL }, { DEFUPD_PHASE_STAGE, "stage", NULL },
    { DEFUPD_PHASE_VERIFY, "verify", NULL },
};

static const struct word actions[] = {
    { DEFUPD_ACTION_NONE, "none", NULL },       { DEFUPD_ACTION_INSTALL, "install", NULL },
    { DEFUPD_ACTION_UPDATE, "update", NULL },   { DEFUPD_ACTION_ROLLBACK, "rollback", NULL },
    { DEFUPD_ACTION_REPLACE, "replace", NULL }, { DEFUPD_ACTION_REMOVE, "remove", NULL },
};

static const struct word progresses[] = {
    { DEFUPD_PROGRESS_PLANNED, "planned", NULL },
    { DEFUPD_PROGRESS_DOWNLOADED, "downloaded", NULL },
    { DEFUPD_PROGRESS_STAGED, "staged", NULL },
    { DEFUPD_PROGRESS_ACTIVE, "active", NULL },
};

static const struct word reasons[] = {
    { DEFUPD_REASON_NONE, "none", "" },
    { DEFUPD_REASON_NEWEST, "newest", "it is the newest" },
    { DEFUPD_REASON_HELD, "held", "held" },
    { DEFUPD_REASON_PINNED, "pinned", "pinned" },
    { DEFUPD_REASON_SKIPPED, "skipped", "the newer release is skipped since a rollback" },
    { DEFUPD_REASON_QUARANTINED, "quarantined", "this host refuses the newer release" },
    { DEFUPD_REASON_ROLLOUT, "rollout", "the roll-out has not reached this host yet" },
    { DEFUPD_REASON_PAUSED, "paused", "the publisher has paused the roll-out" },
    { DEFUPD_REASON_NEEDS, "needs", "another component or a newer engine is needed first" },
    { DEFUPD_REASON_REQUIRES, "requires", "a newer version of this software is needed" },
    { DEFUPD_REASON_NO_OBJECT, "no-object", "a newer version of this software is needed" },
    { DEFUPD_REASON_WITHDRAWN, "withdrawn", "withdrawn by the publisher" },
    { DEFUPD_REASON_NO_RELEASE, "no-release", "no release for this host" },
    { DEFUPD_REASON_BUDGET, "budget", "it costs more bytes than the budget allows" },
    { DEFUPD_REASON_UNLICENSED, "unlicensed", "its licence is missing or has expired" },
    { DEFUPD_REASON_DELAY, "delay", "policy waits some time after publication" },
    { DEFUPD_REASON_METERED, "metered", "it needs a full bundle, too dear on this connection" },
    { DEFUPD_REASON_DISABLED, "disabled", "switched off in policy" },
    { DEFUPD_REASON_TRIAL, "trial", "what is installed is still on trial" },
};

const struct ag_flag ag_release_flags[] = {
    { DEFUPD_RELEASE_CURRENT, "current", "current" },
    { DEFUPD_RELEASE_ON_DISK, "on-disk", "on disk" },
    { DEFUPD_RELEASE_DOWNLOADED, "downloaded", "downloaded" },
    { DEFUPD_RELEASE_PINNED, "pinned", "pinned" },
    { DEFUPD_RELEASE_SKIPPED, "skipped", "skipped" },
    { DEFUPD_RELEASE_WITHDRAWN, "withdrawn", "withdrawn" },
    { DEFUPD_RELEASE_QUARANTINED, "quarantined", "in quarantine" },
    { DEFUPD_RELEASE_INVISIBLE, "invisible", "needs newer software" },
    { DEFUPD_RELEASE_UNLISTED, "unlisted", "no longer published" },
    { 0, NULL, NULL },
};

const struct ag_flag ag_hold_flags[] = {
    { DEFUPD_HOLD_HELD, "held", "held" },
    { DEFUPD_HOLD_PINNED, "pinned", "pinned" },
    { DEFUPD_HOLD_SKIP, "skip", "skips a release" },
    { DEFUPD_HOLD_UNREADABLE, "unreadable", "its record is damaged: held" },
    { DEFUPD_HOLD_POLICY, "policy", "by policy" },
    { 0, NULL, NULL },
};

static const struct word *find(const struct word *words, size_t count, int64_t value)
{
    static const struct word unknown = { 0, "unknown", "unknown" };

    for (size_t i = 0; i < count; i++) {
        if (words[i].value == value)
            return &words[i];
    }
    return &unknown;
}
#define FIND(words, value) find(words, sizeof words / sizeof words[0], (value))

const char *ag_event_name(int32_t event)
{
    return FIND(events, event)->name;
}

const char *ag_phase_name(uint32_t phase)
{
    return FIND(phases, phase)->name;
}

const char *ag_action_name(int32_t action)
{
    return FIND(actions, action)->name;
}

const char *ag_progress_name(int32_t progress)
{
    return FIND(progresses, progress)->name;
}

const char *ag_reason_name(int32_t reason)
{
    return FIND(reasons, reason)->name;
}

const char *ag_reason_text(int32_t reason)
{
    return FIND(reasons, reason)->text;
}
