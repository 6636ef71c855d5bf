/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.xml: verified bytes in, list of releases out (docs/formats/manifest.md). Pure.
 * Layer: uses base/ and xml/. write.c is in the publisher's library only.
 */
#ifndef DU_MANIFEST_MANIFEST_H
#define DU_MANIFEST_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/name.h"

#define DU_MANIFEST_BYTES_MAX (256U * 1024)
#define DU_MANIFEST_RELEASES_MAX 1024
#define DU_MANIFEST_DELTAS_MAX 64 /* of one release; the publisher makes at most 12 */
#define DU_MANIFEST_NEEDS_MAX 16
#define DU_ROLLOUT_STEPS_MAX 32
#define DU_WORD_MAX 64 /* bytes of a codec, class, ring, engine or requires word */

/* One object that yields a tree: a full bundle (from == 0), or a delta from another version. */
struct du_object {
    uint64_t from;
    uint64_t bytes;
    unsigned char sha256[DU_SHA256_BYTES];
    char codec[DU_WORD_MAX + 1];
};

/* From `after_s` past the start, hosts of cohort below `permille` (or of `ring`) may take it. */
struct du_rollout_step {
    uint64_t after_s;           /* at most ten years */
    uint32_t permille;          /* 0 to 1000; unused with a ring */
    char ring[DU_WORD_MAX + 1]; /* "" for a step */
};

struct du_need {
    bool engine; /* else a component */
    char name[DU_WORD_MAX + 1];
    uint64_t min;                    /* for components */
    char min_text[DU_LABEL_MAX + 1]; /* for engines: dotted numbers */
};

struct du_release {
    uint64_t version;
    int64_t published;
    unsigned char tree[DU_SHA256_BYTES];
    uint64_t size, files;
    char label[DU_LABEL_MAX + 1];
    char licence_class[DU_WORD_MAX + 1];
    char *note;     /* NULL or owned */
    char *requires; /* words this client does not know, space-separated; NULL when it knows all. A
                       release with some is invisible: nothing else in it may be relied on. */

    struct du_object full; /* codec "" when there is none */
    struct du_object *delta;
    size_t deltas;

    bool has_rollout;
    bool rollout_paused;
    int64_t rollout_start;
    int64_t rollout_paused_at; /* 0 unless paused */
    struct du_rollout_step *step;
    size_t steps;

    struct du_need *need;
    size_t needs;

    bool withdrawn;
    int64_t withdrawn_at;
    uint64_t replace_by;    /* 0 when none is named */
    char *withdrawn_reason; /* NULL or owned */
};

struct du_manifest {
    char component[DU_NAME_MAX + 1];
    struct du_release *release; /* newest first */
    size_t count;
};

/*
 * component  the one it must be for
 * Errors: DEFUPD_E_MANIFEST_FORMAT (line named; what a known element or attribute must not be),
 *         DEFUPD_E_MANIFEST_NEWER (format is not 1), DEFUPD_E_MANIFEST_COMPONENT,
 *         DEFUPD_E_LIMIT, DEFUPD_E_NOMEM
 * Unknown elements and attributes are ignored. An object with an unknown codec is kept, with its
 * codec's word; the planner passes it over. Label, class, note and reason are made fit for one
 * line: blanks folded, control characters replaced. Words have letters, digits and . _ + - only.
 */
DEFUPD_MUST_CHECK defupd_code du_manifest_parse(struct du_manifest **out,
                                                const struct du_verified *bytes,
                                                const char *component, const char *what,
                                                defupd_error *err);
void du_manifest_free(struct du_manifest *manifest);
void du_manifest_freep(struct du_manifest **manifest);
#define DU_AUTO_MANIFEST __attribute__((cleanup(du_manifest_freep))) struct du_manifest
void du_release_clear(struct du_release *release);

/* NULL when there is none. */
const struct du_release *du_manifest_find(const struct du_manifest *manifest, uint64_t version);

/* The newest `published` of all releases, 0 for an empty manifest: no honest clock is earlier. */
int64_t du_manifest_clock_floor(const struct du_manifest *manifest);

/*
 * Append the document, releases newest first; `requires` follows from what each release holds. It
 * is read back before it is given out, so what clients would refuse is refused here.
 * Errors: DEFUPD_E_MANIFEST_NEWER (a release that was invisible to du_manifest_parse()),
 *         DEFUPD_E_MANIFEST_FORMAT (something that du_manifest_parse() refuses),
 *         DEFUPD_E_NOMEM, DEFUPD_E_LIMIT
 */
DEFUPD_MUST_CHECK defupd_code du_manifest_write(const struct du_manifest *manifest,
                                                struct du_buf *out, defupd_error *err);

#endif
