/* SPDX-License-Identifier: Apache-2.0 */
#include "xml/xml.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/name.h"

/* A document is libxml2's own; the types here exist so that nobody else meets them. */
struct du_xml_doc {
    xmlDoc *doc;
};

/* Nodes are handed out as themselves under another name. */
static const xmlNode *inner(const struct du_xml_node *node)
{
    return (const xmlNode *)(const void *)node;
}

static const struct du_xml_node *outer(const xmlNode *node)
{
    return (const struct du_xml_node *)(const void *)node;
}

/* What went wrong first in one parse; hangs on the parser's context, so threads do not meet. */
struct trouble {
    bool doctype, nomem, any;
    long line;
    char text[200];
};

static void note_doctype(void *ctx, const xmlChar *name, const xmlChar *public_id,
                         const xmlChar *system_id)
{
    xmlParserCtxt *ctxt = ctx;
    struct trouble *trouble = ctxt->_private;

    (void)name;
    (void)public_id;
    (void)system_id;
    trouble->doctype = true;
    trouble->line = ctxt->input != NULL ? ctxt->input->line : 0;
    xmlStopParser(ctxt); /* before its declarations are read: no entity ever comes to be */
}

#if LIBXML_VERSION >= 21200
static void note_error(void *ctx, const xmlError *error)
#else
static void note_error(void *ctx, xmlError *error)
#endif
{
    const xmlParserCtxt *ctxt = ctx;
    struct trouble *trouble = ctxt->_private;

    if (error->code == XML_ERR_NO_MEMORY)
        trouble->nomem = true;
    if (trouble->any || trouble->doctype || error->level < XML_ERR_ERROR)
        return;
    trouble->any = true;
    trouble->line = error->line;
    if (error->message != NULL) {
        const size_t len = strcspn(error->message, "\n");
        const size_t keep = len < sizeof trouble->text ? len : sizeof trouble->text - 1;

        memcpy(trouble->text, error->message, keep);
        trouble->text[keep] = '\0';
    }
}

/* What libxml2 cannot tell a parser's context (memory for a node) goes to the thread's handler,
 * which writes to stderr by default. That is the program's, so it gets its own back. */
struct quiet {
    xmlStructuredErrorFunc func;
    void *context;
};

#if LIBXML_VERSION >= 21200
static void note_memory(void *ctx, const xmlError *error)
#else
static void note_memory(void *ctx, xmlError *error)
#endif
{
    bool *nomem = ctx;

    *nomem = *nomem || error->code == XML_ERR_NO_MEMORY;
}

static void quiet_begin(struct quiet *quiet, bool *nomem)
{
    *quiet = (struct quiet){ xmlStructuredError, xmlStructuredErrorContext };
    xmlSetStructuredErrorFunc(nomem, note_memory);
}

/* The last error, too, is the thread's: what is left of ours goes. */
static void quiet_end(const struct quiet *quiet, bool failed)
{
    if (failed)
        xmlResetLastError();
    xmlSetStructuredErrorFunc(quiet->context, quiet->func);
}

static long line_at(struct du_bytes bytes, size_t offset)
{
    long line = 1;

    for (size_t i = 0; i < offset; i++)
        line += bytes.data[i] == '\n';
    return line;
}

/* The value of the declaration's encoding in `out`; false when there is none. Needs not be exact
 * for what is no declaration at all: the parser, which ignores encodings, refuses that. */
static bool declared_encoding(struct du_bytes bytes, char out[32])
{
    char decl[256];
    const size_t len = bytes.len < sizeof decl - 1 ? bytes.len : sizeof decl - 1;
    char *end, *at;
    size_t n;

    memcpy(decl, bytes.data, len);
    decl[len] = '\0';
    end = strstr(decl, "?>");
    if (strncmp(decl, "<?xml", 5) != 0 || end == NULL)
        return false;
    *end = '\0';
    at = strstr(decl, "encoding");
    if (at == NULL)
        return false;
    at += strcspn(at, "\"'");
    if (*at == '\0')
        return false;
    n = strcspn(at + 1, "\"'");
    if (n > 31)
        n = 31;
    memcpy(out, at + 1, n);
    out[n] = '\0';
    return true;
}

