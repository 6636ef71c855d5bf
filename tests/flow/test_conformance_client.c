/* SPDX-License-Identifier: Apache-2.0 */
/* tests/conformance/tuf-client over a repository in a folder: what the public suite asks of its
 * command line, where the suite itself is not at hand. */
#include <time.h>

#include "fetch_help.h"
#include "trust_repo.h"

static void put_files(const struct files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        const struct file *file = &files->file[i];
        FILE *out;
        T_CHECK(t_shell("mkdir -p \"repo/$(dirname '%s')\"", file->name) == 0);
        T_CHECK(t_shell("rm -f 'repo/%s'", file->name) == 0);
        {
            char path[500];
            (void)snprintf(path, sizeof path, "repo/%s", file->name);
            out = fopen(path, "w");
        }
        if (out == NULL)
            abort();
        T_CHECK(fwrite(file->bytes.data, 1, file->bytes.len, out) == file->bytes.len);
        T_CHECK(fclose(out) == 0);
    }
}

static int client(const char *arguments)
{
    return t_shell("%s/tests/conformance/tuf-client --metadata-dir md --metadata-url "
                   "\"file://$PWD/repo/metadata/\" --target-base-url \"file://$PWD/repo/targets\" "
                   "--target-dir out %s 2>>log",
                   getenv("BUILD"), arguments);
}

/* True NOW: the client asks the clock. */
static void repo_today(struct repo *r)
{
    const int64_t now = (int64_t)time(NULL);

    repo_init(r);
    r->root.expires = now + 365 * DAY;
    r->timestamp.expires = now + DAY;
    r->snapshot.expires = now + 7 * DAY;
    r->targets.expires = now + 90 * DAY;
    repo_root(r);
}

static void the_suites_commands_work(void)
{
    AUTO_REPO r;

    repo_today(&r);
    (void)repo_delegate(&r, "targets", "../strange", "a/*", 5);
    r.delegated[0].expires = r.targets.expires;
    r.target[r.target_count++] = (struct target){ "../strange", "a/b", "by a strange role" };
    repo_publish(&r);
    /* curl decodes what is in file URLs: "1...%2Fstrange.json" is found as it was put */
    put_files(&r.files);
    T_CHECK(client("refresh") == 1); /* nothing is trusted yet */
    T_CHECK(client("init repo/metadata/timestamp.json") == 1);
    T_CHECK(client("init repo/metadata/1.root.json") == 0);
    T_CHECK(t_shell("cmp md/root.json repo/metadata/1.root.json") == 0);
    T_CHECK(client("refresh") == 0);
    T_CHECK(t_shell("cmp md/timestamp.json repo/metadata/timestamp.json") == 0);
    T_CHECK(t_shell("cmp md/snapshot.json repo/metadata/1.snapshot.json") == 0);
    T_CHECK(t_shell("cmp md/targets.json repo/metadata/1.targets.json") == 0);
    T_CHECK(client("--target-name tetra/manifest.xml --target-name a/b download") == 0);
    T_CHECK(t_shell("test \"$(cat out/tetra%%2Fmanifest.xml)\" = '<tetra/>'") == 0);
    T_CHECK(t_shell("test \"$(cat out/a%%2Fb)\" = 'by a strange role'") == 0);
    T_CHECK(t_shell("test \"$(ls -A md | grep json$ | LC_ALL=C sort | tr '\\n' ' ')\" = "
                    "'..%%2Fstrange.json root.json snapshot.json targets.json timestamp.json '") ==
            0);

    /* what is there already is not fetched again; the first failure ends it */
    T_CHECK(t_shell("mv repo/targets away") == 0);
    T_CHECK(client("--target-name tetra/manifest.xml download") == 0);
    T_CHECK(t_shell("rm out/a%%2Fb") == 0);
    T_CHECK(client("--target-name none --target-name a/b download") == 1);
    T_CHECK(client("--target-name a/b download") == 1);
    T_CHECK(t_shell("mv away repo/targets") == 0);
    T_CHECK(client("--target-name a/b download") == 0);

    r.root.keys[0] = 11;
    r.root.signers[1] = 11;
    repo_next_root(&r);
    put_files(&r.files);
    T_CHECK(client("refresh") == 0);
    T_CHECK(t_shell("cmp md/root.json repo/metadata/2.root.json") == 0);
    r.timestamp.signers[0] = 99;
    r.timestamp.version = 2;
    repo_timestamp(&r);
    put_files(&r.files);
    T_CHECK(client("refresh") == 1);
    T_CHECK(t_shell("grep -q SIGNATURE log") == 0);
}

