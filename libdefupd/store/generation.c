/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/when.h"
#include "xml/xml.h"

#define XML_BYTES_MAX ((size_t)4 << 20)
#define MEMBERS_MAX 4096

void du_generation_free(struct du_generation *generation)
{
    free(generation->member);
    *generation = (struct du_generation){ 0 };
}

static size_t member_at(const struct du_generation *generation, const char *component, bool *found)
{
    size_t i = 0;

    while (i < generation->count && strcmp(generation->member[i].component, component) < 0)
        i++;
    *found = i < generation->count && strcmp(generation->member[i].component, component) == 0;
    return i;
}

const struct du_member *du_generation_find(const struct du_generation *generation,
                                           const char *component)
{
    bool found;
    const size_t i = member_at(generation, component, &found);

    return found ? &generation->member[i] : NULL;
}

defupd_code du_generation_put(struct du_generation *generation, const struct du_member *member,
                              defupd_error *err)
{
    const struct du_member copy = *member; /* may be one of ours, which realloc() moves */
    bool found;
    const size_t i = member_at(generation, copy.component, &found);

    if (!found) {
        struct du_member *more;

        if (generation->count >= MEMBERS_MAX)
            return DU_FAIL(err, DEFUPD_E_LIMIT, "more than %d components", MEMBERS_MAX);
        more = realloc(generation->member, (generation->count + 1) * sizeof *more);
        if (more == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a generation");
        generation->member = more;
        memmove(&more[i + 1], &more[i], (generation->count - i) * sizeof *more);
        generation->count++;
    }
    generation->member[i] = copy;
    return DEFUPD_OK;
}

void du_generation_drop(struct du_generation *generation, const char *component)
{
    bool found;
    const size_t i = member_at(generation, component, &found);

    if (!found)
        return;
    generation->count--;
    memmove(&generation->member[i], &generation->member[i + 1],
            (generation->count - i) * sizeof *generation->member);
}

/* --- links --- */

void du_link_print(char out[DU_LINK_MAX], const char *component, uint64_t version)
{
    (void)snprintf(out, DU_LINK_MAX, "../../versions/%s/%llu", component,
                   (unsigned long long)version);
}

bool du_link_parse(const char *text, char component[DU_NAME_MAX + 1], uint64_t *version)
{
    static const char front[] = "../../versions/";
    const size_t front_len = sizeof front - 1;
    const char *name = text + front_len;
    const char *slash;

    if (strncmp(text, front, front_len) != 0)
        return false;
    slash = strchr(name, '/');
    if (slash == NULL || (size_t)(slash - name) > DU_NAME_MAX)
        return false;
    memcpy(component, name, (size_t)(slash - name));
    component[slash - name] = '\0';
    return du_name_ok(component) && du_version_parse(slash + 1, version);
}

void du_links_free(struct du_links *links)
{
    free(links->item);
    *links = (struct du_links){ 0 };
}

bool du_links_have(const struct du_links *links, const char *component, uint64_t version)
{
    for (size_t i = 0; i < links->count; i++) {
        if (links->item[i].version == version && strcmp(links->item[i].component, component) == 0)
            return true;
    }
    return false;
}

static defupd_code open_generation(const struct du_store *store, uint64_t number, int *fd,
                                   defupd_error *err)
{
    DU_AUTO_FD generations = -1;
    char name[DU_VERSION_TEXT];

    du_version_name(name, number);
    DU_TRY(du_store_sub(store, "generations", &generations, err));
    return du_dir_open(store->sys, generations, name, false, 0, fd, err);
}

defupd_code du_links_put(struct du_links *links, const char *component, uint64_t version,
                         defupd_error *err)
{
    struct du_link *more = realloc(links->item, (links->count + 1) * sizeof *more);

    if (more == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for links");
    links->item = more;
    (void)snprintf(more[links->count].component, sizeof more->component, "%s", component);
    more[links->count++].version = version;
    return DEFUPD_OK;
}

static defupd_code links_of(const struct du_store *store, int dir, struct du_links *links,
                            defupd_error *err)
{
    DU_AUTO_NAMES names = { 0 };

    DU_TRY(du_dir_names(store->sys, dir, &names, err));
    for (size_t i = 0; i < names.count; i++) {
        char target[DU_LINK_MAX + 1];
        struct du_link link;
        const ssize_t len = readlinkat(dir, names.item[i], target, sizeof target - 1);

        if (len < 0 && errno == EINVAL)
            continue; /* no link: generation.xml */
        if (len < 0)
            return DU_FAIL_IO(err, "read link %s", names.item[i]);
        target[len] = '\0';
        if (!du_link_parse(target, link.component, &link.version) ||
            strcmp(link.component, names.item[i]) != 0)
            continue; /* nothing that this software made: it holds no version */
        DU_TRY(du_links_put(links, link.component, link.version, err));
    }
    return DEFUPD_OK;
}

defupd_code du_links_add(const struct du_store *store, uint64_t number, struct du_links *links,
                         defupd_error *err)
{
    DU_AUTO_FD dir = -1;

    DU_TRY(open_generation(store, number, &dir, err));
    return links_of(store, dir, links, err);
}

/* --- generation.xml --- */

static bool attr(const struct du_xml_node *node, const char *name, char *out, size_t size,
                 bool *nomem)
{
    DU_AUTO_FREE char *value = du_xml_attr(node, name, nomem);

    if (value == NULL || strlen(value) >= size)
        return false;
    strcpy(out, value);
    return true;
}

static bool attr_u64(const struct du_xml_node *node, const char *name, uint64_t *out, bool *nomem)
{
    char text[24];

    return attr(node, name, text, sizeof text, nomem) && du_parse_u64(text, DU_VERSION_MAX, out);
}

static bool attr_time(const struct du_xml_node *node, const char *name, int64_t *out, bool *nomem)
{
    char text[DU_TIME_TEXT];

    return attr(node, name, text, sizeof text, nomem) && du_time_parse(text, out);
}

static bool parse_member(const struct du_xml_node *node, struct du_member *member, bool *nomem)
{
    char tree[DU_SHA256_HEX + 1];

    *member = (struct du_member){ 0 };
    return attr(node, "component", member->component, sizeof member->component, nomem) &&
           du_name_ok(member->component) && attr_u64(node, "version", &member->version, nomem) &&
           member->version > 0 && attr(node, "label", member->label, sizeof member->label, nomem) &&
           attr_time(node, "published", &member->published, nomem) &&
           attr(node, "tree", tree, sizeof tree, nomem) &&
           du_unhex(member->tree, sizeof member->tree, tree);
}

static defupd_code parse_root(const struct du_xml_node *root, uint64_t number, const char *what,
                              struct du_generation *out, defupd_error *err)
{
    char format[24] = "", trial[8];
    bool nomem = false;
    bool good;

    if (strcmp(du_xml_name(root), "generation") != 0)
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "%s: <%s> is not <generation>", what,
                       du_xml_name(root));
    good = attr(root, "format", format, sizeof format, &nomem);
    if (good && strcmp(format, DU_STR(DU_STORE_FORMAT)) != 0)
        return DU_FAIL(err, DEFUPD_E_STORE_FORMAT, "%s has format '%s', this software knows %d",
                       what, format, DU_STORE_FORMAT);
    good = good && attr_u64(root, "number", &out->number, &nomem) && out->number == number &&
           attr_u64(root, "parent", &out->parent, &nomem) && out->parent < number &&
           attr_time(root, "made", &out->made, &nomem) &&
           attr(root, "reason", out->reason, sizeof out->reason, &nomem) &&
           attr(root, "trial", trial, sizeof trial, &nomem) &&
           (strcmp(trial, "yes") == 0 || strcmp(trial, "no") == 0);
    out->trial = good && strcmp(trial, "yes") == 0;
    for (const struct du_xml_node *node = du_xml_child(root); good && node != NULL;
         node = du_xml_next(node)) {
        struct du_member member;

        if (strcmp(du_xml_name(node), "member") != 0)
            continue;
        good = parse_member(node, &member, &nomem) &&
               du_generation_find(out, member.component) == NULL;
        if (good)
            DU_TRY(du_generation_put(out, &member, err));
    }
    if (nomem)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for %s", what);
    if (!good)
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "%s is damaged", what);
    return DEFUPD_OK;
}

