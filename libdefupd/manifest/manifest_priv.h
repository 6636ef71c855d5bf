/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DU_MANIFEST_PRIV_H
#define DU_MANIFEST_PRIV_H

#include "manifest/manifest.h"
#include "xml/xml.h"

#define DU_TEXT_MAX 256 /* bytes of a note or of a withdrawal's reason */

/* A manifest being read. */
struct du_reader {
    const char *what; /* names it in messages */
    defupd_error *err;
};

/* du_manifest_parse() for bytes whoever vouches for them: write.c reads back what it wrote. */
DEFUPD_MUST_CHECK defupd_code du_manifest_read(struct du_manifest **out, struct du_bytes bytes,
                                               const char *component, const char *what,
                                               defupd_error *err);

/* --- attr.c: one attribute each. Errors: DEFUPD_E_MANIFEST_FORMAT with line, element, attribute,
 * value and what was expected; DEFUPD_E_NOMEM. --- */

/* NULL when it is not there and not required; yours to free(). */
DEFUPD_MUST_CHECK defupd_code du_attr(struct du_reader *r, const struct du_xml_node *node,
                                      const char *name, bool required, char **out);
/* Required. */
DEFUPD_MUST_CHECK defupd_code du_attr_u64(struct du_reader *r, const struct du_xml_node *node,
                                          const char *name, uint64_t min, uint64_t max,
                                          uint64_t *out);
DEFUPD_MUST_CHECK defupd_code du_attr_time(struct du_reader *r, const struct du_xml_node *node,
                                           const char *name, int64_t *out);
DEFUPD_MUST_CHECK defupd_code du_attr_duration(struct du_reader *r, const struct du_xml_node *node,
                                               const char *name, uint64_t *out);
DEFUPD_MUST_CHECK defupd_code du_attr_digest(struct du_reader *r, const struct du_xml_node *node,
                                             const char *name, unsigned char out[DU_SHA256_BYTES]);
/* Letters, digits and . _ + -, at most DU_WORD_MAX bytes. */
DEFUPD_MUST_CHECK defupd_code du_attr_word(struct du_reader *r, const struct du_xml_node *node,
                                           const char *name, char out[DU_WORD_MAX + 1]);
/* Not required; du_tidy()d, at most `max` bytes; `out` gets max + 1 and is "" without one. */
DEFUPD_MUST_CHECK defupd_code du_attr_text(struct du_reader *r, const struct du_xml_node *node,
                                           const char *name, size_t max, char *out);

/* What is wrong with an element: "WHAT:LINE: ..." */
__attribute__((format(printf, 3, 4))) DEFUPD_MUST_CHECK defupd_code
du_bad(struct du_reader *r, const struct du_xml_node *node, const char *format, ...);

/* Make text fit to be shown on one line: runs of blanks become one, none at the ends; control
 * characters become '?'. */
void du_tidy(char *text);

#endif
