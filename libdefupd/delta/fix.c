/* SPDX-License-Identifier: Apache-2.0 */
/* Mending what was copied: wrong bytes are replaced or get a difference added; wrong words get a
 * difference added. */
#include <endian.h>
#include <string.h>

#include "delta/delta_priv.h"

/* Right elements before the next wrong one. */
static defupd_code next_gap(struct du_code *gaps, uint64_t *until, defupd_error *err)
{
    *until = DU_DELTA_NOTHING;
    return du_code_left(gaps) > 0 ? du_code_varint(gaps, until, err) : DEFUPD_OK;
}

static defupd_code next_run(struct du_fix *fix, defupd_error *err)
{
    uint64_t more;

    DU_TRY(next_gap(fix->gaps, &fix->until, err));
    fix->run = 0;
    if (fix->until == DU_DELTA_NOTHING)
        return DEFUPD_OK;
    DU_TRY(du_code_varint(fix->runs, &more, err));
    fix->run = more + 1;
    return DEFUPD_OK;
}

defupd_code du_fix_begin(struct du_fix *fix, defupd_error *err)
{
    DU_TRY(next_run(fix, err));
    return next_gap(fix->word_gaps, &fix->until_word, err);
}

static defupd_code add_differences(struct du_code *code, unsigned char *bytes, size_t count,
                                   defupd_error *err)
{
    unsigned char difference[256];

    while (count > 0) {
        const size_t part = count < sizeof difference ? count : sizeof difference;

        DU_TRY(du_code_read(code, difference, part, err));
        for (size_t i = 0; i < part; i++)
            bytes[i] = (unsigned char)(bytes[i] + difference[i]);
        bytes += part;
        count -= part;
    }
    return DEFUPD_OK;
}

defupd_code du_fix_bytes(struct du_fix *fix, bool subtract, unsigned char *bytes, size_t count,
                         defupd_error *err)
{
    while (count > 0) {
        size_t part;

        if (fix->until >= count) {
            if (fix->until != DU_DELTA_NOTHING)
                fix->until -= count;
            return DEFUPD_OK;
        }
        bytes += fix->until;
        count -= (size_t)fix->until;
        fix->until = 0;
        part = fix->run < count ? (size_t)fix->run : count;
        DU_TRY(subtract ? add_differences(fix->differences, bytes, part, err)
                        : du_code_read(fix->replacements, bytes, part, err));
        bytes += part;
        count -= part;
        fix->run -= part;
        if (fix->run == 0)
            DU_TRY(next_run(fix, err));
    }
    return DEFUPD_OK;
}

static uint32_t get_word(const unsigned char *bytes, size_t count)
{
    uint32_t word = 0;

    if (count == sizeof word) { /* nearly all are whole */
        memcpy(&word, bytes, sizeof word);
        return le32toh(word);
    }
    for (size_t i = 0; i < count; i++)
        word |= (uint32_t)bytes[i] << (8 * i);
    return word;
}

static void put_word(unsigned char *bytes, size_t count, uint32_t word)
{
    if (count == sizeof word) {
        word = htole32(word);
        memcpy(bytes, &word, sizeof word);
        return;
    }
    for (size_t i = 0; i < count; i++)
        bytes[i] = (unsigned char)(word >> (8 * i));
}

static defupd_code read_word(struct du_code *code, uint32_t *word, defupd_error *err)
{
    unsigned char bytes[sizeof *word];

    if (code->end - code->pos >= sizeof bytes) {
        *word = get_word(code->bytes + code->pos, sizeof bytes);
        code->pos += sizeof bytes;
        return DEFUPD_OK;
    }
    DU_TRY(du_code_read(code, bytes, sizeof bytes, err));
    *word = get_word(bytes, sizeof bytes);
    return DEFUPD_OK;
}

/* Where the word number `index` begins when the first one has `first` bytes. */
static uint64_t word_at(size_t first, uint64_t index)
{
    return index == 0 ? 0 : first + 4 * (index - 1);
}

defupd_code du_fix_words(struct du_fix *fix, size_t first, unsigned char *bytes, size_t count,
                         defupd_error *err)
{
    uint64_t words, done = 0;

    if (count == 0)
        return DEFUPD_OK;
    if (first == 0) /* the first one is a whole one */
        first = 4;
    words = count <= first ? 1 : 1 + (count - first + 3) / 4;
    while (fix->until_word < words - done) {
        uint32_t difference;
        size_t at, end;

        done += fix->until_word;
        at = (size_t)word_at(first, done);
        end = (size_t)word_at(first, done + 1);
        end = end < count ? end : count;
        DU_TRY(read_word(fix->words, &difference, err));
        put_word(bytes + at, end - at, get_word(bytes + at, end - at) + difference);
        done++;
        DU_TRY(next_gap(fix->word_gaps, &fix->until_word, err));
    }
    if (fix->until_word != DU_DELTA_NOTHING)
        fix->until_word -= words - done;
    return DEFUPD_OK;
}