static defupd_code from_xml(const struct du_store *store, int dir, uint64_t number,
                            struct du_generation *out, defupd_error *err)
{
    DU_AUTO_BUF text = DU_BUF(XML_BYTES_MAX);
    DU_AUTO_XML *doc = NULL;
    char what[64];

    (void)snprintf(what, sizeof what, "generations/%llu/" DU_GENERATION_XML,
                   (unsigned long long)number);
    DU_TRY(du_file_read(store->sys, dir, DU_GENERATION_XML, &text, err));
    DU_TRY(du_xml_parse(&doc, du_buf_bytes(&text), what, DEFUPD_E_STORE_CORRUPT, err));
    return parse_root(du_xml_root(doc), number, what, out, err);
}

/* Digest of an installed tree: from its record, and when that is damaged too, from the files. */
static defupd_code tree_of(const struct du_store *store, struct du_member *member,
                           defupd_error *err)
{
    DU_AUTO_RECORD record = { 0 };
    DU_AUTO_INDEX index = { 0 };
    DU_AUTO_FD root = -1;
    const defupd_code rc = du_store_record(store, member->component, member->version, &record, err);

    if (rc == DEFUPD_OK) {
        memcpy(member->tree, record.tree, sizeof member->tree);
        return DEFUPD_OK;
    }
    if (rc == DEFUPD_E_STORE_FORMAT || rc == DEFUPD_E_NOMEM)
        return rc;
    if (du_store_version_dir(store, member->component, member->version, &root, err) != DEFUPD_OK ||
        du_tree_scan(store->sys, root, &(struct du_tick){ 0 }, &index, err) != DEFUPD_OK)
        return err->code == DEFUPD_E_NOMEM
                   ? err->code
                   : DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "%s %llu: %s", member->component,
                             (unsigned long long)member->version, err->message);
    du_index_digest(&index, member->tree);
    return DEFUPD_OK;
}

