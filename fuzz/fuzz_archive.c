/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an archive: members keep to their limits, contents to the length that is stated, and
 * a second look sees what the first saw. */
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>

#include "base/name.h"
#include "base/scope.h"
#include "bundle/archive.h"

#define BYTES_MAX (4U << 20) /* of contents: more takes time and shows nothing */

struct sum {
    uint64_t bytes, of_all;
};

static defupd_code count(void *user, const void *bytes, size_t n, defupd_error *err)
{
    struct sum *sum = user;

    FUZZ_CHECK(n > 0 && (bytes != NULL || n == 0));
    sum->bytes += n;
    sum->of_all += n;
    return sum->of_all > BYTES_MAX ? DU_FAIL(err, DEFUPD_E_CANCELLED, "enough") : DEFUPD_OK;
}

/* Every member; the number of those that were read. */
static size_t read_all(struct du_archive *archive, bool contents)
{
    struct sum sum = { 0 };
    size_t members = 0;
    bool end = false;

    for (;;) {
        defupd_error err = { 0 };
        struct du_member member;

        if (du_archive_next(archive, &member, &end, &err) != DEFUPD_OK) {
            FUZZ_CHECK(err.message[0] != '\0' && err.code != DEFUPD_E_BUG);
            return members;
        }
        if (end)
            return members;
        members++;
        FUZZ_CHECK(du_path_why_bad(member.path) == NULL);
        FUZZ_CHECK(members <= DU_ARCHIVE_MEMBERS_MAX);
        sum.bytes = 0;
        if (!contents)
            continue;
        if (du_archive_content(archive, count, &sum, &err) != DEFUPD_OK) {
            FUZZ_CHECK(err.message[0] != '\0' && err.code != DEFUPD_E_BUG);
            return members;
        }
        FUZZ_CHECK(sum.bytes == member.bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DU_AUTO_FD fd = memfd_create("fuzz", MFD_CLOEXEC);
    DU_AUTO_ARCHIVE *archive = NULL;
    defupd_error err = { 0 };
    size_t members;

    FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    if (du_archive_open(&archive, &du_sys_posix, fd, "fuzz", NULL, &err) != DEFUPD_OK) {
        FUZZ_CHECK(archive == NULL && err.message[0] != '\0' && err.code != DEFUPD_E_BUG);
        return 0;
    }
    members = read_all(archive, true);
    if (du_archive_rewind(archive, &err) == DEFUPD_OK)
        FUZZ_CHECK(read_all(archive, false) >= members);
    return 0;
}
