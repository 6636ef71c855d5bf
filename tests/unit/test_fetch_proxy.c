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

/* --- ways to log in --- */

/* Through the proxy as one source's own, with these ways to log in; 0: the usual ones. */
static defupd_code get_by(const char *url, const char *proxy, const char *auth, uint32_t methods,
                          defupd_error *err)
{
    defupd_source source = DEFUPD_SOURCE_INIT;
    const defupd_source *const list[] = { &source, NULL };
    DU_AUTO_BUF body = DU_BUF(1000);
    struct du_fetch_file file = { .path = "x", .bytes_max = 100 };
    DU_AUTO_FETCH *fetch = NULL;
    defupd_code rc = DEFUPD_OK;

    source.url = url;
    source.proxy = proxy;
    source.proxy_auth = auth;
    source.proxy_methods = methods;
    source.ca_file = "ca.pem";
    fetch = help_fetch_with(NULL, (struct du_fetch_options){ .source_list = list });
    for (int i = 0; i < 2 && rc == DEFUPD_OK; i++)
        rc = du_fetch_memory(fetch, 0, &file, &body, err);
    T_CHECK(rc != DEFUPD_OK || strcmp(du_buf_text(&body), "hello") == 0);
    T_CHECK(rc == DEFUPD_OK || strstr(err->message, "SECRET") == NULL);
    return rc;
}

/* The proxy lets in joe:right by these methods and nobody else, for http and for tunnels. */
static void only_right(const char *proxy, const char *url, uint32_t methods)
{
    const char *tunnel = "https://127.0.0.1:1"; /* where nobody listens */
    defupd_error err = { 0 };

    T_OK(get_by(url, proxy, "joe:right", methods, &err), &err);
    T_FAILS(get_by(url, proxy, "joe:TOPSECRET", methods, &err), DEFUPD_E_PROXY_AUTH, &err);
    T_FAILS(get_by(url, proxy, NULL, methods, &err), DEFUPD_E_PROXY_AUTH, &err);
    T_FAILS(get_by(tunnel, proxy, "joe:TOPSECRET", methods, &err), DEFUPD_E_PROXY_AUTH, &err);
    T_FAILS(get_by(tunnel, proxy, "joe:right", methods, &err), DEFUPD_E_PROXY_DOWNLOAD, &err);
}

static void squid_asks_for_basic(void)
{
    DU_AUTO(server_stop)
    struct server proxy =
        server_squid("auth_param basic program /usr/lib/squid/basic_ncsa_auth users\n"
                     "acl known proxy_auth REQUIRED\nhttp_access deny !known");
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", NULL);
    defupd_error err = { 0 };

    T_CHECK(t_shell("printf 'joe:%%s\\n' \"$(openssl passwd -apr1 right)\" > users") == 0);
    only_right(proxy.url, liar.url, 0);
    only_right(proxy.url, liar.url, DEFUPD_PROXY_BASIC);
    T_FAILS(get_by(liar.url, proxy.url, "joe:right", DEFUPD_PROXY_DIGEST, &err),
            DEFUPD_E_PROXY_AUTH, &err);
}

static void squid_asks_for_digest(void)
{
    DU_AUTO(server_stop)
    struct server proxy =
        server_squid("auth_param digest program /usr/lib/squid/digest_file_auth users\n"
                     "auth_param digest realm r\n"
                     "acl known proxy_auth REQUIRED\nhttp_access deny !known");
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", NULL);

    help_write("users", "joe:right\n", 10);
    only_right(proxy.url, liar.url, 0);
    only_right(proxy.url, liar.url, DEFUPD_PROXY_DIGEST);
}

