/* SPDX-License-Identifier: Apache-2.0 */
/* Revoked certificates, by what the server staples and by lists; whose certificate was refused;
 * pins and client certificates. A CA of its own, openssl's responder, nginx. */
#include "fetch/fetch_priv.h"
#include "fetch_help.h"

/* A CA with its database: ca.pem, ca.key; good, bad (revoked) and other (by a CA that only has the
 * same name) for 127.0.0.1; good.pem and bad.pem hold the chain. crl.pem lists bad; old.pem does,
 * too, and is out of date; empty.pem is out of date and lists nobody. */
static void make_ca(void)
{
    static const char conf[] =
        "[ca]\ndefault_ca=c\n[c]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\n"
        "certificate=ca.pem\nprivate_key=ca.key\ndefault_md=sha256\npolicy=p\n"
        "default_days=30\ndefault_crl_days=30\nunique_subject=no\ncopy_extensions=copy\n"
        "[p]\ncommonName=supplied\n"
        "[v]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
        "[req]\ndistinguished_name=d\n[d]\n";

    help_write("ca.cnf", conf, sizeof conf - 1);
    T_CHECK(
        t_shell("exec 2>> openssl.log; set -e; : > index.txt; echo 1000 > serial\n"
                "new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config ca.cnf'\n"
                "openssl req -x509 $new -keyout ca.key -out ca.pem -days 30 -subj '/CN=test CA' "
                "-extensions v\n"
                "openssl req -x509 $new -keyout zca.key -out zca.pem -days 30 -extensions v "
                "-subj '/O=Zscaler Inc./CN=Zscaler Root CA'\n"
                "for n in good bad; do\n"
                "openssl req $new -keyout $n.key -out $n.csr -subj /CN=$n "
                "-addext subjectAltName=IP:127.0.0.1\n"
                "openssl ca -batch -config ca.cnf -in $n.csr -out $n.crt -notext\n"
                "cat $n.crt ca.pem > $n.pem\ndone\n"
                "printf 'subjectAltName=IP:127.0.0.1' > ext\n"
                "openssl x509 -req -in good.csr -CA zca.pem -CAkey zca.key -set_serial 5 -days 30 "
                "-extfile ext -out caught.pem\n"
                "openssl ca -config ca.cnf -gencrl -crlexts v -out /dev/null || true\n"
                "openssl ca -config ca.cnf -gencrl -crl_lastupdate 200101000000Z -crl_nextupdate "
                "200102000000Z -out empty.pem\n"
                "openssl ca -config ca.cnf -revoke bad.crt\n"
                "openssl ca -config ca.cnf -gencrl -out crl.pem\n"
                "openssl ca -config ca.cnf -gencrl -crl_lastupdate 200101000000Z -crl_nextupdate "
                "200102000000Z -out old.pem\n"
                "openssl ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -issuer "
                "ca.pem -cert good.crt -reqout good.req > /dev/null\n"
                "openssl ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -issuer "
                "ca.pem -cert bad.crt -reqout bad.req > /dev/null\n"
                "for n in good bad; do\n"
                "openssl ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -reqin "
                "$n.req -ndays 1 -respout $n.ocsp > /dev/null\ndone\n"
                "faketime '2 years ago' openssl ocsp -index index.txt -CA ca.pem -rsigner ca.pem "
                "-rkey ca.key -reqin good.req -ndays 1 -respout stale.ocsp > /dev/null\n") == 0);
}

/* nginx with that certificate over the folder r/; staples what the file holds unless NULL. */
static struct server start(const char *name, const char *staple, const char *more)
{
    char cwd[300], block[1600], stapling[500] = "";
    struct server nginx;

