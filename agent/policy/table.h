/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of settings: parsing, messages, `config show`, the schema's test and
 * docs/formats/policy.md come from it. */
#ifndef AG_POLICY_TABLE_H
#define AG_POLICY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ag_type {
    AG_GROUP,     /* other settings, no text of its own */
    AG_BOOL,      /* number: 0, 1 */
    AG_WORD,      /* one of `words`; number: which, from 0 */
    AG_DURATION,  /* number: seconds */
    AG_SIZE,      /* number: bytes */
    AG_COUNT,     /* number: itself */
    AG_RELEASE,   /* a version; number: itself */
    AG_TIME,      /* a point in time; number: Unix seconds */
    AG_CLOCK,     /* time of day; number: minutes since midnight */
    AG_DAYS,      /* number: bit 0 for Monday to bit 6 for Sunday */
    AG_COMPONENT, /* a component's name */
    AG_NAME,      /* of a ring, an engine, a licence class */
    AG_ACCOUNT,   /* of a user or group */
    AG_URL,       /* of a source: http, https, file */
    AG_HTTP,      /* http, https */
    AG_PROXY,     /* http or https, host and port only */
    AG_PATH,      /* absolute */
    AG_ADDRESS,   /* IPv4 or IPv6 */
    AG_LISTEN,    /* address and port */
    AG_NETWORK,   /* address, and how many of its bits count */
    AG_TEXT       /* anything, verbatim */
};

/* May be combined. */
enum {
    AG_SET_MANY = 1,        /* up to `most` of them */
    AG_SET_NEEDED = 2,      /* its group makes no sense without */
    AG_SET_KEY = 4,         /* tells its group from others of the same name */
    AG_SET_UNSUPPORTED = 8, /* known, refused at load unless it says the default */
    AG_SET_FILE = 16,       /* a file that must be there */
    AG_SET_SECRET = 32      /* ... and holds credentials */
};

struct ag_setting {
    const char *path; /* "schedule/interval"; an attribute is "schedule/window/@days" */
    enum ag_type type;
    unsigned flags;
    unsigned most;        /* with AG_SET_MANY */
    uint64_t min, max;    /* of numbers */
    const char *standard; /* the default, NULL: none */
    const char *words;    /* of AG_WORD, separated by blanks */
    const char *text;     /* what it is, one or two sentences */
};

extern const struct ag_setting ag_settings[]; /* each group before what is in it; path NULL ends */

/* Last part of the path, without '@'. */
const char *ag_setting_name(const struct ag_setting *setting);
bool ag_setting_is_attribute(const struct ag_setting *setting);
/* By path; NULL when there is none. */
const struct ag_setting *ag_setting_find(const char *path);
/* What is directly in `group` (NULL: the sections), after `before` (NULL: the first). */
const struct ag_setting *ag_setting_next(const struct ag_setting *group,
                                         const struct ag_setting *before);
/* By name in a group; NULL when there is none. */
const struct ag_setting *ag_setting_in(const struct ag_setting *group, const char *name,
                                       bool attribute);
/* The default's number, 0 when there is none. */
uint64_t ag_setting_standard(const struct ag_setting *setting);

/* Read a value, blanks around it taken off by the caller. False when it is not allowed. */
bool ag_value_read(const struct ag_setting *setting, const char *text, uint64_t *number);
/* "a duration", "a size", ... */
const char *ag_type_text(enum ag_type type);
/* What is allowed, for people: "PT1M to P30D, such as PT2H or 02:00:00". */
void ag_value_allowed(const struct ag_setting *setting, char *out, size_t size);
/* "P1DT2H"; returns out. */
#define AG_DURATION_TEXT 48
const char *ag_duration_text(char out[AG_DURATION_TEXT], uint64_t seconds);
/* "4G", "1500"; returns out. */
const char *ag_size_text(char out[AG_DURATION_TEXT], uint64_t bytes);

#endif
