/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of commands and options: parsing, --help and the man page come from it. */
#ifndef AG_COMMAND_H
#define AG_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum ag_option_id {
    /* of every command */
    AG_OPT_CONFIG,
    AG_OPT_STATE_DIR,
    AG_OPT_SOURCE,
    AG_OPT_TRUSTED_ROOT,
    AG_OPT_PROXY,
    AG_OPT_PROXY_AUTH_FILE,
    AG_OPT_CA_FILE,
    AG_OPT_RING,
    AG_OPT_ENGINE,
    AG_OPT_JSON,
    AG_OPT_QUIET,
    AG_OPT_VERBOSE,
    AG_OPT_HELP,
    /* between the service and its worker, without help */
    AG_OPT_WORKER,
    AG_OPT_SCHEDULED,
    AG_OPT_GIVEN,
    /* of some commands */
    AG_OPT_DRY_RUN,
    AG_OPT_WAIT,
    AG_OPT_DETAILED_EXITCODE,
    AG_OPT_ACCEPT_QUARANTINED,
    AG_OPT_OVER_BUDGET,
    AG_OPT_REPAIR,
    AG_OPT_NAGIOS,
    AG_OPT_CSV,
    AG_OPT_OUTPUT,
    AG_OPT_GRACE,
    AG_OPT_COUNT
};
#define AG_BIT(option) (UINT32_C(1) << (option))
#define AG_OPTS_COMMON (AG_BIT(AG_OPT_DRY_RUN) - 1)

struct ag_option {
    enum ag_option_id id;
    char letter; /* 0: none */
    bool many;   /* may be given more than once */
    const char *name;
    const char *arg;  /* NULL: takes none */
    const char *help; /* NULL: not for people */
};

enum ag_command_id {
    AG_CMD_CHECK,
    AG_CMD_UPDATE,
    AG_CMD_FORCEUPDATE,
    AG_CMD_DOWNLOAD,
    AG_CMD_INSTALL,
    AG_CMD_IMPORT,
    AG_CMD_CANCEL,
    AG_CMD_LIST,
    AG_CMD_ROLLBACK,
    AG_CMD_HOLD,
    AG_CMD_UNHOLD,
    AG_CMD_PIN,
    AG_CMD_VERIFY,
    AG_CMD_CONFIRM,
    AG_CMD_REJECT,
    AG_CMD_EARLY,
    AG_CMD_CLEAN,
    AG_CMD_STATUS,
    AG_CMD_POSTURE,
    AG_CMD_WHY,
    AG_CMD_DELIVER,
    AG_CMD_DOCTOR,
    AG_CMD_PREFLIGHT,
    AG_CMD_CLUSTER_CHECK,
    AG_CMD_SUPPORT_BUNDLE,
    AG_CMD_TRUST,
    AG_CMD_CONFIG,
    AG_CMD_HELP,
    AG_CMD_VERSION,
    AG_CMD_COUNT
};

/* What a command's words may be. */
enum ag_words {
    AG_WORDS_NONE,
    AG_WORDS_COMPONENTS, /* any number of C */
    AG_WORDS_VERSIONS,   /* any number of C or C@V */
    AG_WORDS_ONE,        /* exactly one C */
    AG_WORDS_MAYBE_ONE,  /* at most one C */
    AG_WORDS_PIN,        /* exactly one C@V */
    AG_WORDS_PATH,       /* exactly one file or folder */
    AG_WORDS_TRUST,      /* show or reset */
    AG_WORDS_FILES,      /* one file or more */
    AG_WORDS_CONFIG,     /* show, test [FILE], export, init or compile */
    AG_WORDS_COMMAND     /* at most one command's name */
};

/* Traits; may be combined. */
enum {
    AG_CMD_REPORTS = 1,  /* local.xml and posture.json are written afterwards */
    AG_CMD_ANSWERS = 2,  /* its output is the point of it: printed even with -q */
    AG_CMD_STREAMS = 4,  /* with --json, events come line by line before the result */
    AG_CMD_NO_STORE = 8, /* needs no client */
    AG_CMD_LOGS = 16     /* changes something: it is in update.log, as what reports is */
};

struct ag_command {
    enum ag_command_id id;
    enum ag_words words;
    unsigned traits;
    uint32_t options; /* AG_BIT()s beyond the common ones */
    const char *name;
    const char *synopsis; /* its words for help, "" if none */
    const char *brief;    /* one line without a full stop */
    const char *text;     /* a paragraph more */
};

extern const struct ag_option ag_options[AG_OPT_COUNT];
extern const struct ag_command ag_commands[AG_CMD_COUNT];

/* NULL when there is none. */
const struct ag_command *ag_command_find(const char *name);
/* `name` without dashes. NULL when there is none. */
const struct ag_option *ag_option_find(const char *name, size_t length);
const struct ag_option *ag_option_letter(char letter);

/* The known name nearest to a mistyped one, NULL when none is near. */
const char *ag_command_nearest(const char *name);
const char *ag_option_nearest(const char *name);

/* Meaning of an exit code of this program, NULL for others; ag_exits[] ends with a NULL text. */
struct ag_exit {
    int code;
    const char *text;
};
extern const struct ag_exit ag_exits[];

void ag_help(FILE *out);
void ag_help_command(FILE *out, const struct ag_command *command);

/* The whole man page, roff with the man macros. */
void ag_man(FILE *out);

#endif
