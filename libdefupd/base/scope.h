/* SPDX-License-Identifier: Apache-2.0 */
/* Things that clean up after themselves when they go out of scope. All keep errno. */
#ifndef DU_BASE_SCOPE_H
#define DU_BASE_SCOPE_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void du_fd_close(int *fd)
{
    const int saved = errno; /* cleanup must not hide the error being returned */

    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
    errno = saved;
}

static inline void du_mem_free(void *pointer)
{
    const int saved = errno;

    free(*(void **)pointer);
    errno = saved;
}

/* Disarm a descriptor's guard and hand the descriptor over. */
static inline int du_take_fd(int *fd)
{
    const int taken = *fd;

    *fd = -1;
    return taken;
}

#define DU_AUTO_FD __attribute__((cleanup(du_fd_close))) int
/* `DU_AUTO_FREE char *text = NULL;` must be initialised. */
#define DU_AUTO_FREE __attribute__((cleanup(du_mem_free)))
/* Any type with a `void f(T *)` that tolerates a zeroed T. */
#define DU_AUTO(f) __attribute__((cleanup(f)))

/* Disarm a pointer's guard and hand the pointer over: `*out = du_take(&thing);` */
#define du_take(pp)                          \
    ({                                       \
        __typeof__(*(pp)) du_taken_ = *(pp); \
        *(pp) = NULL;                        \
        du_taken_;                           \
    })

#endif
