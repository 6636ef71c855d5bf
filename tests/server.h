/* SPDX-License-Identifier: Apache-2.0 */
/* Servers for tests, on free ports of the loopback, gone when the test is.
 *
 *     const char *rules[] = { "a=stall:10", "b*=status:404", NULL };
 *     DU_AUTO(server_stop) struct server liar = server_liar("dir", rules);
 *     ... liar.url ("http://127.0.0.1:PORT"), server_count(&liar, "GET /a ") ...
 */
#ifndef SERVER_H
#define SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/scope.h"
#include "t.h"

struct server {
    pid_t pid; /* 0: none */
    int port;
    char url[48];  /* http://127.0.0.1:PORT */
    char log[512]; /* liar's log, "" otherwise */
};

/* Servers cannot be found or do not start: the machine lacks what the base list names. */
__attribute__((noreturn)) static inline void server_abort(const char *what)
{
    printf("Bail out! cannot start %s: %s\n", what, strerror(errno));
    (void)fflush(stdout);
    _exit(1);
}

/* Where tests/ is: below $SOURCE, which meson test sets, or below a folder above this program's. */
static inline void server_tests_dir(char *out, size_t size)
{
    const char *told = getenv("SOURCE");
    char at[512];
    const ssize_t len = readlink("/proc/self/exe", at, sizeof at - 1);

    if (told != NULL) {
        (void)snprintf(out, size, "%s/tests", told);
        return;
    }
    at[len > 0 ? len : 0] = '\0';
    for (char *slash; (slash = strrchr(at, '/')) != NULL;) {
        *slash = '\0';
        (void)snprintf(out, size, "%s/tests/tools/liar.py", at);
        if (access(out, R_OK) == 0) {
            (void)snprintf(out, size, "%s/tests", at);
            return;
        }
    }
    server_abort("liar.py (set SOURCE to the top folder)");
}

/* Run a test that needs programs ("nginx openssl"), or say that they are not there. */
#define SERVER_RUN(programs, test)                                                               \
    do {                                                                                         \
        if (t_shell("for p in %s; do command -v $p > /dev/null || exit 1; done", programs) == 0) \
            T_RUN(test);                                                                         \
        else                                                                                     \
            T_SKIP(#test, "this machine lacks one of: " programs);                               \
    } while (0)

/* A port that was free a moment ago. */
static inline int server_free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        server_abort("a listener");
    (void)close(fd);
    return ntohs(address.sin_port);
}

/* Start a program; *out its standard output when not NULL. */
static inline pid_t server_spawn(const char *const argv[], int *out)
{
    int pipe_fd[2];
    const pid_t parent = getpid();
    pid_t pid;

    (void)fflush(stdout);
    if (pipe2(pipe_fd, O_CLOEXEC) != 0 || (pid = fork()) < 0)
        server_abort(argv[0]);
    if (pid == 0) {
        const int log = open("server.out", O_WRONLY | O_CREAT | O_APPEND, 0644);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        (void)dup2(out != NULL ? pipe_fd[1] : log, 1);
        (void)dup2(log, 2);
        (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    (void)close(pipe_fd[1]);
    if (out != NULL)
        *out = pipe_fd[0];
    else
        (void)close(pipe_fd[0]);
    return pid;
}

static inline void server_stop(struct server *server)
{
    if (server->pid > 0) {
        (void)kill(server->pid, SIGKILL);
        (void)waitpid(server->pid, NULL, 0);
    }
    server->pid = 0;
}

/* Wait until something accepts connections there, or the server has ended. */
static inline void server_await(struct server *server, const char *what)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)server->port) };

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 1000; i++) {
        const struct timespec pause = { .tv_nsec = 10000000 };
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const bool up = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
        (void)close(fd);
        if (up)
            return;
        if (waitpid(server->pid, NULL, WNOHANG) != 0)
            break;
        (void)nanosleep(&pause, NULL);
    }
    (void)t_shell("sed 's/^/# /' server.out");
    server_abort(what);
}

static inline void server_url(struct server *server)
{
    (void)snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", server->port);
}

/* tests/tools/liar.py over a directory; rules NULL-terminated, NULL: none. At most 60 rules. Rules
 * in the file rules.txt of the current directory come first, and may change at any time. */
