/* SPDX-License-Identifier: Apache-2.0 */
/* Repositories for tests of the writing side, in the test's own directory: repo and repo.keys. */
#ifndef T_PUBLISH_H
#define T_PUBLISH_H

#include "publish/publish_priv.h"
#include "t.h"

#define T_SAID_MAX 8192

struct t_said {
    char text[T_SAID_MAX]; /* lines, each ended by a newline */
    size_t lines;
};

static inline void t_say(void *user, const char *line)
{
    struct t_said *said = user;
    const size_t len = strlen(said->text);

    (void)snprintf(said->text + len, sizeof said->text - len, "%s\n", line);
    said->lines++;
}

/* What a repository tells goes to `said` (may be NULL). Level 1: tests are not about size. */
static inline defupd_repo *t_repo(struct t_said *said)
{
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;
    defupd_repo *repo = NULL;
    defupd_error err = { 0 };

    options.repo_dir = "repo";
    options.temp_dir = ".";
    options.compression_level = 1;
    options.threads = 1;
    if (said != NULL) {
        *said = (struct t_said){ 0 };
        options.on_say = t_say;
        options.say_user = said;
    }
    T_OK(defupd_repo_open(&repo, &options, &err), &err);
    return repo;
}

static inline void t_repo_close(defupd_repo **repo)
{
    defupd_repo_close(*repo);
}
#define T_AUTO_REPO __attribute__((cleanup(t_repo_close))) defupd_repo

/* With the fastest keys for root and targets: every step of a test checks all signatures again. */
static inline defupd_code t_init(defupd_repo *repo, defupd_error *err)
{
    defupd_code rc = defupd_repo_key_generate(repo, "root", "ed25519", NULL, err);

    if (rc == DEFUPD_OK)
        rc = defupd_repo_key_generate(repo, "targets", "ed25519", NULL, err);
    return rc == DEFUPD_OK ? defupd_repo_init(repo, err) : rc;
}

/* A folder with an executable file, one below a folder with a space, and `text`. */
static inline void t_tree(const char *dir, const char *text)
{
    T_CHECK(t_shell("mkdir -p '%s/sub dir' && printf '%%s' '%s' >%s/rules && seq 1 500 >'%s/sub "
                    "dir/same' && printf x >%s/tool && chmod 755 %s/tool",
                    dir, text, dir, dir, dir, dir) == 0);
}

/* Deltas: at most so many. */
static inline defupd_code t_add_deltas(defupd_repo *repo, const char *component, uint64_t version,
                                       const char *tree, uint32_t deltas, defupd_repo_added *added,
                                       defupd_error *err)
{
    defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;

    release.component = component;
    release.version = version;
    release.tree_dir = tree;
    release.added = added;
    release.deltas = deltas;
    release.no_deltas = deltas == 0;
    return defupd_repo_add_release(repo, &release, err);
}

/* A release that only has its bundle. */
static inline defupd_code t_add(defupd_repo *repo, const char *component, uint64_t version,
                                const char *tree, defupd_repo_added *added, defupd_error *err)
{
    return t_add_deltas(repo, component, version, tree, 0, added, err);
}

/* One change; `key` is the id that goes, for those kinds that take one. */
static inline defupd_code t_change(defupd_repo *repo, defupd_repo_change_kind kind,
                                   const char *role, const char *key, defupd_error *err)
{
    defupd_repo_change change = DEFUPD_REPO_CHANGE_INIT;

    change.kind = kind;
    change.role = role;
    change.old_key = key;
    return defupd_repo_apply(repo, &change, NULL, err);
}

/* A clock that tests turn. */
static int64_t t_now;
static inline int64_t t_now_s(void)
{
    return t_now;
}
static struct du_sys t_sys;
static inline void t_clock(defupd_repo *repo, int64_t now)
{
    t_now = now;
    t_sys = du_sys_posix;
    t_sys.now_s = t_now_s;
    repo->sys = &t_sys;
}

#endif
