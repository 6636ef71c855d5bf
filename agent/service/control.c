/* SPDX-License-Identifier: Apache-2.0 */
/* STATE/agent.sock: everybody may connect, and the kernel says who it is. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <defupd/error.h>

#include "service.h"

#define BACKLOG 64
#define PATIENCE_MS 10000 /* for a client to say what it wants */
#define EX_USAGE 64
#define EX_TEMPFAIL 75
#define EX_NOPERM 77
#define GROUPS 64

static bool address(const struct ag_service *service, struct sockaddr_un *name)
{
    *name = (struct sockaddr_un){ .sun_family = AF_UNIX };
    /* The store's path may be longer than an address can be. */
    return (size_t)snprintf(name->sun_path, sizeof name->sun_path, "/proc/self/fd/%d/" AG_SOCKET,
                            service->state_fd) < sizeof name->sun_path;
}

/* Who holds the lock is the only agent; but nobody takes a socket that somebody listens on. */
static bool somebody_listens(const struct sockaddr_un *name)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const bool listens =
        fd >= 0 &&
        (connect(fd, (const struct sockaddr *)name, sizeof *name) == 0 || errno == EAGAIN);

    if (fd >= 0)
        (void)close(fd);
    return listens;
}

int ag_control_listen(struct ag_service *service)
{
    struct sockaddr_un name;
    int fd;

    if (!address(service, &name))
        return EINVAL;
    if (somebody_listens(&name))
        return EADDRINUSE;
    if (unlinkat(service->state_fd, AG_SOCKET, 0) != 0 && errno != ENOENT)
        return errno;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    if (bind(fd, (const struct sockaddr *)&name, sizeof name) != 0 ||
        fchmodat(service->state_fd, AG_SOCKET, 0666, 0) != 0 || listen(fd, BACKLOG) != 0) {
        const int failed = errno;

        (void)close(fd);
        return failed;
    }
    service->listen_fd = fd;
    return 0;
}

static struct ag_client *free_slot(struct ag_service *service, uid_t uid)
{
    struct ag_client *slot = NULL;
    size_t others = 0;

    for (size_t i = 0; i < AG_CLIENTS; i++) {
        struct ag_client *client = &service->clients[i];

        if (client->fd >= 0 && client->uid == uid)
            others++;
        if (client->fd < 0 && slot == NULL)
            slot = client;
    }
    /* A user without privilege cannot keep others out. */
    return uid != 0 && uid != service->owner && others >= AG_CLIENTS_EACH ? NULL : slot;
}

void ag_control_accept(struct ag_service *service)
{
    const int fd = accept4(service->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct ucred who;
    socklen_t length = sizeof who;
    struct ag_client *client;
    char policy[1024];

    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) != 0 ||
        (client = free_slot(service, who.uid)) == NULL) {
        static const char full[] = "R -2600 too%20many%20clients\nX 75 -2600 0\n";

        (void)send(fd, full, sizeof full - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)close(fd);
        return;
    }
    *client = (struct ag_client){ .fd = fd,
                                  .uid = who.uid,
                                  .gid = who.gid,
                                  .deadline_ms = ag_monotonic_ms() + PATIENCE_MS,
                                  .out = { .max = 4 * AG_LINE } };
    (void)ag_encode(policy, sizeof policy,
                    service->config_file != NULL ? service->config_file : "-", false);
    ag_out_print(&client->out, "defupd-agent 1 %s\n", policy);
    ag_control_write(service, client);
}

void ag_control_close(struct ag_service *service, struct ag_client *client)
{
    (void)service;
    ag_run_drop(client->run);
    ag_out_free(&client->out);
    if (client->given > 0)
        (void)close(client->given);
    (void)close(client->fd);
    *client = (struct ag_client){ .fd = -1 };
}

/* The last line of every answer. */
static void end(struct ag_client *client, int exit, int code, bool news)
{
    ag_out_print(&client->out, "X %d %d %d\n", exit, code, news);
    client->ending = true;
}

static void refuse(struct ag_client *client, int exit, int code, const char *text)
{
    char word[3 * 256];

    (void)ag_encode(word, sizeof word, text, false);
    ag_out_print(&client->out, "R %d %s\n", code, word);
    end(client, exit, code, false);
}

