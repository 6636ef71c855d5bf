/* SPDX-License-Identifier: Apache-2.0 */
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

static const int caught[] = { SIGINT, SIGTERM, SIGHUP };

/* A signal's handler gets no argument of ours: the one place with globals. */
static defupd_client *volatile at_work;
static volatile sig_atomic_t came;

static void on_signal(int number)
{
    const int saved = errno;
    struct sigaction plain = { .sa_handler = SIG_DFL };
    defupd_client *client = at_work;

    (void)number;
    came = 1;
    for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++) {
        struct sigaction now;

        /* The next one ends the process; what was ignored from the start stays ignored. */
        if (sigaction(caught[i], NULL, &now) == 0 && now.sa_handler == on_signal)
            (void)sigaction(caught[i], &plain, NULL);
    }
    if (client != NULL)
        defupd_cancel(client);
    errno = saved;
}

void ag_signals_start(defupd_client *client)
{
    struct sigaction cancel = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct sigaction before;

    at_work = client;
    (void)sigaction(SIGPIPE, &ignore, NULL);
    for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++) {
        if (sigaction(caught[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            (void)sigaction(caught[i], &cancel, NULL);
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
