/* SPDX-License-Identifier: Apache-2.0 */
#include "report/deliver.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <defupd/version.h>

#include "fail.h"
#include "json.h"
#include "report/outbox.h"
#include "report/post.h"

#define LOCK "lock"
#define BACK_OFF "back-off"
#define FIRST_S 60
#define LONGEST_S 3600
#define RETRY_AFTER_MAX_S 86400
#define MOST 200 /* messages in one go */

struct back_off {
    int64_t next;
    unsigned failures;
};

static void read_back_off(const struct ag_outbox *outbox, struct back_off *back_off)
{
    char *text = NULL;
    size_t count;

    *back_off = (struct back_off){ 0 };
    if (ag_disk_read(outbox->disk, outbox->dir, BACK_OFF, 128, &text, &count) == 0 &&
        sscanf(text, "next %" SCNd64 "\nfailures %u\n", &back_off->next, &back_off->failures) != 2)
        *back_off = (struct back_off){ 0 };
    free(text);
}

static void write_back_off(const struct ag_outbox *outbox, const struct back_off *back_off)
{
    char text[128];

    (void)snprintf(text, sizeof text, "next %" PRId64 "\nfailures %u\n", back_off->next,
                   back_off->failures);
    (void)!ag_disk_replace(outbox->disk, outbox->dir, BACK_OFF, text, strlen(text), 0600, 0);
}

/* Doubled with each failure, within limits; longer when the manager asks for it. */
static void fail_once(const struct ag_outbox *outbox, struct back_off *back_off, int64_t now,
                      int64_t retry_after_s)
{
    int64_t wait = FIRST_S;

    for (unsigned i = 0; i < back_off->failures && wait < LONGEST_S; i++)
        wait *= 2;
    if (wait > LONGEST_S)
        wait = LONGEST_S;
    if (retry_after_s > RETRY_AFTER_MAX_S)
        retry_after_s = RETRY_AFTER_MAX_S;
    back_off->failures += back_off->failures < 1000;
    back_off->next = now + (retry_after_s > wait ? retry_after_s : wait);
    write_back_off(outbox, back_off);
}

/* A line of the message goes where it belongs. What is not JSON is what a crash left of a line. */
static bool add_line(json_t *doc, json_t *events, json_t *line)
{
    const json_t *left_out = json_object_get(line, "left_out");

    if (json_object_get(line, "engines") != NULL)
        return json_object_set_new(doc, "host", json_incref(json_object_get(line, "agent_uuid"))) ==
                   0 &&
               ag_json_add(doc, "posture", line);
    if (left_out != NULL) {
        const bool done = ag_json_add(doc, "left_out", json_integer(json_integer_value(left_out)));
        json_decref(line);
        return done;
    }
    return ag_json_append(events, line);
}

char *ag_deliver_body(const char *name, const char *lines, uint64_t dropped, size_t *count)
{
    json_t *doc = json_object(), *events = json_array();
    const char *id = strchr(name, '-');
    char *text = NULL;
    bool done = ag_json_text(doc, "id", id != NULL ? id + 1 : name) &&
                ag_json_text(doc, "sender", "defupd/" DEFUPD_VERSION) &&
                ag_json_number(doc, "dropped", dropped);

    if (!done)
        json_decref(events);
    done = done && ag_json_add(doc, "events", events);
    while (done && *lines != '\0') {
        const size_t length = strcspn(lines, "\n");
        json_t *line = json_loadb(lines, length, JSON_REJECT_DUPLICATES, NULL);

        if (json_is_object(line))
            done = add_line(doc, events, line);
        else
            json_decref(line);
        lines += length;
        lines += *lines == '\n';
    }
    if (done)
        text = json_dumps(doc, JSON_COMPACT);
    json_decref(doc);
    *count = text != NULL ? strlen(text) : 0;
    return text;
}

/* What an answer says of the message: taken, refused for good, or neither. */
enum verdict { TAKEN, REFUSED, LATER };

static enum verdict judge(long status)
{
    if (status >= 200 && status < 300)
        return TAKEN;
    return status >= 400 && status < 500 && status != 408 && status != 429 ? REFUSED : LATER;
}

