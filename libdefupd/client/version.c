/* SPDX-License-Identifier: Apache-2.0 */
#include <defupd/version.h>

#include <stdio.h>

#include "bundle/bundle.h"
#include "crypto/crypto.h"
#include "fetch/fetch.h"
#include "xml/xml.h"
#include "json/json.h"

const char *defupd_version(void)
{
    return DEFUPD_VERSION;
}

void defupd_version_details(char *out, unsigned long size)
{
    static void (*const ask[])(char *, size_t) = { du_crypto_versions, du_fetch_versions,
                                                   du_bundle_versions, du_xml_versions,
                                                   du_json_versions };
    size_t used = 0;

    if (size > 0)
        out[0] = '\0';

    for (size_t i = 0; i < sizeof ask / sizeof ask[0] && used + 1 < size; i++) {
        char line[128] = "";
        int add;

        ask[i](line, sizeof line);
        add = snprintf(out + used, size - used, "%s%s", i == 0 ? "" : ", ", line);
        if (add < 0 || (size_t)add >= size - used)
            return;
        used += (size_t)add;
    }
}
