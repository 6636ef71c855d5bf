/* SPDX-License-Identifier: Apache-2.0 */
/* A document into values. No DTD, no entities, no network, no includes; every element and attribute
 * is one of the table. All errors of a file are told, not only the first. */
#include "policy/policy.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "fail.h"
#include "options.h"
#include "text.h"

#define TEXT_MAX 8192 /* bytes of a value that are looked at; none may have so many */

struct reader {
    struct ag_findings *findings;
    const char *file;
    size_t nodes;
    bool nomem;
};

/* What libxml2 said first. */
struct trouble {
    bool doctype, nomem, any;
    long line;
    char text[200];
};

void ag_finding(struct ag_findings *findings, const char *format, ...)
{
    va_list args;
    char *line;

    if (findings->count == AG_FINDINGS_MAX) {
        findings->more++;
        return;
    }
    va_start(args, format);
    if (vasprintf(&line, format, args) < 0)
        line = NULL;
    va_end(args);
    if (line == NULL) {
        findings->more++;
        return;
    }
    ag_clean(line);
    findings->line[findings->count++] = line;
}

void ag_findings_free(struct ag_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        free(findings->line[i]);
    *findings = (struct ag_findings){ 0 };
}

static void free_values(struct ag_value *value)
{
    while (value != NULL) {
        struct ag_value *next = value->next;

        free_values(value->child); /* as deep as the table is */
        free(value->text);
        free(value);
        value = next;
    }
}

void ag_policy_free(struct ag_policy *policy)
{
    if (policy == NULL)
        return;
    free_values(policy->root.child);
    for (size_t i = 0; i < policy->file_count; i++)
        free(policy->files[i]);
    free(policy);
}

#define WRONG(r, line, ...) wrong((r), (line), __VA_ARGS__)

__attribute__((format(printf, 3, 4))) static void wrong(struct reader *r, long line,
                                                        const char *format, ...)
{
    char text[700];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ag_finding(r->findings, "%s:%ld: %s", r->file, line, text);
}

/* Names of what a group may hold, "interval, window, ..." */
static void names_in(const struct ag_setting *group, bool attributes, char *out, size_t size)
{
    const struct ag_setting *at = NULL;
    size_t used = 0;

    out[0] = '\0';
    while ((at = ag_setting_next(group, at)) != NULL) {
        if (ag_setting_is_attribute(at) != attributes)
            continue;
        (void)snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "", ag_setting_name(at));
        used = strlen(out);
    }
    if (used == 0)
        (void)snprintf(out, size, "none");
}

static const char *group_name(const struct ag_setting *group)
{
    return group != NULL ? ag_setting_name(group) : "policy";
}

static void unknown(struct reader *r, long line, const struct ag_setting *group, const char *name,
                    bool attribute)
{
    char names[600];

    names_in(group, attribute, names, sizeof names);
    WRONG(r, line, "unknown %s '%.64s' in <%s>; allowed: %s", attribute ? "attribute" : "element",
          name, group_name(group), names);
}

/* A new value at the end of its group. */
static struct ag_value *append(struct reader *r, struct ag_value *group,
                               const struct ag_setting *setting, long line)
{
    struct ag_value **end = &group->child, *made = calloc(1, sizeof *made);

    if (made == NULL) {
        r->nomem = true;
        return NULL;
    }
    *made = (struct ag_value){ .setting = setting, .file = r->file, .line = line };
    while (*end != NULL)
        end = &(*end)->next;
    *end = made;
    return made;
}

/* How often the setting is in the group already; *first is the first. */
static size_t times_in(const struct ag_value *group, const struct ag_setting *setting,
                       const struct ag_value **first)
{
    size_t times = 0;

    *first = NULL;
    for (const struct ag_value *at = group->child; at != NULL; at = at->next) {
        if (at->setting == setting && times++ == 0)
            *first = at;
    }
    return times;
}

