/* SPDX-License-Identifier: Apache-2.0 */
#include "xml/xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/scope.h"

#define NAME_MAX_BYTES 64

struct level {
    char name[NAME_MAX_BYTES];
    bool elements, text; /* what it holds so far */
};

struct du_xml_writer {
    struct du_buf out;
    struct level level[DU_XML_DEPTH_MAX];
    size_t depth;
    bool open; /* the innermost start tag still lacks its '>' */
    bool root; /* a root element was started */
    defupd_error first;
};

defupd_code du_xml_writer_new(struct du_xml_writer **out, defupd_error *err)
{
    struct du_xml_writer *w = calloc(1, sizeof *w);
    defupd_code rc;

    if (w == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for writing XML");
    w->out = DU_BUF(DU_XML_BYTES_MAX);
    rc = du_buf_add_text(&w->out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", err);
    if (rc != DEFUPD_OK) {
        du_xml_writer_free(w);
        return rc;
    }
    *out = w;
    return DEFUPD_OK;
}

static void put(struct du_xml_writer *w, const char *text, size_t len)
{
    /* The first failure is the one that counts; it stays in w->first. */
    if (w->first.code == DEFUPD_OK)
        (void)!du_buf_add(&w->out, text, len, &w->first);
}

static void put_text(struct du_xml_writer *w, const char *text)
{
    put(w, text, strlen(text));
}

static void misuse(struct du_xml_writer *w, const char *what, const char *name)
{
    if (w->first.code == DEFUPD_OK)
        (void)DU_FAIL(&w->first, DEFUPD_E_BUG, "writing XML: %s: \"%s\"", what, name);
}

/* Names come from the program or have passed du_name_ok(). */
static bool name_ok(const char *name)
{
    static const char more[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-.0123456789";
    const size_t len = strnlen(name, NAME_MAX_BYTES);

    /* The first 53 may begin a name. */
    return len > 0 && len < NAME_MAX_BYTES && strspn(name, more) == len &&
           memchr(more, name[0], 53) != NULL;
}

static void put_indent(struct du_xml_writer *w, size_t depth)
{
    for (size_t i = 0; i < depth; i++)
        put(w, "  ", 2);
}

static void close_tag(struct du_xml_writer *w)
{
    if (w->open)
        put(w, ">", 1);
    w->open = false;
}

void du_xml_start(struct du_xml_writer *w, const char *element)
{
    struct level *parent = w->depth > 0 ? &w->level[w->depth - 1] : NULL;

    if (!name_ok(element)) {
        misuse(w, "not a name", element);
    } else if (w->depth == DU_XML_DEPTH_MAX) {
        misuse(w, "too many levels", element);
    } else if (parent == NULL && w->root) {
        misuse(w, "a second root element", element);
    }
    if (w->first.code != DEFUPD_OK)
        return;
    close_tag(w);
    if (parent != NULL && !parent->text) { /* blanks would change mixed text */
        put(w, "\n", 1);
        put_indent(w, w->depth);
    }
    if (parent != NULL)
        parent->elements = true;
    put(w, "<", 1);
    put_text(w, element);
    w->root = true;
    w->open = true;
    w->level[w->depth] = (struct level){ 0 };
    memcpy(w->level[w->depth].name, element, strlen(element) + 1);
    w->depth++;
}

/* How one byte is written; NULL: as it is. In attributes also what a reader would turn to blanks.
 */
static const char *escape(char c, bool attr)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return attr ? "&quot;" : NULL;
    case '\r': return "&#13;";
    case '\n': return attr ? "&#10;" : NULL;
    case '\t': return attr ? "&#9;" : NULL;
    default: return (unsigned char)c < 0x20 ? "?" : NULL;
    }
}

static void put_escaped(struct du_xml_writer *w, const char *text, bool attr)
{
    size_t good = du_utf8_prefix(text, strlen(text));

    for (size_t i = 0; text[i] != '\0'; i++) {
        const char *instead = escape(text[i], attr);

        if (i == good) { /* this byte begins nothing that is UTF-8 */
            put(w, "?", 1);
            good = i + 1 + du_utf8_prefix(text + i + 1, strlen(text + i + 1));
        } else if (instead != NULL) {
            put_text(w, instead);
        } else if (strncmp(text + i, "\xef\xbf\xbe", 3) == 0 ||
                   strncmp(text + i, "\xef\xbf\xbf", 3) == 0) {
            put(w, "?", 1); /* U+FFFE and U+FFFF: UTF-8, but not characters of XML */
            i += 2;
        } else {
            put(w, text + i, 1);
        }
    }
}

void du_xml_put_attr(struct du_xml_writer *w, const char *name, const char *value)
{
    if (!w->open || !name_ok(name)) {
        misuse(w, w->open ? "not a name" : "an attribute after the start tag", name);
        return;
    }
    put(w, " ", 1);
    put_text(w, name);
    put(w, "=\"", 2);
    put_escaped(w, value, true);
    put(w, "\"", 1);
}

void du_xml_put_u64(struct du_xml_writer *w, const char *name, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    du_xml_put_attr(w, name, text);
}

void du_xml_put_text(struct du_xml_writer *w, const char *text)
{
    if (w->depth == 0) {
        misuse(w, "text outside the root element", text);
        return;
    }
    if (text[0] == '\0')
        return;
    close_tag(w);
    w->level[w->depth - 1].text = true;
    put_escaped(w, text, false);
}

void du_xml_end(struct du_xml_writer *w)
{
    const struct level *level;

    if (w->depth == 0) {
        misuse(w, "an end without a start", "");
        return;
    }
    level = &w->level[--w->depth];
    if (w->open) {
        put(w, "/>", 2);
        w->open = false;
    } else {
        if (level->elements && !level->text) {
            put(w, "\n", 1);
            put_indent(w, w->depth);
        }
        put(w, "</", 2);
        put_text(w, level->name);
        put(w, ">", 1);
    }
    if (w->depth == 0)
        put(w, "\n", 1);
}

defupd_code du_xml_writer_finish(struct du_xml_writer *w, struct du_buf *out, defupd_error *err)
{
    if (w->depth > 0)
        misuse(w, "an element is not ended", w->level[w->depth - 1].name);
    else if (!w->root)
        misuse(w, "no root element", "");
    if (w->first.code != DEFUPD_OK) {
        *err = w->first;
        return err->code;
    }
    return du_buf_add(out, w->out.data, w->out.len, err);
}

void du_xml_writer_free(struct du_xml_writer *w)
{
    if (w == NULL)
        return;
    du_buf_free(&w->out);
    free(w);
}

void du_xml_writer_freep(struct du_xml_writer **w)
{
    const int saved = errno;

    du_xml_writer_free(*w);
    *w = NULL;
    errno = saved;
}
