/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XML without surprises: no DTD, no entities beyond the five, no network, no includes. The only
 * module that includes libxml2.
 * Layer: uses base/.
 */
#ifndef DU_XML_XML_H
#define DU_XML_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define DU_XML_BYTES_MAX (4U * 1024 * 1024) /* of a document, read or written */
#define DU_XML_DEPTH_MAX 64                 /* levels of elements */

struct du_xml_doc;  /* owned */
struct du_xml_node; /* an element; borrowed from its document */

/*
 * Parse a whole document: UTF-8, with or without a byte order mark and declaration; any other
 * declared encoding is refused, as are a DOCTYPE, a NUL byte, and what goes past the limits above.
 * Any thread; nothing is printed.
 * what   names it in messages; code   the code for malformed input (DEFUPD_E_MANIFEST_FORMAT, ...)
 * Errors: `code` (message "WHAT:LINE: ..."), DEFUPD_E_NOMEM
 */
DEFUPD_MUST_CHECK defupd_code du_xml_parse(struct du_xml_doc **out, struct du_bytes bytes,
                                           const char *what, defupd_code code, defupd_error *err);
void du_xml_free(struct du_xml_doc *doc);
void du_xml_freep(struct du_xml_doc **doc);
#define DU_AUTO_XML __attribute__((cleanup(du_xml_freep))) struct du_xml_doc

const struct du_xml_node *du_xml_root(const struct du_xml_doc *doc);
/* Borrowed. "" for an element in a namespace: it is never one of ours. */
const char *du_xml_name(const struct du_xml_node *node);
long du_xml_line(const struct du_xml_node *node);
/* First child element, next sibling element; NULL at the end. */
const struct du_xml_node *du_xml_child(const struct du_xml_node *node);
const struct du_xml_node *du_xml_next(const struct du_xml_node *node);
/* Attribute's value without namespace, yours to free(); NULL when it is not there or on no memory
 * (then *nomem becomes true; it is never set to false). */
char *du_xml_attr(const struct du_xml_node *node, const char *name, bool *nomem);
/* All text below the element, trimmed; yours to free(). */
char *du_xml_text(const struct du_xml_node *node, bool *nomem);

/* Writing: well-formed by construction, indented by two, LF, UTF-8 with declaration. Text that
 * cannot stand in XML 1.0 (control bytes, what is not UTF-8) becomes '?'. Nothing is added to
 * what stands beside text in one element. */
struct du_xml_writer;
DEFUPD_MUST_CHECK defupd_code du_xml_writer_new(struct du_xml_writer **out, defupd_error *err);
/* These remember the first failure for du_xml_writer_finish(). */
void du_xml_start(struct du_xml_writer *w, const char *element);
void du_xml_put_attr(struct du_xml_writer *w, const char *name, const char *value);
void du_xml_put_u64(struct du_xml_writer *w, const char *name, uint64_t value);
void du_xml_put_text(struct du_xml_writer *w, const char *text);
void du_xml_end(struct du_xml_writer *w);
/* Append the document to `out`. Errors: DEFUPD_E_NOMEM, DEFUPD_E_LIMIT, DEFUPD_E_BUG (the calls
 * do not make a document: no name, an end too many or too few). */
DEFUPD_MUST_CHECK defupd_code du_xml_writer_finish(struct du_xml_writer *w, struct du_buf *out,
                                                   defupd_error *err);
void du_xml_writer_free(struct du_xml_writer *w);
void du_xml_writer_freep(struct du_xml_writer **w);
#define DU_AUTO_XML_WRITER __attribute__((cleanup(du_xml_writer_freep))) struct du_xml_writer

void du_xml_versions(char *out, size_t size); /* "libxml2 2.9.14" */

#endif
