/* SPDX-License-Identifier: Apache-2.0 */
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/select.h>

static const int caught[] = { SIGINT, SIGTERM, SIGHUP };

/* A signal's handler gets no argument of ours: the one place with globals. */
static void (*volatile cancel_work)(void *what);
static void *volatile at_work;
static volatile sig_atomic_t came;

static void on_signal(int number)
{
    const int saved = errno;
    struct sigaction plain = { .sa_handler = SIG_DFL };
    void (*const cancel)(void *what) = cancel_work;
    void *const what = at_work;

    (void)number;
    came = 1;
    for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++) {
        struct sigaction now;

        /* The next one ends the process; what was ignored from the start stays ignored. */
        if (sigaction(caught[i], NULL, &now) == 0 && now.sa_handler == on_signal)
            (void)sigaction(caught[i], &plain, NULL);
    }
    if (what != NULL)
        cancel(what);
    errno = saved;
}

void ag_signals_start(void (*cancel)(void *what), void *what)
{
    struct sigaction handle = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct sigaction before;

    cancel_work = cancel;
    at_work = what;
    (void)sigaction(SIGPIPE, &ignore, NULL);
    for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++) {
        if (sigaction(caught[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            (void)sigaction(caught[i], &handle, NULL);
    }
}

void ag_signals_stop(void)
{
    at_work = NULL;
}

bool ag_signals_came(void)
{
    return came != 0;
}

bool ag_signals_wait(int fd)
{
    sigset_t ours, before;
    fd_set set;
    int ready;

    (void)sigemptyset(&ours);
    for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++)
        (void)sigaddset(&ours, caught[i]);
    (void)sigprocmask(SIG_BLOCK, &ours, &before);
    do {
        FD_ZERO(&set);
        FD_SET(fd, &set);
        /* They come in while it waits, and at no other instant. */
        ready = came != 0 ? -1 : pselect(fd + 1, &set, NULL, NULL, NULL, &before);
    } while (ready < 0 && came == 0 && errno == EINTR);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return came == 0;
}
