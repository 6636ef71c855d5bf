/* SPDX-License-Identifier: Apache-2.0 */
/* The publisher's command line: one table of commands and options, from which parsing and --help
 * come; tests/flow/test_publish_tool.sh compares the man page with it. */
#ifndef PT_TOOL_H
#define PT_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <defupd/publish.h>

#define PT_WORDS_MAX 3

enum pt_option_id {
    PT_OPT_REPO, /* of every command */
    PT_OPT_KEYS,
    PT_OPT_HELP,
    PT_OPT_VERSION,
    PT_OPT_LEVEL, /* of some */
    PT_OPT_LABEL,
    PT_OPT_CLASS,
    PT_OPT_NOTE,
    PT_OPT_PUBLISHED,
    PT_OPT_TYPE,
    PT_OPT_JSON,
    PT_OPT_LISTEN,
    PT_OPT_LOG,
    PT_OPT_COMPONENT,
    PT_OPT_THRESHOLD,
    PT_OPT_EXPIRES,
    PT_OPT_OLD,
    PT_OPT_NEW,
    PT_OPT_LOST,
    PT_OPT_PENDING,
    PT_OPT_YES,
    PT_OPT_PASSPHRASE_FILE,
    PT_OPT_PASSPHRASE,
    PT_OPT_WITHIN,
    PT_OPT_DELTAS,
    PT_OPT_JOBS,
    PT_OPT_MEMORY,
    PT_OPT_KEEP,
    PT_OPT_DRY_RUN,
    PT_OPT_OUTPUT,
    PT_OPT_SINCE,
    PT_OPT_SINCE_POSTURE,
    PT_OPT_STEP,
    PT_OPT_RING,
    PT_OPT_START,
    PT_OPT_REPLACE_BY,
    PT_OPT_REASON,
    PT_OPT_COUNT
};
#define PT_RULES_MAX 64 /* values of options that may be given again */
#define PT_BIT(id) (UINT64_C(1) << (id))
#define PT_COMMON                                                                               \
    (PT_BIT(PT_OPT_REPO) | PT_BIT(PT_OPT_KEYS) | PT_BIT(PT_OPT_HELP) | PT_BIT(PT_OPT_VERSION) | \
     PT_BIT(PT_OPT_PASSPHRASE_FILE))

/* Options that may be given again. */
#define PT_MANY                                                                 \
    (PT_BIT(PT_OPT_THRESHOLD) | PT_BIT(PT_OPT_EXPIRES) | PT_BIT(PT_OPT_SINCE) | \
     PT_BIT(PT_OPT_STEP) | PT_BIT(PT_OPT_RING))
#define PT_KEYS_ONLY (UINT64_C(1) << 63) /* among a command's options: --keys may stand alone */

struct pt_option {
    const char *name;
    const char *arg; /* NULL: a switch */
    const char *help;
};
extern const struct pt_option pt_options[PT_OPT_COUNT];

struct pt_args {
    const struct pt_command *command; /* NULL with --help or --version alone */
    const char *value[PT_OPT_COUNT];  /* NULL when not given; "" for a switch; the last one */
    struct {
        enum pt_option_id id;
        const char *text;
    } many[PT_RULES_MAX]; /* each value of options that may be given again */
    size_t many_count;
    const char *word[PT_WORDS_MAX]; /* the command's arguments */
    uint32_t level;
    uint64_t version;
    int64_t published;
    uint32_t within;
    uint32_t deltas, jobs; /* 0: not given, or --deltas 0 */
    uint64_t memory;
    uint32_t keep_days;
    int64_t start;
    uint64_t replace_by;
};

struct pt_command {
    const char *name; /* "init", "key generate" */
    const char *synopsis;
    const char *summary;
    const char *text;
    size_t words_min, words; /* arguments it needs, and takes */
    uint64_t options;        /* PT_BIT()s beside PT_COMMON */
    defupd_code (*run)(const struct pt_args *args, defupd_error *err);
};
extern const struct pt_command pt_commands[];
extern const size_t pt_command_count;

