/* SPDX-License-Identifier: Apache-2.0 */
/* A publisher whose signed bundle holds what no tree may hold: the client says so with exit code
 * 65, names it, and keeps what is installed. Signatures, manifest and digest are all right; nothing
 * but the look into the bundle can refuse it. */
#include "client/client.h"
#include "trust_repo.h"

static int64_t now_s(void)
{
    return NOW;
}

static struct du_sys fixed_clock(void)
{
    struct du_sys sys = du_sys_posix;

    sys.now_s = now_s;
    return sys;
}

/* Put the file `bundle` among the objects; its <full> element. */
static void put_object(char out[200])
{
    static unsigned char bytes[65536];
    unsigned char digest[DU_SHA256_BYTES];
    char hex[DU_SHA256_HEX + 1];
    FILE *file = fopen("bundle", "r");
    const size_t count = file != NULL ? fread(bytes, 1, sizeof bytes, file) : 0;

    if (file != NULL)
        (void)fclose(file);
    du_sha256(digest, bytes, count);
    du_hex(hex, digest, sizeof digest);
    T_CHECK(count > 0 && t_shell("mkdir -p repo/objects/%.2s && cp bundle repo/objects/%.2s/%s",
                                 hex, hex, hex) == 0);
    (void)snprintf(out, 200, "<full object=\"%s\" bytes=\"%zu\" codec=\"tar+zst\"/>", hex, count);
}

/* The digest of the tree of one file "a" that holds "1\n", or of none that exists. */
static void tree_of(char hex[DU_SHA256_HEX + 1], bool real)
{
    char line[200], file[DU_SHA256_HEX + 1];
    unsigned char digest[DU_SHA256_BYTES];

    du_sha256(digest, "1\n", 2);
    du_hex(file, digest, sizeof digest);
    (void)snprintf(line, sizeof line, "%s 2 - a\n", file);
    du_sha256(digest, line, real ? strlen(line) : 0);
    du_hex(hex, digest, sizeof digest);
}

/* Release 1 is sound; with `make`, a shell command that leaves the archive "t", there is a 2. */
static void publish(struct repo *r, const char *make)
{
    static char manifest[2000];
    char full[200], tree[DU_SHA256_HEX + 1], second[600] = "";

    T_CHECK(t_shell("rm -rf work && mkdir work && cd work && echo 1 > a && tar -cf t a && "
                    "zstd -q -f t -o ../bundle") == 0);
    put_object(full);
    tree_of(tree, true);
    (void)snprintf(
        manifest, sizeof manifest,
        "<release version=\"1\" published=\"2026-11-20T09:00:00Z\" tree=\"%s\" size=\"2\" "
        "files=\"1\">%s</release>",
        tree, full);
    if (make != NULL) {
        T_CHECK(t_shell("rm -rf work && mkdir work && cd work && { %s; } && "
                        "zstd -q -f t -o ../bundle",
                        make) == 0);
        put_object(full);
        tree_of(tree, false);
        (void)snprintf(second, sizeof second,
                       "<release version=\"2\" published=\"2026-11-21T08:00:00Z\" tree=\"%s\" "
                       "size=\"2000\" files=\"9\">%s</release>",
                       tree, full);
    }
    static char whole[3000];
    (void)snprintf(whole, sizeof whole,
                   "<manifest format=\"1\" component=\"tetra\">%s%s</manifest>", second, manifest);
    r->target[0].content = whole;
    if (make == NULL)
        repo_publish(r);
    else
        repo_next(r);
    for (size_t i = 0; i < r->files.count; i++) {
        const struct file *item = &r->files.file[i];
        FILE *file;

        T_CHECK(t_shell("mkdir -p \"$(dirname repo/%s)\"", item->name) == 0);
        char path[420];
        (void)snprintf(path, sizeof path, "repo/%s", item->name);
        file = fopen(path, "w");
        T_CHECK(file != NULL &&
                fwrite(item->bytes.data, 1, item->bytes.len, file) == item->bytes.len);
        if (file != NULL)
            (void)fclose(file);
    }
}

static defupd_code update(const struct repo *r, defupd_error *err)
{
    static char here[300], url[400], state[400];
    const struct file *root =
        files_find((struct files *)(uintptr_t)&r->files, "metadata/1.root.json");
    const struct du_sys sys = fixed_clock();
    const char *const sources[] = { url, NULL };
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    defupd_client *client = NULL;
    defupd_code rc;

    T_CHECK(getcwd(here, sizeof here) != NULL);
    (void)snprintf(url, sizeof url, "file://%s/repo", here);
    (void)snprintf(state, sizeof state, "%s/state", here);
    options.state_dir = state;
    options.sources = sources;
    options.trusted_root = root->bytes.data;
    options.trusted_root_bytes = root->bytes.len;
    rc = du_client_open_sys(&client, &options, &sys, err);
    if (rc == DEFUPD_OK)
        rc = defupd_client_update(client, NULL, NULL, err);
    defupd_client_close(client);
    return rc;
}

static const struct {
    const char *make, *says;
} hostile[] = {
    { "ln -s /etc/passwd link && tar -cf t link", "link" },
    { "echo 1 > b && tar -P --transform 's,^b$,../b,' -cf t b", "../b" },
    { "echo 1 > b && tar -P -cf t $PWD/b", "absolute" },
    { "echo 1 > a && ln a b && tar -cf t a b", "'b'" },
    { "mkfifo pipe && tar -cf t pipe", "pipe" },
    { "mkdir d && tar -cf t d", "d/" },
    { "echo 1 > a && chmod 4755 a && tar -cf t a", "4755" },
    { "echo 1 > a && echo 2 > A && tar -cf t a A", "case" },
};

static void a_signed_bundle_with_a_forbidden_member_is_refused(void)
{
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        AUTO_REPO r;
        defupd_error err = { 0 };
        defupd_code rc;

        T_CHECK(t_shell("chmod -R u+w . && rm -rf repo state") == 0);
        repo_init(&r);
        publish(&r, NULL);
        T_OK(update(&r, &err), &err);
        publish(&r, hostile[i].make);
        rc = update(&r, &err);
        T_FAILS(rc, DEFUPD_E_TREE_FORBIDDEN, &err);
        T_CHECK(defupd_code_exit(rc) == 65);
        if (strstr(err.message, hostile[i].says) == NULL)
            printf("# \"%s\" does not say \"%s\"\n", err.message, hostile[i].says);
        T_CHECK(strstr(err.message, hostile[i].says) != NULL);
        /* What was installed still is, and nothing of the other lies about. */
        T_CHECK(t_shell("test \"$(readlink state/current)\" = generations/1 && "
                        "test \"$(cat state/current/tetra/a)\" = 1 && "
                        "test \"$(ls state/versions/tetra | tr '\\n' ' ')\" = '1 1.index ' && "
                        "test -z \"$(ls -A state/staging)\" && test ! -e b && test ! -e state/b") ==
                0);
    }
}

int main(void)
{
    T_RUN(a_signed_bundle_with_a_forbidden_member_is_refused);
    return T_DONE();
}
