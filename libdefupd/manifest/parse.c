/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "manifest/manifest_priv.h"

/* Words of `requires` that this client acts on. */
static const char *const known_words[] = { "rollout", "needs" };

/* Room for one more in an array of `count`, of at most `max`; the new one is zeroed. */
static defupd_code grow(struct du_reader *r, const struct du_xml_node *node, void **array,
                        size_t size, size_t count, size_t max)
{
    void *more;

    if (count == max)
        return DU_FAIL(r->err, DEFUPD_E_LIMIT, "%s:%ld: more than %zu <%s>", r->what,
                       du_xml_line(node), max, du_xml_name(node));
    if ((count & (count - 1)) == 0) { /* the room is always the next power of two */
        more = realloc(*array, (count == 0 ? 1 : count * 2) * size);
        if (more == NULL)
            return DU_FAIL(r->err, DEFUPD_E_NOMEM, "no memory for reading %s", r->what);
        *array = more;
    }
    memset((char *)*array + count * size, 0, size);
    return DEFUPD_OK;
}

/* What `requires` says beyond the words that are known, separated by blanks, in *unknown (yours);
 * NULL when there is nothing. The words themselves may have any form: they are another's. */
static defupd_code read_requires(struct du_reader *r, const struct du_xml_node *node,
                                 char **unknown)
{
    DU_AUTO_FREE char *text = NULL;
    DU_AUTO_FREE char *rest = NULL;
    char *word, *save = NULL, *to;

    *unknown = NULL;
    DU_TRY(du_attr(r, node, "requires", false, &text));
    if (text == NULL)
        return DEFUPD_OK;
    du_tidy(text);
    rest = calloc(1, strlen(text) + 2);
    if (rest == NULL)
        return DU_FAIL(r->err, DEFUPD_E_NOMEM, "no memory for reading %s", r->what);
    to = rest;
    for (word = strtok_r(text, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
        bool known = false;

        for (size_t i = 0; i < sizeof known_words / sizeof known_words[0]; i++)
            known = known || strcmp(word, known_words[i]) == 0;
        if (!known) {
            if (to != rest)
                *to++ = ' ';
            to = stpcpy(to, word);
        }
    }
    if (to != rest)
        *unknown = du_take(&rest);
    return DEFUPD_OK;
}

static defupd_code read_object(struct du_reader *r, const struct du_xml_node *node,
                               struct du_object *object)
{
    DU_TRY(du_attr_digest(r, node, "object", object->sha256));
    DU_TRY(du_attr_u64(r, node, "bytes", 1, DU_VERSION_MAX, &object->bytes));
    return du_attr_word(r, node, "codec", object->codec);
}

static defupd_code read_full(struct du_reader *r, const struct du_xml_node *node,
                             struct du_release *release)
{
    if (release->full.codec[0] != '\0')
        return du_bad(r, node, "release %llu has a second <full>",
                      (unsigned long long)release->version);
    return read_object(r, node, &release->full);
}

static defupd_code read_delta(struct du_reader *r, const struct du_xml_node *node,
                              struct du_release *release)
{
    void *array = release->delta;
    struct du_object *delta;
    defupd_code rc;

    rc = grow(r, node, &array, sizeof *delta, release->deltas, DU_MANIFEST_DELTAS_MAX);
    release->delta = array;
    DU_TRY(rc);
    delta = &release->delta[release->deltas];
    DU_TRY(du_attr_u64(r, node, "from", 1, DU_VERSION_MAX, &delta->from));
    DU_TRY(read_object(r, node, delta));
    if (delta->from == release->version)
        return du_bad(r, node, "a <delta> from release %llu to itself",
                      (unsigned long long)release->version);
    for (size_t i = 0; i < release->deltas; i++) {
        if (release->delta[i].from == delta->from &&
            strcmp(release->delta[i].codec, delta->codec) == 0)
            return du_bad(r, node, "a second <delta> from %llu with codec %s",
                          (unsigned long long)delta->from, delta->codec);
    }
    release->deltas++;
    return DEFUPD_OK;
}

/* A <step> or, with `ring`, a <ring>. */
static defupd_code read_step(struct du_reader *r, const struct du_xml_node *node, bool ring,
                             struct du_release *release)
{
    void *array = release->step;
    struct du_rollout_step *step;
    uint64_t permille = 0;
    defupd_code rc;

    rc = grow(r, node, &array, sizeof *step, release->steps, DU_ROLLOUT_STEPS_MAX);
    release->step = array;
    DU_TRY(rc);
    step = &release->step[release->steps];
    DU_TRY(du_attr_duration(r, node, "after", &step->after_s));
    if (ring)
        DU_TRY(du_attr_word(r, node, "name", step->ring));
    else
        DU_TRY(du_attr_u64(r, node, "permille", 0, 1000, &permille));
    step->permille = (uint32_t)permille;
    release->steps++;
    return DEFUPD_OK;
}

static defupd_code read_rollout(struct du_reader *r, const struct du_xml_node *node,
                                struct du_release *release)
{
    DU_AUTO_FREE char *paused = NULL;

    if (release->has_rollout)
        return du_bad(r, node, "release %llu has a second <rollout>",
                      (unsigned long long)release->version);
    release->has_rollout = true;
    DU_TRY(du_attr_time(r, node, "start", &release->rollout_start));
    DU_TRY(du_attr(r, node, "paused", false, &paused));
    if (paused != NULL) {
        DU_TRY(du_attr_time(r, node, "paused", &release->rollout_paused_at));
        release->rollout_paused = true;
    }
    for (const struct du_xml_node *in = du_xml_child(node); in != NULL; in = du_xml_next(in)) {
        if (strcmp(du_xml_name(in), "step") == 0)
            DU_TRY(read_step(r, in, false, release));
        else if (strcmp(du_xml_name(in), "ring") == 0)
            DU_TRY(read_step(r, in, true, release));
    }
    return DEFUPD_OK;
}

/* "4", "4.1", "4.10.0" */
static bool dotted_ok(const char *text)
{
    for (const char *c = text;; c++) {
        const size_t digits = strspn(c, "0123456789");

        c += digits;
        if (digits == 0 || (*c != '.' && *c != '\0'))
            return false;
        if (*c == '\0')
            return true;
    }
}

static defupd_code read_need(struct du_reader *r, const struct du_xml_node *node,
                             struct du_release *release)
{
    DU_AUTO_FREE char *engine = NULL;
    DU_AUTO_FREE char *component = NULL;
    void *array = release->need;
    struct du_need *need;
    defupd_code rc;

    rc = grow(r, node, &array, sizeof *need, release->needs, DU_MANIFEST_NEEDS_MAX);
    release->need = array;
    DU_TRY(rc);
    need = &release->need[release->needs];
    DU_TRY(du_attr(r, node, "engine", false, &engine));
    DU_TRY(du_attr(r, node, "component", false, &component));
    if ((engine == NULL) == (component == NULL))
        return du_bad(r, node, "<needs> must name either an engine or a component");
    need->engine = engine != NULL;
    if (need->engine) {
        DU_TRY(du_attr_word(r, node, "engine", need->name));
        DU_TRY(du_attr_word(r, node, "min", need->min_text));
        if (!dotted_ok(need->min_text))
            return du_bad(r, node, "min=\"%s\" of <needs>: expected dotted numbers like 4.1",
                          need->min_text);
    } else {
        if (!du_name_ok(component))
            return du_bad(r, node, "component=\"%.100s\" of <needs>: not a component's name",
                          component);
        memcpy(need->name, component, strlen(component) + 1);
        DU_TRY(du_attr_u64(r, node, "min", 1, DU_VERSION_MAX, &need->min));
    }
    release->needs++;
    return DEFUPD_OK;
}

/* Keep tidied text of at most DU_TEXT_MAX bytes; "" is kept as NULL. */
static defupd_code keep_text(struct du_reader *r, const char *text, char **out)
{
    *out = text[0] != '\0' ? strdup(text) : NULL;
    if (*out == NULL && text[0] != '\0')
        return DU_FAIL(r->err, DEFUPD_E_NOMEM, "no memory for reading %s", r->what);
    return DEFUPD_OK;
}

static defupd_code read_withdrawn(struct du_reader *r, const struct du_xml_node *node,
                                  struct du_release *release)
{
    DU_AUTO_FREE char *replace_by = NULL;
    char reason[DU_TEXT_MAX + 1];

    if (release->withdrawn)
        return du_bad(r, node, "release %llu has a second <withdrawn>",
                      (unsigned long long)release->version);
    release->withdrawn = true;
    DU_TRY(du_attr_time(r, node, "at", &release->withdrawn_at));
    DU_TRY(du_attr(r, node, "replace-by", false, &replace_by));
    if (replace_by != NULL)
        DU_TRY(du_attr_u64(r, node, "replace-by", 1, DU_VERSION_MAX, &release->replace_by));
    if (release->replace_by == release->version)
        return du_bad(r, node, "release %llu is to replace itself",
                      (unsigned long long)release->version);
    DU_TRY(du_attr_text(r, node, "reason", DU_TEXT_MAX, reason));
    return keep_text(r, reason, &release->withdrawn_reason);
}

static defupd_code read_note(struct du_reader *r, const struct du_xml_node *node,
                             struct du_release *release)
{
    DU_AUTO_FREE char *text = NULL;
    bool nomem = false;

    if (release->note != NULL)
        return du_bad(r, node, "release %llu has a second <note>",
                      (unsigned long long)release->version);
    text = du_xml_text(node, &nomem);
    if (text == NULL)
        return DU_FAIL(r->err, DEFUPD_E_NOMEM, "no memory for reading %s", r->what);
    du_tidy(text);
    if (strlen(text) > DU_TEXT_MAX)
        return du_bad(r, node, "<note> has %zu bytes, at most %d are allowed", strlen(text),
                      DU_TEXT_MAX);
    return keep_text(r, text, &release->note);
}

static defupd_code read_child(struct du_reader *r, const struct du_xml_node *node,
                              struct du_release *release)
{
    static const struct {
        const char *name;
        defupd_code (*read)(struct du_reader *r, const struct du_xml_node *node,
                            struct du_release *release);
    } known[] = { { "full", read_full },           { "delta", read_delta },
                  { "rollout", read_rollout },     { "needs", read_need },
                  { "withdrawn", read_withdrawn }, { "note", read_note } };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(du_xml_name(node), known[i].name) == 0)
            return known[i].read(r, node, release);
    }
    return DEFUPD_OK; /* of a later time */
}

