/* SPDX-License-Identifier: Apache-2.0 */
#include "base/name.h"

#include <string.h>

#include "base/bytes.h"

/* Words with a meaning of their own in a repository, a store or a report, and names that Windows
 * keeps for devices. */
static bool is_reserved(const char *name)
{
    static const char *const words[] = { "root",  "targets", "snapshot", "timestamp", "mirrors",
                                         "agent", "local",   "current",  "all",       "con",
                                         "nul",   "aux",     "prn" };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(name, words[i]) == 0)
            return true;
    }
    if (strncmp(name, "xml", 3) == 0) /* no XML element may begin like this */
        return true;
    return (strncmp(name, "com", 3) == 0 || strncmp(name, "lpt", 3) == 0) && name[3] >= '1' &&
           name[3] <= '9' && name[4] == '\0';
}

bool du_name_ok(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    const size_t len = strnlen(name, DU_NAME_MAX + 1);

    return len > 0 && len <= DU_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, allowed) == len && !is_reserved(name);
}

bool du_version_parse(const char *text, uint64_t *version)
{
    uint64_t value;

    if (!du_parse_u64(text, DU_VERSION_MAX, &value) || value == 0)
        return false;
    *version = value;
    return true;
}

const char *du_path_why_bad(const char *path)
{
    const size_t len = strnlen(path, DU_PATH_MAX + 1);
    const char *part = path;

    if (len == 0)
        return "is empty";
    if (len > DU_PATH_MAX)
        return "is longer than 1024 bytes";
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
            return "has a control byte";
        if (path[i] == '\\')
            return "has a backslash";
    }
    if (!du_utf8_ok(path, len))
        return "is not UTF-8";
    while (true) {
        const size_t part_len = strcspn(part, "/");

        if (part_len == 0)
            return path[0] == '/' ? "is absolute" : "has an empty part";
        if (part_len > DU_PART_MAX)
            return "has a part longer than 255 bytes";
        if (part[0] == '.' && (part_len == 1 || (part_len == 2 && part[1] == '.')))
            return "has a '.' or '..' part";
        if (part[part_len] == '\0')
            return NULL;
        part += part_len + 1;
    }
}

bool du_component_parse(const char *text, char *name, uint64_t *version)
{
    const char *at = strchr(text, '@');
    const size_t len = at != NULL ? (size_t)(at - text) : strnlen(text, DU_NAME_MAX + 1);

    if (len > DU_NAME_MAX)
        return false;
    memcpy(name, text, len);
    name[len] = '\0';
    *version = 0;
    return du_name_ok(name) && (at == NULL || du_version_parse(at + 1, version));
}

size_t du_utf8_prefix(const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t i = 0;

    while (i < len) {
        const unsigned char c = s[i];
        const size_t more = c < 0x80 ? 0 : c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        uint32_t point = more == 0 ? c : c & (0x3fU >> more);

        if ((c >= 0x80 && (c < 0xc2 || c > 0xf4)) || more >= len - i)
            return i;
        for (size_t k = 1; k <= more; k++) {
            if ((s[i + k] & 0xc0) != 0x80)
                return i;
            point = point << 6 | (s[i + k] & 0x3fU);
        }
        if ((more == 2 && point < 0x800) || (more == 3 && (point < 0x10000 || point > 0x10ffff)) ||
            (point >= 0xd800 && point <= 0xdfff))
            return i;
        i += more + 1;
    }
    return len;
}

bool du_utf8_ok(const char *text, size_t len)
{
    return du_utf8_prefix(text, len) == len;
}
