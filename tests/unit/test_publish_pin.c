/* SPDX-License-Identifier: Apache-2.0 */
/* The pinned root in the keys directory: who can write to the repository, but holds no root keys,
 * gets no signature of ours under roots of his own. */
#include <errno.h>
#include <fcntl.h>

#include "t_publish.h"

static void nothing_is_signed(defupd_repo *repo, const char *why)
{
    struct t_said found = { 0 };
    defupd_error err = { 0 };

    T_CHECK(t_shell("rm -rf state && cp -a repo state") == 0);
    T_FAILS(defupd_repo_refresh(repo, &err), DEFUPD_E_PIN, &err);
    T_CHECK(strstr(err.message, why) != NULL && strstr(err.message, "repo.keys/root.json") != NULL);
    T_FAILS(t_add(repo, "av", 9, "tree-1", NULL, &err), DEFUPD_E_PIN, &err);
    T_FAILS(t_change(repo, DEFUPD_REPO_KEY_ROTATE, "root", NULL, &err), DEFUPD_E_PIN, &err);
    /* An audit beside the keys sees it too; one elsewhere cannot. */
    T_FAILS(defupd_repo_verify(repo, t_say, &found, &err), DEFUPD_E_REPO, &err);
    T_CHECK(found.lines == 1 && strstr(found.text, why) != NULL);
    T_CHECK(t_shell("mv repo.keys elsewhere") == 0);
    T_OK(defupd_repo_verify(repo, NULL, NULL, &err), &err); /* it is right in itself */
    T_CHECK(t_shell("mv elsewhere repo.keys") == 0);
    T_CHECK(t_shell("diff -r -x .lock repo state") == 0);
}

static void prepare(defupd_repo *repo)
{
    defupd_error err = { 0 };

    t_tree("tree-1", "one");
    T_OK(t_init(repo, &err), &err);
    T_OK(t_add(repo, "av", 1, "tree-1", NULL, &err), &err);
    T_CHECK(t_shell("cmp repo/metadata/1.root.json repo.keys/root.json") == 0);
}

static void another_chain_of_roots_gets_no_signature(void)
{
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL), *thief = NULL;

    prepare(repo);
    /* The thief's repository names our online and targets keys, which are public, beside his own
     * root key. */
    options.repo_dir = "thief";
    T_OK(defupd_repo_open(&thief, &options, &err), &err);
    T_CHECK(t_shell("mkdir -m 0700 thief.keys && cp repo.keys/[!r]*.pem repo.keys/[!r]*.json "
                    "thief.keys") == 0);
    T_OK(defupd_repo_init(thief, &err), &err);
    T_OK(t_add(thief, "av", 1, "tree-1", NULL, &err), &err);
    T_CHECK(t_shell("mv repo ours && mv thief repo") == 0);
    nothing_is_signed(repo, "is not the one pinned");
}

static void the_pin_follows_the_chain_and_never_goes_back(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    prepare(repo);
    T_CHECK(t_shell("cp -a repo old && cp -a repo.keys other.keys") == 0);
    T_OK(t_change(repo, DEFUPD_REPO_KEY_ROTATE, "root", NULL, &err), &err);
    T_CHECK(t_shell("cmp repo/metadata/2.root.json repo.keys/root.json") == 0);
    T_OK(defupd_repo_refresh(repo, &err), &err);
    /* Another machine, which saw root 1 last, follows. */
    T_CHECK(t_shell("mv repo.keys away && mv other.keys repo.keys") == 0);
    T_OK(defupd_repo_refresh(repo, &err), &err);
    T_CHECK(t_shell("cmp repo/metadata/2.root.json repo.keys/root.json") == 0);
    /* The newest root is taken away: its keys would be valid again. */
    T_CHECK(t_shell("mv repo new && mv old repo") == 0);
    nothing_is_signed(repo, "ends with root version 1");
}

static void without_a_pin_the_newest_root_is_pinned_and_said(void)
{
    struct t_said said;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(&said);

    prepare(repo);
    T_CHECK(t_shell("rm repo.keys/root.json") == 0);
    /* Who merely looks pins nothing. */
    T_OK(defupd_repo_verify(repo, NULL, NULL, &err), &err);
    T_CHECK(t_shell("test ! -e repo.keys/root.json") == 0);
    T_OK(defupd_repo_refresh(repo, &err), &err);
    T_CHECK(strstr(said.text, "root version 1 is pinned in repo.keys/root.json") != NULL);
    T_CHECK(t_shell("cmp repo/metadata/1.root.json repo.keys/root.json") == 0);
    /* Without any key there is nothing to pin it beside. */
    said = (struct t_said){ 0 };
    T_CHECK(t_shell("rm -r repo.keys") == 0);
    T_FAILS(defupd_repo_refresh(repo, &err), DEFUPD_E_KEY, &err);
    T_CHECK(strstr(said.text, "pinned") == NULL);
}