    T_CHECK(getcwd(cwd, sizeof cwd) != NULL);
    T_CHECK(t_shell("mkdir -p r && printf hello > r/x") == 0);
    if (staple != NULL)
        (void)snprintf(stapling, sizeof stapling, " ssl_stapling on; ssl_stapling_file %s/%s;\n",
                       cwd, staple);
    (void)snprintf(block, sizeof block,
                   " ssl;\n root %s/r;\n ssl_certificate %s/%s.pem;\n"
                   " ssl_certificate_key %s/%s.key;\n%s%s",
                   cwd, cwd, name, cwd, strcmp(name, "caught") == 0 ? "good" : name, stapling,
                   more);
    nginx = server_nginx(block);
    (void)snprintf(nginx.url, sizeof nginx.url, "https://127.0.0.1:%d", nginx.port);
    return nginx;
}

static defupd_code get(const struct server *server, defupd_source source, defupd_error *err)
{
    const defupd_source *const list[] = { &source, NULL };
    DU_AUTO_BUF body = DU_BUF(1000);
    struct du_fetch_file file = { .path = "x", .bytes_max = 100 };
    DU_AUTO_FETCH *fetch = NULL;
    defupd_code rc = DEFUPD_OK;

    source.struct_size = sizeof source;
    source.url = server->url;
    if (source.ca_file == NULL)
        source.ca_file = "ca.pem";
    fetch = help_fetch_with(NULL, (struct du_fetch_options){ .source_list = list });
    /* Twice: the second request may take another way through the same settings. */
    for (int i = 0; i < 2 && rc == DEFUPD_OK; i++)
        rc = du_fetch_memory(fetch, 0, &file, &body, err);
    T_CHECK(rc != DEFUPD_OK || strcmp(du_buf_text(&body), "hello") == 0);
    return rc;
}

/* The codes without a wish, with the soft and with the hard one. */
static void three(const struct server *server, const char *crl, defupd_code none, defupd_code soft,
                  defupd_code hard)
{
    const defupd_code want[] = { none, soft, hard };

    for (uint32_t i = 0; i < 3; i++) {
        defupd_error err = { 0 };
        const defupd_source source = { .revocation = i, .crl_file = i > 0 ? crl : NULL };
        const defupd_code got = get(server, source, &err);

        if (got != want[i])
            printf("# crl %s, revocation %u: %s: %s\n", crl != NULL ? crl : "none", i,
                   defupd_code_name(got), err.message);
        T_CHECK(got == want[i]);
    }
}

static void what_a_server_staples_counts(void)
{
    const defupd_code unknown = DEFUPD_E_TLS_REVOCATION, revoked = DEFUPD_E_TLS_REVOKED;

    make_ca();
    {
        DU_AUTO(server_stop) struct server nginx = start("good", "good.ocsp", "");
        three(&nginx, NULL, DEFUPD_OK, DEFUPD_OK, DEFUPD_OK);
    }
    {
        DU_AUTO(server_stop) struct server nginx = start("bad", "bad.ocsp", "");
        three(&nginx, NULL, DEFUPD_OK, revoked, revoked);
    }
    {
        DU_AUTO(server_stop) struct server nginx = start("good", NULL, "");
        three(&nginx, NULL, DEFUPD_OK, DEFUPD_OK, unknown);
    }
    {
        DU_AUTO(server_stop) struct server nginx = start("good", "stale.ocsp", "");
        three(&nginx, NULL, DEFUPD_OK, DEFUPD_OK, unknown);
    }
    { /* about another certificate */
        DU_AUTO(server_stop) struct server nginx = start("good", "bad.ocsp", "");
        three(&nginx, NULL, DEFUPD_OK, DEFUPD_OK, unknown);
    }
}