static bool may_come(struct reader *r, const struct ag_value *group,
                     const struct ag_setting *setting, long line)
{
    const struct ag_value *first;
    const size_t times = times_in(group, setting, &first);
    const size_t most = (setting->flags & AG_SET_MANY) != 0 ? setting->most : 1;

    if (times < most)
        return true;
    if (most == 1)
        WRONG(r, line, "<%s> comes twice, first in line %ld; allowed: once",
              ag_setting_name(setting), first->line);
    else
        WRONG(r, line, "<%s> comes more than %zu times; allowed: at most %zu",
              ag_setting_name(setting), most, most);
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* In place. */
static void trim(char *text)
{
    size_t length = strlen(text), start = 0;

    while (length > 0 && is_blank(text[length - 1]))
        length--;
    while (start < length && is_blank(text[start]))
        start++;
    memmove(text, text + start, length - start);
    text[length - start] = '\0';
}

/* What cannot be honoured is refused, never passed over; to say the default asks for nothing. */
static bool is_supported(const struct ag_value *value)
{
    const struct ag_setting *setting = value->setting;

    return (setting->flags & AG_SET_UNSUPPORTED) == 0 ||
           (setting->standard != NULL && value->number == ag_setting_standard(setting));
}

/* A wrong value for the message, which ends up in logs and reports: without credentials, and not at
 * all where the next mistake would be to write a password. */
static const char *quoted(char *out, size_t size, const struct ag_setting *setting,
                          const char *text)
{
    char url[81];

    if ((setting->flags & AG_SET_SECRET) != 0)
        return "";
    if (strchr(text, '@') != NULL)
        text = ag_url_shown(url, sizeof url, text);
    (void)snprintf(out, size, " '%.80s'", text);
    return out;
}

/* Takes the text over. */
static void take_text(struct reader *r, struct ag_value *value, char *text)
{
    const struct ag_setting *setting = value->setting;
    char allowed[200], shown[120];

    if (setting->type != AG_TEXT)
        trim(text);
    value->text = text;
    if (!ag_value_read(setting, text, &value->number)) {
        ag_value_allowed(setting, allowed, sizeof allowed);
        WRONG(r, value->line, "%s%s is not %s; allowed: %s", ag_setting_name(setting),
              quoted(shown, sizeof shown, setting, text), ag_type_text(setting->type), allowed);
    } else if (!is_supported(value)) {
        WRONG(r, value->line, "%s is not supported by this version%s%s", setting->path,
              setting->standard != NULL ? "; allowed: " : "",
              setting->standard != NULL ? setting->standard : "");
    }
}

static void take_attribute(struct reader *r, struct ag_value *group, const xmlNode *node,
                           const xmlAttr *attr)
{
    const long line = xmlGetLineNo(node);
    const char *name = (const char *)attr->name;
    const struct ag_setting *setting;
    struct ag_value *value;
    xmlChar *text;
    char *copy;

    setting = attr->ns == NULL ? ag_setting_in(group->setting, name, true) : NULL;
    if (group->setting == NULL || setting == NULL) {
        unknown(r, line, group->setting, name, true);
        return;
    }
    value = append(r, group, setting, line);
    text = xmlNodeListGetString(node->doc, attr->children, 1); /* NULL for "", too */
    copy = strdup(text != NULL ? (const char *)text : "");
    xmlFree(text);
    if (value == NULL || copy == NULL) {
        r->nomem = true;
        free(copy);
        return;
    }
    take_text(r, value, copy);
}

/* All text directly in the element; what is no text there is told. NULL without memory. */
static char *own_text(struct reader *r, const xmlNode *node)
{
    char *text = strdup("");

    for (const xmlNode *at = node->children; at != NULL && text != NULL; at = at->next) {
        char *longer = NULL;

        if (at->type == XML_TEXT_NODE || at->type == XML_CDATA_SECTION_NODE) {
            if (asprintf(&longer, "%s%s", text, (const char *)at->content) < 0)
                longer = NULL;
            free(text);
            text = longer;
            if (text != NULL &&
                strlen(text) > TEXT_MAX) /* refused as it is: no need for the rest */
                break;
        } else if (at->type != XML_COMMENT_NODE && at->type != XML_PI_NODE) {
            WRONG(r, xmlGetLineNo(at), "unknown element '%.64s' in <%s>; allowed: text alone",
                  at->name != NULL ? (const char *)at->name : "?", (const char *)node->name);
        }
    }
    r->nomem = r->nomem || text == NULL;
    return text;
}

static void take_children(struct reader *r, struct ag_value *group, const xmlNode *node);

static void take_element(struct reader *r, struct ag_value *group, const xmlNode *node)
{
    const long line = xmlGetLineNo(node);
    const struct ag_setting *setting =
        node->ns == NULL ? ag_setting_in(group->setting, (const char *)node->name, false) : NULL;
    struct ag_value *value;
    char *text;

    if (++r->nodes > AG_POLICY_NODES_MAX)
        return;
    if (setting == NULL) {
        unknown(r, line, group->setting, (const char *)node->name, false);
        return;
    }
    if (!may_come(r, group, setting, line))
        return;
    value = append(r, group, setting, line);
    if (value == NULL)
        return;
    for (const xmlAttr *attr = node->properties; attr != NULL; attr = attr->next)
        take_attribute(r, value, node, attr);
    if (setting->type == AG_GROUP) {
        take_children(r, value, node);
        return;
    }
    text = own_text(r, node);
    if (text != NULL)
        take_text(r, value, text);
}

/* What the group must have, and what tells it from its neighbours. */
static void check_group(struct reader *r, const struct ag_value *group, long line)
{
    const struct ag_setting *setting = NULL;
    const struct ag_value *first;
    char names[600];

    while (group->setting != NULL && (setting = ag_setting_next(group->setting, setting)) != NULL) {
        if ((setting->flags & AG_SET_NEEDED) == 0 || times_in(group, setting, &first) > 0)
            continue;
        names_in(group->setting, ag_setting_is_attribute(setting), names, sizeof names);
        WRONG(r, line, "<%s> lacks the %s '%s'; allowed: %s", group_name(group->setting),
              ag_setting_is_attribute(setting) ? "attribute" : "element", ag_setting_name(setting),
              names);
    }
}

static void take_children(struct reader *r, struct ag_value *group, const xmlNode *node)
{
    char names[600];

    for (const xmlNode *at = node->children; at != NULL && !r->nomem; at = at->next) {
        if (at->type == XML_ELEMENT_NODE) {
            take_element(r, group, at);
        } else if ((at->type == XML_TEXT_NODE || at->type == XML_CDATA_SECTION_NODE) &&
                   xmlIsBlankNode(at) == 0) {
            names_in(group->setting, false, names, sizeof names);
            WRONG(r, xmlGetLineNo(at), "text in <%s>; allowed: elements: %s",
                  group_name(group->setting), names);
        } else if (at->type == XML_ENTITY_REF_NODE) {
            WRONG(r, xmlGetLineNo(at), "entity in <%s>; allowed: elements",
                  group_name(group->setting));
        }
    }
    check_group(r, group, xmlGetLineNo(node));
}

/* <policy format="1"> and what is in it. */
static void take_root(struct reader *r, struct ag_value *root, const xmlNode *node)
{
    const long line = xmlGetLineNo(node);
    bool format = false;

    if (node->ns != NULL || strcmp((const char *)node->name, "policy") != 0) {
        WRONG(r, line, "the outermost element is '%.64s'; allowed: policy, without namespace",
              (const char *)node->name);
        return;
    }
    for (const xmlAttr *attr = node->properties; attr != NULL; attr = attr->next) {
        xmlChar *text;

        if (attr->ns != NULL || strcmp((const char *)attr->name, "format") != 0) {
            WRONG(r, line, "unknown attribute '%.64s' in <policy>; allowed: format",
                  (const char *)attr->name);
            continue;
        }
        format = true;
        text = xmlNodeListGetString(node->doc, attr->children, 1);
        if (text == NULL || strcmp((const char *)text, "1") != 0)
            WRONG(r, line, "format '%.20s' of <policy> is not known to this version; allowed: 1",
                  text != NULL ? (const char *)text : "");
        xmlFree(text);
    }
    if (!format)
        WRONG(r, line, "<policy> lacks the attribute 'format'; allowed: format=\"1\"");
    take_children(r, root, node);
    if (r->nodes > AG_POLICY_NODES_MAX)
        WRONG(r, line, "has more than %d elements; allowed: at most %d", AG_POLICY_NODES_MAX,
              AG_POLICY_NODES_MAX);
}

/* --- libxml2 --- */

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
    (void)snprintf(trouble->text, sizeof trouble->text, "%.*s",
                   error->message != NULL ? (int)strcspn(error->message, "\n") : 0,
                   error->message != NULL ? error->message : "");
}

