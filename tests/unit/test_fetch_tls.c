/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch_help.h"

/* ca.pem and a certificate NAME.pem, NAME.key that it signed for the names, valid from -2 to `days`
 * days from now. */
static void make_certificate(const char *name, const char *names, int days)
{
    T_CHECK(t_shell("test -f ca.pem || openssl req -x509 -newkey ec -pkeyopt "
                    "ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 30 -subj "
                    "'/CN=test CA' 2> /dev/null") == 0);
    T_CHECK(t_shell("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout %s.key "
                    "-out %s.csr -subj '/CN=test server' 2> /dev/null && "
                    "printf 'subjectAltName=%s' > %s.ext && "
                    "openssl x509 -req -in %s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days "
                    "%d -extfile %s.ext -out %s.pem 2> /dev/null",
                    name, name, names, name, name, days, name, name) == 0);
}

/* nginx with that certificate over the folder r/, which it makes. */
static struct server start(const char *name, const char *more)
{
    char cwd[300], block[1200];
    struct server nginx;

    T_CHECK(getcwd(cwd, sizeof cwd) != NULL);
    T_CHECK(t_shell("mkdir -p r && printf hello > r/x") == 0);
    (void)snprintf(block, sizeof block,
                   " ssl%s\n root %s/r;\n ssl_certificate %s/%s.pem;\n"
                   " ssl_certificate_key %s/%s.key;\n",
                   more, cwd, cwd, name, cwd, name);
    nginx = server_nginx(block);
    (void)snprintf(nginx.url, sizeof nginx.url, "https://127.0.0.1:%d", nginx.port);
    return nginx;
}

static defupd_code get(const char *source, const char *ca_file, const char *proxy,
                       defupd_error *err)
{
    const char *sources[] = { source, NULL };
    DU_AUTO_FETCH *fetch = help_fetch_with(
        NULL, (struct du_fetch_options){ .sources = sources, .proxy = proxy, .ca_file = ca_file });
    DU_AUTO_BUF body = DU_BUF(1000);
    struct du_fetch_file file = { .path = "x", .bytes_max = 100 };
    const defupd_code rc = du_fetch_memory(fetch, 0, &file, &body, err);

    T_CHECK(rc != DEFUPD_OK || strcmp(du_buf_text(&body), "hello") == 0);
    return rc;
}

static void https_works_with_the_right_ca_and_not_without(void)
{
    defupd_error err = { 0 };

    make_certificate("good", "IP:127.0.0.1", 30);
    {
        DU_AUTO(server_stop) struct server nginx = start("good", ";");
        T_OK(get(nginx.url, "ca.pem", NULL, &err), &err);
        T_FAILS(get(nginx.url, NULL, NULL, &err), DEFUPD_E_TLS_VERIFY, &err);
        T_CHECK(strncmp(err.message, nginx.url, strlen(nginx.url)) == 0);
        T_FAILS(get(nginx.url, "absent.pem", NULL, &err), DEFUPD_E_TLS_VERIFY, &err);
        T_CHECK(strstr(err.message, "absent.pem") != NULL);
    }
    {
        DU_AUTO(server_stop) struct server nginx = start("good", " http2;");
        T_OK(get(nginx.url, "ca.pem", NULL, &err), &err);
    }
}

static void a_certificate_for_another_name_is_refused(void)
{
    defupd_error err = { 0 };

    make_certificate("other", "DNS:elsewhere.test", 30);
    {
        DU_AUTO(server_stop) struct server nginx = start("other", ";");
        T_FAILS(get(nginx.url, "ca.pem", NULL, &err), DEFUPD_E_TLS_NAME, &err);
        T_CHECK(strstr(err.message, "127.0.0.1") != NULL);
    }
}

static void an_expired_certificate_is_refused(void)
{
    defupd_error err = { 0 };

    make_certificate("old", "IP:127.0.0.1", -1);
    {
        DU_AUTO(server_stop) struct server nginx = start("old", ";");
        T_FAILS(get(nginx.url, "ca.pem", NULL, &err), DEFUPD_E_TLS_EXPIRED, &err);
        T_CHECK(strstr(err.message, "expired") != NULL);
    }
}

static void a_server_without_tls_or_with_an_old_one_is_no_tls_server(void)
{
    defupd_error err = { 0 };

    {
        DU_AUTO(server_stop) struct server plain = server_nginx(";\n return 204;\n");
        char url[64];

        (void)snprintf(url, sizeof url, "https://127.0.0.1:%d", plain.port);
        T_FAILS(get(url, NULL, NULL, &err), DEFUPD_E_TLS, &err);
    }
    make_certificate("good", "IP:127.0.0.1", 30);
    {
        DU_AUTO(server_stop)
        struct server nginx =
            start("good", "; ssl_protocols TLSv1.1; ssl_ciphers DEFAULT@SECLEVEL=0;");
        T_FAILS(get(nginx.url, "ca.pem", NULL, &err), DEFUPD_E_TLS, &err);
    }
}

static void https_never_becomes_http(void)
{
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", NULL);
    char more[200];
    defupd_error err = { 0 };

    make_certificate("good", "IP:127.0.0.1", 30);
    (void)snprintf(more, sizeof more, "; location /x { return 302 %s/x; }", liar.url);
    {
        DU_AUTO(server_stop) struct server nginx = start("good", more);
        char rule[100];

        T_FAILS(get(nginx.url, "ca.pem", NULL, &err), DEFUPD_E_REDIRECT, &err);
        T_CHECK(server_count(&liar, "") == 0 && strstr(err.message, liar.url) != NULL);
        /* Not by a detour either: http to https to http. */
        (void)snprintf(rule, sizeof rule, "x=redirect:%s/x", nginx.url);
        help_rules(rule);
        T_FAILS(get(liar.url, "ca.pem", NULL, &err), DEFUPD_E_REDIRECT, &err);
        T_CHECK(server_count(&liar, "") == 1);
    }
    {
        DU_AUTO(server_stop) struct server nginx = start("good", ";");
        char rule[100];

        (void)snprintf(rule, sizeof rule, "x=redirect:%s/x", nginx.url);
        help_rules(rule);
        T_OK(get(liar.url, "ca.pem", NULL, &err), &err); /* upwards is fine */
    }
}

static void certificates_are_checked_through_a_tunnel_too(void)
{
    DU_AUTO(server_stop) struct server proxy = server_tinyproxy("");
    defupd_error err = { 0 };

    make_certificate("good", "IP:127.0.0.1", 30);
    {
        DU_AUTO(server_stop) struct server nginx = start("good", ";");
        T_OK(get(nginx.url, "ca.pem", proxy.url, &err), &err);
        T_FAILS(get(nginx.url, NULL, proxy.url, &err), DEFUPD_E_TLS_VERIFY, &err);
    }
}

int main(void)
{
    SERVER_RUN("nginx openssl", https_works_with_the_right_ca_and_not_without);
    SERVER_RUN("nginx openssl", a_certificate_for_another_name_is_refused);
    SERVER_RUN("nginx openssl", an_expired_certificate_is_refused);
    SERVER_RUN("nginx openssl", a_server_without_tls_or_with_an_old_one_is_no_tls_server);
    SERVER_RUN("nginx openssl", https_never_becomes_http);
    SERVER_RUN("nginx openssl tinyproxy", certificates_are_checked_through_a_tunnel_too);
    return T_DONE();
}
