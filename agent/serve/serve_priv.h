/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DU_SERVE_SERVE_PRIV_H
#define DU_SERVE_SERVE_PRIV_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "serve.h"

#define DU_SERVE_PATH_MAX 1024
#define DU_SERVE_ADDRESSES 16
#define DU_ETAG 80

/* --- request.c: looks at text only, so that a test is a table --- */

/* Decode the percent escapes of a request's path. False when malformed, too long, or with a NUL. */
bool du_serve_unescape(char *out, size_t size, const char *path);

/* May this decoded path ("/objects/ab/abcd") be looked up? Every part is there, none begins with a
 * dot, no control byte or backslash, and the name does not end in ".tmp". */
bool du_serve_path_ok(const char *path);

/* Is this path below one of a repository's three folders? */
bool du_serve_in_repository(const char *path);

/* Content-addressed and versioned names never change: any cache may keep them. */
bool du_serve_immutable(const char *path);

/* The digest that names an object ("/objects/ab/abcd...", 64 digits), NULL for any other path. */
const char *du_serve_digest(const char *path);
/* Of 64 hexadecimal digits. */
void du_serve_from_hex(unsigned char out[32], const char *digest);

enum du_range { DU_RANGE_NONE, DU_RANGE_PART, DU_RANGE_UNSATISFIABLE };
/* RFC 9110, 14.2: what a malformed header, or one with several ranges, asks for is ignored. */
enum du_range du_serve_range(const char *header, uint64_t size, uint64_t *first, uint64_t *count);

/* Does an If-None-Match header name this ETag (with its quotes)? RFC 9110, 13.1.2: "*" and weak
 * forms do too. */
bool du_serve_etag_listed(const char *header, const char *etag);

/* "Sun, 06 Nov 1994 08:49:37 GMT"; RFC 9110, 5.6.7. Any language environment. */
#define DU_HTTP_DATE 32
void du_serve_date(char out[DU_HTTP_DATE], int64_t when);

/* --- address.c --- */

/* An address as IPv6 has it, IPv4 mapped. */
struct du_address {
    unsigned char bytes[16];
};
struct du_network {
    struct du_address from;
    unsigned bits;
};
bool du_address_of(struct du_address *out, const struct sockaddr *from);
/* "192.0.2.1", "2001:db8::1" */
bool du_address_parse(struct du_address *out, const char *text);
void du_address_text(char out[48], const struct du_address *address);
/* Of the list in an X-Forwarded-For, the last: what the proxy that we believe has seen. */
bool du_address_forwarded(struct du_address *out, const char *header);
/* "ADDR" or "ADDR/BITS" */
bool du_network_parse(struct du_network *out, const char *text);
bool du_network_has(const struct du_network *network, const struct du_address *address);

/* --- client.c: who asks how much --- */

/* One client's account: an IPv4 address, or an IPv6 network of 64 bits, which one host may have for
 * itself. */
struct du_client {
    struct du_address who;
    uint32_t connections;
    bool used;
    int64_t seen_ms;
    int64_t paid_us; /* requests are paid for until then */
};
struct du_clients;
/* `seed`: unknown to clients, so that they cannot choose their neighbours. NULL without memory. */
struct du_clients *du_clients_new(uint64_t seed);
void du_clients_free(struct du_clients *clients);
/* The account of an address, `connect` when it makes a connection; it lives until that is left.
 * *connections: how many it has now. NULL when there is no room for one more account among those
 * that have connections: then it is not limited by itself. */
struct du_client *du_client_enter(struct du_clients *clients, const struct du_address *who,
                                  int64_t now_us, bool connect, uint32_t *connections);
void du_client_leave(struct du_clients *clients, struct du_client *client);
/* Take a request of it into account. 0: go on; else the seconds until it may ask again. */
uint32_t du_client_ask(struct du_clients *clients, struct du_client *client, int64_t now_us,
                       uint32_t requests_per_s);
uint32_t du_client_connections(struct du_clients *clients, const struct du_client *client);
/* How many were seen since then. */
uint32_t du_clients_seen(struct du_clients *clients, int64_t since_us);

/* --- hot.c: small files in memory --- */

#define DU_HOT_SIZE 65536u
#define DU_HOT_PATH 160u
/* A small file as it was read, with what answers for it. */
struct du_hot {
    pthread_mutex_t lock;
    char path[DU_HOT_PATH]; /* "": free */
    struct stat state;
    char *bytes;
    uint64_t size;
    char etag[DU_ETAG];
    struct MHD_Response *whole, *unchanged;
};
struct du_hots;
struct du_hots *du_hots_new(void);
void du_hots_free(struct du_hots *hots);
/* The file of a checked path, locked, when it is one that is kept in memory: to be given back with
 * du_hot_done(). NULL: it is not, or not there, or there is no memory: open it. */
struct du_hot *du_hot_get(struct du_hots *hots, int dir, const char *path);
void du_hot_done(struct du_hot *hot);

/* --- file.c --- */