/* What can be known without generation.xml. The parent is taken to be the generation before it. */
static defupd_code from_links(const struct du_store *store, const struct du_links *links,
                              uint64_t number, int dir, struct du_generation *out,
                              defupd_error *err)
{
    DU_AUTO_FREE uint64_t *all = NULL;
    struct stat st;
    size_t count;

    if (fstat(dir, &st) != 0)
        return DU_FAIL_IO(err, "look at generation %llu", (unsigned long long)number);
    DU_TRY(du_store_generations(store, &all, &count, err));
    out->number = number;
    out->made = st.st_mtim.tv_sec > 0 ? (int64_t)st.st_mtim.tv_sec : 0;
    out->trial = true; /* unknown: not confirmed is the safe side */
    (void)snprintf(out->reason, sizeof out->reason, "unknown");
    for (size_t i = 0; i < count && all[i] < number; i++)
        out->parent = all[i];
    for (size_t i = 0; i < links->count; i++) {
        struct du_member member = { .version = links->item[i].version };

        strcpy(member.component, links->item[i].component);
        DU_TRY(tree_of(store, &member, err));
        DU_TRY(du_generation_put(out, &member, err));
    }
    return DEFUPD_OK;
}

/* Does the member's record, all of which its checksum covers, tell of another tree? */
static bool is_contradicted(const struct du_store *store, const struct du_member *member)
{
    DU_AUTO_RECORD record = { 0 };
    defupd_error ignored;

    return du_store_record(store, member->component, member->version, &record, &ignored) ==
               DEFUPD_OK &&
           memcmp(record.tree, member->tree, sizeof record.tree) != 0;
}

/* generation.xml has no checksum, but it says twice what it means: a member's version leads to a
 * record with the member's digest. Where the link leads elsewhere and the record agrees, the link
 * is what is damaged, and `verify` says so; where neither agrees, or a sound record says that the
 * version is another tree, the text is. */
static bool is_credible(const struct du_store *store, const struct du_generation *generation,
                        const struct du_links *links)
{
    for (size_t i = 0; i < generation->count; i++) {
        const struct du_member *member = &generation->member[i];
        unsigned char tree[DU_SHA256_BYTES];
        defupd_error ignored;

        if (du_record_tree(store, member->component, member->version, tree, &ignored) ==
                DEFUPD_OK &&
            memcmp(tree, member->tree, sizeof tree) == 0)
            continue;
        if (!du_links_have(links, member->component, member->version) ||
            is_contradicted(store, member))
            return false;
    }
    return true;
}

defupd_code du_store_link_holds(const struct du_store *store, uint64_t number,
                                const struct du_member *member, bool *holds, defupd_error *err)
{
    DU_AUTO_LINKS links = { 0 };
    const defupd_code rc = du_links_add(store, number, &links, err);

    *holds = rc == DEFUPD_OK && du_links_have(&links, member->component, member->version);
    return rc == DEFUPD_E_NOMEM ? rc : DEFUPD_OK;
}

