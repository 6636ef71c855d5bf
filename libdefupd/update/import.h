/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository in an archive or folder as the source of a run (docs/formats/archive.md). Private to
 * update/. Metadata is read into memory, within bounds, before anything is believed of it; objects
 * are only looked at when a verified manifest names them, and go straight into downloads/.
 */
#ifndef DU_UPDATE_IMPORT_H
#define DU_UPDATE_IMPORT_H

#include <defupd/client.h>

#include "base/bytes.h"
#include "base/err.h"
#include "manifest/manifest.h"
#include "sys/sys.h"
#include "tree/tree.h"

#define DU_IMPORT_METADATA_MAX (32U * 1024 * 1024) /* bytes of all together */
#define DU_IMPORT_FILES_MAX 4096                   /* metadata and manifests */
#define DU_IMPORT_GRACE_MAX_S (UINT64_C(366) * 24 * 60 * 60)

struct du_import;

/*
 * Open what `from` names and read its metadata. `from` and `sys` are borrowed.
 * Errors: DEFUPD_E_ARCHIVE, DEFUPD_E_IO, DEFUPD_E_NOMEM, the tick's
 */
DEFUPD_MUST_CHECK defupd_code du_import_open(struct du_import **out, const struct du_sys *sys,
                                             const defupd_import *from, const struct du_tick *tick,
                                             defupd_error *err);
void du_import_freep(struct du_import **import);

const char *du_import_name(const struct du_import *import);
uint64_t du_import_grace_s(const struct du_import *import);

/* A metadata file or manifest by its path below the repository; *found false when there is none.
 * DEFUPD_E_TOOLARGE past max, DEFUPD_E_IO, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_import_load(struct du_import *import, const char *path, size_t max,
                                             struct du_buf *out, bool *found, defupd_error *err);

/*
 * See which objects there are. `named` says what a verified manifest states of a digest: its
 * length, or UINT64_MAX when none names it: then it is passed over. It may be of a release that has
 * left its manifest, in a copy of a whole repository.
 * Errors: DEFUPD_E_ARCHIVE (one of another length, or that is there twice), else as for
 *         du_import_open()
 */
DEFUPD_MUST_CHECK defupd_code du_import_scan(struct du_import *import,
                                             uint64_t (*named)(void *user,
                                                               const unsigned char *sha256),
                                             void *user, defupd_error *err);
/* After the scan: is it there, in its signed length? */
bool du_import_has(const struct du_import *import, const struct du_object *object);
/*
 * Copy an object to `fd`, which is empty, and vouch for it. `what` names it in messages.
 * Errors: DEFUPD_E_DIGEST, DEFUPD_E_NOT_DOWNLOADED (it is not there), DEFUPD_E_ARCHIVE,
 *         DEFUPD_E_IO, DEFUPD_E_NO_SPACE, DEFUPD_E_NOMEM, the tick's
 */
DEFUPD_MUST_CHECK defupd_code du_import_object(struct du_import *import,
                                               const struct du_object *object, const char *what,
                                               int fd, defupd_error *err);

#endif