/* True when the client's user is a member: by the credentials that the connection was made with. */
static bool is_member(const struct ag_client *client, const char *name)
{
    const struct group *group = getgrnam(name);
    gid_t groups[GROUPS];
    socklen_t size = sizeof groups;

    if (group == NULL)
        return false;
    if (client->gid == group->gr_gid)
        return true;
#ifdef SO_PEERGROUPS
    if (getsockopt(client->fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0) {
        for (size_t i = 0; i < size / sizeof groups[0]; i++) {
            if (groups[i] == group->gr_gid)
                return true;
        }
    }
#endif
    return false;
}

static bool policy_allows(const struct ag_config *config, const struct ag_client *client)
{
    if (config == NULL)
        return false;
    if (config->users_all)
        return true;
    for (char **name = config->users; name != NULL && *name != NULL; name++) {
        const struct passwd *user = getpwnam(*name);

        if (user != NULL && user->pw_uid == client->uid)
            return true;
    }
    for (char **name = config->groups; name != NULL && *name != NULL; name++) {
        if (is_member(client, *name))
            return true;
    }
    return false;
}

static bool is_master(const struct ag_service *service, const struct ag_client *client)
{
    return client->uid == 0 || client->uid == service->owner;
}

static void want_run(struct ag_service *service, struct ag_client *client, char **words, int count)
{
    struct ag_ask ask;
    const char *wrong = ag_ask_parse(&ask, words + 1, (size_t)count - 1);
    char text[256];

    if (wrong != NULL) {
        refuse(client, EX_USAGE, DEFUPD_E_INVALID, wrong);
    } else if (!is_master(service, client) && !ag_ask_is_harmless(&ask)) {
        (void)snprintf(text, sizeof text,
                       "'%s' in this form is for root and the store's owner; others may check, "
                       "update and forceupdate where policy's user-update allows it",
                       ask.command);
        refuse(client, EX_NOPERM, DEFUPD_E_NOT_PERMITTED, text);
    } else if (!is_master(service, client) && !policy_allows(service->config, client)) {
        (void)snprintf(text, sizeof text,
                       "policy's user-update does not allow user %u to order '%s'",
                       (unsigned)client->uid, ask.command);
        refuse(client, EX_NOPERM, DEFUPD_E_NOT_PERMITTED, text);
    } else if ((ask.flags & AG_RUN_GIVEN) != 0 &&
               (client->given <= 0 || strcmp(ask.command, "import") != 0)) {
        refuse(client, EX_USAGE, DEFUPD_E_INVALID, "no file came with the request");
    } else if (service->stopping) {
        refuse(client, EX_TEMPFAIL, DEFUPD_E_CANCELLED, "the agent is being stopped");
    } else {
        const bool given = (ask.flags & AG_RUN_GIVEN) != 0;

        client->run = ag_run_order(service, &ask, client->uid);
        if (client->run == NULL) {
            refuse(client, EX_TEMPFAIL, DEFUPD_E_BUSY, "too many orders wait");
        } else {
            client->run->refs++;
            if (given) {
                client->run->given = client->given;
                client->given = 0;
            }
        }
    }
    ag_ask_free(&ask);
}

static void want_status(struct ag_service *service, struct ag_client *client)
{
    const struct ag_run *run = service->worker.run;
    struct ag_facts facts;
    struct ag_due due = { .poll_wall = 0 };
    char word[2048];

    ag_facts_now(service, &facts);
    if (service->config != NULL)
        due = ag_schedule_due(&service->config->schedule, &service->state, &facts);
    ag_out_print(&client->out, "S pid %d\nS doing %s\nS next-poll %" PRId64 "\nS failures %u\n",
                 (int)getpid(), run != NULL ? run->ask.command : "-", due.poll_wall,
                 service->state.failures);
    if (service->config != NULL && service->config->policy != NULL &&
        ag_encode(word, sizeof word, service->config->policy, false) < sizeof word)
        ag_out_print(&client->out, "S policy %s\n", word);
    if (service->config != NULL && service->config->error != NULL &&
        ag_encode(word, sizeof word, service->config->error, false) < sizeof word)
        ag_out_print(&client->out, "S policy-error %s\n", word);
    end(client, 0, DEFUPD_OK, false);
}

static void want_cancel(struct ag_service *service, struct ag_client *client)
{
    ag_out_print(&client->out, "S pid %d\n",
                 service->worker.pid > 0 ? (int)service->worker.pid : 0);
    ag_worker_stop(service);
    end(client, 0, DEFUPD_OK, false);
}

static void request(struct ag_service *service, struct ag_client *client, char *line)
{
    char *words[AG_WORDS];
    int count;

    if (!client->greeted) {
        client->greeted = strcmp(line, AG_HELLO) == 0;
        if (!client->greeted)
            refuse(client, EX_USAGE, DEFUPD_E_INVALID, "this agent speaks " AG_HELLO);
        return;
    }
    client->answered = true;
    client->deadline_ms = 0;
    count = ag_split(line, words, AG_WORDS);
    if (count >= 1 && strcmp(words[0], "run") == 0)
        want_run(service, client, words, count);
    else if (count == 1 && strcmp(words[0], "status") == 0)
        want_status(service, client);
    else if (count == 1 && !is_master(service, client))
        refuse(client, EX_NOPERM, DEFUPD_E_NOT_PERMITTED, "this is for root and the store's owner");
    else if (count == 1 && strcmp(words[0], "cancel") == 0)
        want_cancel(service, client);
    else if (count == 1 && strcmp(words[0], "reload") == 0) {
        ag_compile_start(service);
        end(client, 0, DEFUPD_OK, false);
    } else
        refuse(client, EX_USAGE, DEFUPD_E_INVALID, "the agent does not know this request");
}

void ag_control_read(struct ag_service *service, struct ag_client *client)
{
    const int rc = ag_lines_receive(&client->in, client->fd, &client->given);
    char *line;

    if (rc < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (rc <= 0 && !client->in.too_long) { /* gone; what it ordered goes on */
        ag_control_close(service, client);
        return;
    }
    while (!client->ending && !client->answered && (line = ag_lines_next(&client->in)) != NULL)
        request(service, client, line);
    if (client->answered || client->ending)
        client->in.used = client->in.taken = 0; /* one request a connection: the rest is dropped */
    else if (client->in.too_long)
        refuse(client, EX_USAGE, DEFUPD_E_INVALID, "a line is too long");
    ag_control_write(service, client);
}

/* Send from the run's log what the client does not have yet. False: it is gone. */
static bool send_log(struct ag_client *client)
{
    const struct ag_run *run = client->run;

    while (client->offset < run->log.used) {
        const ssize_t sent = send(client->fd, run->log.bytes + client->offset,
                                  run->log.used - client->offset, MSG_NOSIGNAL);

        if (sent < 0)
            return errno == EAGAIN || errno == EINTR || errno == ENOBUFS;
        client->offset += (size_t)sent;
    }
    return true;
}

static void add_end(struct ag_client *client)
{
    const struct ag_run *run = client->run;
    char word[3 * sizeof run->text];

    if (run->log.failed)
        ag_out_text(&client->out, 'E', "defupd: warning: some of the output was too long to keep");
    (void)ag_encode(word, sizeof word, run->text[0] != '\0' ? run->text : "-", false);
    if (run->failed)
        ag_out_print(&client->out, "R %d %s\n", run->code, word);
    end(client, run->exit, run->code, run->news);
}

void ag_control_write(struct ag_service *service, struct ag_client *client)
{
    const struct ag_run *run = client->run;
    bool open = true;

    if (client->out.used > 0)
        open = ag_out_flush(&client->out, client->fd);
    if (open && client->out.used == 0 && run != NULL && !client->ending) {
        open = send_log(client);
        /* Whatever the client has missed of the progress: the latest is enough. */
        if (open && client->offset == run->log.used && run->progress[0] != '\0' &&
            client->progress_count != run->progress_count) {
            client->progress_count = run->progress_count;
            ag_out_print(&client->out, "%s\n", run->progress);
        }
        if (open && client->offset == run->log.used && run->answered)
            add_end(client);
        if (open)
            open = ag_out_flush(&client->out, client->fd);
    }
    if (!open || client->out.failed || (client->ending && client->out.used == 0))
        ag_control_close(service, client);
}

void ag_control_feed(struct ag_service *service)
{
    for (size_t i = 0; i < AG_CLIENTS; i++) {
        struct ag_client *client = &service->clients[i];

        if (client->fd >= 0 && client->run != NULL)
            ag_control_write(service, client);
    }
}

void ag_control_late(struct ag_service *service, int64_t now_ms)
{
    for (size_t i = 0; i < AG_CLIENTS; i++) {
        struct ag_client *client = &service->clients[i];

        if (client->fd >= 0 && client->deadline_ms > 0 && now_ms >= client->deadline_ms)
            ag_control_close(service, client);
    }
}
