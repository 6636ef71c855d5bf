/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch_help.h"

/* Fetch "x" from the source through the proxy; 0: with time-outs that are not met. */
static defupd_code get_in(const char *source, const char *proxy, uint32_t timeout_ms,
                          struct du_fetch_file *file, defupd_error *err)
{
    const char *sources[] = { source, NULL };
    DU_AUTO_FETCH *fetch =
        help_fetch_with(NULL, (struct du_fetch_options){ .sources = sources,
                                                         .proxy = proxy,
                                                         .connect_timeout_ms = timeout_ms,
                                                         .stall_timeout_ms = timeout_ms });
    DU_AUTO_BUF body = DU_BUF(1000);

    *file = (struct du_fetch_file){ .path = "x", .bytes_max = 100 };
    return du_fetch_memory(fetch, 0, file, &body, err);
}

static defupd_code get(const char *source, const char *proxy, struct du_fetch_file *file,
                       defupd_error *err)
{
    return get_in(source, proxy, 0, file, err);
}

/* http://joe:PASSWORD@127.0.0.1:PORT */
static const char *with_password(const struct server *proxy, const char *password)
{
    static char url[100];

    (void)snprintf(url, sizeof url, "http://joe:%s@127.0.0.1:%d", password, proxy->port);
    return url;
}

static void a_proxy_carries_http(void)
{
    DU_AUTO(server_stop) struct server proxy = server_tinyproxy("");
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", NULL);
    struct du_fetch_file file;
    defupd_error err = { 0 };

    T_OK(get(liar.url, proxy.url, &file, &err), &err);
    T_CHECK(t_shell("grep -q '127.0.0.1:%d' server.out", liar.port) == 0);
    help_rules("x=status:404");
    T_FAILS(get(liar.url, proxy.url, &file, &err), DEFUPD_E_NOT_FOUND, &err);
    help_rules("x=status:503:60");
    T_FAILS(get(liar.url, proxy.url, &file, &err), DEFUPD_E_MAINTENANCE, &err);
    T_CHECK(file.retry_after_s == 60);
}

static void wrong_credentials_are_the_proxys_own_code(void)
{
    DU_AUTO(server_stop) struct server proxy = server_tinyproxy("BasicAuth joe right");
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", NULL);
    struct du_fetch_file file;
    char https[64];
    defupd_error err = { 0 };

    (void)snprintf(https, sizeof https, "https://127.0.0.1:%d", liar.port);
    T_OK(get(liar.url, with_password(&proxy, "right"), &file, &err), &err);
    T_FAILS(get(liar.url, proxy.url, &file, &err), DEFUPD_E_PROXY_AUTH, &err);
    T_CHECK(file.status == 407);
    T_FAILS(get(liar.url, with_password(&proxy, "TOPSECRET"), &file, &err), DEFUPD_E_PROXY_AUTH,
            &err);
    T_CHECK(strstr(err.message, proxy.url) != NULL && strstr(err.message, "SECRET") == NULL);
    T_FAILS(get(https, with_password(&proxy, "TOPSECRET"), &file, &err), DEFUPD_E_PROXY_AUTH, &err);
    T_CHECK(strstr(err.message, proxy.url) != NULL && strstr(err.message, "SECRET") == NULL);
}

static void a_proxy_that_is_down_is_not_the_servers_fault(void)
{
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", NULL);
    struct du_fetch_file file;
    char down[64], unknown[100];
    defupd_error err = { 0 };

    (void)snprintf(down, sizeof down, "http://joe:TOPSECRET@127.0.0.1:%d", server_free_port());
    (void)snprintf(unknown, sizeof unknown, "http://%064d.invalid:3128", 7);
    T_FAILS(get(liar.url, down, &file, &err), DEFUPD_E_PROXY_CONNECT, &err);
    T_CHECK(strstr(err.message, "through proxy http://127.0.0.1:") != NULL);
    T_CHECK(strstr(err.message, "SECRET") == NULL);
    T_FAILS(get("https://127.0.0.1:1", down, &file, &err), DEFUPD_E_PROXY_CONNECT, &err);
    T_FAILS(get(liar.url, unknown, &file, &err), DEFUPD_E_PROXY_CONNECT, &err);
    T_CHECK(server_count(&liar, "") == 0);
}

static void a_proxy_that_cannot_get_on_has_its_own_code(void)
{
    /* Only port 1 may be tunnelled to. */
    DU_AUTO(server_stop) struct server proxy = server_tinyproxy("ConnectPort 1");
    struct du_fetch_file file;
    char nobody[64];
    defupd_error err = { 0 };

    (void)snprintf(nobody, sizeof nobody, "http://127.0.0.1:%d", server_free_port());
    T_FAILS(get("https://127.0.0.1:2", proxy.url, &file, &err), DEFUPD_E_PROXY_DOWNLOAD, &err);
    T_CHECK(strstr(err.message, "403") != NULL && strstr(err.message, proxy.url) != NULL);
    T_FAILS(get("https://127.0.0.1:1", proxy.url, &file, &err), DEFUPD_E_PROXY_DOWNLOAD, &err);
    T_FAILS(get(nobody, proxy.url, &file, &err), DEFUPD_E_PROXY_DOWNLOAD, &err);
    T_CHECK(strstr(err.message, proxy.url) != NULL);
}

