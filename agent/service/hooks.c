/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include <defupd/error.h>

#include "service.h"

static char *copy(const char *text)
{
    return strdup(text != NULL ? text : "");
}

static void free_order(struct ag_order *order)
{
    free((void *)(uintptr_t)order->facts.component);
    free((void *)(uintptr_t)order->facts.tree);
    free((void *)(uintptr_t)order->facts.text);
    ag_config_drop(order->config);
    *order = (struct ag_order){ .config = NULL };
}

static void on_line(void *user, const char *line)
{
    struct ag_service *service = user;

    ag_log(LOG_INFO, "%s %s: %s", ag_hook_name(service->job.kind), service->job.name, line);
    if (service->order.for_worker && service->worker.fd >= 0) {
        struct ag_out *out = &service->worker.out;

        /* Where the run's log is written; a hook that floods it loses lines there. */
        if (out->used < AG_LINE)
            ag_out_text(out, 'L', line);
        (void)ag_out_flush(out, service->worker.fd);
    }
}

static void begin(struct ag_service *service);

/* One order is through: tell the worker, take the next. */
static void end_order(struct ag_service *service, int code, const char *text)
{
    const bool for_worker = service->order.for_worker;

    free_order(&service->order);
    service->job.pid = 0;
    if (for_worker)
        ag_worker_answer(service, code, text);
    else if (code != DEFUPD_OK)
        ag_log(LOG_WARNING, "%s", text);
    if (service->order_count > 0) {
        service->order = service->orders[0];
        service->order_count--;
        memmove(&service->orders[0], &service->orders[1],
                service->order_count * sizeof service->orders[0]);
        begin(service);
    }
}

/* Start the order's next hook of its kind. */
static void begin(struct ag_service *service)
{
    struct ag_order *order = &service->order;
    char text[480];
    int rc;

    while (order->next_hook < order->config->hook_count &&
           order->config->hooks[order->next_hook].kind != order->facts.kind)
        order->next_hook++;
    if (order->next_hook == order->config->hook_count) {
        (void)snprintf(text, sizeof text, "%s", order->failure);
        end_order(service, order->code, text);
        return;
    }
    ag_rights_lend(true);
    rc = ag_hook_start(&service->job, service->self, &order->config->hooks[order->next_hook],
                       &order->facts, ag_monotonic_ms());
    ag_rights_lend(false);
    order->next_hook++;
    if (rc != 0) {
        (void)snprintf(text, sizeof text, "%s %s cannot be started: %s",
                       ag_hook_name(order->facts.kind), service->job.name, strerror(rc));
        end_order(service, DEFUPD_E_HOOK, text);
    }
}

/* Products that a pre-install has quiesced must hear of the end, also when the worker or this
 * process does not live to see it: their names are kept on disk until then. */
static void note_pause(struct ag_service *service, const struct ag_hook_facts *facts)
{
    if (facts->kind != AG_HOOK_PRE_INSTALL && facts->kind != AG_HOOK_POST_INSTALL)
        return;
    if (ag_list_set(service->paused, sizeof service->paused, facts->component,
                    facts->kind == AG_HOOK_PRE_INSTALL))
        ag_state_save(service);
}

bool ag_list_has(const char *list, const char *name)
{
    const size_t length = strlen(name);

    for (const char *at = list; (at = strstr(at, name)) != NULL; at += length) {
        if ((at == list || at[-1] == ' ') && (at[length] == '\0' || at[length] == ' '))
            return true;
    }
    return false;
}

bool ag_list_set(char *list, size_t size, const char *name, bool there)
{
    const size_t length = strlen(name);
    const size_t used = strlen(list);

    if (ag_list_has(list, name) == there)
        return false;
    if (there) {
        if (used + length + 2 > size)
            return false;
        (void)snprintf(list + used, size - used, "%s%s", used > 0 ? " " : "", name);
        return true;
    }
    for (char *at = list; (at = strstr(at, name)) != NULL; at += length) {
        if ((at == list || at[-1] == ' ') && (at[length] == '\0' || at[length] == ' ')) {
            char *end = at + length + (at[length] == ' ');

            at -= at != list && *end == '\0';
            memmove(at, end, strlen(end) + 1);
            break;
        }
    }
    return true;
}

