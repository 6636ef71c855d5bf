/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "serve_priv.h"

static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static void from_four(struct du_address *out, const void *four)
{
    memcpy(out->bytes, mapped, sizeof mapped);
    memcpy(out->bytes + sizeof mapped, four, 4);
}

bool du_address_of(struct du_address *out, const struct sockaddr *from)
{
    if (from->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)from;
        from_four(out, &in->sin_addr);
        return true;
    }
    if (from->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)from;
        memcpy(out->bytes, &in->sin6_addr, sizeof out->bytes);
        return true;
    }
    return false;
}

bool du_address_parse(struct du_address *out, const char *text)
{
    unsigned char four[4];

    if (inet_pton(AF_INET, text, four) == 1) {
        from_four(out, four);
        return true;
    }
    return inet_pton(AF_INET6, text, out->bytes) == 1;
}

void du_address_text(char out[48], const struct du_address *address)
{
    const bool four = memcmp(address->bytes, mapped, sizeof mapped) == 0;

    if (inet_ntop(four ? AF_INET : AF_INET6, address->bytes + (four ? sizeof mapped : 0), out,
                  48) == NULL)
        out[0] = '\0';
}

bool du_address_forwarded(struct du_address *out, const char *header)
{
    const char *comma = strrchr(header, ',');
    const char *at = comma != NULL ? comma + 1 : header;
    char text[INET6_ADDRSTRLEN];
    size_t length;

    at += strspn(at, " \t");
    length = strcspn(at, " \t");
    if (length >= sizeof text || at[length + strspn(at + length, " \t")] != '\0')
        return false;
    memcpy(text, at, length);
    text[length] = '\0';
    return du_address_parse(out, text);
}

bool du_network_parse(struct du_network *out, const char *text)
{
    const char *slash = strchr(text, '/');
    const size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);
    char address[INET6_ADDRSTRLEN];
    unsigned offset;

    if (length >= sizeof address)
        return false;
    memcpy(address, text, length);
    address[length] = '\0';
    if (!du_address_parse(&out->from, address))
        return false;
    offset = strchr(address, ':') == NULL ? 96 : 0;
    out->bits = 128;
    if (slash != NULL) {
        const size_t digits = strspn(slash + 1, "0123456789");
        unsigned long bits;

        if (digits == 0 || digits > 3 || slash[1 + digits] != '\0')
            return false;
        bits = strtoul(slash + 1, NULL, 10);
        if (bits > 128 - offset)
            return false;
        out->bits = offset + (unsigned)bits;
    }
    return true;
}

bool du_network_has(const struct du_network *network, const struct du_address *address)
{
    const unsigned whole = network->bits / 8, rest = network->bits % 8;

    if (memcmp(network->from.bytes, address->bytes, whole) != 0)
        return false;
    return rest == 0 || (network->from.bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}