static void a_download_cut_by_the_proxy_has_its_own_code(void)
{
    /* The liar takes the proxy's place. */
    DU_AUTO(server_stop) struct server proxy = help_liar("x", "hello", NULL);
    struct du_fetch_file file;
    defupd_error err = { 0 };

    T_OK(get("http://h.invalid", proxy.url, &file, &err), &err); /* only the proxy resolves it */
    help_rules("x=cut:2");
    T_FAILS(get("http://h.invalid", proxy.url, &file, &err), DEFUPD_E_PROXY_DOWNLOAD, &err);
    help_rules("x=close");
    T_FAILS(get("http://h.invalid", proxy.url, &file, &err), DEFUPD_E_PROXY_DOWNLOAD, &err);
    help_rules("x=status:502");
    T_FAILS(get("http://h.invalid", proxy.url, &file, &err), DEFUPD_E_PROXY_DOWNLOAD, &err);
    help_rules("x=stall:2");
    T_FAILS(get_in("http://h.invalid", proxy.url, HELP_HASTY_MS, &file, &err), DEFUPD_E_STALLED,
            &err);
    help_rules("*=silent"); /* also to CONNECT: connected, then nothing */
    T_FAILS(get_in("https://h.invalid", proxy.url, HELP_HASTY_MS, &file, &err),
            DEFUPD_E_PROXY_DOWNLOAD, &err);
    help_rules("*=close");
    T_FAILS(get("https://h.invalid", proxy.url, &file, &err), DEFUPD_E_PROXY_DOWNLOAD, &err);
}

static void an_error_page_that_squid_made_is_told_from_one_that_it_passed_on(void)
{
    DU_AUTO(server_stop)
    struct server proxy = server_squid("acl dark urlpath_regex ^/dark\nhttp_access deny dark");
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", NULL);
    struct du_fetch_file file;
    char dark[64], nobody[64];
    defupd_error err = { 0 };

    (void)snprintf(dark, sizeof dark, "%s/dark", liar.url);
    (void)snprintf(nobody, sizeof nobody, "http://127.0.0.1:%d", server_free_port());
    T_OK(get(liar.url, proxy.url, &file, &err), &err);
    T_FAILS(get(dark, proxy.url, &file, &err), DEFUPD_E_PROXY_DOWNLOAD, &err);   /* 403 */
    T_FAILS(get(nobody, proxy.url, &file, &err), DEFUPD_E_PROXY_DOWNLOAD, &err); /* 503 */
    help_rules("x=status:403");
    T_FAILS(get(liar.url, proxy.url, &file, &err), DEFUPD_E_FORBIDDEN, &err);
    help_rules("x=status:503");
    T_FAILS(get(liar.url, proxy.url, &file, &err), DEFUPD_E_MAINTENANCE, &err);
}

static void the_environment_is_not_asked(void)
{
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", NULL);
    DU_AUTO(server_stop) struct server proxy = server_tinyproxy("BasicAuth joe right");
    struct du_fetch_file file;
    defupd_error err = { 0 };

    (void)setenv("http_proxy", "http://127.0.0.1:1", 1);
    (void)setenv("all_proxy", "http://127.0.0.1:1", 1);
    T_OK(get(liar.url, NULL, &file, &err), &err);
    /* Nor does no_proxy lead past the proxy that was given. */
    (void)setenv("no_proxy", "*", 1);
    T_FAILS(get(liar.url, proxy.url, &file, &err), DEFUPD_E_PROXY_AUTH, &err);
    (void)unsetenv("http_proxy");
    (void)unsetenv("all_proxy");
    (void)unsetenv("no_proxy");
}

int main(void)
{
    SERVER_RUN("tinyproxy", a_proxy_carries_http);
    SERVER_RUN("tinyproxy", wrong_credentials_are_the_proxys_own_code);
    T_RUN(a_proxy_that_is_down_is_not_the_servers_fault);
    SERVER_RUN("tinyproxy", a_proxy_that_cannot_get_on_has_its_own_code);
    T_RUN(a_download_cut_by_the_proxy_has_its_own_code);
    SERVER_RUN("squid", an_error_page_that_squid_made_is_told_from_one_that_it_passed_on);
    SERVER_RUN("tinyproxy", the_environment_is_not_asked);
    return T_DONE();
}
