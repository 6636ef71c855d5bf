/* SPDX-License-Identifier: Apache-2.0 */
/* digest FILE: SHA-256 of a file with our own code, as a whole process: what other programs would
 * have to add to prove what they made (delta.py). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "tree/tree.h"

int main(int argc, char **argv)
{
    unsigned char sha256[DU_SHA256_BYTES];
    char hex[DU_SHA256_HEX + 1];
    defupd_error err = { 0 };
    uint64_t size;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: digest FILE\n");
        return 64;
    }
    DU_AUTO_FD fd = du_sys_posix.openat(AT_FDCWD, argv[1], O_RDONLY, 0);
    if (fd < 0) {
        (void)fprintf(stderr, "digest: %s: %s\n", argv[1], strerror(errno));
        return 66;
    }
    if (du_file_hash(&du_sys_posix, fd, argv[1], NULL, sha256, &size, &err) != DEFUPD_OK) {
        (void)fprintf(stderr, "digest: %s\n", err.message);
        return 74;
    }
    du_hex(hex, sha256, sizeof sha256);
    (void)printf("%s\n", hex);
    return 0;
}
