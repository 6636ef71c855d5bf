/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DU_RELAY_RELAY_PRIV_H
#define DU_RELAY_RELAY_PRIV_H

#include <pthread.h>

#include "base/scope.h"
#include "relay/figures.h"
#include "relay/relay.h"
#include "sys/disk.h"
#include "update/run.h"

#define DU_RELAY_FOLDER "relay"
#define DU_RELAY_PATH_MAX \
    192 /* "targets/COMPONENT/HASH.manifest.xml", "metadata/N.COMPONENT.json" */

struct du_named {
    struct du_named_item {
        unsigned char sha256[DU_SHA256_BYTES];
        uint64_t bytes;
        int64_t left; /* since when no manifest names it; 0: one does */
    } * item;         /* sorted by digest once du_named_sort() was called */
    size_t count, room;
};

struct du_relay_job;
struct du_relay_hand;

/* What may have to be left alone, for as long as this handle lives: sources by their names. */
#define DU_RELAY_SOURCES_MAX 128
struct du_relay_cool {
    char key[DU_SOURCE_KEY];
    int64_t until;
};

struct du_relay {
    struct du_relay_options options; /* `client` and `components` are below */
    defupd_client_options client;
    struct du_names components; /* none: all */
    struct du_context ctx;      /* of syncs */
    atomic_bool stop;

    /* Of fetching on demand; all below is guarded by `mutex`. */
    pthread_mutex_t mutex;
    pthread_cond_t ended; /* a job has */
    struct du_relay_job *jobs;
    struct du_relay_hand *idle; /* that have connections */
    struct du_named named;
    struct du_relay_mark {
        uint64_t device, inode, size;
        int64_t mtime_ns;
    } named_mark; /* of the file that `named` was read from */
    struct du_relay_cool cool[DU_RELAY_SOURCES_MAX];
    size_t cools;
};

/* The folders of the tree; -1 until opened. */
struct du_relay_dirs {
    int top, metadata, targets, objects, parts;
};
#define DU_RELAY_DIRS      \
    (struct du_relay_dirs) \
    {                      \
        -1, -1, -1, -1, -1 \
    }
/* With `make`, what is missing is made; else DEFUPD_E_IO with ENOENT. */
DEFUPD_MUST_CHECK defupd_code du_relay_dirs_open(const struct du_relay *relay, bool make,
                                                 struct du_relay_dirs *dirs, defupd_error *err);
void du_relay_dirs_close(struct du_relay_dirs *dirs);
#define DU_AUTO_RELAY_DIRS __attribute__((cleanup(du_relay_dirs_close))) struct du_relay_dirs

/* Objects of objects/: the folder "ab" (made with `make`) and the name in it. *dir yours. */
DEFUPD_MUST_CHECK defupd_code du_relay_object_dir(const struct du_relay *relay, int objects,
                                                  const unsigned char sha256[DU_SHA256_BYTES],
                                                  bool make, int *dir, char name[DU_SHA256_HEX + 1],
                                                  defupd_error *err);

/* --- named.c: STATE/relay/named, which objects verified manifests name --- */

#define DU_NAMED_MAX (64U * 1024 * 1024) /* bytes of the file */
void du_named_free(struct du_named *named);
#define DU_AUTO_NAMED __attribute__((cleanup(du_named_free))) struct du_named
/* DEFUPD_E_NOMEM */
DEFUPD_MUST_CHECK defupd_code du_named_add(struct du_named *named,
                                           const unsigned char sha256[DU_SHA256_BYTES],
                                           uint64_t bytes, int64_t left, defupd_error *err);
/* Each once: what is named counts before what has left. */
void du_named_sort(struct du_named *named);
/* NULL when it is not there. */
const struct du_named_item *du_named_find(const struct du_named *named,
                                          const unsigned char sha256[DU_SHA256_BYTES]);
/* DEFUPD_E_STORE_CORRUPT, DEFUPD_E_IO (du_is_missing(): there is none), DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_named_read(struct du_named *named, const struct du_sys *sys,
                                            int top, defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_named_write(const struct du_named *named, const struct du_sys *sys,
                                             int top, defupd_error *err);

/* --- a sync --- */

/* One component as the verified metadata has it. */
struct du_relay_part {
    char name[DU_NAME_MAX + 1];
    struct du_manifest *manifest;
    struct du_buf bytes; /* of the manifest */
    char path[DU_RELAY_PATH_MAX];
};

struct du_relay_root {
    uint64_t version;
    struct du_buf bytes;
};

struct du_sync {
    struct du_run run; /* first: who is given one finds the other */
    struct du_relay *relay;
    struct du_relay_report *report;
    struct du_relay_dirs dirs;
    struct du_relay_part *part;
    size_t parts;
    struct du_relay_root *root; /* newest first, without gaps */
    size_t roots;
    struct du_named named; /* by these manifests, and what has left them lately */
    uint64_t object_count, object_bytes;
    uint64_t named_count; /* objects that these manifests name */
    uint64_t named_here;  /* of these, in objects/ */
    bool complete;        /* what is trusted is served */
};

/* --- learn.c: trust, roots and manifests from sources or archive --- */
DEFUPD_MUST_CHECK defupd_code du_relay_learn(struct du_sync *sync, defupd_error *err);
void du_relay_forget(struct du_sync *sync);

/* --- place.c: objects into the tree --- */
DEFUPD_MUST_CHECK defupd_code du_relay_place(struct du_sync *sync, defupd_error *err);

/* --- publish.c: metadata into the tree, timestamp last --- */
DEFUPD_MUST_CHECK defupd_code du_relay_publish(struct du_sync *sync, defupd_error *err);
typedef void (*du_relay_path_fn)(void *user, const char *path);
/* The files of metadata/ and targets/ that the trusted state names, by their paths. */
DEFUPD_MUST_CHECK defupd_code du_relay_each_path(struct du_sync *sync, du_relay_path_fn each,
                                                 void *user, defupd_error *err);

/* --- prune.c: what was superseded long enough ago goes; failures are logged --- */
void du_relay_prune(struct du_sync *sync);

/* --- hand.c: who fetches an object --- */

/* A run that only fetches, with its connections; one thread at a time. */
struct du_relay_hand {
    struct du_run run;
    struct du_context ctx;
    struct du_relay *relay;
    struct du_relay_hand *next;
    void (*on_tick)(void *user); /* while it fetches, a few times a second */
    void *user;
};
/* One that is idle, or a new one. Errors: DEFUPD_E_NO_SOURCE, those of du_fetch_new(). */
DEFUPD_MUST_CHECK defupd_code du_relay_hand_take(struct du_relay *relay, struct du_relay_hand **out,
                                                 defupd_error *err);
void du_relay_hand_give_back(struct du_relay *relay, struct du_relay_hand *hand);
void du_relay_hand_free(struct du_relay_hand *hand);

/* --- room.c: the cache's size --- */

/* Make room for so many bytes more. DEFUPD_E_NO_SPACE when there can be none, DEFUPD_E_NOMEM. What
 * cannot be looked at or removed is passed over. */
DEFUPD_MUST_CHECK defupd_code du_relay_make_room(const struct du_relay *relay, int objects,
                                                 uint64_t bytes, uint64_t *removed,
                                                 defupd_error *err);

#endif
