/* SPDX-License-Identifier: Apache-2.0 */
/* The second opinion: policy.rng, which the program carries in itself, so that a policy is read the
 * same whatever lies in share/. What comes here was found right by the table; a finding of the
 * schema means that the two have come apart, and then nothing is taken. */
#include <stdlib.h>
#include <string.h>

#include <libxml/relaxng.h>

#include "fail.h"
#include "policy/embedded.h"
#include "policy/policy.h"

struct opinion {
    bool nomem, any;
    long line;
    char text[200];
};

#if LIBXML_VERSION >= 21200
static void note(void *user, const xmlError *error)
#else
static void note(void *user, xmlError *error)
#endif
{
    struct opinion *opinion = user;

    if (error->code == XML_ERR_NO_MEMORY)
        opinion->nomem = true;
    if (opinion->any)
        return;
    opinion->any = true;
    opinion->line = error->line;
    (void)snprintf(opinion->text, sizeof opinion->text, "%.*s",
                   error->message != NULL ? (int)strcspn(error->message, "\n") : 0,
                   error->message != NULL ? error->message : "");
}

static xmlRelaxNG *schema(struct opinion *opinion)
{
    xmlRelaxNGParserCtxt *parser =
        xmlRelaxNGNewMemParserCtxt((const char *)ag_embedded_schema, (int)ag_embedded_schema_bytes);
    xmlRelaxNG *rng = NULL;

    if (parser != NULL) {
        xmlRelaxNGSetParserStructuredErrors(parser, note, opinion);
        rng = xmlRelaxNGParse(parser);
    }
    xmlRelaxNGFreeParserCtxt(parser);
    return rng;
}

defupd_code ag_schema_check(void *doc, const char *name, struct ag_findings *findings,
                            defupd_error *err)
{
    struct opinion opinion = { 0 };
    xmlRelaxNG *rng = schema(&opinion);
    xmlRelaxNGValidCtxt *context = rng != NULL ? xmlRelaxNGNewValidCtxt(rng) : NULL;
    int verdict = -1;

    if (context != NULL) {
        xmlRelaxNGSetValidStructuredErrors(context, note, &opinion);
        verdict = xmlRelaxNGValidateDoc(context, doc);
    }
    xmlRelaxNGFreeValidCtxt(context);
    xmlRelaxNGFree(rng);
    if (verdict == 0)
        return DEFUPD_OK;
    if (verdict < 0 || opinion.nomem)
        return opinion.any && !opinion.nomem
                   ? AG_FAIL(err, DEFUPD_E_BUG, "the schema cannot be used: %s", opinion.text)
                   : AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while checking %s", name);
    ag_finding(findings, "%s:%ld: does not fit the schema: %s", name,
               opinion.line > 0 ? opinion.line : 1, opinion.text);
    return DEFUPD_OK;
}
