/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that fails while the policy is kept or examples are written: what is there is whole. */
#include <sys/stat.h>

#include "agent_disk.h"
#include "client/client.h"
#include "policy/embedded.h"
#include "policy/examples.h"
#include "policy/map.h"
#include "t.h"

static char here[300];

static void put_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        abort();
}

/* The ring of the policy in force, with the file as it is; "" when none is. */
static const char *ring_in_force(void)
{
    static char ring[32];
    struct ag_force force;
    defupd_error err = { 0 };
    const char *text = NULL;

    if (ag_force_load(&force, "p.xml", NULL, "state", geteuid(), &err) == DEFUPD_OK)
        text = ag_policy_text(force.policy, "components/ring");
    (void)snprintf(ring, sizeof ring, "%s", text != NULL ? text : "");
    ag_force_free(&force);
    return ring;
}

static defupd_code keep(const struct du_sys *sys, defupd_error *err)
{
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    defupd_client *client = NULL;
    struct ag_force force;
    char dir[400];
    defupd_code rc;

    (void)snprintf(dir, sizeof dir, "%s/state", here);
    options.state_dir = dir;
    rc = ag_force_load(&force, "p.xml", NULL, dir, geteuid(), err);
    if (rc == DEFUPD_OK)
        rc = du_client_open_sys(&client, &options, sys, err);
    if (rc == DEFUPD_OK)
        rc = ag_force_keep(&force, client, dir, err);
    defupd_client_close(client);
    ag_force_free(&force);
    return rc;
}

#define RING(name) "<policy format='1'><components><ring>" name "</ring></components></policy>"

static void a_failing_disk_leaves_the_old_last_good_policy_or_the_new(void)
{
    static const int errors[] = { EIO, ENOSPC };
    defupd_error err = { 0 };

    if (getcwd(here, sizeof here) == NULL || mkdir("state", 0755) != 0)
        abort();
    for (size_t i = 0; i < 4; i++) {
        const enum fault_mode mode = i < 2 ? FAULT_ONCE : FAULT_FROM_THEN_ON;

        for (struct fault f = fault_start(mode, errors[i % 2]); fault_round(&f);) {
            defupd_code rc;
            const char *ring;

            fault_stop(&f);
            put_file("p.xml", RING("old"));
            T_OK(keep(&fault_sys, &err), &err);
            put_file("p.xml", RING("new"));
            f.armed = true;
            rc = keep(&fault_sys, &err);
            fault_stop(&f);
            put_file("p.xml", "bad");
            ring = ring_in_force();
            T_CHECK(strcmp(ring, "new") == 0 || (rc != DEFUPD_OK && strcmp(ring, "old") == 0));
            T_CHECK(f.hit || rc == DEFUPD_OK);
        }
    }
}

/* Number of examples that stand; one that stands is whole. */
static unsigned whole_examples(void)
{
    static const struct {
        const char *path;
        const unsigned long *count;
    } files[] = { { "etc/p.xml.example", NULL },
                  { "etc/policy.xml.example", &ag_embedded_policy_bytes },
                  { "etc/policy.d/proxy.xml.example", &ag_embedded_proxy_bytes },
                  { "etc/policy.d/relays.xml.example", &ag_embedded_relays_bytes },
                  { "etc/policy.d/relay.xml.example", &ag_embedded_relay_bytes },
                  { "etc/policy.d/hooks.xml.example", &ag_embedded_hooks_bytes } };
    unsigned count = 0;
    struct stat st;

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (stat(files[i].path, &st) != 0)
            continue;
        T_CHECK(files[i].count != NULL && (unsigned long)st.st_size == *files[i].count);
        count++;
    }
    return count;
}

static void a_failing_disk_leaves_whole_examples_or_none_and_the_next_time_mends_it(void)
{
    defupd_error err = { 0 };
    char dir[400];
    size_t written;

    if (getcwd(here, sizeof here) == NULL)
        abort();
    (void)snprintf(dir, sizeof dir, "%s/state", here);
    for (int way = 0; way < 3; way++) {
        fault_short = way == 2;
        for (struct fault f = fault_start(way == 0 ? FAULT_ONCE : FAULT_FROM_THEN_ON, ENOSPC);
             fault_round(&f);) {
            defupd_code rc;
            bool marked;

            T_CHECK(t_shell("rm -rf etc state && mkdir state") == 0);
            rc = ag_examples_write(dir, "etc/policy.xml", &fault_disk, &written, &err);
            fault_stop(&f);
            marked = access("state/examples.written", F_OK) == 0;
            T_CHECK(marked == (rc == DEFUPD_OK));
            T_CHECK(!marked || whole_examples() == 5);
            if (marked)
                continue;
            (void)whole_examples();
            T_OK(ag_examples_write(dir, "etc/policy.xml", &ag_disk_posix, &written, &err), &err);
            T_CHECK(whole_examples() == 5);
        }
    }
    fault_short = false;
}

int main(void)
{
    T_RUN(a_failing_disk_leaves_the_old_last_good_policy_or_the_new);
    T_RUN(a_failing_disk_leaves_whole_examples_or_none_and_the_next_time_mends_it);
    return T_DONE();
}
