/* SPDX-License-Identifier: Apache-2.0 */
/* What is given for each source: its order, its place for objects, its addresses, its credentials,
 * and the proxies of the environment. */
#include "fetch/fetch_priv.h"
#include "fetch_help.h"

#define SOURCES 8

static defupd_source source[SOURCES];
static const defupd_source *list[SOURCES + 1];

/* `count` sources that say nothing but their URL, http://h1 and so on. */
static void begin(size_t count)
{
    static char url[SOURCES][16];

    for (size_t i = 0; i < SOURCES; i++) {
        (void)snprintf(url[i], sizeof url[i], "http://h%zu", i + 1);
        source[i] = (defupd_source)DEFUPD_SOURCE_INIT;
        source[i].url = url[i];
        list[i] = i < count ? &source[i] : NULL;
    }
}

static struct du_fetch *open_list(struct du_fetch_options options)
{
    options.source_list = list;
    return help_fetch_with(NULL, options);
}

/* "134" for http://h1, http://h3, http://h4 */
static const char *order(const struct du_fetch *fetch)
{
    static char text[SOURCES + 1];
    size_t n = 0;

    for (; n < du_fetch_sources(fetch); n++)
        text[n] = du_fetch_source_name(fetch, n)[strlen("http://h")];
    text[n] = '\0';
    return text;
}

static void relays_come_first_by_their_groups_and_servers_in_order(void)
{
    begin(6);
    source[1].kind = source[2].kind = source[4].kind = source[5].kind = DEFUPD_SOURCE_RELAY;
    source[1].group = source[4].group = 7;
    source[2].group = 3;
    source[5].group = 3;
    {
        bool first[SOURCES + 1] = { false };

        for (int i = 0; i < 60; i++) {
            DU_AUTO_FETCH *fetch = open_list((struct du_fetch_options){ 0 });
            const char *got = order(fetch);

            T_CHECK(strspn(got, "25") == 2 && strspn(got + 2, "36") == 2);
            T_SAME(got + 4, "14");
            first[got[0] - '0'] = true;
            T_CHECK(!du_fetch_barred(fetch));
        }
        T_CHECK(first[2] && first[5]); /* by chance not once in 60: 2 in 10^18 */
    }
    {
        DU_AUTO_FETCH *fetch = open_list((struct du_fetch_options){ .relays_only = true });
        T_CHECK(du_fetch_sources(fetch) == 4 && du_fetch_barred(fetch));
        T_CHECK(du_fetch_source_given(fetch, 3)->kind == DEFUPD_SOURCE_RELAY);
    }
    begin(2);
    {
        DU_AUTO_FETCH *fetch = open_list((struct du_fetch_options){ .relays_only = true });
        T_CHECK(du_fetch_sources(fetch) == 2 && !du_fetch_barred(fetch)); /* there are no relays */
    }
}

static void who_was_set_aside_is_asked_last(void)
{
    size_t got[3];

    begin(3);
    {
        DU_AUTO_FETCH *fetch = open_list((struct du_fetch_options){ 0 });

        du_fetch_order(fetch, 1, got);
        T_CHECK(got[0] == 1 && got[1] == 2 && got[2] == 0);
        du_fetch_aside(fetch, 1);
        du_fetch_order(fetch, 1, got);
        T_CHECK(got[0] == 2 && got[1] == 0 && got[2] == 1);
    }
}

static defupd_code get(struct du_fetch *fetch, size_t from, defupd_error *err)
{
    DU_AUTO_BUF body = DU_BUF(1000);
    struct du_fetch_file file = { .path = "x", .bytes_max = 100 };

    return du_fetch_memory(fetch, from, &file, &body, err);
}

static void each_source_has_its_own_attempts(void)
{
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", "*=close", NULL);
    char url[3][64];
    defupd_error err = { 0 };

    begin(3);
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(url[i], sizeof url[i], "%s/%zu", liar.url, i + 1);
        source[i].url = url[i];
    }
    source[0].kind = DEFUPD_SOURCE_RELAY; /* 3 */
    source[1].attempts = 4;
    {
        DU_AUTO_FETCH *fetch = open_list((struct du_fetch_options){ .attempts = 2 });
        for (size_t i = 0; i < 3; i++)
            T_FAILS(get(fetch, i, &err), DEFUPD_E_INTERRUPTED, &err);
    }
    T_CHECK(server_count(&liar, "/1/x ") == 3);
    T_CHECK(server_count(&liar, "/2/x ") == 4);
    T_CHECK(server_count(&liar, "/3/x ") == 2);
}