static inline struct server server_liar(const char *dir, const char *const *rules)
{
    struct server server = { 0 };
    char tool[600], cwd[400], tests[560], line[32] = "", rules_file[440];
    const char *argv[140] = { "/usr/bin/python3", "-S",      "-E",      tool, "--dir", dir, "--log",
                              server.log,         "--rules", rules_file };
    size_t n = 10, got = 0;
    int out;

    server_tests_dir(tests, sizeof tests);
    (void)snprintf(tool, sizeof tool, "%s/tools/liar.py", tests);
    if (getcwd(cwd, sizeof cwd) == NULL)
        server_abort(tool);
    (void)snprintf(rules_file, sizeof rules_file, "%s/rules.txt", cwd);
    (void)snprintf(server.log, sizeof server.log, "%s/liar-%d.log", cwd, server_free_port());
    for (size_t i = 0; rules != NULL && rules[i] != NULL && i < 60; i++) {
        argv[n++] = "--rule";
        argv[n++] = rules[i];
    }
    server.pid = server_spawn(argv, &out);
    while (got + 1 < sizeof line && read(out, line + got, 1) == 1 && line[got] != '\n')
        got++;
    (void)close(out);
    server.port = atoi(line);
    if (server.port <= 0) {
        (void)t_shell("sed 's/^/# /' server.out");
        server_abort(tool);
    }
    server_url(&server);
    return server;
}

/* Lines of the liar's log that hold `text`; "" counts all requests. */
static inline int server_count(const struct server *server, const char *text)
{
    char line[4096];
    int count = 0;
    FILE *log = fopen(server->log, "r");

    if (log == NULL)
        return 0;
    while (fgets(line, sizeof line, log) != NULL)
        count += strstr(line, text) != NULL;
    (void)fclose(log);
    return count;
}

/* nginx; `block` follows the port in its server block: "; root DIR;" or " ssl; root ...". Its files
 * are in ./nginx-PORT, which relative names in `block` start from. One process, so nothing outlives
 * it. */
static inline struct server server_nginx(const char *block)
{
    struct server server = { .port = server_free_port() };
    char dir[32], name[64], command[] = "daemon off; master_process off;";
    const char *argv[] = {
        "nginx", "-p", dir, "-c", "conf", "-e", "error.log", "-g", command, NULL
    };
    FILE *conf;

    (void)snprintf(dir, sizeof dir, "nginx-%d", server.port);
    (void)snprintf(name, sizeof name, "%s/conf", dir);
    if (mkdir(dir, 0755) != 0 || (conf = fopen(name, "w")) == NULL)
        server_abort(name);
    (void)fprintf(conf,
                  "pid nginx.pid;\nevents { worker_connections 64; }\nhttp {\n"
                  "  access_log access.log;\n  client_body_temp_path t1;\n  proxy_temp_path t2;\n"
                  "  fastcgi_temp_path t3;\n  uwsgi_temp_path t4;\n  scgi_temp_path t5;\n"
                  "  server {\n    listen 127.0.0.1:%d%s\n  }\n}\n",
                  server.port, block);
    (void)fclose(conf);
    server.pid = server_spawn(argv, NULL);
    server_await(&server, "nginx");
    server_url(&server);
    return server;
}

/* tinyproxy with these lines added to its configuration. */
static inline struct server server_tinyproxy(const char *lines)
{
    struct server server = { .port = server_free_port() };
    char name[64];
    const char *argv[] = { "tinyproxy", "-d", "-c", name, NULL };
    FILE *conf;

    (void)snprintf(name, sizeof name, "tinyproxy-%d.conf", server.port);
    if ((conf = fopen(name, "w")) == NULL)
        server_abort(name);
    (void)fprintf(conf,
                  "Port %d\nListen 127.0.0.1\nTimeout 30\nMaxClients 20\nLogLevel Info\n"
                  "Allow 127.0.0.1\n%s\n",
                  server.port, lines);
    (void)fclose(conf);
    server.pid = server_spawn(argv, NULL);
    server_await(&server, "tinyproxy");
    server_url(&server);
    return server;
}

/* squid with these lines before its last rule, which allows everybody; without helpers and cache.
 */
static inline struct server server_squid(const char *lines)
{
    struct server server = { .port = server_free_port() };
    char name[64], cwd[400];
    const char *argv[] = { "squid", "-N", "-f", name, NULL };
    FILE *conf;

    (void)snprintf(name, sizeof name, "squid-%d.conf", server.port);
    if (getcwd(cwd, sizeof cwd) == NULL || (conf = fopen(name, "w")) == NULL)
        server_abort(name);
    (void)fprintf(conf,
                  "http_port 127.0.0.1:%d\npid_filename none\ncache_log %s/squid.log\n"
                  "access_log none\ncache deny all\npinger_enable off\ncoredump_dir %s\n"
                  "%s\nhttp_access allow all\n",
                  server.port, cwd, cwd, lines);
    (void)fclose(conf);
    if (geteuid() == 0)
        (void)t_shell("chmod 755 . && touch squid.log && chmod 666 squid.log");
    server.pid = server_spawn(argv, NULL);
    server_await(&server, "squid");
    server_url(&server);
    return server;
}

#endif
