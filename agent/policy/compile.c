/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/compile.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "become.h"
#include "fail.h"
#include "policy/map.h"
#include "relay/relay.h"
#include "report/report.h"
#include "text.h"
#include "unable.h"

void ag_compile_word(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;

        if (c <= 0x20 || c >= 0x7f || c == '%')
            (void)fprintf(out, "%%%02X", c);
        else
            (void)fputc(c, out);
    }
}

static void text_line(FILE *out, const char *key, const char *text)
{
    (void)fprintf(out, "%s ", key);
    ag_compile_word(out, text);
    (void)fputc('\n', out);
}

static void number_line(FILE *out, const char *key, const struct ag_policy *policy,
                        const char *path)
{
    (void)fprintf(out, "%s %" PRIu64 "\n", key, ag_policy_number(policy, path));
}

static void window_line(FILE *out, const struct ag_value *window)
{
    static const char names[7][4] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };
    const uint64_t days = ag_value_number(window, "days");
    const char *comma = "";

    (void)fputs(days == 0x7f ? "window *" : "window ", out);
    for (unsigned day = 0; day < 7 && days != 0x7f; day++) {
        if ((days >> day & 1) != 0) {
            (void)fprintf(out, "%s%s", comma, names[day]);
            comma = ",";
        }
    }
    (void)fprintf(out, " %s %s\n", ag_value_text(window, "from"), ag_value_text(window, "to"));
}

static void hook_line(FILE *out, const struct ag_value *hook)
{
    (void)fprintf(out, "hook %s user=%s timeout-s=%" PRIu64 " memory-bytes=%" PRIu64 " ",
                  ag_setting_name(hook->setting), ag_value_text(hook, "user"),
                  ag_value_number(hook, "timeout"), ag_value_number(hook, "memory"));
    ag_compile_word(out, ag_value_text(hook, "command"));
    for (const struct ag_value *at = ag_value_in(hook, "argument"); at != NULL;
         at = ag_value_next(at)) {
        (void)fputc(' ', out);
        ag_compile_word(out, at->text);
    }
    (void)fputc('\n', out);
}

static void user_lines(FILE *out, const struct ag_policy *policy)
{
    const bool everyone = ag_policy_number(policy, "user-update/everyone") != 0;
    const struct ag_value *at = ag_policy_at(policy, "user-update/user");

    (void)fprintf(out, "user-update %s\n", everyone ? "all" : "none");
    for (; at != NULL; at = ag_value_next(at))
        (void)fprintf(out, "user-update users %s\n", at->text);
    for (at = ag_policy_at(policy, "user-update/group"); at != NULL; at = ag_value_next(at))
        (void)fprintf(out, "user-update groups %s\n", at->text);
}

static void hook_lines(FILE *out, const struct ag_policy *policy)
{
    const struct ag_value *hooks = ag_policy_at(policy, "hooks");

    for (const struct ag_value *at = hooks != NULL ? hooks->child : NULL; at != NULL; at = at->next)
        hook_line(out, at);
}

/* The number tells the service when its relay has to be started anew. */
static void relay_line(FILE *out, const struct ag_policy *policy)
{
    struct ag_relay_settings settings;

    ag_relay_settings(&settings, policy);
    if (settings.enabled)
        (void)fprintf(out, "relay %s %016" PRIx64 "\n", settings.cache ? "cache" : "mirror",
                      ag_relay_settings_sum(policy));
}

static uint64_t interval_of(const struct ag_policy *policy)
{
    return ag_policy_number(policy, "schedule/enabled") != 0
               ? ag_policy_number(policy, "schedule/interval")
               : 0;
}

void ag_compile_print(FILE *out, const struct ag_policy *policy)
{
    (void)fprintf(out, "interval-s %" PRIu64 "\n", interval_of(policy));
    number_line(out, "initial-delay-s", policy, "schedule/initial-delay");
    for (const struct ag_value *at = ag_policy_at(policy, "schedule/window"); at != NULL;
         at = ag_value_next(at))
        window_line(out, at);
    (void)fprintf(out, "run-missed %s\n", ag_policy_text(policy, "schedule/run-missed"));
    (void)fprintf(out, "back-off-s %" PRIu64 " %" PRIu64 "\n",
                  ag_policy_number(policy, "schedule/back-off/@first"),
                  ag_policy_number(policy, "schedule/back-off/@max"));
    number_line(out, "verify-s", policy, "schedule/verify");
    user_lines(out, policy);
    hook_lines(out, policy);
    if (ag_policy_text(policy, "report/url") != NULL)
        text_line(out, "report", ag_policy_text(policy, "report/url"));
    number_line(out, "run-timeout-s", policy, "schedule/run-timeout");
    number_line(out, "debug-until", policy, "debug/until");
    relay_line(out, policy);
    (void)fputs("end\n", out);
}

