/* SPDX-License-Identifier: Apache-2.0 */
/* A tar.gz, written file by file. The only user of libarchive beside the library. */
#ifndef AG_SUPPORT_PACK_H
#define AG_SUPPORT_PACK_H

#include <stddef.h>
#include <stdint.h>

#include <defupd/error.h>

struct ag_pack;

/* Write to `fd`, which is borrowed until ag_pack_close(). DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_pack_open(struct ag_pack **pack, int fd, defupd_error *err);
/* One regular file, 0644. DEFUPD_E_IO, DEFUPD_E_NO_SPACE, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_pack_add(struct ag_pack *pack, const char *name, const void *bytes,
                                          size_t count, int64_t mtime, defupd_error *err);
/* Write the end, and free. After a failure of ag_pack_add(), only frees. */
DEFUPD_MUST_CHECK defupd_code ag_pack_close(struct ag_pack *pack, defupd_error *err);

#endif
