/* SPDX-License-Identifier: Apache-2.0 */
/* `serve`: the server runs in a thread of its own, this one waits for the signal that ends it. */
#include "../serve/serve.h"

#include <signal.h>
#include <stdlib.h>

#include "tool.h"

defupd_code pt_serve(const struct pt_args *args, defupd_error *err)
{
    const struct du_serve_options options = { .dir = args->value[PT_OPT_REPO],
                                              .log = args->value[PT_OPT_LOG] };
    const char *listen = args->value[PT_OPT_LISTEN];
    struct du_serve *serve = NULL;
    sigset_t ends;
    defupd_code rc;
    int which;

    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that hangs up is no reason to end */
    if (sigprocmask(SIG_BLOCK, &ends, NULL) != 0)
        return pt_fail(err, DEFUPD_E_BUG, "cannot block signals");
    rc = du_serve_listen(&serve, listen != NULL ? listen : "127.0.0.1:0", err);
    if (rc == DEFUPD_OK)
        rc = du_serve_start(serve, &options, err);
    if (rc == DEFUPD_OK) {
        (void)printf("serving %s at %s\n", options.dir, du_serve_url(serve, 0));
        if (fflush(stdout) == 0)
            (void)sigwait(&ends, &which);
    }
    du_serve_stop(serve);
    return rc;
}
