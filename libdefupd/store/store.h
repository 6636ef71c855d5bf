/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endpoint's store: complete, verified versions side by side, generations over them, one of
 * them current (docs/formats/store.md).
 *
 *   STATE/versions/C/V/  versions/C/V.index     a tree and its record; never modified in place
 *   STATE/generations/N/C -> ../../versions/C/V  and generation.xml; immutable
 *   STATE/current -> generations/N              the one switch
 *
 * Functions marked [L] need the lock. The others may run beside a writer; they see the old or the
 * new state of each file, never a torn one.
 * Layer: uses base/, sys/, crypto/, xml/ and tree/.
 */
#ifndef DU_STORE_STORE_H
#define DU_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/name.h"
#include "sys/sys.h"
#include "tree/index.h"
#include "tree/tree.h"

struct du_store {
    const struct du_sys *sys;
    char *path;     /* absolute, without trailing '/' */
    int dir;        /* -1 until the state directory exists */
    int lock;       /* -1 unless this handle is the writer */
    char token[33]; /* the writer's, by which others ask it to cancel; "" otherwise */
};

/* --- open.c: the directory, the lock, host-id --- */

/* Open what is there; a state directory that does not exist yet is no error (dir stays -1).
 * Errors: DEFUPD_E_INVALID (relative path), DEFUPD_E_STORE_OWNER (writable by group or others, or
 * owned by a third user), DEFUPD_E_IO, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_store_open(struct du_store *store, const char *state_dir,
                                            const struct du_sys *sys, defupd_error *err);
/* The same for somebody who only reads what is installed, whoever owns it: no owner is refused. */
DEFUPD_MUST_CHECK defupd_code du_store_open_reader(struct du_store *store, const char *state_dir,
                                                   const struct du_sys *sys, defupd_error *err);
void du_store_close(struct du_store *store); /* also unlocks */

/* Become the writer: make the directory and its layout when missing (0755; trust 0755, downloads
 * and staging 0700), take the lock, write the pid into it, forget a stale request to cancel.
 * wait_ms: how long to try; `tick` (may be NULL) is called while waiting.
 * Errors: DEFUPD_E_BUSY (message has the pid), DEFUPD_E_CANNOT_CREATE, DEFUPD_E_STORE_OWNER,
 * DEFUPD_E_STORE_FORMAT (a newer software's store), DEFUPD_E_IO, DEFUPD_E_NO_SPACE, the tick's. */
DEFUPD_MUST_CHECK defupd_code du_store_lock(struct du_store *store, uint32_t wait_ms,
                                            const struct du_tick *tick, defupd_error *err);
void du_store_unlock(struct du_store *store);
/* Pid of the process that is the writer now; 0 when there is none, or who asks may not know. */
uint64_t du_store_busy(const struct du_store *store);

/* Ask the present writer to cancel (a file that it looks for); *pid (may be NULL) is who was asked,
 * 0 when nobody is at work. [L] Has somebody asked us? */
DEFUPD_MUST_CHECK defupd_code du_store_cancel_ask(struct du_store *store, uint64_t *pid,
                                                  defupd_error *err);
bool du_store_cancel_asked(const struct du_store *store);

#define DU_HOST_ID_BYTES 16
/* [L] Read or make host-id; remade when /etc/machine-id changed since (a cloned machine). */
DEFUPD_MUST_CHECK defupd_code du_store_host_id(struct du_store *store,
                                               unsigned char id[DU_HOST_ID_BYTES],
                                               defupd_error *err);
/* Without making one; false when there is none or it cannot be read. */
bool du_store_host_id_peek(const struct du_store *store, unsigned char id[DU_HOST_ID_BYTES]);

/* Open STATE/trust (made by du_store_lock); *fd yours. DEFUPD_E_IO with ENOENT when it is missing.
 */
DEFUPD_MUST_CHECK defupd_code du_store_trust_dir(const struct du_store *store, int *fd,
                                                 defupd_error *err);

/* [L] du_file_replace() and du_file_remove() for the store's own files: a folder in the place of
 * one goes, so that damage does not last. */
