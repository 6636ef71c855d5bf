/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which deltas are made, and what a manifest keeps. Pure: a manifest in, a decision out.
 *
 * A host updates by one object, or by two through the release before the newest (`middle`): so a
 * source that `middle` has a delta from needs none to the newest release. The sources lie at odd
 * distances, and since one release later each of them is at an even one, both lists together cover
 * every distance while each holds only every other
 * (docs/formats/manifest.md).
 */
#ifndef DU_PUBLISH_CHOOSE_H
#define DU_PUBLISH_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>

#include "manifest/manifest.h"

#define DU_CHOOSE_DELTAS_MAX 12   /* from so many releases to one */
#define DU_CHOOSE_RELEASES 32     /* listed: 30, and the two whose deltas reach 30 releases back */
#define DU_CHOOSE_RELEASES_MIN 30 /* that give way only when no spaced delta is left */

/*
 * Where the deltas to the newest release (manifest->release[0]) start.
 *
 * usable  for each release: its tree can be had here
 * max     at most DU_CHOOSE_DELTAS_MAX are chosen
 * source  out: indexes in manifest->release, the most useful first
 * Returns how many.
 */
size_t du_choose_sources(const struct du_manifest *manifest, const bool *usable, size_t max,
                         size_t source[DU_CHOOSE_DELTAS_MAX]);

/* Take away the deltas that no host can be sent to any more: those to releases older than `middle`,
 * and those from releases that are not listed (nobody could check them). */
void du_choose_trim(struct du_manifest *manifest);

/* The manifest is too long: take the least useful entry away. First releases beyond the 30th, then
 * spaced deltas, the farthest first, then the oldest releases. Release `keep` and newer ones stay
 * (0: only the newest does). False when nothing may go. */
bool du_choose_drop(struct du_manifest *manifest, uint64_t keep);

#endif
