/* SPDX-License-Identifier: Apache-2.0 */
/* Who is asked for in the HTTP server's limits: addresses, networks, accounts. The sources are
 * taken in: they belong to the programs, which are in no library. */
#include "../../agent/serve/address.c"
#include "../../agent/serve/client.c"
#include "../../agent/serve/request.c"

#include <arpa/inet.h>

#include "t.h"

#define SECOND INT64_C(1000000)

static bool has(const char *network, const char *address)
{
    struct du_network parsed;
    struct du_address at;

    return du_network_parse(&parsed, network) && du_address_parse(&at, address) &&
           du_network_has(&parsed, &at);
}

static void a_network_has_its_addresses_and_no_other(void)
{
    T_CHECK(has("10.0.0.0/8", "10.255.0.1"));
    T_CHECK(!has("10.0.0.0/8", "11.0.0.1"));
    T_CHECK(has("192.0.2.64/27", "192.0.2.95"));
    T_CHECK(!has("192.0.2.64/27", "192.0.2.96"));
    T_CHECK(has("192.0.2.1", "192.0.2.1"));
    T_CHECK(!has("192.0.2.1", "192.0.2.2"));
    T_CHECK(has("0.0.0.0/0", "203.0.113.9"));
    T_CHECK(!has("0.0.0.0/0", "2001:db8::1"));
    T_CHECK(has("2001:db8::/33", "2001:db8:7fff::1"));
    T_CHECK(!has("2001:db8::/33", "2001:db8:8000::1"));
    T_CHECK(has("::1", "::1"));
    T_CHECK(has("::/0", "192.0.2.1")); /* every address */
    T_CHECK(has("192.0.2.0/24", "::ffff:192.0.2.7"));
}

static void what_is_no_network_is_refused(void)
{
    static const char *const bad[] = {
        "",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0/8",
        "::/129",
        "10.0.0.0/x",
        "host/8",
        "10.0.0.0/8 ",
        "/8",
        "10.0.0.0/-1",
        "1:2:3:4:5:6:7:8:9",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111:2222"
    };
    struct du_network network;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        T_CHECK(!du_network_parse(&network, bad[i]));
}

static void of_a_forwarded_list_the_last_is_believed(void)
{
    static const struct {
        const char *header, *address; /* NULL: none */
    } some[] = { { "192.0.2.1", "192.0.2.1" },
                 { "198.51.100.9, 192.0.2.1", "192.0.2.1" },
                 { "evil,\t2001:db8::7 ", "2001:db8::7" },
                 { "192.0.2.1, unknown", NULL },
                 { "192.0.2.1,", NULL },
                 { "", NULL },
                 { "192.0.2.1 192.0.2.2", NULL },
                 { "192.0.2.1:80", NULL } };

    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        struct du_address is, wanted;
        const bool ok = du_address_forwarded(&is, some[i].header);

        T_CHECK(ok == (some[i].address != NULL));
        if (ok && some[i].address != NULL) {
            T_CHECK(du_address_parse(&wanted, some[i].address));
            T_CHECK(memcmp(&is, &wanted, sizeof is) == 0);
        }
    }
}

static void a_socket_address_is_known_by_its_host_alone(void)
{
    union { /* room for any, as accept() gives it */
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } from = { .four = { .sin_family = AF_INET, .sin_port = 7 } };
    const struct sockaddr other = { .sa_family = AF_UNIX };
    struct du_address is, wanted;

    T_CHECK(inet_pton(AF_INET, "192.0.2.3", &from.four.sin_addr) == 1);
    T_CHECK(du_address_of(&is, &from.any) && du_address_parse(&wanted, "192.0.2.3"));
    T_CHECK(memcmp(&is, &wanted, sizeof is) == 0);
    from.six = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = 7 };
    T_CHECK(inet_pton(AF_INET6, "2001:db8::3", &from.six.sin6_addr) == 1);
    T_CHECK(du_address_of(&is, &from.any) && du_address_parse(&wanted, "2001:db8::3"));
    T_CHECK(memcmp(&is, &wanted, sizeof is) == 0);
    T_CHECK(!du_address_of(&is, &other));
}

static struct du_client *come(struct du_clients *clients, const char *text, int64_t now,
                              bool connect, uint32_t *connections)
{
    struct du_address who = { { 0 } };

    T_CHECK(du_address_parse(&who, text));
    return du_client_enter(clients, &who, now, connect, connections);
}

static void connections_are_counted_by_client(void)
{
    struct du_clients *clients = du_clients_new(1);
    uint32_t n = 0;
    struct du_client *a = come(clients, "192.0.2.1", 0, true, &n), *b;

    T_CHECK(a != NULL && n == 1);
    b = come(clients, "192.0.2.1", 0, true, &n);
    T_CHECK(b == a && n == 2);
    T_CHECK(come(clients, "192.0.2.1", 0, false, &n) == a && n == 2);
    T_CHECK(come(clients, "192.0.2.2", 0, true, &n) != a && n == 1);
    du_client_leave(clients, a);
    T_CHECK(du_client_connections(clients, a) == 1);
    /* An IPv6 host has 64 bits of its own to choose addresses from. */
    a = come(clients, "2001:db8::1", 0, true, &n);
    T_CHECK(come(clients, "2001:db8::ffff:1", 0, true, &n) == a && n == 2);
    T_CHECK(come(clients, "2001:db8:0:1::1", 0, true, &n) != a && n == 1);
    du_clients_free(clients);
}

