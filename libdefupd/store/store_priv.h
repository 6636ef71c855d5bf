/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of store/ share with each other and with nobody else. */
#ifndef DU_STORE_STORE_PRIV_H
#define DU_STORE_STORE_PRIV_H

#include "store/store.h"
#include "sys/disk.h"

#define DU_STORE_FORMAT 1 /* of generations, records and facts */

#define DU_CURRENT "current"
#define DU_GENERATION_XML "generation.xml"
#define DU_FACT_BYTES_MAX ((size_t)64 * 1024)
#define DU_LINK_MAX (sizeof "../../versions//" + DU_NAME_MAX + DU_VERSION_TEXT)

/* --- open.c --- */

/* [before the lock] Make and open the state directory, durably; check its owner. */
DEFUPD_MUST_CHECK defupd_code du_store_make(struct du_store *store, defupd_error *err);
/* Open a folder of the store; *fd yours. DEFUPD_E_IO with ENOENT also when there is no store. */
DEFUPD_MUST_CHECK defupd_code du_store_sub(const struct du_store *store, const char *name, int *fd,
                                           defupd_error *err);
/* [L] Remove what stands in the place of a file that is to be written and is none (with
 * `only_folders`: what a rename cannot replace). */
DEFUPD_MUST_CHECK defupd_code du_store_make_way(const struct du_sys *sys, int dir, const char *name,
                                                bool only_folders, defupd_error *err);
/* Replace a file that several processes may be replacing at once: NAME.HEX.tmp, fsync, rename,
 * fsync. A crash may leave the former, which the sweep removes. */
DEFUPD_MUST_CHECK defupd_code du_store_replace_shared(const struct du_store *store,
                                                      const char *name, const void *bytes,
                                                      size_t count, mode_t mode, defupd_error *err);

/* --- lock.c --- */

/* The writer's functions begin with it: DEFUPD_E_BUG without the lock. */
DEFUPD_MUST_CHECK defupd_code du_store_need_lock(const struct du_store *store, defupd_error *err);

/* --- generation.c --- */

/* "../../versions/C/V" for a member, and back: false for anything else. */
void du_link_print(char out[DU_LINK_MAX], const char *component, uint64_t version);
bool du_link_parse(const char *text, char component[DU_NAME_MAX + 1], uint64_t *version);

/* One member link of a generation. */
struct du_link {
    char component[DU_NAME_MAX + 1];
    uint64_t version;
};
struct du_links {
    struct du_link *item;
    size_t count;
};
void du_links_free(struct du_links *links);
#define DU_AUTO_LINKS __attribute__((cleanup(du_links_free))) struct du_links
/* Add the links of generation N to `links`, whatever its generation.xml says. */
DEFUPD_MUST_CHECK defupd_code du_links_add(const struct du_store *store, uint64_t number,
                                           struct du_links *links, defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_links_put(struct du_links *links, const char *component,
                                           uint64_t version, defupd_error *err);
bool du_links_have(const struct du_links *links, const char *component, uint64_t version);

/* The number that `current` names, 0 when there is none. The generation need not exist. */
DEFUPD_MUST_CHECK defupd_code du_store_current_number(const struct du_store *store,
                                                      uint64_t *number, defupd_error *err);

/* Names of a directory that are versions or generation numbers, ascending; yours to free(). */
DEFUPD_MUST_CHECK defupd_code du_store_numbers(const struct du_store *store, int dir,
                                               uint64_t **number, size_t *count, defupd_error *err);

/* --- version.c --- */

/* Write a record of the tree that stands in `root` to a new file dir/name and sync the file.
 * DEFUPD_E_DAMAGED when a file is not there or has another size or mode than the index says. */
DEFUPD_MUST_CHECK defupd_code du_record_write(const struct du_store *store, int dir,
                                              const char *name, const char *component,
                                              uint64_t version, const struct du_index *index,
                                              int root, defupd_error *err);
/* Open versions/C; *fd yours. */
DEFUPD_MUST_CHECK defupd_code du_store_component_dir(const struct du_store *store,
                                                     const char *component, bool make, int *fd,
                                                     defupd_error *err);
/* "1003" and "1003.index" */
void du_version_name(char out[DU_VERSION_TEXT], uint64_t version);
void du_record_name(char out[DU_VERSION_TEXT + 6], uint64_t version);

/* Remove what a failed step left: best effort, the sweep finds the rest. */
void du_store_discard(const struct du_store *store, int dir, const char *name);

/* --- fact.c --- */

/* The whole file: header, lines, checksum. */
bool du_fact_parse(struct du_fact *fact, struct du_bytes bytes);
DEFUPD_MUST_CHECK defupd_code du_fact_print(const struct du_fact *fact, struct du_buf *out,
                                            defupd_error *err);

/* --- stage.c --- */

/* Rename an entry into staging/ under a name of its own; nothing there is no error. The caller
 * syncs `dir` and staging/ before anything there is removed: else a power cut could bring back the
 * name without the content. */
DEFUPD_MUST_CHECK defupd_code du_store_move_away(const struct du_store *store, int dir,
                                                 const char *name, int staging, defupd_error *err);

#endif