static void print_head(FILE *out, const struct ag_force *force, const char *state_dir,
                       const struct ag_owner *owner)
{
    static const char *const names[] = { "built-in", NULL, "last-good" };
    const struct passwd *user = getpwuid(owner->uid);

    (void)fputs("defupd-agent-config 1\n", out);
    text_line(out, "state-dir", state_dir);
    if (user != NULL)
        text_line(out, "user", user->pw_name);
    else
        (void)fprintf(out, "user %u\n", (unsigned)owner->uid);
    text_line(out, "policy", force->from == AG_FORCE_FILE ? force->path : names[force->from]);
    if (force->error.code != DEFUPD_OK) {
        text_line(out, "error", force->error.message);
        (void)fprintf(out, "error-code %d\n", (int)force->error.code);
    }
}

/* What is on trial goes on to be, whatever the policy says by now. */
static void trial_line(FILE *out, defupd_client *client)
{
    defupd_status *status = NULL;
    defupd_error ignored = { 0 };

    if (defupd_client_status(client, &status, &ignored) == DEFUPD_OK &&
        defupd_status_store(status)->trial_s != 0)
        (void)fprintf(out, "trial-s %" PRIu64 "\n", defupd_status_store(status)->trial_s);
    defupd_status_free(status);
}

/* What the store gets of it, and the host's slot. None of this keeps the service from working: a
 * failure is told. */
static void use_store(FILE *out, FILE *errors, const struct ag_force *force, const char *state_dir)
{
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    const uint64_t interval = interval_of(force->policy);
    defupd_client *client = NULL;
    defupd_error err = { 0 };
    struct ag_report_settings settings = { 0 };
    struct ag_unable unable;
    uint64_t slot = 0;
    defupd_code rc;

    options.state_dir = state_dir;
    rc = defupd_client_open(&client, &options, &err);
    if (rc == DEFUPD_OK && interval != 0)
        rc = defupd_client_slot(client, interval, &slot, &err);
    if (rc == DEFUPD_OK && interval != 0)
        (void)fprintf(out, "slot-s %" PRIu64 "\n", slot);
    if (rc != DEFUPD_OK)
        ag_line(errors, "defupd: warning: no slot for this host: %s", err.message);
    if (client != NULL)
        trial_line(out, client);
    if (client != NULL && ag_force_keep(force, client, state_dir, &err) != DEFUPD_OK)
        ag_line(errors, "defupd: warning: the policy could not be kept: %s", err.message);
    ag_map_report(&settings, force);
    ag_unable_read(&unable, state_dir);
    settings.unable_code = unable.code;
    settings.agent_runs = true; /* it is who asks */
    if (client != NULL && ag_reports_write(client, state_dir, &settings, DEFUPD_OK,
                                           (int64_t)time(NULL), NULL, &err) != DEFUPD_OK)
        ag_line(errors, "defupd: warning: reports could not be written: %s", err.message);
    defupd_client_close(client);
}

defupd_code ag_compile(FILE *out, FILE *errors, const char *config, const char *standard,
                       const char *state_dir, defupd_error *err)
{
    struct ag_force force = { 0 };
    struct ag_owner owner;
    defupd_code rc;

    AG_TRY(ag_owner_find(state_dir, &owner, err));
    rc = ag_force_load(&force, config, standard, state_dir, owner.uid, err);
    if (rc == DEFUPD_E_POLICY || rc == DEFUPD_E_POLICY_OWNER) {
        force.error = *err;
        rc = DEFUPD_OK;
    }
    if (rc == DEFUPD_OK && ag_owner_is_other(&owner))
        rc = ag_become(&owner, err);
    if (rc == DEFUPD_OK) {
        print_head(out, &force, state_dir, &owner);
        use_store(out, errors, &force, state_dir);
        ag_compile_print(out, force.policy);
    }
    ag_force_free(&force);
    return rc;
}
