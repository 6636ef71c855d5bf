/* SPDX-License-Identifier: Apache-2.0 */
#include "support/pack.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <archive.h>
#include <archive_entry.h>

#include "fail.h"

struct ag_pack {
    struct archive *archive;
    bool failed;
};

static defupd_code fail(struct ag_pack *pack, defupd_error *err)
{
    const int number = archive_errno(pack->archive);
    const defupd_code code = number == ENOSPC || number == EDQUOT ? DEFUPD_E_NO_SPACE
                             : number == ENOMEM                   ? DEFUPD_E_NOMEM
                                                                  : DEFUPD_E_IO;
    const char *text = archive_error_string(pack->archive);

    pack->failed = true;
    (void)AG_FAIL(err, code, "cannot write the archive: %s", text != NULL ? text : "unknown");
    err->sys_errno = number > 0 ? number : 0;
    return code;
}

defupd_code ag_pack_open(struct ag_pack **out, int fd, defupd_error *err)
{
    struct ag_pack *pack = calloc(1, sizeof *pack);

    *out = NULL;
    if (pack != NULL)
        pack->archive = archive_write_new();
    if (pack == NULL || pack->archive == NULL) {
        free(pack);
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
    }
    if (archive_write_add_filter_gzip(pack->archive) != ARCHIVE_OK ||
        archive_write_set_format_pax_restricted(pack->archive) != ARCHIVE_OK ||
        archive_write_open_fd(pack->archive, fd) != ARCHIVE_OK) {
        const defupd_code rc = fail(pack, err);

        (void)archive_write_free(pack->archive);
        free(pack);
        return rc;
    }
    *out = pack;
    return DEFUPD_OK;
}

defupd_code ag_pack_add(struct ag_pack *pack, const char *name, const void *bytes, size_t count,
                        int64_t mtime, defupd_error *err)
{
    struct archive_entry *entry = archive_entry_new();
    bool done;

    if (entry == NULL)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, (la_int64_t)count);
    archive_entry_set_mtime(entry, (time_t)mtime, 0);
    done = archive_write_header(pack->archive, entry) == ARCHIVE_OK &&
           archive_write_data(pack->archive, bytes, count) == (la_ssize_t)count;
    archive_entry_free(entry);
    return done ? DEFUPD_OK : fail(pack, err);
}

defupd_code ag_pack_close(struct ag_pack *pack, defupd_error *err)
{
    defupd_code rc = DEFUPD_OK;

    if (!pack->failed && archive_write_close(pack->archive) != ARCHIVE_OK)
        rc = fail(pack, err);
    (void)archive_write_free(pack->archive);
    free(pack);
    return rc;
}