/* As the suite does it: the same command below faketime, with a time of its own for each call. */
static int client_at(int days, const char *arguments)
{
    return t_shell("faketime -f '+%dd' %s/tests/conformance/tuf-client --metadata-dir md "
                   "--metadata-url \"file://$PWD/repo/metadata/\" %s 2>>log",
                   days, getenv("BUILD"), arguments);
}

static void it_believes_the_time_it_is_given(void)
{
    const char *sanitize = getenv("SANITIZE");
    AUTO_REPO r;

    if (t_shell("command -v faketime >/dev/null") != 0 ||
        (sanitize != NULL && strstr(sanitize, "address") != NULL)) {
        printf("# faketime is not here, or gets in the way of the sanitizer\n");
        return;
    }
    repo_today(&r);
    repo_publish(&r);
    put_files(&r.files);
    T_CHECK(client("init repo/metadata/1.root.json") == 0);
    T_CHECK(client_at(2, "refresh") == 1);
    T_CHECK(t_shell("grep -q EXPIRED log && test ! -e md/timestamp.json") == 0);
    T_CHECK(client_at(0, "refresh") == 0);
    r.timestamp.version = 2;
    r.timestamp.expires += 10 * DAY;
    repo_timestamp(&r);
    put_files(&r.files);
    T_CHECK(client_at(5, "refresh") == 0);
    T_CHECK(t_shell("cmp md/timestamp.json repo/metadata/timestamp.json") == 0);
    T_CHECK(client_at(8, "refresh") == 1); /* the snapshot's turn */
    T_CHECK(client("refresh") == 0);
}

/* Against HTTP: 404 and 403 end the chain of roots, anything else does not. */
static void the_end_of_the_chain_is_told_from_a_failure(void)
{
    static const struct {
        const char *rule;
        int exit;
    } row[] = { { "metadata/2.root.json=status:404\n", 0 },
                { "metadata/2.root.json=status:403\n", 0 },
                { "metadata/2.root.json=status:500\n", 1 },
                { "metadata/2.root.json=close\n", 1 },
                { "metadata/*.snapshot.json=status:404\n", 1 } };
    AUTO_REPO r;

    repo_today(&r);
    repo_publish(&r);
    put_files(&r.files);
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        DU_AUTO(server_stop) struct server liar = server_liar("repo", NULL);
        char command[300];

        help_rules(row[i].rule);
        T_CHECK(client("init repo/metadata/1.root.json") == 0);
        (void)snprintf(command, sizeof command, "--metadata-url %s/metadata refresh", liar.url);
        if (client(command) != row[i].exit) {
            printf("# with %s", row[i].rule);
            t_failed++;
        }
        T_CHECK(t_shell("rm -rf md") == 0);
    }
}

static void wrong_command_lines_are_refused(void)
{
    T_CHECK(client("") == 1);
    T_CHECK(client("dance") == 1);
    T_CHECK(client("init") == 1);
    T_CHECK(client("--no-such-option refresh") == 1);
}

int main(void)
{
    T_RUN(the_suites_commands_work);
    T_RUN(it_believes_the_time_it_is_given);
    T_RUN(the_end_of_the_chain_is_told_from_a_failure);
    T_RUN(wrong_command_lines_are_refused);
    return T_DONE();
}