/* What the parser would pass over or read in some other way than the next reader does. */
static defupd_code check_bytes(struct du_bytes bytes, const char *what, defupd_code code,
                               defupd_error *err)
{
    const size_t good = du_utf8_prefix((const char *)bytes.data, bytes.len);
    const unsigned char *nul = memchr(bytes.data, 0, bytes.len);
    char encoding[32];

    if (nul != NULL) /* libxml2 takes it for the end of the document, whatever follows */
        return DU_FAIL(err, code, "%s:%ld: has a NUL byte", what,
                       line_at(bytes, (size_t)(nul - bytes.data)));
    if (good < bytes.len)
        return DU_FAIL(err, code, "%s:%ld: is not UTF-8", what, line_at(bytes, good));
    if (declared_encoding(bytes, encoding) && strcasecmp(encoding, "UTF-8") != 0)
        return DU_FAIL(err, code, "%s:1: is declared as %s, only UTF-8 is read", what, encoding);
    return DEFUPD_OK;
}

/* The first element below DU_XML_DEPTH_MAX, NULL if there is none. */
static const xmlNode *too_deep(const xmlDoc *doc)
{
    const xmlNode *node = xmlDocGetRootElement(doc);
    int depth = 1;

    while (node != NULL) {
        const xmlNode *next = node->type == XML_ELEMENT_NODE ? node->children : NULL;

        if (node->type == XML_ELEMENT_NODE && depth > DU_XML_DEPTH_MAX)
            return node;
        if (next != NULL) {
            depth++;
        } else {
            while (depth > 1 && node->next == NULL) {
                node = node->parent;
                depth--;
            }
            next = depth > 1 ? node->next : NULL;
        }
        node = next;
    }
    return NULL;
}

static defupd_code read_document(xmlDoc **out, xmlParserCtxt *ctxt, struct du_bytes bytes,
                                 const char *what, defupd_code code, defupd_error *err)
{
    struct trouble trouble = { 0 };
    const xmlNode *deep;
    xmlDoc *doc;

    ctxt->_private = &trouble;
    ctxt->sax->internalSubset = note_doctype;
    ctxt->sax->serror = note_error; /* comes before the channel that writes to stderr */
    /* Not told "UTF-8", which check_bytes() has seen to: libxml2 would set up a conversion, and die
     * of a NULL pointer when there is no memory for that. */
    doc = xmlCtxtReadMemory(ctxt, (const char *)bytes.data, (int)bytes.len, NULL, NULL,
                            XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_IGNORE_ENC |
                                XML_PARSE_BIG_LINES);
    *out = doc;
    if (trouble.nomem || ctxt->errNo == XML_ERR_NO_MEMORY)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for reading %s", what);
    if (trouble.doctype)
        return DU_FAIL(err, code, "%s:%ld: has a DOCTYPE, which is not allowed", what,
                       trouble.line);
    if (doc == NULL || ctxt->wellFormed == 0 || xmlDocGetRootElement(doc) == NULL)
        return DU_FAIL(err, code, "%s:%ld: %s", what, trouble.line > 0 ? trouble.line : 1,
                       trouble.any ? trouble.text : "is not well-formed XML");
    deep = too_deep(doc);
    if (deep != NULL)
        return DU_FAIL(err, code, "%s:%ld: elements are more than %d levels deep", what,
                       xmlGetLineNo(deep), DU_XML_DEPTH_MAX);
    return DEFUPD_OK;
}

