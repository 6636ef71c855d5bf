/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "t_publish.h"

static unsigned mode_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? (unsigned)st.st_mode & 07777U : 0;
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static void init_makes_a_repository_that_verifies(void)
{
    defupd_error err = { 0 };
    struct t_said said, found = { 0 };
    T_AUTO_REPO *repo = t_repo(&said);

    T_OK(defupd_repo_init(repo, &err), &err);
    T_CHECK(is_there("repo/metadata/1.root.json") && is_there("repo/metadata/1.targets.json") &&
            is_there("repo/metadata/1.snapshot.json") && is_there("repo/metadata/timestamp.json"));
    T_OK(defupd_repo_verify(repo, t_say, &found, &err), &err);
    T_SAME(found.text, "");
    T_CHECK(mode_of("repo.keys") == 0700);
    T_CHECK(t_shell("test 4 = \"$(find repo.keys -name '*.pem' -perm 0600 | wc -l)\"") == 0);
    T_CHECK(t_shell("grep -rq PRIVATE repo") != 0);
    T_CHECK(strstr(said.text, "PRIVATE") == NULL && strstr(said.text, "made ecdsa key") != NULL);
}

static void everybody_may_read_what_is_published_whatever_the_umask(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    const mode_t before = umask(077);

    t_tree("tree", "1");
    T_OK(defupd_repo_init(repo, &err), &err);
    T_OK(t_add(repo, "tetra", 1, "tree", NULL, &err), &err);
    (void)umask(before);
    T_CHECK(t_shell("test -z \"$(find repo -type d ! -perm 0755)\"") == 0);
    T_CHECK(t_shell("test -z \"$(find repo -mindepth 2 -type f ! -perm 0644)\"") == 0);
    T_CHECK(mode_of("repo.keys") == 0700);
}

static void a_second_init_changes_nothing(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    T_OK(defupd_repo_init(repo, &err), &err);
    T_CHECK(t_shell("cp -a repo before") == 0);
    T_FAILS(defupd_repo_init(repo, &err), DEFUPD_E_REPO_EXISTS, &err);
    T_CHECK(t_shell("diff -r -x .lock repo before") == 0);
}

static void init_goes_on_after_an_interrupted_one(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    T_OK(defupd_repo_init(repo, &err), &err);
    T_CHECK(t_shell("mv repo/metadata/timestamp.json repo/metadata/timestamp.json.tmp "
                    "&& rm repo.keys/root.json") == 0);
    T_OK(defupd_repo_init(repo, &err), &err);
    T_OK(defupd_repo_verify(repo, NULL, NULL, &err), &err);
}

/* A second 1.root.json would lock out every client that holds the first. */
static void a_repository_that_lost_its_timestamp_is_not_made_anew(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    t_tree("tree", "1");
    T_OK(defupd_repo_init(repo, &err), &err);
    T_OK(t_add(repo, "tetra", 1, "tree", NULL, &err), &err);
    T_CHECK(t_shell("cp repo/metadata/1.root.json . && rm repo/metadata/timestamp.json") == 0);
    T_FAILS(defupd_repo_init(repo, &err), DEFUPD_E_REPO_EXISTS, &err);
    T_CHECK(strstr(err.message, "2.snapshot.json") != NULL);
    T_CHECK(t_shell("cmp 1.root.json repo/metadata/1.root.json") == 0);
    T_FAILS(t_add(repo, "tetra", 2, "tree", NULL, &err), DEFUPD_E_REPO, &err);
}

static void keys_that_were_made_before_are_the_ones_in_use(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    char root[65], timestamp[65], third[65];

    T_OK(defupd_repo_key_generate(repo, "root", "rsa", root, &err), &err);
    T_OK(defupd_repo_key_generate(repo, "timestamp", "ecdsa", timestamp, &err), &err);
    T_OK(defupd_repo_init(repo, &err), &err);
    T_OK(defupd_repo_verify(repo, NULL, NULL, &err), &err);
    T_CHECK(t_shell("grep -q %s repo/metadata/timestamp.json", timestamp) == 0);
    T_CHECK(t_shell("grep -q %s repo/metadata/1.root.json", root) == 0);
    T_CHECK(t_shell("ls repo.keys/*.pem | wc -l | grep -qx 4") == 0);
    T_FAILS(defupd_repo_key_generate(repo, "root", NULL, third, &err), DEFUPD_E_REPO_EXISTS, &err);
    T_CHECK(t_shell("ls repo.keys/*.pem | wc -l | grep -qx 4") == 0);
}

