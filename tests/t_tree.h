/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing and removing trees without the programs for it: in hundreds of rounds those cost more
 * than what is tested. */
#ifndef T_TREE_H
#define T_TREE_H

#include <dirent.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    const char *from, *to;
    size_t entries, differ;
} t_walk;

static inline int t_differs(const char *a, const char *b)
{
    static char text[2][16384];
    FILE *file[2] = { fopen(a, "r"), fopen(b, "r") };
    bool same = file[0] != NULL && file[1] != NULL;
    size_t got = 1;

    while (same && got > 0) {
        got = fread(text[0], 1, sizeof text[0], file[0]);
        same =
            fread(text[1], 1, sizeof text[1], file[1]) == got && memcmp(text[0], text[1], got) == 0;
    }
    for (int i = 0; i < 2; i++) {
        if (file[i] != NULL)
            (void)fclose(file[i]);
    }
    return !same;
}

static inline int t_visit(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    char other[1024];

    (void)at;
    t_walk.entries++;
    (void)snprintf(other, sizeof other, "%s%s", t_walk.to, path + strlen(t_walk.from));
    if (kind == FTW_F && S_ISREG(st->st_mode))
        t_walk.differ += t_differs(path, other) != 0;
    else
        t_walk.differ += access(other, F_OK) != 0;
    return 0;
}

/* Same names and contents; `b` may lead through a link when it ends in "/.". */
static inline bool t_same_tree(const char *a, const char *b)
{
    size_t entries;

    t_walk.from = a;
    t_walk.to = b;
    t_walk.entries = t_walk.differ = 0;
    if (nftw(a, t_visit, 8, FTW_PHYS) != 0 || t_walk.differ > 0)
        return false;
    entries = t_walk.entries;
    t_walk.from = t_walk.to = b;
    t_walk.entries = 0;
    return nftw(b, t_visit, 8, FTW_PHYS) == 0 && t_walk.entries == entries;
}

static inline int t_remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

/* True also when there was none. */
static inline bool t_remove_tree(const char *dir)
{
    return access(dir, F_OK) != 0 || nftw(dir, t_remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0;
}

static inline bool t_is_empty(const char *dir)
{
    DIR *stream = opendir(dir);
    unsigned entries = 0;

    while (stream != NULL && readdir(stream) != NULL)
        entries++;
    if (stream != NULL)
        (void)closedir(stream);
    return entries == 2; /* "." and ".." */
}

#endif
