/* SPDX-License-Identifier: Apache-2.0 */
/* A policy as one document: for export, and as the last good one. There are no secrets in it: those
 * are in files that it names. */
#include "policy/policy.h"

#include <stdlib.h>
#include <string.h>

#include <libxml/xmlwriter.h>

#include "fail.h"

static bool write_group(xmlTextWriterPtr writer, const struct ag_value *group);

static bool write_element(xmlTextWriterPtr writer, const struct ag_value *value)
{
    const char *name = ag_setting_name(value->setting);

    if (value->setting->type != AG_GROUP)
        return xmlTextWriterWriteElement(writer, BAD_CAST name, BAD_CAST value->text) >= 0;
    return xmlTextWriterStartElement(writer, BAD_CAST name) >= 0 && write_group(writer, value) &&
           xmlTextWriterEndElement(writer) >= 0;
}

/* Attributes come before the element's first child, whatever the order in the table. */
static bool write_attributes(xmlTextWriterPtr writer, const struct ag_value *group)
{
    for (const struct ag_value *at = group->child; at != NULL; at = at->next) {
        if (ag_setting_is_attribute(at->setting) &&
            xmlTextWriterWriteAttribute(writer, BAD_CAST ag_setting_name(at->setting),
                                        BAD_CAST at->text) < 0)
            return false;
    }
    return true;
}

static bool write_group(xmlTextWriterPtr writer, const struct ag_value *group)
{
    const struct ag_setting *setting = NULL;

    if (!write_attributes(writer, group))
        return false;
    while ((setting = ag_setting_next(group->setting, setting)) != NULL) {
        for (const struct ag_value *at = group->child; at != NULL; at = at->next) {
            if (at->setting == setting && !ag_setting_is_attribute(setting) &&
                !write_element(writer, at))
                return false;
        }
    }
    return true;
}

static bool write_all(xmlTextWriterPtr writer, const struct ag_policy *policy, const char *from)
{
    return xmlTextWriterSetIndent(writer, 1) >= 0 &&
           xmlTextWriterSetIndentString(writer, BAD_CAST "  ") >= 0 &&
           xmlTextWriterStartDocument(writer, NULL, "UTF-8", NULL) >= 0 &&
           xmlTextWriterWriteComment(writer, BAD_CAST from) >= 0 &&
           xmlTextWriterStartElement(writer, BAD_CAST "policy") >= 0 &&
           xmlTextWriterWriteAttribute(writer, BAD_CAST "format", BAD_CAST "1") >= 0 &&
           write_group(writer, &policy->root) && xmlTextWriterEndDocument(writer) >= 0;
}

/* A comment may not hold "--", nor end with '-'. */
static char *comment_of(const char *from)
{
    char *text;

    if (asprintf(&text, " %s ", from) < 0)
        return NULL;
    for (char *at = text; *at != '\0'; at++) {
        if (at[0] == '-' && at[1] == '-')
            at[0] = '_';
    }
    return text;
}

defupd_code ag_policy_write(char **out, const struct ag_policy *policy, const char *from,
                            defupd_error *err)
{
    xmlBufferPtr buffer = xmlBufferCreate();
    xmlTextWriterPtr writer = buffer != NULL ? xmlNewTextWriterMemory(buffer, 0) : NULL;
    char *comment = comment_of(from), *bytes = NULL;
    bool done;

    done = writer != NULL && comment != NULL && write_all(writer, policy, comment);
    xmlFreeTextWriter(writer); /* flushes into the buffer */
    if (done)
        bytes = strdup((const char *)xmlBufferContent(buffer));
    if (buffer != NULL)
        xmlBufferFree(buffer);
    free(comment);
    if (bytes == NULL)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while writing the policy");
    *out = bytes;
    return DEFUPD_OK;
}
