/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy, docs/formats/policy.md: what an administrator decides about updates on this host.
 * Reading takes files, checks and merges them; what comes out answers for every setting with a
 * value of the right type, its own or the default, and where it came from.
 */
#ifndef AG_POLICY_POLICY_H
#define AG_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <defupd/defupd.h>

#include "policy/table.h"

#define AG_POLICY_FILE "/etc/defupd/policy.xml"
#define AG_POLICY_LAST "policy.last.xml" /* in the store */
#define AG_POLICY_MARKER "examples.written"

#define AG_POLICY_BYTES_MAX (1u << 20) /* of one file */
#define AG_POLICY_DROPINS_MAX 64
#define AG_POLICY_DEPTH_MAX 8
#define AG_POLICY_NODES_MAX 20000 /* elements and attributes of one file */

/* An element or attribute of the policy; a group has those in it, in their order. */
struct ag_value {
    const struct ag_setting *setting; /* NULL for the root */
    struct ag_value *child, *next;
    char *text;       /* NULL for a group */
    uint64_t number;  /* see enum ag_type */
    const char *file; /* borrowed from the policy */
    long line;
};

struct ag_policy {
    struct ag_value root;
    char *files[AG_POLICY_DROPINS_MAX + 1]; /* that were read, the policy file first */
    size_t file_count;
};

/* What is wrong, one line each: "FILE:LINE: what; allowed: ...". */
#define AG_FINDINGS_MAX 64
struct ag_findings {
    char *line[AG_FINDINGS_MAX];
    size_t count;
    size_t more; /* that did not fit */
};
__attribute__((format(printf, 2, 3))) void ag_finding(struct ag_findings *findings,
                                                      const char *format, ...);
void ag_findings_free(struct ag_findings *findings);

/* --- read.c --- */
/* Add what one document says to the policy: its sections take the place of those there. `name` is
 * the file's name for messages and origins. Findings tell what is wrong; the policy then is not
 * to be used. DEFUPD_E_POLICY (the first finding), DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_policy_read(struct ag_policy *policy, const char *name,
                                             const char *bytes, size_t count,
                                             struct ag_findings *findings, defupd_error *err);
void ag_policy_free(struct ag_policy *policy);

/* --- schema.c --- */
/* The second opinion: the document (an xmlDoc) against policy.rng. */
DEFUPD_MUST_CHECK defupd_code ag_schema_check(void *doc, const char *name,
                                              struct ag_findings *findings, defupd_error *err);

/* --- check.c --- */
/* What only the whole shows: settings that do not go together. */
void ag_policy_check(const struct ag_policy *policy, struct ag_findings *findings);
/* The files that the policy names: there, and closed to others when they hold credentials.
 * DEFUPD_E_POLICY_OWNER when nothing but owners and modes of credentials is wrong, DEFUPD_E_POLICY;
 * the findings tell each. */
DEFUPD_MUST_CHECK defupd_code ag_policy_check_files(const struct ag_policy *policy, uid_t owner,
                                                    struct ag_findings *findings);

/* --- load.c --- */
enum {
    AG_LOAD_ANYONES = 1 /* a file that is only looked at may belong to anyone */
};
/* Read a policy file and its drop-ins, NAME.d beside NAME.xml. `owner`: of the store. *out is NULL
 * on failure. DEFUPD_E_POLICY, DEFUPD_E_POLICY_OWNER, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_policy_load(struct ag_policy **out, const char *path, uid_t owner,
                                             unsigned flags, struct ag_findings *findings,
                                             defupd_error *err);
/* Folder of a policy file's drop-ins, yours to free(): "/etc/defupd/policy.d" for
 * "/etc/defupd/policy.xml". NULL without memory. */
char *ag_policy_dropins(const char *path);
/* A file that may decide or holds a secret: owned by root or `owner`, writable by nobody else, in
 * such a directory. With `secret`, readable by nobody else either. *fd is open for reading.
 * DEFUPD_E_POLICY_OWNER, DEFUPD_E_POLICY (cannot be opened; err->sys_errno says why). */
DEFUPD_MUST_CHECK defupd_code ag_policy_open(int *fd, const char *path, uid_t owner, bool secret,
                                             defupd_error *err);

/* --- get.c: `policy` NULL means that there is none: the defaults --- */
/* The first value at a path such as "proxy/url", in the first group on its way; NULL if not set. */
const struct ag_value *ag_policy_at(const struct ag_policy *policy, const char *path);
/* Its number or text, the default when it is not set (0, NULL without one). */
uint64_t ag_policy_number(const struct ag_policy *policy, const char *path);
const char *ag_policy_text(const struct ag_policy *policy, const char *path);
/* The first in a group by name ("user", "days"), the next of the same setting; NULL for none. */
const struct ag_value *ag_value_in(const struct ag_value *group, const char *name);
const struct ag_value *ag_value_next(const struct ag_value *value);
uint64_t ag_value_number(const struct ag_value *group, const char *name);
const char *ag_value_text(const struct ag_value *group, const char *name);
/* The <component> of this name, NULL if there is none. */
const struct ag_value *ag_policy_component(const struct ag_policy *policy, const char *name);
/* Engine that uses a component: policy's, or the component's own name. */
const char *ag_policy_engine(const struct ag_policy *policy, const char *component);

/* --- write.c --- */
/* The policy as one document: what is set, in the table's order. *out is yours to free().
 * `from`: what the first comment says it was made from. DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_policy_write(char **out, const struct ag_policy *policy,
                                              const char *from, defupd_error *err);

/* --- force.c --- */
enum ag_force_from {
    AG_FORCE_NONE, /* no policy: the defaults */
    AG_FORCE_FILE, /* the policy file */
    AG_FORCE_LAST  /* the last good one: the file is bad */
};
/* The policy in force. Zero is AG_FORCE_NONE. */
struct ag_force {
    struct ag_policy *policy; /* NULL with AG_FORCE_NONE */
    char *path;               /* of the policy file, absolute; NULL when none is to be read */
    enum ag_force_from from;
    defupd_error error; /* with AG_FORCE_LAST: what is wrong with the file */
    struct ag_findings findings;
};
/* Find it. `config`: the file that was asked for, NULL: `standard`, which needs not be there (NULL:
 * none is read). `owner`: of the store. A bad file is a failure only when there is no last good
 * one in the store. `force` is freed by ag_force_free() in either case.
 * DEFUPD_E_POLICY, DEFUPD_E_POLICY_OWNER, DEFUPD_E_IO, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_force_load(struct ag_force *force, const char *config,
                                            const char *standard, const char *state_dir,
                                            uid_t owner, defupd_error *err);
/* Keep a policy that was read from its file as the last good one, if it is another than the one
 * kept. Nothing for others. DEFUPD_E_IO, DEFUPD_E_NO_SPACE, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_force_keep(const struct ag_force *force, defupd_client *client,
                                            const char *state_dir, defupd_error *err);
void ag_force_free(struct ag_force *force);

/* --- show.c --- */
/* An option on the command line that takes the place of a setting, or of all below it. */
struct ag_override {
    const char *path, *option, *value;
};
#define AG_OVERRIDES_MAX 64
/* Every setting with its value and where that came from, for people or as JSON. `overrides` ends
 * with a NULL path. DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_policy_show(FILE *out, const struct ag_force *force,
                                             const struct ag_override *overrides, bool json,
                                             defupd_error *err);

#endif