static void lists_count_also_when_they_are_out_of_date(void)
{
    const defupd_code unknown = DEFUPD_E_TLS_REVOCATION, revoked = DEFUPD_E_TLS_REVOKED;

    make_ca();
    {
        DU_AUTO(server_stop) struct server nginx = start("good", NULL, "");
        three(&nginx, "crl.pem", DEFUPD_OK, DEFUPD_OK, DEFUPD_OK);
        three(&nginx, "old.pem", DEFUPD_OK, DEFUPD_OK, unknown);
        three(&nginx, "absent.pem", DEFUPD_OK, DEFUPD_OK, unknown);
        T_CHECK(t_shell("echo nonsense > nonsense.pem") == 0);
        three(&nginx, "nonsense.pem", DEFUPD_OK, DEFUPD_OK, unknown);
    }
    {
        DU_AUTO(server_stop) struct server nginx = start("bad", NULL, "");
        three(&nginx, "crl.pem", DEFUPD_OK, revoked, revoked);
        three(&nginx, "old.pem", DEFUPD_OK, revoked, unknown);
        three(&nginx, "empty.pem", DEFUPD_OK, DEFUPD_OK, unknown);
    }
    { /* a good list does not outweigh a staple */
        DU_AUTO(server_stop) struct server nginx = start("bad", "bad.ocsp", "");
        three(&nginx, "empty.pem", DEFUPD_OK, revoked, unknown);
    }
}

static void http_2_and_tunnels_change_nothing(void)
{
    DU_AUTO(server_stop) struct server proxy = server_tinyproxy("");
    defupd_error err = { 0 };

    make_ca();
    {
        DU_AUTO(server_stop) struct server nginx = start("bad", "bad.ocsp", "");
        const defupd_source source = { .proxy = proxy.url, .revocation = DEFUPD_REVOCATION_SOFT };

        T_FAILS(get(&nginx, source, &err), DEFUPD_E_TLS_REVOKED, &err);
    }
    {
        DU_AUTO(server_stop) struct server nginx = start("good", NULL, "");
        const defupd_source source = { .proxy = proxy.url, .revocation = DEFUPD_REVOCATION_SOFT };

        T_OK(get(&nginx, source, &err), &err);
    }
}

static void whose_certificate_was_refused_is_said(void)
{
    defupd_error err = { 0 };

    make_ca();
    {
        DU_AUTO(server_stop) struct server nginx = start("good", NULL, "");
        const defupd_source other = { .ca_file = "zca.pem" };

        T_FAILS(get(&nginx, other, &err), DEFUPD_E_TLS_VERIFY, &err);
        T_CHECK(strstr(err.message, "issued by \"CN = test CA\"") != NULL);
    }
    {
        DU_AUTO(server_stop) struct server nginx = start("caught", NULL, "");
        const defupd_source source = { .ca_file = NULL };

        T_FAILS(get(&nginx, source, &err), DEFUPD_E_INTERCEPTED, &err);
        T_CHECK(strstr(err.message, "Zscaler") != NULL);
        T_CHECK(t_shell("test ! -s nginx-%d/access.log", nginx.port) == 0); /* nothing was asked */
    }
}

static void a_pinned_key_must_be_there(void)
{
    char pin[64] = "", both[200];
    defupd_error err = { 0 };
    FILE *out;

    make_ca();
    out =
        popen("openssl pkey -in good.key -pubout -outform der 2> /dev/null | openssl dgst -sha256 "
              "-binary | base64",
              "r");
    T_CHECK(out != NULL && fscanf(out, "%60s", pin) == 1);
    (void)pclose(out);
    (void)snprintf(both, sizeof both,
                   "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=;sha256//%s", pin);
    {
        DU_AUTO(server_stop) struct server nginx = start("good", NULL, "");
        const defupd_source source = { .pinned_key = both };
        T_OK(get(&nginx, source, &err), &err);
    }
    {
        DU_AUTO(server_stop) struct server nginx = start("bad", NULL, "");
        const defupd_source source = { .pinned_key = both };
        T_FAILS(get(&nginx, source, &err), DEFUPD_E_TLS_PIN, &err);
        T_CHECK(strstr(err.message, "test CA") != NULL);
    }
    { /* the right key, certified by an interceptor that this machine trusts */
        DU_AUTO(server_stop) struct server nginx = start("caught", NULL, "");
        const defupd_source source = { .pinned_key = both, .ca_file = "zca.pem" };
        T_OK(get(&nginx, source, &err), &err);
    }
}

