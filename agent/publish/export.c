/* SPDX-License-Identifier: Apache-2.0 */
/* `export-offline`: what went into the archive, for people and as JSON. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../json.h"
#include "../text.h"
#include "tool.h"

struct told {
    struct ag_table table; /* for people */
    json_t *parts;         /* for programs; borrowed from the document */
    bool json, incomplete;
};

static void keep_part(void *user, const defupd_repo_part *part)
{
    struct told *told = user;
    char from[24] = "-", to[24] = "-", objects[24], bytes[AG_AMOUNT];
    json_t *row;

    if (told->json) {
        row = ag_json_row(told->parts);
        if (!ag_json_text(row, "component", part->component) ||
            !ag_json_number(row, "from", part->from) ||
            !ag_json_number(row, "newest", part->newest) ||
            !ag_json_number(row, "objects", part->objects) ||
            !ag_json_number(row, "bytes", part->bytes) || !ag_json_text(row, "how", part->how))
            told->incomplete = true;
        return;
    }
    if (part->from != 0)
        (void)snprintf(from, sizeof from, "%" PRIu64, part->from);
    if (part->newest != 0)
        (void)snprintf(to, sizeof to, "%" PRIu64, part->newest);
    (void)snprintf(objects, sizeof objects, "%" PRIu32, part->objects);
    ag_table_row(&told->table, (const char *const[]){ part->component, from, to, objects,
                                                      ag_bytes(bytes, part->bytes), part->how });
}

static defupd_code export_offline(const struct pt_args *args, defupd_repo_archive *archive,
                                  defupd_error *err)
{
    const char *since[PT_RULES_MAX + 1] = { NULL };
    defupd_repo *repo = NULL;
    defupd_code rc;
    size_t count = 0;

    for (size_t i = 0; i < args->many_count; i++)
        since[count++] = args->many[i].text;
    archive->file = args->value[PT_OPT_OUTPUT];
    archive->since = count > 0 ? since : NULL;
    archive->posture_file = args->value[PT_OPT_SINCE_POSTURE];
    archive->on_part = keep_part;
    rc = pt_open(&repo, args, pt_say, NULL, err);
    if (rc == DEFUPD_OK)
        rc = defupd_repo_export_offline(repo, archive, err);
    pt_close(repo);
    return rc;
}

static defupd_code export_json(const struct pt_args *args, defupd_error *err)
{
    defupd_repo_archive archive = DEFUPD_REPO_ARCHIVE_INIT;
    struct told told = { .json = true, .parts = json_array() };
    json_t *doc = json_object();
    defupd_code rc;

    told.incomplete = !ag_json_text(doc, "file", args->value[PT_OPT_OUTPUT]) ||
                      !ag_json_add(doc, "components", told.parts);
    archive.user = &told;
    rc = export_offline(args, &archive, err);
    if (rc == DEFUPD_OK && (told.incomplete || !ag_json_number(doc, "files", archive.files) ||
                            !ag_json_number(doc, "bytes", archive.bytes) ||
                            !ag_json_number(doc, "objects", archive.objects) ||
                            !ag_json_number(doc, "object_bytes", archive.object_bytes)))
        rc = pt_fail(err, DEFUPD_E_NOMEM, "no memory for the result");
    return pt_json_end(doc, args, rc, err);
}

defupd_code pt_export_offline(const struct pt_args *args, defupd_error *err)
{
    static const char *const header[] = {
        "COMPONENT", "FROM", "TO", "OBJECTS", "BYTES", "HOW", NULL
    };
    defupd_repo_archive archive = DEFUPD_REPO_ARCHIVE_INIT;
    struct told told = { 0 };
    char bytes[AG_AMOUNT];
    defupd_code rc;

    if (args->value[PT_OPT_JSON] != NULL)
        return export_json(args, err);
    ag_table_start(&told.table, 0x1e, header);
    archive.user = &told;
    rc = export_offline(args, &archive, err);
    if (rc != DEFUPD_OK) {
        ag_table_free(&told.table);
        return rc;
    }
    ag_table_end(&told.table, stdout);
    (void)printf("%s: %" PRIu64 " files, %s\n", archive.file, archive.files,
                 ag_bytes(bytes, archive.bytes));
    return DEFUPD_OK;
}
