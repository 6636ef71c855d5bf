/* SPDX-License-Identifier: Apache-2.0 */
/* local.xml. Elements and their order are a contract: people have XPaths and scripts on them. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/xmlwriter.h>

#include "fail.h"
#include "report/report.h"
#include "text.h"

static bool element(xmlTextWriterPtr writer, const char *name, const char *text)
{
    char *clean = strdup(text != NULL ? text : "");
    bool done;

    if (clean == NULL)
        return false;
    ag_clean(clean); /* XML 1.0 has no way to write control characters */
    done = xmlTextWriterWriteElement(writer, BAD_CAST name, BAD_CAST clean) >= 0;
    free(clean);
    return done;
}

static bool number(xmlTextWriterPtr writer, const char *name, uint64_t value)
{
    char text[AG_AMOUNT];

    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    return element(writer, name, text);
}

static bool moment(xmlTextWriterPtr writer, const char *name, int64_t when)
{
    char text[AG_WHEN];

    return element(writer, name, ag_time(text, when));
}

static bool start(xmlTextWriterPtr writer, const char *name)
{
    return xmlTextWriterStartElement(writer, BAD_CAST name) >= 0;
}

static bool end(xmlTextWriterPtr writer)
{
    return xmlTextWriterEndElement(writer) >= 0;
}

static bool agent(xmlTextWriterPtr writer, const defupd_store_status *store, defupd_code last)
{
    return start(writer, "agent") && element(writer, "uuid", store->uuid) &&
           element(writer, "version", defupd_version()) &&
           number(writer, "lasterror", defupd_code_unsigned(last)) &&
           moment(writer, "lastcontact", store->last_contact) && end(writer);
}

static bool component(xmlTextWriterPtr writer, const defupd_component_status *item,
                      uint64_t trial_s)
{
    const defupd_code code = (defupd_code)item->last_error;
    const bool failed = code != DEFUPD_OK;
    const char *text = item->error_text;

    if (failed && (text == NULL || text[0] == '\0'))
        text = defupd_code_text(code);
    return start(writer, item->name) &&
           (item->version != 0 ? number(writer, "version", item->version)
                               : element(writer, "version", "")) &&
           element(writer, "state", defupd_state_name((defupd_state)item->state)) &&
           number(writer, "lasterror", defupd_code_unsigned(code)) &&
           element(writer, "lasterrorname", failed ? defupd_code_name(code) : "") &&
           element(writer, "lasterrortext", failed ? text : "") &&
           moment(writer, "lastattempt", item->last_attempt) &&
           moment(writer, "lastsuccess", item->last_success) &&
           moment(writer, "nextattempt", item->next_attempt) &&
           element(writer, "source", item->source) &&
           (item->state != DEFUPD_STATE_TRIAL || number(writer, "trialleft", trial_s)) &&
           end(writer);
}

static bool document(xmlTextWriterPtr writer, const defupd_status *status, defupd_code last)
{
    const defupd_component_status *item;

    if (xmlTextWriterSetIndent(writer, 1) < 0 ||
        xmlTextWriterSetIndentString(writer, BAD_CAST "  ") < 0 ||
        xmlTextWriterStartDocument(writer, NULL, "UTF-8", NULL) < 0 || !start(writer, "local") ||
        !agent(writer, defupd_status_store(status), last))
        return false;
    for (uint32_t i = 0; (item = defupd_status_at(status, i)) != NULL; i++) {
        if (!component(writer, item, defupd_status_store(status)->trial_s))
            return false;
    }
    return xmlTextWriterEndDocument(writer) >= 0;
}

defupd_code ag_local_xml(char **out, size_t *count, const defupd_status *status,
                         const struct ag_report_settings *settings, defupd_code last,
                         defupd_error *err)
{
    xmlBufferPtr buffer = xmlBufferCreate();
    xmlTextWriterPtr writer = buffer != NULL ? xmlNewTextWriterMemory(buffer, 0) : NULL;
    char *bytes = NULL;
    bool done;

    /* An update by the last good policy does not make the bad one good. */
    if (last == DEFUPD_OK)
        last = settings->policy_code;
    done = writer != NULL && document(writer, status, last);
    xmlFreeTextWriter(writer); /* flushes into the buffer */
    if (done) {
        *count = (size_t)xmlBufferLength(buffer);
        bytes = strndup((const char *)xmlBufferContent(buffer), *count);
    }
    if (buffer != NULL)
        xmlBufferFree(buffer);
    if (bytes == NULL)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while writing local.xml");
    *out = bytes;
    return DEFUPD_OK;
}