static void a_client_certificate_is_shown_where_it_is_asked_for(void)
{
    const char *more = "ssl_client_certificate ../ca.pem; ssl_verify_client on;\n";
    defupd_error err = { 0 };

    make_ca();
    {
        DU_AUTO(server_stop) struct server nginx = start("good", NULL, more);
        const defupd_source none = { .ca_file = NULL };
        const defupd_source right = { .client_cert = "good.pem", .client_key = "good.key" };
        const defupd_source wrong_key = { .client_cert = "good.pem", .client_key = "bad.key" };
        const defupd_source absent = { .client_cert = "absent.pem", .client_key = "good.key" };

        T_OK(get(&nginx, right, &err), &err);
        T_FAILS(get(&nginx, none, &err), DEFUPD_E_TLS_CLIENT_CERT, &err);
        T_FAILS(get(&nginx, wrong_key, &err), DEFUPD_E_TLS_CLIENT_CERT, &err);
        T_FAILS(get(&nginx, absent, &err), DEFUPD_E_TLS_CLIENT_CERT, &err);
    }
}

static char *read_text(const char *name, size_t *len)
{
    char *text = calloc(1, 65536);
    FILE *file = fopen(name, "r");

    if (text == NULL || file == NULL)
        abort();
    *len = fread(text, 1, 65535, file);
    (void)fclose(file);
    return text;
}

/* Cut, damaged and joined lists: they are read to where they make sense, and never beyond. */
static void lists_are_read_without_trust(void)
{
    size_t good_len, bad_len, crl_len;

    make_ca();
    {
        DU_AUTO_FREE char *good = read_text("good.crt", &good_len);
        DU_AUTO_FREE char *bad = read_text("bad.crt", &bad_len);
        DU_AUTO_FREE char *crl = read_text("crl.pem", &crl_len);
        DU_AUTO_FREE char *two = calloc(1, 2 * crl_len + 1);
        const struct du_bytes whole = { (const unsigned char *)crl, crl_len };
        bool before = false;

        T_CHECK(du_crl_has(whole, bad) && !du_crl_has(whole, good));
        memcpy(two, crl, crl_len);
        two[60] = two[60] == 'A' ? 'B' : 'A'; /* the first of two is nonsense */
        memcpy(two + crl_len, crl, crl_len);
        T_CHECK(du_crl_has((struct du_bytes){ (const unsigned char *)two, 2 * crl_len }, bad));
        for (size_t cut = 0; cut < crl_len; cut++) {
            DU_AUTO_FREE unsigned char *part = malloc(cut + 1);

            memcpy(part, crl, cut);
            before = du_crl_has((struct du_bytes){ part, cut }, bad) || before;
            for (unsigned bit = 0; cut > 0 && bit < 8; bit++) {
                part[cut - 1] ^= (unsigned char)(1U << bit);
                (void)du_crl_has((struct du_bytes){ part, cut }, bad);
            }
        }
        for (size_t cut = 0; cut < bad_len; cut++) {
            bad[bad_len - 1 - cut] = '\0';
            (void)du_crl_has(whole, bad);
        }
        T_CHECK(!du_crl_has(whole, "") && !du_crl_has((struct du_bytes){ NULL, 0 }, good));
    }
}

#define NEEDS "nginx openssl faketime"

int main(void)
{
    SERVER_RUN(NEEDS, what_a_server_staples_counts);
    SERVER_RUN(NEEDS, lists_count_also_when_they_are_out_of_date);
    SERVER_RUN(NEEDS " tinyproxy", http_2_and_tunnels_change_nothing);
    SERVER_RUN(NEEDS, whose_certificate_was_refused_is_said);
    SERVER_RUN(NEEDS, a_pinned_key_must_be_there);
    SERVER_RUN(NEEDS, a_client_certificate_is_shown_where_it_is_asked_for);
    SERVER_RUN(NEEDS, lists_are_read_without_trust);
    return T_DONE();
}
