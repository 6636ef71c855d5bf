/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fail.h"
#include "policy/config.h"
#include "run_priv.h"
#include "support/bundle.h"
#include "support/cluster.h"
#include "support/preflight.h"
#include "text.h"

static int help(const struct ag_args *args)
{
    if (args->help_command != NULL)
        ag_help_command(stdout, args->help_command);
    else
        ag_help(stdout);
    return fflush(stdout) == 0 ? 0 : defupd_code_exit(DEFUPD_E_IO);
}

/* Whatever else is wrong with the command line, who wants JSON gets JSON. */
static bool wants_json(char *const *argv)
{
    for (; *argv != NULL && strcmp(*argv, "--") != 0; argv++) {
        if (strcmp(*argv, "--json") == 0)
            return true;
    }
    return false;
}

/* With --worker: everything goes to the service from here on. */
static defupd_code open_worker(struct run *run, defupd_error *err)
{
    struct ag_worker *worker = &run->worker;

    AG_TRY(ag_worker_open(worker, run->args.value[AG_OPT_WORKER], err));
    run->out = worker->out;
    run->err = worker->err;
    worker->on_line = ag_run_hook_line;
    worker->user = run;
    run->args.next_on_success = worker->next_on_success;
    run->args.next_on_failure = worker->next_on_failure;
    return DEFUPD_OK;
}

static int run_all(struct run *run, char *const *argv)
{
    defupd_error err = { 0 };
    const defupd_code rc = ag_args_parse(&run->args, argv, &err);
    int exit_code;

    if (rc != DEFUPD_OK) {
        if (wants_json(argv))
            ag_json_wrong_use(stdout, &run->args, &err);
        (void)fflush(stdout);
        ag_line(stderr, "defupd: %s", err.message); /* says what to do by itself */
        return defupd_code_exit(rc);
    }
    if (run->args.command->id == AG_CMD_HELP)
        return help(&run->args);
    if (run->args.command->id == AG_CMD_CONFIG)
        return ag_config(&run->args, stdout, stderr);
    if (run->args.command->id == AG_CMD_PREFLIGHT)
        return ag_preflight(&run->args, stdout, stderr);
    if (run->args.command->id == AG_CMD_CLUSTER_CHECK)
        return ag_cluster_check(&run->args, stdout, stderr);
    if (run->args.command->id == AG_CMD_SUPPORT_BUNDLE)
        return ag_support_bundle(&run->args, stdout, stderr);
    run->result.args = &run->args;
    if (ag_given(&run->args, AG_OPT_WORKER) && open_worker(run, &err) != DEFUPD_OK) {
        ag_line(stderr, "defupd: %s", err.message);
        return defupd_code_exit(err.code);
    }
    if ((run->args.command->traits & AG_CMD_NO_STORE) == 0)
        ag_run_attempt(run);
    exit_code = ag_run_finish(run);
    if (run->worker.fd >= 0)
        ag_run_tell_outcome(run);
    /* After the answer, for nobody waits for it. What is not taken now stays queued. */
    if ((run->args.command->traits & AG_CMD_REPORTS) != 0 && run->setup.report.report_url != NULL)
        (void)!ag_run_deliver(run, false, &err);
    return exit_code;
}

/* Descriptors 0 to 2 must be taken: else a file of the store gets such a number, and a message
 * for a closed standard error lands in it. */
static bool standard_files_open(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

int ag_main(int argc, char **argv)
{
    struct run run = { .setup.ca_fd = -1,
                       .setup.archive_fd = -1,
                       .asked_by = getuid(),
                       .out = stdout,
                       .err = stderr,
                       .worker.fd = -1 };
    char **copy = calloc((size_t)argc + 1, sizeof *copy);
    bool copied = copy != NULL && standard_files_open();
    int exit_code = defupd_code_exit(DEFUPD_E_NOMEM);

    /* What is parsed is a copy: the original is what the process list shows. */
    for (int i = 1; i < argc && copied; i++) {
        copy[i - 1] = strdup(argv[i]);
        copied = copy[i - 1] != NULL;
    }
    if (copied) {
        ag_args_blank(argc, argv);
        exit_code = run_all(&run, copy);
    } else {
        (void)fputs("defupd: out of memory\n", stderr);
    }
    ag_result_free(&run.result);
    defupd_client_close(run.client);
    ag_setup_free(&run.setup);
    free(run.archive);
    ag_args_free(&run.args);
    ag_worker_close(&run.worker);
    for (int i = 1; i < argc && copy != NULL; i++)
        free(copy[i - 1]);
    free(copy);
    return exit_code;
}