defupd_code du_store_generation(const struct du_store *store, uint64_t number,
                                struct du_generation *out, defupd_error *err)
{
    DU_AUTO_GENERATION found = { 0 };
    DU_AUTO_LINKS links = { 0 };
    DU_AUTO_FD dir = -1;
    defupd_code rc;

    DU_TRY(open_generation(store, number, &dir, err));
    DU_TRY(links_of(store, dir, &links, err));
    rc = from_xml(store, dir, number, &found, err);
    if (rc == DEFUPD_E_STORE_FORMAT || rc == DEFUPD_E_NOMEM)
        return rc;
    if (rc != DEFUPD_OK || !is_credible(store, &found, &links)) {
        du_generation_free(&found);
        DU_TRY(from_links(store, &links, number, dir, &found, err));
    }
    *out = found;
    found = (struct du_generation){ 0 };
    return DEFUPD_OK;
}

defupd_code du_store_current_number(const struct du_store *store, uint64_t *number,
                                    defupd_error *err)
{
    static const char front[] = "generations/";
    char target[sizeof front + DU_VERSION_TEXT + 1];
    ssize_t len;

    *number = 0;
    if (store->dir < 0)
        return DEFUPD_OK;
    len = readlinkat(store->dir, DU_CURRENT, target, sizeof target - 1);
    if (len < 0 && errno == ENOENT)
        return DEFUPD_OK;
    if (len < 0 && errno != EINVAL)
        return DU_FAIL_IO(err, "read link %s/%s", store->path, DU_CURRENT);
    target[len < 0 ? 0 : len] = '\0';
    if (strncmp(target, front, sizeof front - 1) != 0 ||
        !du_version_parse(target + sizeof front - 1, number))
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT,
                       "%s/%s is not a link to a generation; 'defupd update' makes it anew",
                       store->path, DU_CURRENT);
    return DEFUPD_OK;
}

defupd_code du_store_current(const struct du_store *store, struct du_generation *out,
                             defupd_error *err)
{
    uint64_t number, before = 0;

    while (true) {
        defupd_code rc;

        DU_TRY(du_store_current_number(store, &number, err));
        if (number == 0) {
            *out = (struct du_generation){ 0 };
            return DEFUPD_OK;
        }
        if (number == before)
            return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT,
                           "%s/%s names generation %llu, which is not there; 'defupd update' makes "
                           "a new one",
                           store->path, DU_CURRENT, (unsigned long long)number);
        rc = du_store_generation(store, number, out, err);
        if (rc == DEFUPD_OK || !du_is_missing(err))
            return rc;
        /* A reader without a lease may come between two switches and the sweep: then `current` has
         * moved on, and numbers only grow. */
        before = number;
    }
}

static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

defupd_code du_store_numbers(const struct du_store *store, int dir, uint64_t **number,
                             size_t *count, defupd_error *err)
{
    DU_AUTO_NAMES names = { 0 };
    DU_AUTO_FREE uint64_t *found = NULL;
    size_t n = 0;

    DU_TRY(du_dir_names(store->sys, dir, &names, err));
    found = malloc((names.count + 1) * sizeof *found);
    if (found == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for %zu numbers", names.count);
    for (size_t i = 0; i < names.count; i++) {
        if (du_version_parse(names.item[i], &found[n]))
            n++;
    }
    if (n > 0)
        qsort(found, n, sizeof *found, by_number);
    *number = du_take(&found);
    *count = n;
    return DEFUPD_OK;
}

defupd_code du_store_generations(const struct du_store *store, uint64_t **number, size_t *count,
                                 defupd_error *err)
{
    DU_AUTO_FD dir = -1;

    *number = NULL;
    *count = 0;
    if (du_store_sub(store, "generations", &dir, err) != DEFUPD_OK)
        return du_is_missing(err) ? DEFUPD_OK : err->code;
    return du_store_numbers(store, dir, number, count, err);
}

bool du_store_confirmed(const struct du_store *store, const struct du_generation *generation)
{
    DU_AUTO_FACT fact = { 0 };
    char name[DU_VERSION_TEXT], when[2];

    if (!generation->trial)
        return true;
    du_version_name(name, generation->number);
    return du_store_fact_read(store, DU_FACT_TRIAL, name, &fact) == DU_FACT_READ &&
           du_fact_get(&fact, "confirmed", when, sizeof when) != NULL;
}