static defupd_code read_release(struct du_reader *r, const struct du_xml_node *node,
                                struct du_manifest *manifest)
{
    struct du_release *release = &manifest->release[manifest->count];

    manifest->count++; /* from here on it is freed with the manifest */
    DU_TRY(du_attr_u64(r, node, "version", 1, DU_VERSION_MAX, &release->version));
    for (size_t i = 0; i + 1 < manifest->count; i++) {
        if (manifest->release[i].version == release->version)
            return du_bad(r, node, "release %llu is listed twice",
                          (unsigned long long)release->version);
    }
    DU_TRY(du_attr_time(r, node, "published", &release->published));
    DU_TRY(read_requires(r, node, &release->requires));
    if (release->requires != NULL)
        return DEFUPD_OK; /* nothing else in it has a meaning that we know */

    DU_TRY(du_attr_digest(r, node, "tree", release->tree));
    DU_TRY(du_attr_u64(r, node, "size", 0, DU_VERSION_MAX, &release->size));
    DU_TRY(du_attr_u64(r, node, "files", 1, DU_VERSION_MAX, &release->files));
    DU_TRY(du_attr_text(r, node, "label", DU_LABEL_MAX, release->label));
    DU_TRY(du_attr_text(r, node, "class", DU_WORD_MAX, release->licence_class));
    for (const struct du_xml_node *in = du_xml_child(node); in != NULL; in = du_xml_next(in))
        DU_TRY(read_child(r, in, release));
    return DEFUPD_OK;
}

