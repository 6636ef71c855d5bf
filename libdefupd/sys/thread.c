/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/thread.h"

#include <signal.h>

/* Digests and decoders need little; thread-local data of the host's libraries may come out of it
 * too. */
#define STACK_BYTES (256U * 1024)

/* The host's signals are for the host's threads: a handler of his must not run on one that he does
 * not know. */
int du_thread_start(du_thread_start_fn start, pthread_t *thread, void *(*run)(void *), void *user)
{
    sigset_t all, before;
    pthread_attr_t attr;
    int rc = pthread_attr_init(&attr);

    if (rc != 0)
        return rc;
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES); /* else it is larger */
    (void)sigfillset(&all);
    rc = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (rc == 0) {
        rc = start(thread, &attr, run, user);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    (void)pthread_attr_destroy(&attr);
    return rc;
}
