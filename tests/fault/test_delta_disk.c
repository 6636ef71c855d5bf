/* SPDX-License-Identifier: Apache-2.0 */
/* Every operation of a merge, and of the making of a delta, fails once and from then on. Said yes:
 * the whole tree is there. Said no: for the disk's reason, with no descriptor lost, the installed
 * tree as it was, and rubbish only where the new tree was to be. */
#include "delta_disk.h"
#include "fault.h"
#include "store_kit.h"

struct way {
    enum fault_mode mode;
    int error;
};
static const struct way ways[] = { { FAULT_ONCE, EIO },
                                   { FAULT_ONCE, ENOSPC },
                                   { FAULT_FROM_THEN_ON, EIO },
                                   { FAULT_FROM_THEN_ON, ENOSPC } };
#define EACH_WAY(way) \
    for (const struct way *way = ways; way < ways + sizeof ways / sizeof ways[0]; way++)

static void check_code(defupd_code rc, const struct fault *f, const defupd_error *err)
{
    if (rc == DEFUPD_OK)
        return;
    T_CHECK(f->hit && err->code == rc && err->message[0] != '\0');
    if (rc != (f->error == ENOSPC ? DEFUPD_E_NO_SPACE : DEFUPD_E_IO)) {
        printf("# %s: %s\n", defupd_code_name(rc), err->message);
        t_failed++;
    }
}

/* Kept, linked, copied with another mode, changed, new in new directories, small and large. */
static void make_trees(void)
{
    T_CHECK(t_shell("mkdir -p old/rules old/gone && cd old && seq 1 400 >rules/a && "
                    "seq 1000 30000 | tr '\\n' ' ' >large && printf keep >keep && : >empty && "
                    "printf gone >gone/x && printf tool >tool && cp -r . ../new && cd ../new && "
                    "sed -i '7d; s/^33$/thirty-three/' rules/a && rm -r gone && "
                    "sed -i 's/ 2000 / two /; s/ 29000 / more /' large && mkdir -p deep/er && "
                    "printf new >deep/er/new && cp keep deep/kept && cd .. && "
                    "find old new -type f -exec chmod 644 {} + && chmod 755 new/tool") == 0);
}

static void a_merge_survives_a_failing_disk(void)
{
    DD_TREE old = { -1, { 0 } }, new = { -1, { 0 } };
    defupd_error err = { 0 };
    uint64_t bytes;

    make_trees();
    dd_open(&old, "old");
    dd_open(&new, "new");
    const struct du_tree_want want = dd_want(&new);
    T_OK(dd_make(&old, &new, 0, "delta", &bytes, &err), &err);
    T_CHECK(t_shell("cp -rp old before && mkdir top") == 0);
    DU_AUTO_FD file = open("delta", O_RDONLY);
    EACH_WAY(way)
    {
        unsigned rounds = 0, failed = 0;

        for (struct fault f = fault_start(way->mode, way->error); fault_round(&f); rounds++) {
            DU_AUTO_INDEX index = { 0 };
            unsigned fds;
            defupd_code rc;

            fault_stop(&f);
            T_OK(du_tree_remove(&du_sys_posix, AT_FDCWD, "top/out", NULL, &err), &err);
            T_CHECK(mkdir("top/out", 0755) == 0);
            DU_AUTO_FD into = open("top/out", O_RDONLY | O_DIRECTORY);
            fds = kit_fds();
            f.armed = true;
            rc = dd_merge_fd(&fault_sys, &old, file, &want, into, &index, &err);
            fault_stop(&f);
            T_CHECK(kit_fds() == fds);
            check_code(rc, &f, &err);
            failed += rc != DEFUPD_OK;
            if (rc == DEFUPD_OK) {
                DD_TREE out = { -1, { 0 } };

                dd_open(&out, "top/out");
                const struct du_tree_want got = dd_want(&out);
                T_CHECK(memcmp(got.tree, want.tree, DU_SHA256_BYTES) == 0);
            }
            T_CHECK(kit_names("top") == 1 && kit_names(".") == 5);
        }
        T_CHECK(rounds > 30 && failed > 20);
    }
    T_CHECK(t_shell("diff -r old before") == 0);
}

static void making_a_delta_survives_a_failing_disk(void)
{
    DD_TREE old = { -1, { 0 } }, new = { -1, { 0 } };
    defupd_error err = { 0 };
    unsigned char want[DU_SHA256_BYTES], sha256[DU_SHA256_BYTES];
    uint64_t bytes;

    T_CHECK(t_shell("mkdir -p old/d new/d && seq 9 >old/d/a && seq 8 >new/d/a && : >old/b && "
                    "seq 3 >new/c && chmod 644 */* */*/*; chmod 755 old/d new/d") == 0);
    dd_open(&old, "old");
    dd_open(&new, "new");
    const struct du_delta_side from = { old.root, &old.index }, to = { new.root, &new.index };
    DU_AUTO_FD fd = open("delta", O_RDWR | O_CREAT, 0600);
    T_OK(du_delta_make(&du_sys_posix, &from, &to, 0, NULL, fd, want, &bytes, &err), &err);
    EACH_WAY(way)
    {
        for (struct fault f = fault_start(way->mode, way->error); fault_round(&f);) {
            const unsigned fds = kit_fds();
            defupd_code rc;

            T_CHECK(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
            rc = du_delta_make(&fault_sys, &from, &to, 0, NULL, fd, sha256, &bytes, &err);
            fault_stop(&f);
            T_CHECK(kit_fds() == fds);
            check_code(rc, &f, &err);
            T_CHECK(f.hit == (rc != DEFUPD_OK));
            if (rc == DEFUPD_OK)
                T_CHECK(memcmp(sha256, want, DU_SHA256_BYTES) == 0);
        }
    }
}

int main(void)
{
    kit_fast_disk();
    T_RUN(a_merge_survives_a_failing_disk);
    T_RUN(making_a_delta_survives_a_failing_disk);
    return T_DONE();
}
