/* SPDX-License-Identifier: Apache-2.0 */
/* Files that the operator named, and becoming the store's owner. */
#include <grp.h>
#include <sys/stat.h>

#include "agent_fake.h"
#include "files.h"

static void a_proxy_gets_the_credentials_of_the_file(void)
{
    static const struct {
        const char *content, *proxy, *url;
    } some[] = {
        { "joe:secret\\n", "http://px:3128/", "http://joe:secret@px:3128/" },
        { "joe:p@s s:/%%\\r\\n", "https://px", "https://joe:p%40s%20s%3A%2F%25@px" },
        { "r\\303\\250:", "http://px:3128", "http://r%C3%A8:@px:3128" },
    };

    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        defupd_error err = { 0 };
        char *url = NULL;

        T_CHECK(t_shell("umask 077; printf '%s' >auth", some[i].content) == 0);
        T_OK(ag_proxy_auth(some[i].proxy, "auth", geteuid(), &url, &err), &err);
        T_SAME(url, some[i].url);
        free(url);
    }
}

static void credentials_that_others_could_read_are_refused(void)
{
    static const char *const modes[] = { "0640", "0604", "0620", "0777" };
    defupd_error err = { 0 };
    char *url = NULL;

    T_CHECK(t_shell("printf 'joe:secret' >auth") == 0);
    for (size_t i = 0; i < 4; i++) {
        T_CHECK(t_shell("chmod %s auth", modes[i]) == 0);
        T_FAILS(ag_proxy_auth("http://px", "auth", geteuid(), &url, &err), DEFUPD_E_POLICY_OWNER,
                &err);
        T_HAS(err.message, modes[i]);
    }
    T_CHECK(t_shell("mkdir -m 0700 dir; mkfifo -m 0600 pipe") == 0);
    T_FAILS(ag_proxy_auth("http://px", "dir", geteuid(), &url, &err), DEFUPD_E_IO, &err);
    T_FAILS(ag_proxy_auth("http://px", "gone", geteuid(), &url, &err), DEFUPD_E_IO, &err);
    if (geteuid() == 0) {
        T_CHECK(t_shell("chmod 0600 auth && chown 12345 auth") == 0);
        T_FAILS(ag_proxy_auth("http://px", "auth", 0, &url, &err), DEFUPD_E_POLICY_OWNER, &err);
        T_HAS(err.message, "12345");
        T_OK(ag_proxy_auth("http://px", "auth", 12345, &url, &err), &err); /* the store's owner */
        free(url);
    }
}

static void credentials_of_another_form_are_refused_without_showing_them(void)
{
    static const char *const bad[] = {
        "", "secret", ":secret", "joe:secret\\nx\\n", "joe:sec\\tret", "joe:secret\\n\\000"
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        defupd_error err = { 0 };
        char *url = NULL;

        T_CHECK(t_shell("umask 077; printf '%s' >auth", bad[i]) == 0);
        T_FAILS(ag_proxy_auth("http://px", "auth", geteuid(), &url, &err), DEFUPD_E_POLICY, &err);
        T_CHECK(strncmp(err.message, "auth:", 5) == 0);
        T_CHECK(strstr(err.message, "secret") == NULL && strstr(err.message, "joe") == NULL);
    }
}

static void a_proxy_with_two_sets_of_credentials_is_refused(void)
{
    defupd_error err = { 0 };
    char *url = NULL;

    T_CHECK(t_shell("umask 077; printf 'joe:secret' >auth") == 0);
    T_FAILS(ag_proxy_auth("http://a:b@px", "auth", geteuid(), &url, &err), DEFUPD_E_INVALID, &err);
}