static void objects_may_be_elsewhere_and_credentials_stay_at_home(void)
{
    DU_AUTO(server_stop) struct server home = help_liar("x", "hello", NULL);
    DU_AUTO(server_stop) struct server other = help_liar("x", "hello", NULL);
    struct du_want want = { .path = "x", .length_bytes = 5 };
    char objects[64];
    size_t from;
    uint64_t fetched;
    defupd_error err = { 0 };

    du_sha256(want.sha256, "hello", 5);
    begin(1);
    source[0].url = home.url;
    source[0].object_url = other.url;
    source[0].auth = "joe:secret";
    {
        DU_AUTO_FETCH *fetch = open_list((struct du_fetch_options){ 0 });
        DU_AUTO_FD fd = open("o", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        T_OK(get(fetch, 0, &err), &err);
        T_OK(du_fetch_object(fetch, 0, fd, &want, &from, &fetched, &err), &err);
    }
    T_CHECK(server_count(&home, "auth=yes") == 1 && server_count(&home, "") == 1);
    T_CHECK(server_count(&other, "auth=no") == 1 && server_count(&other, "") == 1);
    /* Those in its own URL are for the place of objects, and a token is for the home alone. */
    (void)snprintf(objects, sizeof objects, "http://a:b@127.0.0.1:%d", other.port);
    source[0].object_url = objects;
    source[0].auth = NULL;
    source[0].bearer = "TOKEN";
    {
        DU_AUTO_FETCH *fetch = open_list((struct du_fetch_options){ 0 });
        DU_AUTO_FD fd = open("o", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        T_OK(get(fetch, 0, &err), &err);
        T_OK(du_fetch_object(fetch, 0, fd, &want, &from, &fetched, &err), &err);
    }
    T_CHECK(server_count(&home, "auth=yes") == 2);
    T_CHECK(server_count(&other, "auth=yes") == 1);
    {
        /* Where a redirect leads, neither goes. */
        DU_AUTO(server_stop) struct server third = help_liar("y", "hello", NULL);
        DU_AUTO_FETCH *fetch = open_list((struct du_fetch_options){ 0 });
        DU_AUTO_FD fd = open("o", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        char rule[100];

        (void)snprintf(rule, sizeof rule, "x=redirect:%s/y", third.url);
        help_rules(rule);
        T_OK(get(fetch, 0, &err), &err);
        T_OK(du_fetch_object(fetch, 0, fd, &want, &from, &fetched, &err), &err);
        T_CHECK(server_count(&third, "auth=no") == 2 && server_count(&third, "") == 2);
    }
}

static void addresses_are_taken_instead_of_the_name_servers(void)
{
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", NULL);
    char url[64], addresses[128];
    defupd_error err = { 0 };

    begin(2);
    (void)snprintf(url, sizeof url, "http://repo.invalid:%d", liar.port);
    (void)snprintf(addresses, sizeof addresses,
                   "other.invalid:1:127.0.0.1  repo.invalid:%d:127.0.0.1", liar.port);
    source[0].url = source[1].url = url;
    source[0].addresses = addresses;
    {
        DU_AUTO_FETCH *fetch = open_list((struct du_fetch_options){ .connect_timeout_ms = 2000 });

        T_OK(get(fetch, 0, &err), &err);
        /* What one source is told, another does not know. */
        T_FAILS(get(fetch, 1, &err), DEFUPD_E_RESOLVE, &err);
    }
}

static void a_wrong_address_is_refused_by_name(void)
{
    static const char *const bad[] = {
        "h",           "h:80",           "h:80:",         "h:0:127.0.0.1", ":80:1.2.3.4",
        "h:x:1.2.3.4", "h:80:elsewhere", "h:80:1.2.3.4,", "h:80:1.2.3.4 y"
    };
    defupd_error err = { 0 };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        DU_AUTO_FETCH *fetch = NULL;
        const struct du_fetch_options options = { .sys = &du_sys_posix, .source_list = list };

        begin(1);
        source[0].addresses = bad[i];
        T_FAILS(du_fetch_new(&fetch, &options, &err), DEFUPD_E_INVALID, &err);
        T_CHECK(strstr(err.message, "source http://h1/: addresses: '") != NULL);
    }
}

/* What would be used for a URL; "" for none. */
static const char *used(const struct du_fetch *fetch, const char *url)
{
    const struct du_proxy *proxy = du_proxy_for(&fetch->source[0], url);

    return proxy != NULL ? proxy->url : "";
}

static void a_source_has_its_own_proxy_or_none(void)
{
    begin(3);
    source[1].proxy = "";
    source[2].proxy = "socks5h://p2:1080";
    source[2].proxy_auth = "joe:a:b";
    {
        DU_AUTO_FETCH *fetch = open_list((struct du_fetch_options){ .proxy = "http://u:p@p1:1" });

        T_SAME(du_proxy_for(&fetch->source[0], "http://x/")->url, "http://p1:1");
        T_SAME(du_proxy_for(&fetch->source[0], "https://x/")->password, "p");
        T_CHECK(du_proxy_for(&fetch->source[1], "http://x/") == NULL);
        T_SAME(du_proxy_for(&fetch->source[2], "http://x/")->url, "socks5h://p2:1080");
        T_SAME(du_proxy_for(&fetch->source[2], "http://x/")->user, "joe");
        T_SAME(du_proxy_for(&fetch->source[2], "http://x/")->password, "a:b");
        T_CHECK(du_proxy_for(&fetch->source[2], "http://x/")->socks);
    }
}

static void some_hosts_are_asked_without_the_proxy(void)
{
    static const struct {
        const char *list, *url;
        bool direct;
    } row[] = {
        { "example.org", "http://example.org/", true },
        { "example.org", "http://a.example.org:81/", true },
        { ".example.org", "http://a.EXAMPLE.org/", true },
        { "example.org", "http://badexample.org/", false },
        { "example.org", "http://example.org.evil/", false },
        { "a, b ,c", "http://b/", true },
        { "a, b ,c", "http://d/", false },
        { "*", "http://d/", true },
        { "", "http://d/", false },
        { "10.0.0.0/8", "http://10.9.8.7/", true },
        { "10.0.0.0/8", "http://11.9.8.7/", false },
        { "10.128.0.0/9", "http://10.127.1.1/", false },
        { "10.128.0.0/9", "http://10.200.1.1/", true },
        { "0.0.0.0/0", "http://1.2.3.4/", true },
        { "1.2.3.4", "http://1.2.3.4/", true },
        { "1.2.3.4/33", "http://1.2.3.4/", false },
        { "fd00::/8", "http://[fd12::1]/", true },
        { "fd00::/8", "http://[fe12::1]/", false },
        { "::1", "http://[::1]:80/", true },
        { "10.0.0.0/8", "http://ten.example/", false },
    };

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        begin(1);
        source[0].no_proxy = row[i].list;
        {
            DU_AUTO_FETCH *fetch = open_list((struct du_fetch_options){ .proxy = "http://p:1" });
            const bool direct = used(fetch, row[i].url)[0] == '\0';
            if (direct != row[i].direct)
                printf("# %s, %s\n", row[i].list, row[i].url);
            T_CHECK(direct == row[i].direct);
        }
    }
}

static void the_environment_is_asked_when_that_is_wanted(void)
{
    (void)setenv("http_proxy", "p1:3128", 1);
    (void)setenv("HTTPS_PROXY", "https://u:p@p2:1/", 1);
    (void)setenv("all_proxy", "socks5://p3", 1);
    (void)setenv("no_proxy", "near.example", 1);
    begin(1);
    {
        DU_AUTO_FETCH *fetch = open_list((struct du_fetch_options){ .proxy = "env" });
        T_SAME(used(fetch, "http://x/"), "http://p1:3128");
        T_SAME(used(fetch, "https://x/"), "https://p2:1");
        T_SAME(used(fetch, "http://near.example/"), "");
    }
    (void)unsetenv("http_proxy");
    (void)setenv("HTTP_PROXY", "http://evil:1", 1); /* a web server's request header */
    source[0].no_proxy = "x";
    {
        DU_AUTO_FETCH *fetch = open_list((struct du_fetch_options){ .proxy = "env" });
        T_SAME(used(fetch, "http://y/"), "socks5://p3");
        T_SAME(used(fetch, "http://x/"), ""); /* its own list counts, not no_proxy */
        T_SAME(used(fetch, "http://near.example/"), "socks5://p3");
    }
    (void)unsetenv("HTTP_PROXY");
    (void)unsetenv("HTTPS_PROXY");
    (void)unsetenv("all_proxy");
    (void)unsetenv("no_proxy");
    source[0].no_proxy = NULL;
    {
        DU_AUTO_FETCH *fetch = open_list((struct du_fetch_options){ .proxy = "env" });
        T_SAME(used(fetch, "http://y/"), "");
    }
}

int main(void)
{
    T_RUN(relays_come_first_by_their_groups_and_servers_in_order);
    T_RUN(who_was_set_aside_is_asked_last);
    T_RUN(each_source_has_its_own_attempts);
    T_RUN(objects_may_be_elsewhere_and_credentials_stay_at_home);
    T_RUN(addresses_are_taken_instead_of_the_name_servers);
    T_RUN(a_wrong_address_is_refused_by_name);
    T_RUN(a_source_has_its_own_proxy_or_none);
    T_RUN(some_hosts_are_asked_without_the_proxy);
    T_RUN(the_environment_is_asked_when_that_is_wanted);
    return T_DONE();
}