/* Open a checked path below the folder, never through a link, whatever is renamed meanwhile.
 * -1 with errno; also for what is no regular file (ENOENT) or not for everybody (EACCES). */
int du_file_open(int top, const char *path, struct stat *st);
void du_file_etag(char out[DU_ETAG], const char *path, const struct stat *st);
/* The headers that follow from a name, its content's ETag and time. */
bool du_file_headers(struct MHD_Response *response, const char *path, const char *etag,
                     int64_t changed, bool content);

/* --- connection.c: connections, and the one thread that looks after them --- */

struct du_connection {
    struct du_connection *next, **link;
    struct du_serve *serve;
    struct MHD_Connection *mhd;
    int fd;
    struct du_address from;
    struct du_client *client; /* NULL: not accounted for */
    bool allowed, forwards;
    _Atomic(bool) busy;         /* an answer is under way */
    _Atomic(int64_t) since_ms;  /* it became so, or idle */
    _Atomic(bool) held;         /* suspended: it waits for us */
    _Atomic(uint32_t) waits;    /* how often the answer had to wait for us */
    struct du_connection *wait; /* in the list of those that do */
    struct du_miss *miss;       /* the object that the request at work waits for */
    unsigned miss_turn;
    /* the looker's */
    uint64_t sent, sent_then;
    int64_t then_ms;
    uint32_t waits_then;
    bool shut;
};
struct du_keeper {
    pthread_t thread;
    bool running, stopping;
    pthread_mutex_t lock;
    pthread_cond_t change;
    struct du_connection *connections;
    uint32_t count;
    struct du_connection *waiting; /* suspended, for want of bandwidth */
    uint32_t waiting_count;
    int64_t tokens, share; /* bytes that may be sent, in all and each turn by each */
    int64_t filled_us;
};
defupd_code du_keeper_start(struct du_serve *serve, defupd_error *err);
/* No connection is suspended any more, and none will be: the daemons can be stopped. */
void du_keeper_release(struct du_serve *serve);
/* Bytes of content that may be sent now, at most `most`; 0: the connection was suspended. -1: the
 * server ends. */
int64_t du_keeper_take(struct du_connection *connection, size_t most);
/* They were sent without asking: others wait the longer. */
void du_keeper_spend(struct du_serve *serve, uint64_t bytes);
enum MHD_Result du_connection_accept(void *cls, const struct sockaddr *from, socklen_t length);
void du_connection_notify(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code);

/* --- miss.c: objects that are fetched on demand --- */

struct du_miss;
struct du_misses;
struct du_misses *du_misses_new(struct du_serve *serve);
/* All that is under way fails; nobody waits any more. */
void du_misses_stop(struct du_misses *misses);
/* When no connection is left. */
void du_misses_free(struct du_misses *misses);
/* The fetch of an object, begun if nobody has; to be left. NULL: too many wait. */
struct du_miss *du_miss_join(struct du_misses *misses, const char *digest);
void du_miss_leave(struct du_miss *miss);
enum du_miss_state {
    DU_MISS_WAITS, /* the connection was suspended */
    DU_MISS_COMES, /* *total is known */
    DU_MISS_FAILED /* *code */
};
enum du_miss_state du_miss_look(struct du_connection *connection, struct du_miss *miss,
                                uint64_t *total, defupd_code *code);
/* Its bytes from `first` on, as they come. NULL without memory. */
struct MHD_Response *du_miss_response(struct du_connection *connection, struct du_miss *miss,
                                      uint64_t first, uint64_t length);

/* --- answer.c --- */

enum { DU_REFUSALS = 7 };
enum MHD_Result du_answer(void *cls, struct MHD_Connection *mhd, const char *url,
                          const char *method, const char *version, const char *upload,
                          size_t *upload_size, void **request);
void du_answer_done(void *cls, struct MHD_Connection *mhd, void **request,
                    enum MHD_RequestTerminationCode how);
bool du_answers_prepare(struct du_serve *serve);

/* --- serve.c --- */

struct du_count {
    _Atomic(uint64_t) requests, whole, part, unchanged, missing, limited, refused, connections,
        turned_away, cut, bytes, hits, misses, unfetched;
};
struct du_serve {
    struct du_serve_options options; /* with the defaults */
    struct du_network *allow, *forwards;
    size_t allow_count, forwards_count;
    int dir, log;
    unsigned addresses;
    int listen[DU_SERVE_ADDRESSES];
    struct MHD_Daemon *daemons[DU_SERVE_ADDRESSES];
    char url[DU_SERVE_ADDRESSES][80];
    struct du_clients *clients;
    struct du_hots *hots;
    struct du_misses *misses; /* NULL without an upstream */
    struct MHD_Response *refusals[DU_REFUSALS];
    struct du_keeper keeper;
    struct du_address last_limited; /* under the keeper's lock; all 0: nobody */
    struct du_count count;
};
__attribute__((format(printf, 3, 4))) defupd_code du_serve_fail(defupd_error *err, defupd_code code,
                                                                const char *format, ...);
int64_t du_serve_now_us(void);

#endif