static defupd_code send_one(const struct ag_deliver *deliver, const struct ag_outbox *outbox,
                            struct ag_post *post, struct back_off *back_off, const char *name,
                            struct ag_delivery *delivery, defupd_error *err)
{
    char *lines = NULL, *body = NULL;
    size_t count = 0;
    int64_t retry_after_s = 0;
    long status = 0;
    defupd_code rc;

    if (ag_outbox_read(outbox, name, &lines, &count) != 0) {
        if (errno == ENOMEM)
            return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
        /* Too large or unreadable: it must not stand in the way of all others for ever. */
        ag_outbox_remove(outbox, name, true);
        delivery->dropped++;
        return DEFUPD_OK;
    }
    body = ag_deliver_body(name, lines, ag_outbox_dropped(outbox), &count);
    free(lines);
    if (body == NULL)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
    rc = ag_post_send(post, body, count, &status, &retry_after_s, err);
    free(body);
    if (rc == DEFUPD_OK && judge(status) != LATER) {
        ag_outbox_remove(outbox, name, judge(status) == REFUSED);
        delivery->sent += judge(status) == TAKEN;
        delivery->dropped += judge(status) == REFUSED;
        return DEFUPD_OK;
    }
    if (rc == DEFUPD_OK)
        rc = AG_FAIL(err, DEFUPD_E_HTTP_STATUS, "the report's receiver answers HTTP %ld", status);
    fail_once(outbox, back_off, deliver->now, retry_after_s);
    return rc;
}

static defupd_code send_all(const struct ag_deliver *deliver, const struct ag_outbox *outbox,
                            struct ag_delivery *delivery, defupd_error *err)
{
    char name[AG_OUTBOX_NAME] = "";
    struct ag_post *post = NULL;
    struct back_off back_off;
    defupd_code rc = DEFUPD_OK;

    ag_outbox_adopt(outbox);
    read_back_off(outbox, &back_off);
    /* A time too far ahead was written by a clock that was wrong. */
    if (!deliver->at_once && back_off.next > deliver->now &&
        back_off.next - deliver->now <= RETRY_AFTER_MAX_S) {
        delivery->next = back_off.next;
        return DEFUPD_OK;
    }
    if (!ag_outbox_next(outbox, "", name))
        return DEFUPD_OK;
    AG_TRY(ag_post_open(&post, deliver->url, deliver->ca_file, err));
    for (unsigned i = 0; i < MOST && rc == DEFUPD_OK; i++) {
        rc = send_one(deliver, outbox, post, &back_off, name, delivery, err);
        if (rc != DEFUPD_OK || !ag_outbox_next(outbox, name, name))
            break;
    }
    ag_post_close(post);
    if (rc == DEFUPD_OK && back_off.failures > 0)
        (void)outbox->disk->unlinkat(outbox->dir, BACK_OFF, 0);
    delivery->next = rc != DEFUPD_OK ? back_off.next : 0;
    return rc;
}

defupd_code ag_deliver(const struct ag_deliver *deliver, struct ag_delivery *delivery,
                       defupd_error *err)
{
    struct ag_outbox outbox;
    defupd_code rc = DEFUPD_OK;
    int lock;

    *delivery = (struct ag_delivery){ 0 };
    ag_outbox_open(&outbox, deliver->disk, deliver->state_dir, deliver->queue_bytes, false);
    if (outbox.dir < 0)
        return DEFUPD_OK;
    lock = deliver->disk->openat(outbox.dir, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (lock < 0)
        rc = AG_FAIL_ERRNO(err, DEFUPD_E_IO, "cannot open %s/outbox/%s", deliver->state_dir, LOCK);
    else if (deliver->disk->flock(lock, LOCK_EX | LOCK_NB) == 0)
        rc = send_all(deliver, &outbox, delivery, err);
    delivery->left = (unsigned)ag_outbox_count(&outbox);
    if (lock >= 0)
        (void)close(lock);
    ag_outbox_close(&outbox);
    return rc;
}