/* Read the command line. DEFUPD_E_INVALID with one line for the person. */
DEFUPD_MUST_CHECK defupd_code pt_args_parse(struct pt_args *args, char *const *argv,
                                            defupd_error *err);
void pt_help(FILE *out, const struct pt_command *command); /* NULL: of the program */

/* Decimal without sign or leading zeros, 1 to max. */
bool pt_number(const char *text, uint64_t max, uint64_t *out);

/* Fill err, return code. */
__attribute__((format(printf, 3, 4))) defupd_code pt_fail(defupd_error *err, defupd_code code,
                                                          const char *format, ...);
/* The error for people, on stderr. */
void pt_show_error(const defupd_error *err);
bool pt_wants_json(char *const *argv);
/* Complete a document with how it ended, and print it; `doc` is taken over. Returns rc. */
struct json_t;
defupd_code pt_json_end(struct json_t *doc, const struct pt_args *args, defupd_code rc,
                        defupd_error *err);

/* open.c */
defupd_code pt_open(defupd_repo **repo, const struct pt_args *args, defupd_repo_say_fn on_say,
                    void *user, defupd_error *err);
void pt_close(defupd_repo *repo);          /* NULL is allowed */
void pt_say(void *user, const char *line); /* on stderr */
void pt_line(const char *line);            /* on stdout */
/* One line without its newline; false at the end of the file, or when a signal came first. *cut:
 * what did not fit is left out. Reads no byte after the line, and keeps none. */
bool pt_read_line(int fd, char *out, size_t size, bool *cut);
/* verify.c */
defupd_code pt_verify(const struct pt_args *args, defupd_error *err);
/* commands.c */
defupd_code pt_init(const struct pt_args *args, defupd_error *err);
defupd_code pt_refresh(const struct pt_args *args, defupd_error *err);
/* release.c */
defupd_code pt_add_release(const struct pt_args *args, defupd_error *err);
defupd_code pt_prune(const struct pt_args *args, defupd_error *err);
/* amend.c */
#define PT_STEPS_MAX 32
struct pt_rollout {
    defupd_repo_rollout rollout;
    defupd_repo_step step[PT_STEPS_MAX];
    char ring[PT_STEPS_MAX][65];
};
/* What --step, --ring and --start say. *given: whether there is any. `out` points into itself. */
defupd_code pt_take_rollout(struct pt_rollout *out, const struct pt_args *args, bool *given,
                            defupd_error *err);
defupd_code pt_withdraw(const struct pt_args *args, defupd_error *err);
defupd_code pt_rollout(const struct pt_args *args, defupd_error *err);
/* export.c */
defupd_code pt_export_offline(const struct pt_args *args, defupd_error *err);
/* keys.c */
defupd_code pt_key_generate(const struct pt_args *args, defupd_error *err);
defupd_code pt_key_list(const struct pt_args *args, defupd_error *err);
defupd_code pt_key_add(const struct pt_args *args, defupd_error *err);
defupd_code pt_key_rotate(const struct pt_args *args, defupd_error *err);
defupd_code pt_key_revoke(const struct pt_args *args, defupd_error *err);
defupd_code pt_key_threshold(const struct pt_args *args, defupd_error *err);
defupd_code pt_delegate(const struct pt_args *args, defupd_error *err);
defupd_code pt_renew(const struct pt_args *args, defupd_error *err);
/* sign.c */
defupd_code pt_sign(const struct pt_args *args, defupd_error *err);
defupd_code pt_sign_export(const struct pt_args *args, defupd_error *err);
defupd_code pt_sign_import(const struct pt_args *args, defupd_error *err);
defupd_code pt_sign_list(const struct pt_args *args, defupd_error *err);
defupd_code pt_sign_drop(const struct pt_args *args, defupd_error *err);
/* passphrase.c: defupd_repo_passphrase_fn; `user` is the command line. */
defupd_code pt_passphrase(void *user, const char *file, int fresh, char *passphrase, size_t size,
                          defupd_error *err);
/* serve.c */
defupd_code pt_serve(const struct pt_args *args, defupd_error *err);

#endif