DEFUPD_MUST_CHECK defupd_code du_store_replace(const struct du_store *store, int dir,
                                               const char *name, const void *bytes, size_t count,
                                               mode_t mode, defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_store_remove(const struct du_store *store, int dir,
                                              const char *name, defupd_error *err);

/* Replace STATE/NAME atomically, mode 0644; for reports: lower-case names with a dot, "local.xml".
 * Needs no lock: two at once leave one of the two, whole. Errors: DEFUPD_E_INVALID (the name),
 * DEFUPD_E_IO, DEFUPD_E_NO_SPACE; the old file is then intact. */
DEFUPD_MUST_CHECK defupd_code du_store_write_report(struct du_store *store, const char *name,
                                                    const void *bytes, size_t count,
                                                    defupd_error *err);

/* --- generation.c --- */

struct du_fact;

struct du_member {
    char component[DU_NAME_MAX + 1];
    char label[DU_LABEL_MAX + 1];
    uint64_t version;
    int64_t published;
    unsigned char tree[DU_SHA256_BYTES];
};
struct du_generation {
    uint64_t number; /* 0: there is none */
    uint64_t parent;
    int64_t made;
    char reason[32]; /* "install", "update", "rollback", "withdrawal", ... */
    bool trial;
    const struct du_fact *terms; /* for du_store_activate(): becomes trial/N; NULL: none */
    struct du_member *member;    /* sorted by component */
    size_t count;
};
void du_generation_free(struct du_generation *generation);
#define DU_AUTO_GENERATION __attribute__((cleanup(du_generation_free))) struct du_generation
/* NULL when it is not a member. */
const struct du_member *du_generation_find(const struct du_generation *generation,
                                           const char *component);
/* Add or replace a member, keeping the order. */
DEFUPD_MUST_CHECK defupd_code du_generation_put(struct du_generation *generation,
                                                const struct du_member *member, defupd_error *err);
void du_generation_drop(struct du_generation *generation, const char *component);

/* The current one; number 0 when nothing is installed. When generation.xml cannot be read or is not
 * credible, the members are taken from the directory's links and the versions' records (label "",
 * published 0). `out` is overwritten.
 * Errors: DEFUPD_E_STORE_CORRUPT, DEFUPD_E_STORE_FORMAT, DEFUPD_E_IO (ENOENT, du_is_missing(): no
 * generation has that number), DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_store_current(const struct du_store *store,
                                               struct du_generation *out, defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_store_generation(const struct du_store *store, uint64_t number,
                                                  struct du_generation *out, defupd_error *err);
/* Does the generation's link lead to the member's version? Fails only for lack of memory. */
DEFUPD_MUST_CHECK defupd_code du_store_link_holds(const struct du_store *store, uint64_t number,
                                                  const struct du_member *member, bool *holds,
                                                  defupd_error *err);
/* Numbers on disk, ascending; yours to free(). */
DEFUPD_MUST_CHECK defupd_code du_store_generations(const struct du_store *store, uint64_t **number,
                                                   size_t *count, defupd_error *err);

/* Has the generation been confirmed: made without a trial, or its trial fact says "confirmed TIME"?
 * An unreadable fact is no confirmation. */
bool du_store_confirmed(const struct du_store *store, const struct du_generation *generation);

/* --- activate.c --- */

/*
 * [L] Make a generation of `next`'s members the current one. Every member must be complete in
 * versions/ with the digest that it states; of one that is current already the folder is enough, so
 * that a rotten record of one component does not hold back the others. `number`, `parent` and
 * `made` are set here; `made` from the caller's `now`. Errors: DEFUPD_E_STORE_CORRUPT (a member is
 * not there), DEFUPD_E_IO, DEFUPD_E_NO_SPACE. On failure `current` is the old one, or (after the
 * rename) the new one that may not survive a power cut; *switched says whether readers see the new
 * one.
 */
DEFUPD_MUST_CHECK defupd_code du_store_activate(struct du_store *store, struct du_generation *next,
                                                int64_t now, bool *switched, defupd_error *err);

/* --- version.c: trees and their records --- */

struct du_record_file {
    uint64_t inode;
    int64_t mtime_ns;
};
/* What was installed, with the facts by which a file is known without reading it. */
struct du_record {
    struct du_index index;
    struct du_record_file *file; /* one for each of index.file */
    unsigned char tree[DU_SHA256_BYTES];
};
void du_record_free(struct du_record *record);
#define DU_AUTO_RECORD __attribute__((cleanup(du_record_free))) struct du_record

/* Errors: DEFUPD_E_NOT_INSTALLED, DEFUPD_E_STORE_CORRUPT (checksum, or index and tree differ),
 * DEFUPD_E_STORE_FORMAT, DEFUPD_E_IO, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_store_record(const struct du_store *store, const char *component,
                                              uint64_t version, struct du_record *out,
                                              defupd_error *err);
/* The digest that a record's first line states, without reading on. Errors as
 * du_store_record(). */
DEFUPD_MUST_CHECK defupd_code du_record_tree(const struct du_store *store, const char *component,
                                             uint64_t version, unsigned char tree[DU_SHA256_BYTES],
                                             defupd_error *err);
/* Is the file below the place's root still what the record says, without reading it (inode, size,
 * mtime, mode)? */
bool du_record_holds(const struct du_record *record, const struct du_file *file,
                     struct du_place *place);
/* Complete versions of a component, ascending; yours to free(). */
DEFUPD_MUST_CHECK defupd_code du_store_versions(const struct du_store *store, const char *component,
                                                uint64_t **version, size_t *count,
                                                defupd_error *err);
/* Names of components that have a folder in versions/; du_names_free(). */
struct du_names;
DEFUPD_MUST_CHECK defupd_code du_store_components(const struct du_store *store,
                                                  struct du_names *names, defupd_error *err);
/* Open versions/C/V; *fd yours. */
DEFUPD_MUST_CHECK defupd_code du_store_version_dir(const struct du_store *store,
                                                   const char *component, uint64_t version, int *fd,
                                                   defupd_error *err);

/* --- stage.c --- */

/* [L] An empty directory below staging/ for a tree; *fd yours. */
DEFUPD_MUST_CHECK defupd_code du_store_stage(struct du_store *store, const char *component,
                                             uint64_t version, int *fd, defupd_error *err);
/* [L] Make the staged tree a version: write its record, sync everything, rename it into versions/.
 * An existing folder of that version is replaced unless a generation links it (then
 * DEFUPD_E_BUG). `index` is sealed and is what is on disk in `fd`. */
DEFUPD_MUST_CHECK defupd_code du_store_stage_commit(struct du_store *store, const char *component,
                                                    uint64_t version, int fd,
                                                    const struct du_index *index,
                                                    defupd_error *err);
/* [L] Throw a staged tree away; never fails. */
void du_store_stage_drop(struct du_store *store, const char *component, uint64_t version);
/* [L] Replace one damaged or missing file of an installed version by rename from a staged tree
 * (`from`, `path` in both), durably. What stands in its place or in that of its folders (a link, a
 * folder) goes; missing folders come back, up to the version's own. Call
 * du_store_repair_record() after the last one: until then the record does not hold for the file,
 * which only means that it is hashed when it is used. */
DEFUPD_MUST_CHECK defupd_code du_store_repair_file(struct du_store *store, const char *component,
                                                   uint64_t version, int from, const char *path,
                                                   defupd_error *err);
/* [L] Remove what is not part of an installed version (file, folder, link), and the folders that
 * are empty without it. `path` as found, which need not be one that a tree may have. */
DEFUPD_MUST_CHECK defupd_code du_store_repair_remove(struct du_store *store, const char *component,
                                                     uint64_t version, const char *path,
                                                     defupd_error *err);
/* [L] Write the record of an installed version anew from its signed index, after repairs.
 * DEFUPD_E_DAMAGED when a file is missing or has another size or mode. Contents are not read. */
DEFUPD_MUST_CHECK defupd_code du_store_repair_record(struct du_store *store, const char *component,
                                                     uint64_t version, const struct du_index *index,
                                                     defupd_error *err);

/* --- download.c --- */

/* Open downloads/HEX (complete) or else downloads/HEX.part for appending and reading; with `make`
 * create the latter. *complete tells which: "complete" is a hint, the caller verifies the digest.
 * *fd yours. Errors: DEFUPD_E_IO (ENOENT when there is none and make is false). */
DEFUPD_MUST_CHECK defupd_code du_store_download_open(struct du_store *store,
                                                     const unsigned char sha256[DU_SHA256_BYTES],
                                                     bool make, bool *complete, int *fd,
                                                     defupd_error *err);
/* [L] The part is whole and verified: sync and rename it. */
DEFUPD_MUST_CHECK defupd_code du_store_download_done(struct du_store *store,
                                                     const unsigned char sha256[DU_SHA256_BYTES],
                                                     int fd, defupd_error *err);
/* [L] Forget it, both forms; nothing there is no error. */
DEFUPD_MUST_CHECK defupd_code du_store_download_drop(struct du_store *store,
                                                     const unsigned char sha256[DU_SHA256_BYTES],
                                                     defupd_error *err);
/* What is remembered of a part beside its bytes: downloads/HEX.from, in the form of a fact. Absent
 * or damaged: nothing. It goes when the part does. Written without a sync: after a crash of the
 * machine the part is not known to hold what it held either. Failures to write lose nothing. */
void du_store_download_note_read(const struct du_store *store,
                                 const unsigned char sha256[DU_SHA256_BYTES], struct du_fact *fact);
/* [L] */
void du_store_download_note_write(struct du_store *store,
                                  const unsigned char sha256[DU_SHA256_BYTES],
                                  const struct du_fact *fact);
/* Bytes present of an object; *complete as above. 0 when there is none. */
uint64_t du_store_download_bytes(const struct du_store *store,
                                 const unsigned char sha256[DU_SHA256_BYTES], bool *complete);

/* --- sweep.c --- */

struct du_sweep {
    uint32_t retention; /* earlier generations to keep beside the current one */
    int64_t now;
    /* Objects that a manifest names: their downloads stay 7 days, others go at once. NULL: none. */
    bool (*named)(void *user, const unsigned char sha256[DU_SHA256_BYTES]);
    void *user;
};
/* [L] Remove generations beyond retention that nobody leases (the last confirmed one and those
 * newer than current stay), versions that no generation links (but for each component's newest,
 * while the current generation is on trial), old downloads, staging, leftovers of interrupted work.
 * Failures are counted, not fatal: what stays is swept next time. Not between
 * du_store_stage() and the activation: a version that no generation links yet would go. */
void du_store_sweep(struct du_store *store, const struct du_sweep *sweep, unsigned *failures);
/* [L] Everything in downloads/ and staging/. */
DEFUPD_MUST_CHECK defupd_code du_store_clean(struct du_store *store, uint64_t *bytes,
                                             defupd_error *err);

/* --- lease.c --- */

struct du_lease {
    int fd;
    uint64_t number;
    char *path;
};
/* Errors: DEFUPD_E_NOT_INSTALLED, DEFUPD_E_IO, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_store_lease(const struct du_store *store, struct du_lease *lease,
                                             defupd_error *err);
void du_lease_free(struct du_lease *lease);

/* --- fact.c: one small checksummed file per fact --- */

/* A fact file is lines "key value"; unknown keys are kept when it is written again. */
struct du_fact {
    struct du_buf text; /* lines without header and checksum */
};
enum du_fact_kind {
    DU_FACT_HOLD,
    DU_FACT_QUARANTINE,
    DU_FACT_DISTRUST,
    DU_FACT_SCHEDULE,
    DU_FACT_SOURCE,
    DU_FACT_TRIAL
};
enum du_fact_state { DU_FACT_ABSENT, DU_FACT_READ, DU_FACT_UNREADABLE };

/* Never fails: a file that is damaged, too large or from a newer format is UNREADABLE, and the
 * caller takes the safe side. `name` is a component; for trials, a generation's number; for
 * sources, 32 hex digits; for schedules also "agent". */
enum du_fact_state du_store_fact_read(const struct du_store *store, enum du_fact_kind kind,
                                      const char *name, struct du_fact *fact);
/* The names that have a fact of this kind, ascending; yours to du_names_free(). */
DEFUPD_MUST_CHECK defupd_code du_store_fact_names(const struct du_store *store,
                                                  enum du_fact_kind kind, struct du_names *out,
                                                  defupd_error *err);
/* [L] An empty fact removes the file. */
DEFUPD_MUST_CHECK defupd_code du_store_fact_write(struct du_store *store, enum du_fact_kind kind,
                                                  const char *name, const struct du_fact *fact,
                                                  defupd_error *err);
/* NULL when there is none; `out` gets the value, cut at `size`. */
const char *du_fact_get(const struct du_fact *fact, const char *key, char *out, size_t size);
bool du_fact_get_u64(const struct du_fact *fact, const char *key, uint64_t *out);
/* Replace or add; NULL removes. Control bytes in the value become spaces. */
DEFUPD_MUST_CHECK defupd_code du_fact_set(struct du_fact *fact, const char *key, const char *value,
                                          defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_fact_set_u64(struct du_fact *fact, const char *key, uint64_t value,
                                              defupd_error *err);
void du_fact_free(struct du_fact *fact);
#define DU_AUTO_FACT __attribute__((cleanup(du_fact_free))) struct du_fact

#endif
