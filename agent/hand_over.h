/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of STATE/agent.sock: commands are handed to the agent that runs on the store.
 */
#ifndef AG_HAND_OVER_H
#define AG_HAND_OVER_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

/* What came of it. */
struct ag_handed {
    bool done;     /* false: there is no agent, or the command is not for it */
    int exit_code; /* the run's own */
    bool news;     /* the run changed something */
    bool refused;  /* `code` and `text` say why; nothing was printed */
    defupd_code code;
    char text[512];
};

/* Hand the command over and print what the agent says, until the run has ended. A signal ends the
 * waiting, not the run. `given`: descriptor of the file that the command's word names, -1: none. */
void ag_hand_over(struct ag_handed *handed, const struct ag_args *args, const char *state_dir,
                  int given);

/* What the agent says of itself. */
struct ag_agent {
    bool running;
    bool silent; /* it is there, and does not answer: stopped, or of another version */
    int64_t pid, next_poll, failures;
    char doing[32]; /* "" when idle */
    char policy_error[512];
};
/* Let it end its run. The worker's pid; 0 when there is none, no agent, or no permission. */
uint64_t ag_agent_cancel(const char *state_dir);
void ag_agent_ask(struct ag_agent *agent, const char *state_dir);

#endif