/* squid's own stand-in for a domain controller takes anybody who speaks NTLM. */
static void squid_asks_for_ntlm(void)
{
    DU_AUTO(server_stop)
    struct server proxy = server_squid("auth_param ntlm program /usr/lib/squid/ntlm_fake_auth\n"
                                       "acl known proxy_auth REQUIRED\nhttp_access deny !known");
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", NULL);
    defupd_error err = { 0 };

    T_OK(get_by(liar.url, proxy.url, "DOM\\joe:right", DEFUPD_PROXY_NTLM, &err), &err);
    T_FAILS(get_by(liar.url, proxy.url, "joe:right", 0, &err), DEFUPD_E_PROXY_AUTH, &err);
    T_FAILS(get_by(liar.url, proxy.url, NULL, DEFUPD_PROXY_NTLM, &err), DEFUPD_E_PROXY_AUTH, &err);
    T_FAILS(get_by("https://127.0.0.1:1", proxy.url, "joe:right", DEFUPD_PROXY_NTLM, &err),
            DEFUPD_E_PROXY_DOWNLOAD, &err);
}

static void without_a_ticket_negotiate_is_refused(void)
{
    DU_AUTO(server_stop)
    struct server proxy =
        server_squid("auth_param negotiate program /usr/lib/squid/negotiate_kerberos_auth -s "
                     "HTTP/localhost\n"
                     "acl known proxy_auth REQUIRED\nhttp_access deny !known");
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", NULL);
    defupd_error err = { 0 };

    (void)setenv("KRB5_CONFIG", "/dev/null", 1);
    T_FAILS(get_by(liar.url, proxy.url, ":", DEFUPD_PROXY_NEGOTIATE, &err), DEFUPD_E_PROXY_AUTH,
            &err);
    T_FAILS(get_by("https://127.0.0.1:1", proxy.url, ":", DEFUPD_PROXY_NEGOTIATE, &err),
            DEFUPD_E_PROXY_AUTH, &err);
    (void)unsetenv("KRB5_CONFIG");
}

static void a_proxy_may_speak_tls_itself(void)
{
    char lines[300], url[64];
    const int port = server_free_port();
    defupd_error err = { 0 };

    T_CHECK(t_shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "
                    "ca.key -out ca.pem -days 30 -subj /CN=127.0.0.1 -addext "
                    "subjectAltName=IP:127.0.0.1 2> /dev/null && chmod 644 ca.key") == 0);
    (void)snprintf(lines, sizeof lines,
                   "https_port 127.0.0.1:%d tls-cert=ca.pem tls-key=ca.key\n"
                   "auth_param basic program /usr/lib/squid/basic_ncsa_auth users\n"
                   "acl known proxy_auth REQUIRED\nhttp_access deny !known",
                   port);
    T_CHECK(t_shell("printf 'joe:%%s\\n' \"$(openssl passwd -apr1 right)\" > users") == 0);
    {
        DU_AUTO(server_stop) struct server proxy = server_squid(lines);
        DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", NULL);

        T_CHECK(proxy.pid > 0);
        (void)snprintf(url, sizeof url, "https://127.0.0.1:%d", port);
        only_right(url, liar.url, 0);
        T_CHECK(t_shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
                        "-keyout /dev/null -out ca.pem -days 30 -subj /CN=other 2> /dev/null") ==
                0);
        T_FAILS(get_by(liar.url, url, "joe:right", 0, &err), DEFUPD_E_TLS_VERIFY, &err);
    }
}

/* microsocks; `auth` "user:password" or NULL. */
static struct server start_socks(const char *user, const char *password)
{
    struct server socks = { .port = server_free_port() };
    char port[16];
    const char *argv[] = { "microsocks", "-i", "127.0.0.1", "-p",     port,
                           "-u",         user, "-P",        password, NULL };

    (void)snprintf(port, sizeof port, "%d", socks.port);
    if (user == NULL)
        argv[5] = NULL;
    socks.pid = server_spawn(argv, NULL);
    server_await(&socks, "microsocks");
    return socks;
}