defupd_code du_xml_parse(struct du_xml_doc **out, struct du_bytes bytes, const char *what,
                         defupd_code code, defupd_error *err)
{
    static const unsigned char bom[] = { 0xef, 0xbb, 0xbf };
    struct du_xml_doc *made;
    xmlParserCtxt *ctxt;
    xmlDoc *doc = NULL;
    struct quiet quiet;
    bool nomem = false;
    defupd_code rc;

    if (bytes.len >= sizeof bom && memcmp(bytes.data, bom, sizeof bom) == 0) {
        bytes.data += sizeof bom;
        bytes.len -= sizeof bom;
    }
    if (bytes.len == 0)
        return DU_FAIL(err, code, "%s:1: is empty", what);
    if (bytes.len > DU_XML_BYTES_MAX)
        return DU_FAIL(err, code, "%s:1: has %zu bytes, at most %u are read", what, bytes.len,
                       DU_XML_BYTES_MAX);
    DU_TRY(check_bytes(bytes, what, code, err));

    made = calloc(1, sizeof *made);
    if (made == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for reading %s", what);
    quiet_begin(&quiet, &nomem);
    ctxt = xmlNewParserCtxt();
    rc = ctxt == NULL ? DEFUPD_E_NOMEM : read_document(&doc, ctxt, bytes, what, code, err);
    xmlFreeParserCtxt(ctxt);
    quiet_end(&quiet, rc != DEFUPD_OK || nomem);
    made->doc = doc;
    if (ctxt == NULL || nomem)
        rc = DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for reading %s", what);
    if (rc != DEFUPD_OK) {
        du_xml_free(made);
        return rc;
    }
    *out = made;
    return DEFUPD_OK;
}

void du_xml_free(struct du_xml_doc *doc)
{
    if (doc == NULL)
        return;
    if (doc->doc != NULL)
        xmlFreeDoc(doc->doc);
    free(doc);
}

void du_xml_freep(struct du_xml_doc **doc)
{
    const int saved = errno;

    du_xml_free(*doc);
    *doc = NULL;
    errno = saved;
}

const struct du_xml_node *du_xml_root(const struct du_xml_doc *doc)
{
    return outer(xmlDocGetRootElement(doc->doc));
}

const char *du_xml_name(const struct du_xml_node *node)
{
    /* An element of somebody else's namespace is never one of ours, whatever its name. */
    return inner(node)->ns != NULL ? "" : (const char *)inner(node)->name;
}

long du_xml_line(const struct du_xml_node *node)
{
    return xmlGetLineNo(inner(node));
}

static const struct du_xml_node *first_element(const xmlNode *node)
{
    while (node != NULL && node->type != XML_ELEMENT_NODE)
        node = node->next;
    return outer(node);
}

const struct du_xml_node *du_xml_child(const struct du_xml_node *node)
{
    return first_element(inner(node)->children);
}

const struct du_xml_node *du_xml_next(const struct du_xml_node *node)
{
    return first_element(inner(node)->next);
}

/* libxml2's memory may come from an allocator of its own: hand out malloc()ed copies only. */
static char *copy_out(xmlChar *text, bool *nomem)
{
    char *copy = text != NULL ? strdup((const char *)text) : NULL;

    if (copy == NULL)
        *nomem = true;
    if (text != NULL)
        xmlFree(text);
    return copy;
}

char *du_xml_attr(const struct du_xml_node *node, const char *name, bool *nomem)
{
    const xmlAttr *attr = xmlHasNsProp(inner(node), (const xmlChar *)name, NULL);
    char *empty;

    if (attr == NULL)
        return NULL;
    if (attr->children != NULL) {
        struct quiet quiet;
        bool short_of_it = false;
        char *text;

        quiet_begin(&quiet, &short_of_it);
        text = copy_out(xmlNodeListGetString(inner(node)->doc, attr->children, 1), nomem);
        quiet_end(&quiet, short_of_it);
        *nomem = *nomem || short_of_it;
        return text;
    }
    empty = strdup("");
    if (empty == NULL)
        *nomem = true;
    return empty;
}

char *du_xml_text(const struct du_xml_node *node, bool *nomem)
{
    static const char blank[] = " \t\r\n";
    struct quiet quiet;
    bool short_of_it = false;
    size_t from, len;
    char *text;

    quiet_begin(&quiet, &short_of_it);
    text = copy_out(xmlNodeGetContent(inner(node)), nomem);
    quiet_end(&quiet, short_of_it);
    *nomem = *nomem || short_of_it;

    if (text == NULL)
        return NULL;
    from = strspn(text, blank);
    len = strlen(text + from);
    while (len > 0 && strchr(blank, text[from + len - 1]) != NULL)
        len--;
    memmove(text, text + from, len);
    text[len] = '\0';
    return text;
}

void du_xml_versions(char *out, size_t size)
{
    /* Of the library in use, not of the header: "20914" is 2.9.14. */
    const long n = strtol(xmlParserVersion, NULL, 10);

    (void)snprintf(out, size, "libxml2 %ld.%ld.%ld", n / 10000, n / 100 % 100, n % 100);
}