void ag_hooks_resume(struct ag_service *service)
{
    struct ag_hook_facts facts = { .kind = AG_HOOK_POST_INSTALL,
                                   .code = DEFUPD_E_CANCELLED,
                                   .text = "the update was interrupted",
                                   .state_dir = service->state_dir };
    char names[sizeof service->paused], *rest = names, *name;

    if (service->config == NULL || service->paused[0] == '\0') /* nothing to resume by or for */
        return;
    (void)snprintf(names, sizeof names, "%s", service->paused);
    while ((name = strsep(&rest, " ")) != NULL) {
        facts.component = name;
        ag_hooks_order(service, service->config, &facts, false);
    }
}

void ag_hooks_order(struct ag_service *service, struct ag_config *config,
                    const struct ag_hook_facts *facts, bool for_worker)
{
    struct ag_order order = { .facts = *facts, .for_worker = for_worker };
    bool any = false;

    for (size_t i = 0; i < config->hook_count; i++)
        any = any || config->hooks[i].kind == facts->kind;
    if (any)
        note_pause(service, facts);
    if (!any) {
        if (for_worker)
            ag_worker_answer(service, DEFUPD_OK, "");
        return;
    }
    if (service->order_count == AG_HOOKS) {
        if (for_worker)
            ag_worker_answer(service, DEFUPD_E_HOOK, "too many hooks wait");
        return;
    }
    order.config = ag_config_keep(config);
    order.facts.component = copy(facts->component);
    order.facts.tree = copy(facts->tree);
    order.facts.text = copy(facts->text);
    if (service->order.config != NULL) {
        service->orders[service->order_count++] = order;
        return;
    }
    service->order = order;
    begin(service);
}

/* Its end is when it was waited for; its output may go on in what it left behind. */
void ag_hooks_read(struct ag_service *service)
{
    if (!ag_hook_read(&service->job, on_line, service)) {
        (void)close(service->job.fd);
        service->job.fd = -1;
    }
}

void ag_hooks_reaped(struct ag_service *service, int status)
{
    struct ag_order *order = &service->order;
    char text[480];
    const int code = ag_hook_end(&service->job, status, text, sizeof text, on_line, service);

    /* What a failed one has begun, those after it must not go on with; but each post-install
     * brings back what its pre-install has stopped. */
    if (code != DEFUPD_OK && order->facts.kind != AG_HOOK_POST_INSTALL) {
        end_order(service, code, text);
        return;
    }
    if (code != DEFUPD_OK && order->code == DEFUPD_OK) {
        order->code = code;
        (void)snprintf(order->failure, sizeof order->failure, "%s", text);
    }
    begin(service);
}

void ag_hooks_late(struct ag_service *service, int64_t now_ms)
{
    if (service->job.pid > 0 && !service->job.killed && now_ms >= service->job.deadline_ms)
        ag_hook_kill(&service->job);
}

void ag_hooks_stop(struct ag_service *service)
{
    size_t kept = 0;

    for (size_t i = 0; i < service->order_count; i++) {
        if (service->orders[i].for_worker)
            service->orders[kept++] = service->orders[i];
        else
            free_order(&service->orders[i]);
    }
    service->order_count = kept;
    if (service->order.config != NULL && !service->order.for_worker && service->job.pid > 0)
        ag_hook_kill(&service->job);
}

void ag_hooks_worker_gone(struct ag_service *service)
{
    size_t kept = 0;

    for (size_t i = 0; i < service->order_count; i++) {
        if (service->orders[i].for_worker)
            free_order(&service->orders[i]);
        else
            service->orders[kept++] = service->orders[i];
    }
    service->order_count = kept;
    if (service->order.config != NULL && service->order.for_worker)
        service->order.for_worker = false;
    if (service->stopping)
        ag_hooks_stop(service); /* what is paused is on disk, and resumed by the next start */
    else
        ag_hooks_resume(service);
}
