/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encoder, in the order of its work:
 *
 *   changes.c  which files have content of their own, and the list of files
 *   corpus.c   the old bytes with their suffix array
 *   match.c    copies: where the new content has a likeness in the old
 *   thin.c     copies that cost more than they save go
 *   script.c   copies and literals as streams of numbers and bytes
 *   shrink.c   each stream coded the smallest way
 *   make.c     several ways tried, the smallest written
 */
#ifndef DU_DELTA_MAKE_PRIV_H
#define DU_DELTA_MAKE_PRIV_H

#include "delta/delta_priv.h"

/* --- changes.c --- */

/* A file with content of its own. */
struct du_content {
    size_t file;         /* of the new index */
    uint64_t size;       /* above 0 */
    uint64_t old_at;     /* the old position it begins with */
    size_t copy, copies; /* its part of the list of copies */
};

struct du_changes {
    struct du_content *content;
    size_t count;
    uint64_t bytes;      /* of all contents */
    unsigned char *old;  /* for each old file: 1 when a content has its path */
    struct du_buf files; /* stream */
    uint64_t *old_at;    /* where each old file begins, and the end */
};

DEFUPD_MUST_CHECK defupd_code du_changes_find(struct du_changes *changes,
                                              const struct du_index *old,
                                              const struct du_index *new, defupd_error *err);
void du_changes_free(struct du_changes *changes);

DEFUPD_MUST_CHECK defupd_code du_put_varint(struct du_buf *to, uint64_t value, defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_put_zigzag(struct du_buf *to, int64_t value, defupd_error *err);

/* --- corpus.c --- */

/* Old bytes that stand together in the corpus and in the old address space. */
struct du_segment {
    uint64_t at;     /* in the corpus */
    uint64_t old_at; /* old position */
};

/* The old tree's content, or as much of it as memory and suffix sorting (2 GiB) allow: files that
 * have changed first. */
struct du_corpus {
    unsigned char *bytes;
    int32_t *suffix;  /* sorted; NULL once matching is over */
    uint32_t *bucket; /* by the first two bytes */
    size_t count;
    struct du_segment *segment;
    size_t segments;
};

DEFUPD_MUST_CHECK defupd_code du_corpus_load(struct du_corpus *corpus, const struct du_sys *sys,
                                             const struct du_delta_side *old,
                                             const struct du_changes *changes, uint64_t memory,
                                             const struct du_tick *tick, defupd_error *err);
void du_corpus_end_search(struct du_corpus *corpus);
void du_corpus_free(struct du_corpus *corpus);
uint64_t du_corpus_to_old(const struct du_corpus *corpus, uint64_t at);
/* The place in the corpus of an old position, or the nearest one. */
uint64_t du_corpus_near(const struct du_corpus *corpus, uint64_t old_at);
/* End of the segment that holds `at`. */
uint64_t du_corpus_segment_end(const struct du_corpus *corpus, uint64_t at);
/* Length of the longest match of bytes[0..count) in the corpus, counted up to 16 KiB. *found is for
 * du_corpus_nearest(). */
size_t du_corpus_search(const struct du_corpus *corpus, const unsigned char *bytes, size_t count,
                        size_t *found);
/* Of the places where as much matches as du_corpus_search() found (above 0), one near to `near`;
 * *length becomes the whole length of the match there. */
uint64_t du_corpus_nearest(const struct du_corpus *corpus, size_t found, const unsigned char *bytes,
                           size_t count, uint64_t near, size_t *length);
/* Equal bytes at the beginning of both. */
size_t du_equal_bytes(const unsigned char *a, const unsigned char *b, size_t count);

/* --- match.c --- */

struct du_copy {
    uint64_t at;   /* in the content */
    uint64_t from; /* in the corpus */
    uint64_t count;
};

struct du_copies {
    struct du_copy *item;
    size_t count, cap;
    size_t first; /* of the content that is being searched */
};

DEFUPD_MUST_CHECK defupd_code du_copies_add(struct du_copies *copies, const struct du_copy *copy,
                                            defupd_error *err);
/* Copies for the piece bytes[0..count) of a content, which begins `at` bytes into it and most
 * likely goes on like the corpus from `near` on. */
DEFUPD_MUST_CHECK defupd_code du_match(struct du_copies *copies, const struct du_corpus *corpus,
                                       const unsigned char *bytes, size_t count, uint64_t at,
                                       uint64_t near, const struct du_tick *tick,
                                       defupd_error *err);
/* Copies that cross from one segment to another are cut there. */

/* --- thin.c --- */

/* Out of `all` those that are worth their cost when a literal byte costs `rate` sixteenths of a
 * bit; each content's part is set anew. `bytes` are all contents, end to end. */
DEFUPD_MUST_CHECK defupd_code du_thin(struct du_copies *out, struct du_changes *changes,
                                      const struct du_content *parts, const struct du_copies *all,
                                      const struct du_corpus *corpus, const unsigned char *bytes,
                                      unsigned rate, defupd_error *err);

/* --- script.c --- */

struct du_script {
    struct du_buf stream[DU_STREAMS]; /* without FILES */
};

/* How the copies' wrong bytes are told: all in one way, or each copy in the way that is cheapest by
 * these costs in sixteenths of a bit. */
struct du_mend_costs {
    bool mixed;
    enum du_delta_mode mode; /* unless mixed */
    unsigned run, replaced, subtracted, word;
};

DEFUPD_MUST_CHECK defupd_code du_script_write(struct du_script *script,
                                              const struct du_changes *changes,
                                              const struct du_copies *copies,
                                              const struct du_corpus *corpus,
                                              const unsigned char *bytes,
                                              const struct du_mend_costs *costs, defupd_error *err);
void du_script_free(struct du_script *script);
/* What the decoder gathers for this context (docs/formats/delta.md, "Preset dictionary"). */
DEFUPD_MUST_CHECK defupd_code du_script_dict(struct du_buf *dict, const struct du_changes *changes,
                                             const struct du_copies *copies,
                                             const struct du_corpus *corpus, uint64_t old_size,
                                             unsigned char context, defupd_error *err);

/* --- shrink.c --- */

struct du_packed {
    unsigned char coder;
    struct du_buf bytes;
};

/* effort: how many settings are tried, 0 (one, fast: for comparisons) to 2. */
DEFUPD_MUST_CHECK defupd_code du_shrink(struct du_packed *out, enum du_delta_stream stream,
                                        struct du_bytes raw, struct du_bytes dict, unsigned effort,
                                        defupd_error *err);

#endif
