/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tuf-client: the library's TUF workflow behind the command line of the community conformance suite
 * (theupdateframework/tuf-conformance, CLIENT-CLI.md).
 *
 *   tuf-client --metadata-dir D init ROOT
 *   tuf-client --metadata-dir D --metadata-url U refresh
 *   tuf-client --metadata-dir D --metadata-url U --target-name P [--target-name P ...]
 *              --target-base-url B --target-dir T download
 *
 * D holds what the endpoint's trust/ holds, and a copy of the newest root as root.json, where the
 * suite looks for it. Its transport is curl alone: names of roles may hold a '/', which only
 * repositories of the suite do, and which fetch/ has no need to write into a URL.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <curl/curl.h>

#include "base/name.h"
#include "base/scope.h"
#include "sys/disk.h"
#include "update/refresh.h"

#define TARGETS_MAX 64
#define ARTIFACT_MAX (64U * 1024 * 1024)

struct client {
    CURL *curl;
    const char *metadata_url, *target_url;
    const char *target[TARGETS_MAX];
    size_t targets;
    int metadata_dir, target_dir;
};

/* --- transport --- */

struct sink {
    struct du_buf *out;
    size_t max;
    bool too_long;
};

static size_t take(char *bytes, size_t size, size_t count, void *user)
{
    struct sink *sink = user;
    defupd_error err = { 0 };

    (void)size;
    sink->too_long = count > sink->max - sink->out->len;
    if (sink->too_long || du_buf_add(sink->out, bytes, count, &err) != DEFUPD_OK)
        return 0;
    return count;
}

/* "metadata/2.root.json" below the one URL, "targets/..." below the other. */
static defupd_code url_of(const struct client *c, const char *path, struct du_buf *url,
                          defupd_error *err)
{
    const bool metadata = strncmp(path, "metadata/", 9) == 0;
    const char *base = metadata ? c->metadata_url : c->target_url;
    const size_t len = base != NULL ? strlen(base) : 0;

    if (len == 0)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no URL given for %s", path);
    DU_TRY(du_buf_add(url, base, len, err));
    if (base[len - 1] != '/')
        DU_TRY(du_buf_add_text(url, "/", err));
    return du_buf_add_text(url, path + strlen(metadata ? "metadata/" : "targets/"), err);
}

static defupd_code io_fetch(void *user, const char *path, size_t max, const char *etag,
                            struct du_buf *out, enum du_got *got, char etag_out[128],
                            defupd_error *err)
{
    struct client *c = user;
    DU_AUTO_BUF url = DU_BUF(8192);
    struct sink sink = { out, max, false };
    long status = 0;
    CURLcode rc;

    (void)etag;
    etag_out[0] = '\0';
    DU_TRY(url_of(c, path, &url, err));
    if (curl_easy_setopt(c->curl, CURLOPT_URL, du_buf_text(&url)) != CURLE_OK ||
        curl_easy_setopt(c->curl, CURLOPT_PATH_AS_IS, 1L) != CURLE_OK ||
        curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take) != CURLE_OK ||
        curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &sink) != CURLE_OK ||
        curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, 10L) != CURLE_OK ||
        curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, 60L) != CURLE_OK)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a request");
    rc = curl_easy_perform(c->curl);
    if (sink.too_long)
        return DU_FAIL(err, DEFUPD_E_TOOLARGE, "%s: more than %zu bytes", du_buf_text(&url), max);
    if (rc == CURLE_FILE_COULDNT_READ_FILE) {
        *got = DU_GOT_NOTHING;
        return DEFUPD_OK;
    }
    if (rc != CURLE_OK)
        return DU_FAIL(err, DEFUPD_E_CONNECT, "%s: %s", du_buf_text(&url), curl_easy_strerror(rc));
    (void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 0 && status != 200 && status != 403 && status != 404)
        return DU_FAIL(err, DEFUPD_E_HTTP_STATUS, "%s: HTTP %ld", du_buf_text(&url), status);
    *got = status == 0 || status == 200 ? DU_GOT_BYTES : DU_GOT_NOTHING;
    return DEFUPD_OK;
}

/* --- folders --- */

/* "roots/3.root.json", "target/NAME", or a file of D. */
static defupd_code place(const struct client *c, const char *name, int *sub, int *dir,
                         const char **leaf, defupd_error *err)
{
    const bool root = strncmp(name, "roots/", 6) == 0, target = strncmp(name, "target/", 7) == 0;

    *dir = target ? c->target_dir : c->metadata_dir;
    *leaf = name + (root ? 6 : target ? 7 : 0);
    if (!root)
        return DEFUPD_OK;
    DU_TRY(du_dir_open(&du_sys_posix, c->metadata_dir, "roots", true, 0755, sub, err));
    *dir = *sub;
    return DEFUPD_OK;
}

static defupd_code io_load(void *user, const char *name, struct du_buf *out, defupd_error *err)
{
    DU_AUTO_FD sub = -1;
    const char *leaf;
    int dir;

    DU_TRY(place(user, name, &sub, &dir, &leaf, err));
    return du_file_read(&du_sys_posix, dir, leaf, out, err);
}

static defupd_code io_save(void *user, const char *name, struct du_bytes bytes, defupd_error *err)
{
    const struct client *c = user;
    DU_AUTO_FD sub = -1;
    const char *leaf;
    int dir;

    DU_TRY(place(user, name, &sub, &dir, &leaf, err));
    DU_TRY(du_file_replace(&du_sys_posix, dir, leaf, bytes.data, bytes.len, 0644, err));
    if (dir != sub)
        return DEFUPD_OK;
    return du_file_replace(&du_sys_posix, c->metadata_dir, "root.json", bytes.data, bytes.len, 0644,
                           err);
}