static void a_client_may_ask_at_its_rate_and_five_seconds_at_once(void)
{
    struct du_clients *clients = du_clients_new(2);
    uint32_t n = 0, passed = 0;
    int64_t now = 100 * SECOND;
    struct du_client *client = come(clients, "192.0.2.1", now, false, &n);

    while (passed < 1000 && du_client_ask(clients, client, now, 10) == 0)
        passed++;
    T_CHECK(passed == 50);
    T_CHECK(du_client_ask(clients, client, now, 10) == 1);
    /* Those that were refused cost nothing: a tenth of a second later there is one more. */
    now += SECOND / 10;
    T_CHECK(du_client_ask(clients, client, now, 10) == 0);
    T_CHECK(du_client_ask(clients, client, now, 10) == 1);
    /* Another client has its own account. */
    T_CHECK(du_client_ask(clients, come(clients, "192.0.2.2", now, false, &n), now, 10) == 0);
    /* At the rate, for ever. */
    for (int i = 0; i < 1000; i++) {
        now += SECOND / 10;
        T_CHECK(du_client_ask(clients, client, now, 10) == 0);
    }
    du_clients_free(clients);
}

static void slower_than_one_a_second_is_told_how_long_to_wait(void)
{
    struct du_clients *clients = du_clients_new(3);
    uint32_t n = 0;
    struct du_client *client = come(clients, "192.0.2.1", 0, false, &n);

    for (int i = 0; i < 5; i++)
        T_CHECK(du_client_ask(clients, client, 0, 1) == 0);
    T_CHECK(du_client_ask(clients, client, 0, 1) == 1);
    T_CHECK(du_client_ask(clients, client, SECOND / 2, 1) == 1);
    T_CHECK(du_client_ask(clients, client, SECOND, 1) == 0);
    du_clients_free(clients);
}

static void a_million_addresses_take_no_more_room_and_no_connected_one_is_forgotten(void)
{
    struct du_clients *clients = du_clients_new(4);
    uint32_t n = 0;
    struct du_client *kept = come(clients, "192.0.2.1", 0, true, &n);

    for (uint32_t i = 0; i < 1000000; i++) {
        struct du_address who = { { 0x20, 1, 0xd, 0xb8, (unsigned char)(i >> 16),
                                    (unsigned char)(i >> 8), (unsigned char)i } };
        T_CHECK(du_client_enter(clients, &who, SECOND + i, false, &n) != NULL);
    }
    T_CHECK(come(clients, "192.0.2.1", 2 * SECOND, true, &n) == kept && n == 2);
    T_CHECK(du_clients_seen(clients, SECOND) <= SETS * WAYS);
    T_CHECK(du_clients_seen(clients, SECOND) > SETS * WAYS * 9 / 10);
    T_CHECK(du_clients_seen(clients, 3 * SECOND) == 1); /* it is connected */
    du_clients_free(clients);
}

static void dates_are_those_of_the_standard(void)
{
    char out[DU_HTTP_DATE];

    du_serve_date(out, 784111777);
    T_SAME(out, "Sun, 06 Nov 1994 08:49:37 GMT");
    du_serve_date(out, 0);
    T_SAME(out, "Thu, 01 Jan 1970 00:00:00 GMT");
    du_serve_date(out, 951782400);
    T_SAME(out, "Tue, 29 Feb 2000 00:00:00 GMT");
    du_serve_date(out, 1798761599);
    T_SAME(out, "Thu, 31 Dec 2026 23:59:59 GMT");
    du_serve_date(out, INT64_C(4107542400));
    T_SAME(out, "Mon, 01 Mar 2100 00:00:00 GMT");
    du_serve_date(out, -1);
    T_SAME(out, "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void an_object_is_known_by_its_name(void)
{
    static const char hash[] = "ab23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    char path[128];

    (void)snprintf(path, sizeof path, "/objects/ab/%s", hash);
    T_SAME(du_serve_digest(path), hash);
    (void)snprintf(path, sizeof path, "/objects/ac/%s", hash);
    T_CHECK(du_serve_digest(path) == NULL);
    (void)snprintf(path, sizeof path, "/objects/ab/%s0", hash);
    T_CHECK(du_serve_digest(path) == NULL);
    (void)snprintf(path, sizeof path, "/targets/ab/%s", hash);
    T_CHECK(du_serve_digest(path) == NULL);
    T_CHECK(du_serve_digest("/objects/ab/abcd") == NULL);
}

int main(void)
{
    T_RUN(a_network_has_its_addresses_and_no_other);
    T_RUN(what_is_no_network_is_refused);
    T_RUN(of_a_forwarded_list_the_last_is_believed);
    T_RUN(a_socket_address_is_known_by_its_host_alone);
    T_RUN(connections_are_counted_by_client);
    T_RUN(a_client_may_ask_at_its_rate_and_five_seconds_at_once);
    T_RUN(slower_than_one_a_second_is_told_how_long_to_wait);
    T_RUN(a_million_addresses_take_no_more_room_and_no_connected_one_is_forgotten);
    T_RUN(dates_are_those_of_the_standard);
    T_RUN(an_object_is_known_by_its_name);
    return T_DONE();
}