/* A machine that was given one key: nothing else stands in its folder. */
static void the_online_key_alone_is_enough_and_pins_what_it_meets(void)
{
    struct t_said said;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(&said);

    prepare(repo);
    T_CHECK(t_shell("mkdir -m 0700 cron && cp repo.keys/timestamp-*.pem cron && mv repo.keys away "
                    "&& mv cron repo.keys") == 0);
    T_OK(defupd_repo_refresh(repo, &err), &err);
    T_CHECK(strstr(said.text, "root version 1 is pinned in repo.keys/root.json") != NULL);
    said = (struct t_said){ 0 };
    T_OK(defupd_repo_refresh(repo, &err), &err);
    T_CHECK(strstr(said.text, "pinned") == NULL);
    /* Root is rotated elsewhere; the pin follows without a word. */
    T_CHECK(t_shell("mv repo.keys cron && mv away repo.keys") == 0);
    T_OK(t_change(repo, DEFUPD_REPO_KEY_ROTATE, "root", NULL, &err), &err);
    T_CHECK(t_shell("mv repo.keys away && mv cron repo.keys") == 0);
    T_OK(defupd_repo_refresh(repo, &err), &err);
    T_CHECK(t_shell("cmp repo/metadata/2.root.json repo.keys/root.json") == 0);
}

static int read_only_openat(int dir, const char *path, int flags, mode_t mode)
{
    if ((flags & O_CREAT) != 0 && strstr(path, "root.json") != NULL) {
        errno = EROFS;
        return -1;
    }
    return du_sys_posix.openat(dir, path, flags, mode);
}

static void a_pin_that_cannot_be_moved_is_said_and_goes_on_being_compared(void)
{
    struct t_said said;
    struct du_sys sys = du_sys_posix;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(&said);

    prepare(repo);
    T_CHECK(t_shell("cp repo.keys/root.json old.json") == 0);
    T_OK(t_change(repo, DEFUPD_REPO_KEY_ROTATE, "root", NULL, &err), &err);
    T_CHECK(t_shell("mv repo.keys/root.json new.json && cp old.json repo.keys/root.json") == 0);
    sys.openat = read_only_openat;
    repo->sys = &sys;
    T_OK(defupd_repo_refresh(repo, &err), &err);
    T_CHECK(strstr(said.text, "warning: root version 2 is not pinned: ") != NULL);
    T_CHECK(t_shell("cmp old.json repo.keys/root.json && echo >>repo/metadata/1.root.json") == 0);
    T_FAILS(defupd_repo_refresh(repo, &err), DEFUPD_E_PIN, &err);
    /* The first one must be kept, or whatever comes next would be believed. */
    T_CHECK(t_shell("rm repo.keys/root.json") == 0);
    T_FAILS(defupd_repo_refresh(repo, &err), DEFUPD_E_IO, &err);
}

static void a_pin_that_others_may_change_or_that_is_none_is_refused(void)
{
    static const struct {
        const char *command;
        defupd_code code;
    } bad[] = {
        { "chmod 0620 repo.keys/root.json", DEFUPD_E_KEY },
        { "chmod 0602 repo.keys/root.json", DEFUPD_E_KEY },
        { "echo {} >repo.keys/root.json", DEFUPD_E_PIN },
        { "echo >>repo.keys/root.json", DEFUPD_E_PIN },
        { "rm repo.keys/root.json && ln -s ../repo/metadata/1.root.json repo.keys/root.json",
          DEFUPD_E_IO },
    };
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    prepare(repo);
    T_CHECK(t_shell("cp -a repo.keys good") == 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        T_CHECK(t_shell("rm -rf repo.keys && cp -a good repo.keys && %s", bad[i].command) == 0);
        T_FAILS(defupd_repo_refresh(repo, &err), bad[i].code, &err);
        T_CHECK(strstr(err.message, "repo.keys") != NULL);
    }
}

static void one_keys_directory_serves_one_repository(void)
{
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL), *other = NULL;

    prepare(repo);
    options.repo_dir = "other";
    options.keys_dir = "repo.keys";
    T_OK(defupd_repo_open(&other, &options, &err), &err);
    T_FAILS(defupd_repo_init(other, &err), DEFUPD_E_REPO_EXISTS, &err);
    T_CHECK(strstr(err.message, "repo.keys/root.json") != NULL);
}

int main(void)
{
    T_RUN(another_chain_of_roots_gets_no_signature);
    T_RUN(the_pin_follows_the_chain_and_never_goes_back);
    T_RUN(without_a_pin_the_newest_root_is_pinned_and_said);
    T_RUN(the_online_key_alone_is_enough_and_pins_what_it_meets);
    T_RUN(a_pin_that_cannot_be_moved_is_said_and_goes_on_being_compared);
    T_RUN(a_pin_that_others_may_change_or_that_is_none_is_refused);
    T_RUN(one_keys_directory_serves_one_repository);
    return T_DONE();
}