static defupd_code io_remove(void *user, const char *name, defupd_error *err)
{
    DU_AUTO_FD sub = -1;
    const char *leaf;
    int dir;

    DU_TRY(place(user, name, &sub, &dir, &leaf, err));
    return du_file_remove(&du_sys_posix, dir, leaf, err);
}

static defupd_code io_roots(void *user, void (*each)(void *arg, uint64_t version), void *arg,
                            defupd_error *err)
{
    DU_AUTO_NAMES names = { 0 };
    DU_AUTO_FD sub = -1;
    const char *leaf;
    int dir;

    DU_TRY(place(user, "roots/", &sub, &dir, &leaf, err));
    DU_TRY(du_dir_names(&du_sys_posix, dir, &names, err));
    for (size_t i = 0; i < names.count; i++) {
        char *dot = strchr(names.item[i], '.');
        uint64_t version;
        if (dot == NULL || strcmp(dot, ".root.json") != 0)
            continue;
        *dot = '\0';
        if (du_version_parse(names.item[i], &version))
            each(arg, version);
    }
    return DEFUPD_OK;
}

static void io_log(void *user, defupd_level level, const char *text)
{
    (void)user;
    (void)level;
    (void)fprintf(stderr, "tuf-client: %s\n", text);
}

static defupd_code open_dir(const char *path, int *fd, defupd_error *err)
{
    if (path == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "a directory is missing on the command line");
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        return DU_FAIL_IO(err, "make %s", path);
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd >= 0 ? DEFUPD_OK : DU_FAIL_IO(err, "open %s", path);
}

/* --- commands --- */

static defupd_code init(const struct du_refresh_io *io, const char *root, defupd_error *err)
{
    struct du_refresh_options options = { 0 };
    DU_AUTO_BUF bytes = DU_BUF(DU_ROOT_MAX);
    DU_AUTO_TRUST *trust = NULL;

    DU_TRY(du_file_read(&du_sys_posix, AT_FDCWD, root, &bytes, err));
    options.pin = du_buf_bytes(&bytes);
    options.pin_name = root;
    options.pin_now = true; /* the suite asks for root.json as soon as it is given */
    return du_refresh_load(&trust, io, &options, err);
}

/* One file for each target, whatever its path: the encoded path as a name. */
static defupd_code download(struct client *c, struct du_trust *trust,
                            const struct du_refresh_io *io,
                            const struct du_refresh_options *options, defupd_error *err)
{
    for (size_t i = 0; i < c->targets; i++) {
        DU_AUTO_BUF name = DU_BUF(4096);
        DU_AUTO_BUF bytes = DU_BUF(ARTIFACT_MAX);
        struct du_verified verified;

        DU_TRY(du_buf_add_text(&name, "target/", err));
        DU_TRY(du_role_name_encode(&name, c->target[i], err));
        DU_TRY(du_refresh_target(trust, io, options, c->target[i], du_buf_text(&name), ARTIFACT_MAX,
                                 &bytes, &verified, err));
    }
    return DEFUPD_OK;
}

static defupd_code run(struct client *c, const char *command, const char *argument,
                       const char *target_dir, defupd_error *err)
{
    const struct du_refresh_options options = { .now = du_sys_posix.now_s() };
    const struct du_refresh_io io = { c, io_fetch, io_load, io_save, io_remove, io_roots, io_log };
    DU_AUTO_TRUST *trust = NULL;
    bool unchanged;

    if (strcmp(command, "init") == 0 && argument != NULL)
        return init(&io, argument, err);
    if (strcmp(command, "refresh") != 0 && strcmp(command, "download") != 0)
        return DU_FAIL(err, DEFUPD_E_INVALID, "expected init ROOT, refresh or download");
    DU_TRY(du_refresh_load(&trust, &io, &options, err));
    DU_TRY(du_refresh_cycle(trust, &io, &options, &unchanged, err));
    if (strcmp(command, "refresh") == 0)
        return DEFUPD_OK;
    DU_TRY(open_dir(target_dir, &c->target_dir, err));
    return download(c, trust, &io, &options, err);
}

int main(int argc, char **argv)
{
    static const struct option known[] = { { "metadata-dir", required_argument, NULL, 'd' },
                                           { "metadata-url", required_argument, NULL, 'u' },
                                           { "target-name", required_argument, NULL, 'n' },
                                           { "target-base-url", required_argument, NULL, 'b' },
                                           { "target-dir", required_argument, NULL, 't' },
                                           { NULL, 0, NULL, 0 } };
    struct client c = { .metadata_dir = -1, .target_dir = -1 };
    const char *metadata_dir = NULL, *target_dir = NULL;
    defupd_error err = { 0 };
    defupd_code rc;
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'd': metadata_dir = optarg; break;
        case 'u': c.metadata_url = optarg; break;
        case 'b': c.target_url = optarg; break;
        case 't': target_dir = optarg; break;
        case 'n':
            if (c.targets < TARGETS_MAX)
                c.target[c.targets++] = optarg;
            break;
        default: return 1;
        }
    }
    c.curl = curl_easy_init();
    rc = open_dir(metadata_dir, &c.metadata_dir, &err);
    if (rc == DEFUPD_OK && c.curl != NULL && optind < argc)
        rc = run(&c, argv[optind], argv[optind + 1], target_dir, &err);
    else if (rc == DEFUPD_OK)
        rc = DU_FAIL(&err, DEFUPD_E_INVALID, "no command");
    if (rc != DEFUPD_OK)
        (void)fprintf(stderr, "tuf-client: %s: %s\n", defupd_code_name(rc), err.message);
    curl_easy_cleanup(c.curl);
    du_fd_close(&c.metadata_dir);
    du_fd_close(&c.target_dir);
    return rc == DEFUPD_OK ? 0 : 1;
}
