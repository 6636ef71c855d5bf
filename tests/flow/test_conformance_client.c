/* SPDX-License-Identifier: Apache-2.0 */
/* tests/conformance/tuf-client over a repository in a folder: what the public suite asks of its
 * command line, where the suite itself is not at hand. */
#include <time.h>

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
    T_RUN(wrong_command_lines_are_refused);
    return T_DONE();
}