static void roles_and_types_that_are_none_are_refused(void)
{
    static const struct {
        const char *role, *type;
    } bad[] = {
        { "mirrors", NULL }, { "", NULL }, { NULL, NULL }, { "root", "dsa" }, { "root", "" }
    };
    T_AUTO_REPO *repo = t_repo(NULL);

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        defupd_error err = { 0 };
        T_FAILS(defupd_repo_key_generate(repo, bad[i].role, bad[i].type, NULL, &err),
                DEFUPD_E_INVALID, &err);
    }
    T_CHECK(!is_there("repo.keys"));
}

static void a_keys_folder_open_to_others_is_refused_by_name(void)
{
    static const char *const modes[] = { "0710", "0701", "0755", "0770", "0702" };
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    T_OK(defupd_repo_init(repo, &err), &err);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        T_CHECK(t_shell("chmod %s repo.keys", modes[i]) == 0);
        T_FAILS(defupd_repo_refresh(repo, &err), DEFUPD_E_KEY, &err);
        T_CHECK(strstr(err.message, "repo.keys") != NULL && strstr(err.message, modes[i]) != NULL);
    }
    T_CHECK(t_shell("chmod 0700 repo.keys") == 0);
    T_OK(defupd_repo_refresh(repo, &err), &err);
}

static void a_key_open_to_others_is_refused_by_name(void)
{
    static const char *const modes[] = { "0640", "0604", "0620", "0601" };
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    T_OK(defupd_repo_init(repo, &err), &err);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        T_CHECK(t_shell("chmod %s repo.keys/targets-*.pem", modes[i]) == 0);
        T_FAILS(defupd_repo_refresh(repo, &err), DEFUPD_E_KEY, &err);
        T_CHECK(strstr(err.message, "repo.keys/targets-") != NULL &&
                strstr(err.message, modes[i]) != NULL);
    }
}

static void what_is_no_key_is_refused_and_what_is_none_of_ours_ignored(void)
{
    static const char *const bad[] = {
        "k=$(echo repo.keys/root-*.pem); mv $k repo.keys/root-00000000.pem",
        "k=$(echo repo.keys/root-*.pem); mv $k elsewhere; ln -s ../elsewhere $k",
        "k=$(echo repo.keys/root-*.pem); : >$k",
        "k=$(echo repo.keys/root-*.pem); rm $k; mkdir -m 0700 $k",
        "k=$(echo repo.keys/root-*.pem); head -c 20000 /dev/zero >$k",
    };
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    T_OK(defupd_repo_init(repo, &err), &err);
    T_CHECK(
        t_shell("cp -a repo.keys good && echo x >good/README && echo x >good/Tetra-01234567.pem "
                "&& echo x >good/targets-0123456.pem && cp -a good/. repo.keys") == 0);
    T_OK(defupd_repo_refresh(repo, &err), &err);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        T_CHECK(t_shell("rm -rf repo.keys && cp -a good repo.keys && %s", bad[i]) == 0);
        T_FAILS(defupd_repo_refresh(repo, &err), DEFUPD_E_KEY, &err);
        T_CHECK(strstr(err.message, "repo.keys/root-") != NULL);
    }
}

static void keys_where_a_web_server_looks_are_warned_of(void)
{
    struct t_said said = { 0 };
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;
    T_AUTO_REPO *inside = NULL, *served = NULL;
    T_AUTO_REPO *beside = t_repo(&said);
    defupd_error err = { 0 };

    T_OK(defupd_repo_init(beside, &err), &err);
    T_CHECK(strstr(said.text, "warning") == NULL);

    options.on_say = t_say;
    options.say_user = &said;
    options.repo_dir = "other";
    options.keys_dir = "link/keys";
    T_CHECK(t_shell("mkdir -p other/private && ln -s other/private link") == 0);
    T_OK(defupd_repo_open(&inside, &options, &err), &err);
    T_OK(defupd_repo_init(inside, &err), &err);
    T_CHECK(strstr(said.text, "warning: keys directory link/keys lies inside the repository") !=
            NULL);

    T_CHECK(t_shell("mkdir -p www/site") == 0);
    options.repo_dir = "www/site/repo";
    options.keys_dir = NULL;
    T_OK(defupd_repo_open(&served, &options, &err), &err);
    T_OK(defupd_repo_init(served, &err), &err);
    T_CHECK(strstr(said.text, "below a folder named 'www'") != NULL);
}

struct listed {
    int total, private, in_root;
};