/* Bytes of a well-formed character (RFC 3629) at `at`, 0 if there is none. */
static size_t utf8_length(const unsigned char *at, const unsigned char *end)
{
    const size_t left = (size_t)(end - at);
    const size_t length = at[0] < 0x80   ? 1
                          : at[0] < 0xc2 ? 0
                          : at[0] < 0xe0 ? 2
                          : at[0] < 0xf0 ? 3
                          : at[0] < 0xf5 ? 4
                                         : 0;

    if (length == 0 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
        (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return length;
}

/* Line of the first byte that is not UTF-8, 0 if all is. */
static long not_utf8(const char *bytes, size_t count)
{
    const unsigned char *at = (const unsigned char *)bytes, *end = at + count;
    long line = 1;

    while (at < end) {
        const size_t length = utf8_length(at, end);

        if (length == 0)
            return line;
        line += *at == '\n';
        at += length;
    }
    return 0;
}

/* What libxml2 would pass over, or read in another way than the next reader does. */
static bool bytes_are_right(struct reader *r, const char *bytes, size_t count)
{
    const char *nul = memchr(bytes, '\0', count);
    char head[201];
    char *encoding;

    if (count == 0 || count > AG_POLICY_BYTES_MAX) {
        WRONG(r, 1L, "has %zu bytes; allowed: 1 to %u", count, AG_POLICY_BYTES_MAX);
        return false;
    }
    if (nul != NULL) {
        long line = 1;

        for (const char *at = bytes; at < nul; at++)
            line += *at == '\n';
        WRONG(r, line, "has a NUL byte; allowed: XML in UTF-8");
        return false;
    }
    if (not_utf8(bytes, count) != 0) {
        WRONG(r, not_utf8(bytes, count), "is not UTF-8; allowed: XML in UTF-8");
        return false;
    }
    (void)snprintf(head, sizeof head, "%.*s", count < 200 ? (int)count : 200, bytes);
    if (strstr(head, "?>") != NULL)
        *strstr(head, "?>") = '\0';
    encoding = strncmp(head, "<?xml", 5) == 0 ? strstr(head, "encoding") : NULL;
    encoding = encoding != NULL ? strpbrk(encoding, "\"'") : NULL;
    if (encoding != NULL && strncasecmp(encoding + 1, "UTF-8", 5) != 0) {
        WRONG(r, 1L, "is declared as %.32s; allowed: UTF-8", encoding);
        return false;
    }
    return true;
}

static long depth_exceeded(const xmlNode *root)
{
    const xmlNode *node = root;
    int depth = 1;

    while (node != NULL) {
        if (node->type == XML_ELEMENT_NODE && depth > AG_POLICY_DEPTH_MAX)
            return xmlGetLineNo(node);
        if (node->type == XML_ELEMENT_NODE && node->children != NULL) {
            node = node->children;
            depth++;
            continue;
        }
        while (node != root && node->next == NULL) {
            node = node->parent;
            depth--;
        }
        node = node != root ? node->next : NULL;
    }
    return 0;
}

/* The document, NULL when it is none: then a finding says why, or nomem is set. */
static xmlDoc *parse(struct reader *r, const char *bytes, size_t count)
{
    struct trouble trouble = { 0 };
    xmlParserCtxt *ctxt;
    xmlDoc *doc;

    if (count >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
        bytes += 3;
        count -= 3;
    }
    if (!bytes_are_right(r, bytes, count))
        return NULL;
    ctxt = xmlNewParserCtxt();
    if (ctxt == NULL) {
        r->nomem = true;
        return NULL;
    }
    ctxt->_private = &trouble;
    ctxt->sax->internalSubset = note_doctype;
    ctxt->sax->serror = note_error;
    doc = xmlCtxtReadMemory(ctxt, bytes, (int)count, NULL, NULL,
                            XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_IGNORE_ENC |
                                XML_PARSE_BIG_LINES);
    if (trouble.nomem || ctxt->errNo == XML_ERR_NO_MEMORY)
        r->nomem = true;
    else if (trouble.doctype)
        WRONG(r, trouble.line, "has a DOCTYPE; allowed: elements and comments alone");
    else if (doc == NULL || ctxt->wellFormed == 0 || trouble.any ||
             xmlDocGetRootElement(doc) == NULL)
        WRONG(r, trouble.line > 0 ? trouble.line : 1, "is not well-formed XML: %s",
              trouble.any ? trouble.text : "no element");
    else if (depth_exceeded(xmlDocGetRootElement(doc)) != 0)
        WRONG(r, depth_exceeded(xmlDocGetRootElement(doc)),
              "elements are nested more than %d deep; allowed: at most %d", AG_POLICY_DEPTH_MAX,
              AG_POLICY_DEPTH_MAX);
    else {
        xmlFreeParserCtxt(ctxt);
        return doc;
    }
    if (doc != NULL)
        xmlFreeDoc(doc);
    xmlFreeParserCtxt(ctxt);
    return NULL;
}

/* Sections of `from` take the place of those of the same name. */
static void replace_sections(struct ag_value *root, struct ag_value *from)
{
    struct ag_value **end;

    for (struct ag_value *section = from->child; section != NULL; section = section->next) {
        for (struct ag_value **at = &root->child; *at != NULL; at = &(*at)->next) {
            if ((*at)->setting == section->setting) {
                struct ag_value *old = *at;

                *at = old->next;
                old->next = NULL;
                free_values(old);
                break;
            }
        }
    }
    for (end = &root->child; *end != NULL; end = &(*end)->next)
        ;
    *end = from->child;
    from->child = NULL;
}

defupd_code ag_policy_read(struct ag_policy *policy, const char *name, const char *bytes,
                           size_t count, struct ag_findings *findings, defupd_error *err)
{
    struct reader r = { .findings = findings };
    struct ag_value root = { 0 };
    const size_t before = findings->count;
    defupd_code rc = DEFUPD_OK;
    xmlDoc *doc;

    if (policy->file_count > AG_POLICY_DROPINS_MAX)
        return AG_FAIL(err, DEFUPD_E_BUG, "more files than drop-ins are read");
    r.file = policy->files[policy->file_count] = strdup(name);
    if (r.file == NULL)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while reading %s", name);
    policy->file_count++;
    doc = parse(&r, bytes, count);
    if (doc != NULL) {
        take_root(&r, &root, xmlDocGetRootElement(doc));
        if (findings->count == before && !r.nomem)
            rc = ag_schema_check(doc, name, findings, err);
        xmlFreeDoc(doc);
    }
    if (rc == DEFUPD_OK && r.nomem)
        rc = AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while reading %s", name);
    if (rc == DEFUPD_OK && findings->count > before)
        rc = AG_FAIL(err, DEFUPD_E_POLICY, "%s", findings->line[before]);
    replace_sections(&policy->root, &root);
    return rc;
}