/* Format and component; anything else in it is judged only after them. */
static defupd_code read_head(struct du_reader *r, const struct du_xml_node *root,
                             const char *component)
{
    DU_AUTO_FREE char *format = NULL;
    DU_AUTO_FREE char *name = NULL;

    if (strcmp(du_xml_name(root), "manifest") != 0)
        return du_bad(r, root, "the root element is not <manifest>");
    DU_TRY(du_attr(r, root, "format", true, &format));
    if (format[0] == '\0')
        return du_bad(r, root, "<manifest> has no format");
    if (strcmp(format, "1") != 0)
        return DU_FAIL(r->err, DEFUPD_E_MANIFEST_NEWER,
                       "%s:%ld: format is \"%.40s\", this client knows 1 and needs an update",
                       r->what, du_xml_line(root), format);
    DU_TRY(du_attr(r, root, "component", true, &name));
    if (strcmp(name, component) != 0)
        return DU_FAIL(r->err, DEFUPD_E_MANIFEST_COMPONENT,
                       "%s:%ld: is for component \"%.100s\", expected \"%s\"", r->what,
                       du_xml_line(root), name, component);
    if (!du_name_ok(name))
        return du_bad(r, root, "component=\"%.100s\": not a component's name", name);
    return DEFUPD_OK;
}