static void socks_resolves_here_or_there(void)
{
    DU_AUTO(server_stop) struct server socks = start_socks("joe", "right");
    DU_AUTO(server_stop) struct server open = start_socks(NULL, NULL);
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", NULL);
    char here[64], there[64], easy[64], name[64];
    defupd_error err = { 0 };

    (void)snprintf(here, sizeof here, "socks5://127.0.0.1:%d", socks.port);
    (void)snprintf(there, sizeof there, "socks5h://127.0.0.1:%d", socks.port);
    (void)snprintf(easy, sizeof easy, "socks5h://127.0.0.1:%d", open.port);
    (void)snprintf(name, sizeof name, "http://localhost:%d", liar.port);
    T_OK(get_by(liar.url, here, "joe:right", 0, &err), &err);
    T_OK(get_by(name, there, "joe:right", 0, &err), &err);
    T_OK(get_by(name, easy, NULL, 0, &err), &err);
    T_FAILS(get_by(liar.url, here, "joe:TOPSECRET", 0, &err), DEFUPD_E_PROXY_AUTH, &err);
    T_FAILS(get_by(liar.url, here, NULL, 0, &err), DEFUPD_E_PROXY_AUTH, &err);
    T_CHECK(strstr(err.message, here) != NULL);
    T_FAILS(get_by("http://x.invalid", here, "joe:right", 0, &err), DEFUPD_E_RESOLVE, &err);
    T_FAILS(get_by("http://x.invalid", there, "joe:right", 0, &err), DEFUPD_E_PROXY_DOWNLOAD, &err);
    T_FAILS(get_by("http://127.0.0.1:1", there, "joe:right", 0, &err), DEFUPD_E_PROXY_DOWNLOAD,
            &err);
    T_FAILS(get_by(liar.url, "socks5://127.0.0.1:1", NULL, 0, &err), DEFUPD_E_PROXY_CONNECT, &err);
}

static void a_portal_is_no_source(void)
{
    DU_AUTO(server_stop)
    struct server portal = help_liar("x", "  <!DOCTYPE HTML>\n<title>Log in</title>", NULL);
    struct du_fetch_file file;
    char rule[100];
    defupd_error err = { 0 };

    T_FAILS(get(portal.url, NULL, &file, &err), DEFUPD_E_INTERCEPTED, &err);
    T_CHECK(strstr(err.message, "captive portal") != NULL);
    help_write("login", "<html><body>", 12);
    (void)snprintf(rule, sizeof rule, "x=redirect:%s/login", portal.url);
    help_rules(rule);
    T_FAILS(get(portal.url, NULL, &file, &err), DEFUPD_E_INTERCEPTED, &err);
    T_CHECK(strstr(err.message, "/login: ") != NULL);
    help_rules("x=status:511");
    T_FAILS(get(portal.url, NULL, &file, &err), DEFUPD_E_INTERCEPTED, &err);
    help_rules("x=other:none\n"); /* a page that says what went wrong is no portal */
    T_FAILS(get(portal.url, NULL, &file, &err), DEFUPD_E_NOT_FOUND, &err);
}

int main(void)
{
    T_RUN(a_portal_is_no_source);
    SERVER_RUN("squid openssl", squid_asks_for_basic);
    SERVER_RUN("squid", squid_asks_for_digest);
    SERVER_RUN("squid", squid_asks_for_ntlm);
    SERVER_RUN("squid", without_a_ticket_negotiate_is_refused);
    SERVER_RUN("squid openssl", a_proxy_may_speak_tls_itself);
    SERVER_RUN("microsocks", socks_resolves_here_or_there);
    SERVER_RUN("tinyproxy", a_proxy_carries_http);
    SERVER_RUN("tinyproxy", wrong_credentials_are_the_proxys_own_code);
    T_RUN(a_proxy_that_is_down_is_not_the_servers_fault);
    SERVER_RUN("tinyproxy", a_proxy_that_cannot_get_on_has_its_own_code);
    T_RUN(a_download_cut_by_the_proxy_has_its_own_code);
    SERVER_RUN("squid", an_error_page_that_squid_made_is_told_from_one_that_it_passed_on);
    SERVER_RUN("tinyproxy", the_environment_is_not_asked);
    return T_DONE();
}
