/* SPDX-License-Identifier: Apache-2.0 */
/* A source whose publisher cannot sign every day: how long its last word counts. Each look is a
 * process of its own, below faketime, so that the whole library sees the day. */
#include <defupd/client.h>
#include <defupd/publish.h>

#include "t.h"

static const char *self;

/* --- the process that looks: GRACE_A GRACE_B, in days; "-" leaves a source out --- */

static int look(const char *const grace[2])
{
    static char root[65536];
    char here[200], state[300], url[2][300];
    defupd_source source[2] = { DEFUPD_SOURCE_INIT, DEFUPD_SOURCE_INIT };
    const defupd_source *list[3] = { NULL, NULL, NULL };
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    FILE *file = fopen("a/metadata/1.root.json", "r");
    defupd_client *client = NULL;
    defupd_report *report = NULL;
    defupd_error err = { 0 };
    defupd_code rc;
    size_t count = 0;

    if (getcwd(here, sizeof here) == NULL || file == NULL)
        return 1;
    (void)snprintf(state, sizeof state, "%s/state", here);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(url[i], sizeof url[i], "file://%s/%c", here, (int)('a' + i));
        source[i].url = url[i];
        source[i].offline_grace_s = (uint64_t)strtoul(grace[i], NULL, 10) * 86400;
        if (strcmp(grace[i], "-") != 0)
            list[count++] = &source[i];
    }
    options.state_dir = state;
    options.source_list = list;
    options.trusted_root = root;
    options.trusted_root_bytes = fread(root, 1, sizeof root, file);
    (void)fclose(file);
    rc = defupd_client_open(&client, &options, &err);
    if (rc == DEFUPD_OK)
        rc = defupd_client_update(client, NULL, &report, &err);
    printf("%s %s\n%s\n", defupd_code_name(rc),
           report != NULL ? strrchr(defupd_report_source(report), '/') : "",
           rc != DEFUPD_OK ? err.message : "");
    defupd_report_free(report);
    defupd_client_close(client);
    return 0;
}

/* --- the tests --- */

/* The look's first line after so many days: "OK /a", or a code's name and the source that failed
 * last. */
static const char *after(int days, const char *grace_a, const char *grace_b)
{
    static char line[100];
    FILE *file;

    line[0] = '\0';
    T_CHECK(t_shell("faketime -f '+%dd' '%s' look %s %s > out", days, self, grace_a, grace_b) == 0);
    file = fopen("out", "r");
    if (file != NULL && fgets(line, sizeof line, file) != NULL)
        line[strcspn(line, "\n")] = '\0';
    if (file != NULL)
        (void)fclose(file);
    return line;
}

/* A repository that is frozen from now on, and its mirror; root and targets signed for so many
 * days. */
static void freeze(uint32_t root_days, uint32_t targets_days)
{
    const defupd_repo_rule rules[] = {
        { .struct_size = sizeof rules[0], .days = root_days, .role = "root" },
        { .struct_size = sizeof rules[0], .days = targets_days, .role = "targets" },
    };
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;
    defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;
    defupd_repo *repo = NULL;
    defupd_error err = { 0 };

    options.repo_dir = "a";
    options.compression_level = 1;
    release.component = "tetra";
    release.version = 1;
    release.tree_dir = "tree";
    T_CHECK(t_shell("mkdir tree && echo 1 > tree/f") == 0);
    T_OK(defupd_repo_open(&repo, &options, &err), &err);
    T_OK(defupd_repo_init_with(repo, rules, 2, &err), &err);
    T_OK(defupd_repo_add_release(repo, &release, &err), &err);
    defupd_repo_close(repo);
    T_CHECK(t_shell("cp -a a b") == 0);
}

static bool is_installed(void)
{
    return access("state/current/tetra/f", R_OK) == 0;
}

static void an_expired_timestamp_counts_within_the_grace_and_no_longer(void)
{
    freeze(0, 0);
    T_SAME(after(2, "0", "-"), "EXPIRED /a"); /* a timestamp lives for a day */
    T_CHECK(!is_installed() && t_shell("grep -q 'timestamp.*expired' out") == 0);
    T_SAME(after(9, "7", "-"), "EXPIRED /a");
    T_CHECK(!is_installed());
    T_SAME(after(2, "7", "-"), "OK /a");
    T_CHECK(is_installed());
    T_SAME(after(7, "7", "-"), "OK /a"); /* unchanged, and still within it */
    T_SAME(after(9, "7", "-"), "EXPIRED /a");
    T_CHECK(is_installed()); /* what is installed stays */
}

static void the_snapshots_turn_comes_after_a_week(void)
{
    freeze(0, 0);
    T_SAME(after(10, "9", "-"), "EXPIRED /a"); /* the timestamp's: it is a day old */
    T_SAME(after(10, "10", "-"), "OK /a");
    T_SAME(after(20, "30", "-"), "OK /a");
}

static void the_grace_is_that_sources_alone(void)
{
    freeze(0, 0);
    T_SAME(after(2, "0", "7"), "OK /b");
    T_CHECK(is_installed() && t_shell("rm -rf --one-file-system state") == 0);
    T_SAME(after(2, "7", "0"), "OK /a");
    T_CHECK(is_installed() && t_shell("rm -rf --one-file-system state") == 0);
    T_SAME(after(2, "0", "0"), "EXPIRED /b");
    T_SAME(after(0, "0", "0"), "OK /a");
}

static void root_and_targets_are_never_forgiven(void)
{
    freeze(0, 3);
    T_SAME(after(4, "300", "-"), "EXPIRED /a");
    T_CHECK(!is_installed() && t_shell("grep -q 'targets.*expired' out") == 0);
    T_SAME(after(2, "300", "-"), "OK /a");
    T_CHECK(t_shell("rm -rf --one-file-system a b tree state a.keys") == 0);
    freeze(3, 0);
    T_SAME(after(4, "300", "-"), "EXPIRED /a");
    T_CHECK(!is_installed() && t_shell("grep -q 'root.*expired' out") == 0);
    T_SAME(after(2, "300", "-"), "OK /a");
}

int main(int argc, char **argv)
{
    static char path[4096];
    const char *sanitize = getenv("SANITIZE");
    const char *why = NULL;

    if (argc == 4 && strcmp(argv[1], "look") == 0)
        return look((const char *const[]){ argv[2], argv[3] });
    if (realpath("/proc/self/exe", path) == NULL)
        abort();
    self = path;
    if (t_shell("command -v faketime >/dev/null") != 0)
        why = "faketime is not here";
    else if (sanitize != NULL && strstr(sanitize, "address") != NULL)
        why = "faketime gets in the way of the sanitizer";
#define RUN(test)    \
    if (why == NULL) \
        T_RUN(test); \
    else             \
        T_SKIP(#test, why)
    RUN(an_expired_timestamp_counts_within_the_grace_and_no_longer);
    RUN(the_snapshots_turn_comes_after_a_week);
    RUN(the_grace_is_that_sources_alone);
    RUN(root_and_targets_are_never_forgiven);
    return T_DONE();
}