static int newest_first(const void *a, const void *b)
{
    const uint64_t va = ((const struct du_release *)a)->version;
    const uint64_t vb = ((const struct du_release *)b)->version;

    return va < vb ? 1 : va > vb ? -1 : 0;
}

defupd_code du_manifest_read(struct du_manifest **out, struct du_bytes bytes, const char *component,
                             const char *what, defupd_error *err)
{
    struct du_reader r = { what, err };
    DU_AUTO_XML *doc = NULL;
    DU_AUTO_MANIFEST *manifest = NULL;

    if (bytes.len > DU_MANIFEST_BYTES_MAX)
        return DU_FAIL(err, DEFUPD_E_LIMIT, "%s: has %zu bytes, at most %u are read", what,
                       bytes.len, DU_MANIFEST_BYTES_MAX);
    DU_TRY(du_xml_parse(&doc, bytes, what, DEFUPD_E_MANIFEST_FORMAT, err));
    DU_TRY(read_head(&r, du_xml_root(doc), component));
    manifest = calloc(1, sizeof *manifest);
    if (manifest == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for reading %s", what);
    memcpy(manifest->component, component, strlen(component) + 1); /* du_name_ok() */
    for (const struct du_xml_node *node = du_xml_child(du_xml_root(doc)); node != NULL;
         node = du_xml_next(node)) {
        void *array = manifest->release;
        defupd_code rc;

        if (strcmp(du_xml_name(node), "release") != 0)
            continue;
        rc = grow(&r, node, &array, sizeof *manifest->release, manifest->count,
                  DU_MANIFEST_RELEASES_MAX);
        manifest->release = array;
        DU_TRY(rc);
        DU_TRY(read_release(&r, node, manifest));
    }
    if (manifest->count > 1)
        qsort(manifest->release, manifest->count, sizeof *manifest->release, newest_first);
    *out = du_take(&manifest);
    return DEFUPD_OK;
}

defupd_code du_manifest_parse(struct du_manifest **out, const struct du_verified *bytes,
                              const char *component, const char *what, defupd_error *err)
{
    return du_manifest_read(out, (struct du_bytes){ bytes->data, bytes->len }, component, what,
                            err);
}
