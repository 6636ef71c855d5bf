/* SPDX-License-Identifier: Apache-2.0 */
/* The library's enums as words: for events and results as JSON, and for people. */
#ifndef AG_WORDS_H
#define AG_WORDS_H

#include <stdint.h>

/* All static; "unknown" for values newer than this program. */
const char *ag_event_name(int32_t event);
const char *ag_phase_name(uint32_t phase);
const char *ag_action_name(int32_t action);
const char *ag_progress_name(int32_t progress);
const char *ag_reason_name(int32_t reason);
/* Why a component stays, as the end of "stays at 1002: ...". */
const char *ag_reason_text(int32_t reason);

/* Flags of a release, in the order in which they are told. */
struct ag_flag {
    uint32_t bit;
    const char *name; /* for JSON */
    const char *text; /* for people */
};
extern const struct ag_flag ag_release_flags[]; /* ends with bit 0 */
extern const struct ag_flag ag_hold_flags[];

#endif