static void a_named_file_has_a_limit_and_a_reason(void)
{
    defupd_error err = { 0 };
    char *bytes = NULL;
    size_t count = 0;

    T_CHECK(t_shell("printf 12345 >five; head -c 100000 /dev/zero >big") == 0);
    T_OK(ag_file_read("trusted-root", "five", 5, &bytes, &count, &err), &err);
    T_CHECK(count == 5);
    T_SAME(bytes, "12345");
    free(bytes);
    T_OK(ag_file_read("trusted-root", "big", 100000, &bytes, &count, &err), &err);
    T_CHECK(count == 100000);
    free(bytes);
    T_FAILS(ag_file_read("trusted-root", "five", 4, &bytes, &count, &err), DEFUPD_E_LIMIT, &err);
    T_FAILS(ag_file_read("trusted-root", "gone", 4, &bytes, &count, &err), DEFUPD_E_IO, &err);
    T_SAME(err.message, "--trusted-root: cannot open gone: No such file or directory");
    T_FAILS(ag_file_read("trusted-root", ".", 4, &bytes, &count, &err), DEFUPD_E_IO, &err);
    T_SAME(err.message, "--trusted-root: . is a directory");
}

static void the_named_files_reach_the_library(void)
{
    memset(&fake, 0, sizeof fake);
    T_CHECK(t_shell("printf ROOT >root.json; printf CA >ca.pem; umask 077; "
                    "printf 'joe:secret' >auth") == 0);
    T_CHECK(RUN("--state-dir", "/", "--trusted-root", "root.json", "--ca-file", "ca.pem",
                "--proxy=http://px", "--proxy-auth-file=auth", "status") == 0);
    T_HAS(CALLS(), "open state=/ root=ROOT proxy=http://joe:secret@px ca=ca.pem ring= wait=0");
    T_CHECK(RUN("--state-dir", "/", "--ca-file", "gone.pem", "status") == 74);
    T_HAS(ERR(), "defupd: --ca-file: cannot open gone.pem");
    T_SAME(CALLS(), "(no file)");
}

/* The library is opened as the store's owner, with what only root could read. */
static void root_becomes_the_owner_of_the_store_after_opening_named_files(void)
{
    static const gid_t groups[] = { 7001, 7002 };

    memset(&fake, 0, sizeof fake);
    T_CHECK(setgroups(2, groups) == 0);
    fake.read_ca = true;
    fake.status.store = (defupd_store_status){ .state_dir = "", .uuid = "", .reason = "" };
    T_CHECK(t_shell("mkdir secret && chmod 0700 secret && printf ROOT >secret/root.json && "
                    "printf CA >secret/ca.pem && printf joe:pw >secret/auth && "
                    "chmod 0600 secret/* && mkdir store && chown 12345:23456 store . && "
                    "touch calls out err && chmod 0666 calls out err") == 0);
    T_CHECK(RUN("--state-dir", "store", "--trusted-root", "secret/root.json", "--ca-file",
                "secret/ca.pem", "--proxy=http://px", "--proxy-auth-file=secret/auth",
                "status") == 0);
    T_HAS(CALLS(), "root=ROOT proxy=http://joe:pw@px ca=/proc/self/fd/");
    T_HAS(CALLS(), "wait=0 uid=12345 groups=0\n");
    T_HAS(CALLS(), "ca holds CA\n");
    T_CHECK(t_shell("test $(stat -c %%u:%%g calls) = 12345:23456") == 0);
    T_CHECK(t_shell("chown 0:0 store .") == 0);
    T_CHECK(RUN("--state-dir", "store", "status") == 0);
    T_HAS(CALLS(), "uid=0 groups=2\n");
}

int main(void)
{
    T_RUN(a_proxy_gets_the_credentials_of_the_file);
    T_RUN(credentials_that_others_could_read_are_refused);
    T_RUN(credentials_of_another_form_are_refused_without_showing_them);
    T_RUN(a_proxy_with_two_sets_of_credentials_is_refused);
    T_RUN(a_named_file_has_a_limit_and_a_reason);
    T_RUN(the_named_files_reach_the_library);
    if (geteuid() == 0)
        T_RUN(root_becomes_the_owner_of_the_store_after_opening_named_files);
    else
        T_SKIP("root_becomes_the_owner_of_the_store_after_opening_named_files", "not root");
    return T_DONE();
}
