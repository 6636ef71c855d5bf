/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of reports on a failing disk: what was queued is never lost by what comes later. */
#include "agent_disk.h"
#include "report/deliver.h"
#include "report/outbox.h"
#include "t.h"

static void an_earlier_message_survives_whatever_fails(void)
{
    char state[256];

    T_CHECK(getcwd(state, sizeof state) != NULL);
    for (int mode = 0; mode < 4; mode++) {
        fault_short = mode > 1;
        for (struct fault f = fault_start(mode % 2 ? FAULT_FROM_THEN_ON : FAULT_ONCE, ENOSPC);
             fault_round(&f);) {
            struct ag_message message = { .fd = -1 }, later = { .fd = -1 };
            struct ag_outbox outbox;
            char name[AG_OUTBOX_NAME] = "", *lines = NULL, *body = NULL;
            size_t count = 0;

            fault_stop(&f);
            T_CHECK(t_shell("rm -rf outbox") == 0);
            ag_outbox_open(&outbox, &ag_disk_posix, state, 0, true);
            ag_message_add(&message, &outbox, "{\"a\":1}");
            ag_message_end(&message, &outbox);
            ag_outbox_close(&outbox);

            f.armed = true;
            ag_outbox_open(&outbox, &fault_disk, state, 0, true);
            ag_message_add(&later, &outbox, "{\"b\":1}");
            ag_message_add(&later, &outbox, "{\"b\":2}");
            ag_message_end(&later, &outbox);
            ag_outbox_close(&outbox);
            fault_stop(&f);

            ag_outbox_open(&outbox, &ag_disk_posix, state, 0, false);
            ag_outbox_adopt(&outbox);
            T_CHECK(ag_outbox_next(&outbox, "", name));
            T_CHECK(ag_outbox_read(&outbox, name, &lines, &count) == 0);
            T_SAME(lines, "{\"a\":1}\n");
            free(lines);
            lines = NULL;
            /* Of the second, what is there makes a message, without half lines. */
            if (ag_outbox_next(&outbox, name, name)) {
                T_CHECK(ag_outbox_read(&outbox, name, &lines, &count) == 0);
                body = ag_deliver_body(name, lines, 0, &count);
                T_CHECK(body != NULL && strstr(body, "\"events\":[") != NULL);
                free(body);
                free(lines);
            }
            T_CHECK(!ag_outbox_next(&outbox, name, name));
            T_CHECK(ag_outbox_dropped(&outbox) == 0);
            ag_outbox_close(&outbox);
        }
    }
    fault_short = false;
}

static void a_drop_is_counted_before_it_is_done(void)
{
    char state[256];

    T_CHECK(getcwd(state, sizeof state) != NULL);
    for (struct fault f = fault_start(FAULT_FROM_THEN_ON, EIO); fault_round(&f);) {
        struct ag_outbox outbox;
        char name[AG_OUTBOX_NAME] = "";
        uint64_t dropped;
        size_t left;

        fault_stop(&f);
        T_CHECK(t_shell("rm -rf outbox") == 0);
        ag_outbox_open(&outbox, &ag_disk_posix, state, 0, true);
        for (int i = 0; i < 2; i++) {
            struct ag_message message = { .fd = -1 };

            ag_message_add(&message, &outbox, "{\"a\":1}");
            ag_message_end(&message, &outbox);
        }
        T_CHECK(ag_outbox_next(&outbox, "", name));
        outbox.disk = &fault_disk;
        f.armed = true;
        ag_outbox_remove(&outbox, name, true);
        fault_stop(&f);
        outbox.disk = &ag_disk_posix;
        left = ag_outbox_count(&outbox);
        dropped = ag_outbox_dropped(&outbox);
        T_CHECK(left == 2 || (left == 1 && dropped == 1));
        ag_outbox_close(&outbox);
    }
}

int main(void)
{
    T_RUN(an_earlier_message_survives_whatever_fails);
    T_RUN(a_drop_is_counted_before_it_is_done);
    return T_DONE();
}