static void count_key(void *user, const defupd_repo_key *key)
{
    struct listed *listed = user;

    listed->total++;
    listed->private += key->has_private != 0;
    listed->in_root += key->in_root != 0;
    T_CHECK(strlen(key->keyid) == 64);
    T_CHECK((key->file[0] != '\0') == (key->has_private != 0));
    T_CHECK(key->threshold == (key->in_root ? 1U : key->threshold));
}

static void key_list_tells_where_each_half_is(void)
{
    struct listed before = { 0 }, after = { 0 }, without = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    T_OK(defupd_repo_key_generate(repo, "root", NULL, NULL, &err), &err);
    T_OK(defupd_repo_key_list(repo, count_key, &before, &err), &err);
    T_CHECK(before.total == 1 && before.private == 1 && before.in_root == 0);
    T_OK(defupd_repo_init(repo, &err), &err);
    T_OK(defupd_repo_key_list(repo, count_key, &after, &err), &err);
    T_CHECK(after.total == 4 && after.private == 4 && after.in_root == 4);
    T_CHECK(t_shell("rm repo.keys/root-*") == 0);
    T_OK(defupd_repo_key_list(repo, count_key, &without, &err), &err);
    T_CHECK(without.total == 4 && without.private == 3 && without.in_root == 4);
}

static void options_of_another_header_are_refused(void)
{
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;
    defupd_repo *repo = NULL;
    defupd_error err = { 0 };

    T_FAILS(defupd_repo_open(&repo, &options, &err), DEFUPD_E_INVALID, &err);
    options.repo_dir = "repo";
    options.compression_level = 20;
    T_FAILS(defupd_repo_open(&repo, &options, &err), DEFUPD_E_INVALID, &err);
    options.compression_level = 0;
    options.struct_size--;
    T_FAILS(defupd_repo_open(&repo, &options, &err), DEFUPD_E_INVALID, &err);
    T_CHECK(defupd_repo_open(&repo, &options, NULL) == DEFUPD_E_INVALID);
    T_CHECK(repo == NULL);
}

static void the_keys_stand_beside_the_folder_however_it_is_named(void)
{
    static const struct {
        const char *given, *keys;
    } names[] = { { "repo", "repo.keys" }, { "repo///", "repo.keys" }, { "a/../repo/", NULL } };
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;
    defupd_error err = { 0 };
    T_AUTO_REPO *here = NULL;

    for (size_t i = 0; i < 2; i++) {
        T_AUTO_REPO *repo = NULL;
        options.repo_dir = names[i].given;
        T_OK(defupd_repo_open(&repo, &options, &err), &err);
        T_SAME(repo->keys_path, names[i].keys);
    }
    T_CHECK(t_shell("mkdir site") == 0 && chdir("site") == 0);
    options.repo_dir = ".";
    T_OK(defupd_repo_open(&here, &options, &err), &err);
    T_CHECK(strstr(here->keys_path, "/site.keys") != NULL);
    T_CHECK(chdir("..") == 0);
}

static void no_repository_is_said_so(void)
{
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    t_tree("tree", "1");
    T_FAILS(defupd_repo_refresh(repo, &err), DEFUPD_E_REPO, &err);
    T_FAILS(t_add(repo, "tetra", 1, "tree", NULL, &err), DEFUPD_E_REPO, &err);
    T_CHECK(mkdir("repo", 0755) == 0);
    T_FAILS(defupd_repo_refresh(repo, &err), DEFUPD_E_REPO, &err);
    T_CHECK(t_shell("test -z \"$(ls -A repo)\"") == 0);
    T_FAILS(defupd_repo_verify(repo, NULL, NULL, &err), DEFUPD_E_REPO, &err);
}

int main(void)
{
    T_RUN(init_makes_a_repository_that_verifies);
    T_RUN(everybody_may_read_what_is_published_whatever_the_umask);
    T_RUN(a_second_init_changes_nothing);
    T_RUN(init_goes_on_after_an_interrupted_one);
    T_RUN(a_repository_that_lost_its_timestamp_is_not_made_anew);
    T_RUN(keys_that_were_made_before_are_the_ones_in_use);
    T_RUN(roles_and_types_that_are_none_are_refused);
    T_RUN(a_keys_folder_open_to_others_is_refused_by_name);
    T_RUN(a_key_open_to_others_is_refused_by_name);
    T_RUN(what_is_no_key_is_refused_and_what_is_none_of_ours_ignored);
    T_RUN(keys_where_a_web_server_looks_are_warned_of);
    T_RUN(key_list_tells_where_each_half_is);
    T_RUN(options_of_another_header_are_refused);
    T_RUN(the_keys_stand_beside_the_folder_however_it_is_named);
    T_RUN(no_repository_is_said_so);
    return T_DONE();
}
