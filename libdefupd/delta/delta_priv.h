/* SPDX-License-Identifier: Apache-2.0 */
/* What decoder and encoder share: the constants of docs/formats/delta.md, coded streams, and the
 * list of files. */
#ifndef DU_DELTA_PRIV_H
#define DU_DELTA_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lzma.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/scope.h"
#include "delta/delta.h"

#define DU_DELTA_MAGIC "DUD\1"
#define DU_DELTA_MAGIC_BYTES 4
#define DU_DELTA_RAW 255 /* the coder of bytes as they are */
#define DU_DELTA_PROPS_END 225
#define DU_DELTA_CONTEXT_LOG_MAX 20
#define DU_DELTA_DICT_MAX (2U << 20)
#define DU_DELTA_WINDOW_MIN 4096U
#define DU_DELTA_PATHS_MAX (384U << 10) /* the dictionary of the list of files */
#define DU_VARINT_BYTES 9
#define DU_VARINT_MAX (UINT64_MAX >> 1)

enum du_delta_stream {
    DU_STREAM_FILES,
    DU_STREAM_LITERAL_LENGTHS,
    DU_STREAM_COPY_LENGTHS,
    DU_STREAM_SEEKS,
    DU_STREAM_MODES,
    DU_STREAM_GAPS,
    DU_STREAM_RUNS,
    DU_STREAM_REPLACEMENTS,
    DU_STREAM_DIFFERENCES,
    DU_STREAM_WORD_GAPS,
    DU_STREAM_WORDS,
    DU_STREAM_LITERALS,
    DU_STREAMS
};

enum du_delta_mode { DU_MODE_REPLACE, DU_MODE_SUBTRACT, DU_MODE_WORDS, DU_MODES = 6 };

enum du_delta_op { DU_OP_KEEP, DU_OP_DROP, DU_OP_CHANGE, DU_OP_NEW };
#define DU_NEW_EXEC 1U
#define DU_NEW_OLD_CONTENT 2U

#define DU_DELTA_NOTHING UINT64_MAX /* of gaps: no further one */

/* Largest window of a stream (docs/formats/delta.md). */
extern const uint32_t du_delta_window_max[DU_STREAMS];
uint32_t du_delta_window(enum du_delta_stream stream, uint64_t raw, size_t dict);

static inline int64_t du_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* --- code.c: one coded stream --- */

/* Where a stream stands in the delta. */
struct du_stream_head {
    uint64_t raw, packed, at;
    unsigned char coder;
};

#define DU_CODE_IN 4096
#define DU_CODE_OUT 4096
#define DU_CODE_AHEAD (32U << 10) /* packed bytes from which a thread pays */

struct du_ahead;

struct du_code {
    const struct du_delta_host *host;
    const char *what;
    struct du_stream_head head;
    /* the decoder; of a stream that is decoded ahead, its thread's */
    uint64_t taken;     /* packed bytes given to the coder */
    uint64_t undecoded; /* raw bytes that the coder has not yielded */
    lzma_stream lzma;
    bool first; /* the byte that is left out comes next */
    /* the reader */
    uint64_t left; /* raw bytes that have not come to `bytes` */
    struct du_ahead *ahead;
    const unsigned char *bytes;
    size_t pos, end;
    unsigned char out[DU_CODE_OUT];
    unsigned char in[DU_CODE_IN];
};

/* `dict` is needed during the call only. A zeroed struct is closed. */
DEFUPD_MUST_CHECK defupd_code du_code_open(struct du_code *code, const struct du_delta_host *host,
                                           enum du_delta_stream stream,
                                           const struct du_stream_head *head, struct du_bytes dict,
                                           const char *what, defupd_error *err);
void du_code_close(struct du_code *code);
/* The decoder's next `count` bytes; there are as many. */
DEFUPD_MUST_CHECK defupd_code du_code_produce(struct du_code *code, unsigned char *bytes,
                                              size_t count, defupd_error *err);
/* Exactly `count` bytes. */
DEFUPD_MUST_CHECK defupd_code du_code_read(struct du_code *code, void *bytes, size_t count,
                                           defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_code_long_varint(struct du_code *code, uint64_t *value,
                                                  defupd_error *err);
/* Most are of one byte, and a large delta has a million of them. */
static inline defupd_code du_code_varint(struct du_code *code, uint64_t *value, defupd_error *err)
{
    if (code->pos == code->end || code->bytes[code->pos] >= 0x80)
        return du_code_long_varint(code, value, err);
    *value = code->bytes[code->pos++];
    return DEFUPD_OK;
}
/* Raw bytes not read yet. */
static inline uint64_t du_code_left(const struct du_code *code)
{
    return code->left + (code->end - code->pos);
}

/* --- ahead.c: a stream decoded by a thread of its own --- */

/* NULL where there is no thread to be had. Until it is closed, `code` must not be moved. */
struct du_ahead *du_ahead_open(struct du_code *code, enum du_delta_stream stream);
/* The next piece, valid until the next call; there is one. Errors: du_code_produce()'s. */
DEFUPD_MUST_CHECK defupd_code du_ahead_next(struct du_ahead *ahead, const unsigned char **bytes,
                                            size_t *count, defupd_error *err);
/* NULL is allowed. */
void du_ahead_close(struct du_ahead *ahead);

/* --- list.c: the new tree's files --- */

struct du_list {
    struct du_code *code;
    const struct du_index *old;
    const char *what;
    uint64_t at; /* old position of the cursor */
    size_t cursor;
    uint64_t files; /* told up to now */
    uint64_t run;   /* operations left of the one that was read */
    enum du_delta_op op;
    char path[DU_PATH_MAX + 1];
};

struct du_list_item {
    const struct du_file *old; /* whose content it has; NULL: content of its own */
    const char *path;          /* valid until the next call */
    uint64_t size;
    uint64_t at; /* with content of its own: the old position it begins with */
    bool exec;
};

/* The dictionary of the list: old paths, a line each, all or every nth. */
DEFUPD_MUST_CHECK defupd_code du_list_paths(const struct du_index *old, struct du_buf *out,
                                            defupd_error *err);

/* *end is true when there are no more. */
DEFUPD_MUST_CHECK defupd_code du_list_next(struct du_list *list, struct du_list_item *item,
                                           bool *end, defupd_error *err);

/* --- fix.c: mending what was copied --- */

struct du_fix {
    struct du_code *gaps, *runs, *replacements, *differences, *word_gaps, *words;
    uint64_t until; /* right bytes before the next wrong one; DU_DELTA_NOTHING: all */
    uint64_t run;   /* wrong bytes left of the present run */
    uint64_t until_word;
};

DEFUPD_MUST_CHECK defupd_code du_fix_begin(struct du_fix *fix, defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_fix_bytes(struct du_fix *fix, bool subtract, unsigned char *bytes,
                                           size_t count, defupd_error *err);
/* `first` bytes belong to the first word, 0 to 4. */
DEFUPD_MUST_CHECK defupd_code du_fix_words(struct du_fix *fix, size_t first, unsigned char *bytes,
                                           size_t count, defupd_error *err);

#endif
