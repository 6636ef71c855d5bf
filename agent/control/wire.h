/* SPDX-License-Identifier: Apache-2.0 */
/* Lines between the service, its workers and its clients: docs/formats/control.md. Libc only.
 *
 * A line is words between single spaces. A word holds no space, no control byte, no '%': those are
 * written %XX. A frame is a line whose first word is one letter; the text of a frame for people or
 * programs (T, E, J, L) is the rest of the line, where spaces stay as they are. A text too long for
 * one line comes in parts, all but the last with the letter in lower case. */
#ifndef AG_WIRE_H
#define AG_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define AG_HELLO "defupd-control 1"
#define AG_SOCKET "agent.sock"
#define AG_LINE 8192 /* longest line, with its end */
#define AG_PART 2000 /* bytes of text that one line surely holds */
#define AG_WORDS 64  /* most words in a line */

/* Write `text` with what a word (or, with `spaces`, a text) may not hold as %XX. Returns the length
 * that it needs without NUL; nothing is cut in the middle of a byte when `size` is too small. */
size_t ag_encode(char *out, size_t size, const char *text, bool spaces);
/* Undo it in place; false when it is malformed or would hold a NUL. */
bool ag_decode(char *text);
/* Split a line in place into decoded words; -1 when it is malformed or has more than `max`. */
int ag_split(char *line, char **words, size_t max);
/* A decimal number without sign, blanks or leading zero; with `sign`, a minus may stand before. */
bool ag_number(const char *word, bool sign, int64_t *number);

/* What was read and not yet taken. */
struct ag_lines {
    char bytes[AG_LINE];
    size_t used, taken;
    bool too_long;
};
/* Read once. 1: something came; 0: the other side has closed; -1: nothing now, or an error (errno).
 */
int ag_lines_read(struct ag_lines *lines, int fd);
/* The same from a socket, without waiting. The first descriptor that comes along is put into
 * *given, which was 0, close-on-exec and at least 10; more are closed. */
int ag_lines_receive(struct ag_lines *lines, int fd, int *given);
/* The next whole line, without its end, valid until the next read; NULL when there is none. A NUL
 * in it and a line without end set too_long. */
char *ag_lines_next(struct ag_lines *lines);

/* What is to be written. */
struct ag_out {
    char *bytes;
    size_t used, size;
    bool failed; /* no memory, or more than `max` */
    size_t max;
};
void ag_out_add(struct ag_out *out, const char *bytes, size_t count);
__attribute__((format(printf, 2, 3))) void ag_out_print(struct ag_out *out, const char *format,
                                                        ...);
/* A frame with text, in as many lines as it needs. */
void ag_out_text(struct ag_out *out, char letter, const char *text);
/* Write what can be written now. False: the other side is gone. */
bool ag_out_flush(struct ag_out *out, int fd);
/* Send all of it to a socket at once, and a descriptor along with it. */
bool ag_out_give(struct ag_out *out, int fd, int given);
void ag_out_free(struct ag_out *out);

/* What a client can ask for, in the words of the command line. */
enum { /* flags of a run */
       AG_RUN_JSON = 1,
       AG_RUN_DRY_RUN = 2,
       AG_RUN_OVER_BUDGET = 4,
       AG_RUN_ACCEPT_QUARANTINED = 8,
       AG_RUN_REPAIR = 16,
       AG_RUN_SCHEDULED = 32,
       AG_RUN_DEBUG = 64, /* its log in detail */
       AG_RUN_GIVEN = 128 /* the file that the word names came with the request */
};
struct ag_ask {
    char command[16];
    unsigned flags;
    size_t count;
    char *words[AG_WORDS]; /* each yours to free; see ag_ask_free() */
};
/* True for commands that are handed to a running service. */
bool ag_ask_known(const char *command);
/* From the words after "run". NULL, or what is wrong. */
const char *ag_ask_parse(struct ag_ask *ask, char **words, size_t count);
/* As a line "run ...\n". */
void ag_ask_print(struct ag_out *out, const struct ag_ask *ask);
/* True when whoever asks `ask` is served by `run`. */
bool ag_ask_covers(const struct ag_ask *run, const struct ag_ask *ask);
/* True for what policy may allow to users without privilege. */
bool ag_ask_is_harmless(const struct ag_ask *ask);
/* True for a run that brings all components to the newest. */
bool ag_ask_is_poll(const struct ag_ask *ask);
void ag_ask_free(struct ag_ask *ask);
#define AG_RUN_LAST AG_RUN_GIVEN
/* The option of the command line for one flag, NULL for those that are none. */
const char *ag_flag_option(unsigned flag);

#endif
