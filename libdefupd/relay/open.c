/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "client/options.h"
#include "relay/relay_priv.h"

static defupd_code copy_components(struct du_relay *relay, const char *const *list,
                                   defupd_error *err)
{
    size_t count = 0;

    while (list != NULL && list[count] != NULL)
        count++;
    relay->components.item = calloc(count + 1, sizeof *relay->components.item);
    if (relay->components.item == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a relay");
    for (size_t i = 0; i < count; i++) {
        if (!du_name_ok(list[i]))
            return DU_FAIL(err, DEFUPD_E_INVALID, "relay: '%s' is not a component's name", list[i]);
        relay->components.item[i] = du_strdup(list[i]);
        if (relay->components.item[i] == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a relay");
        relay->components.count++;
    }
    return DEFUPD_OK;
}

static defupd_code fill(struct du_relay *relay, const struct du_relay_options *from,
                        defupd_error *err)
{
    relay->options = *from;
    relay->options.client = NULL;
    relay->options.components = NULL;
    if (relay->options.keep_s == 0)
        relay->options.keep_s = DU_RELAY_KEEP_S;
    if (relay->options.sys == NULL)
        relay->options.sys = &du_sys_posix;
    DU_TRY(copy_components(relay, from->components, err));
    DU_TRY(du_options_import(&relay->client, from->client, err));
    /* The day's bytes are the endpoint's own: others' content must not use them up. */
    relay->client.bytes_per_day = 0;
    relay->client.budget_bytes = 0;
    relay->ctx.sys = relay->options.sys;
    relay->ctx.options = &relay->client;
    relay->ctx.events = (struct du_events){ .on_event = relay->client.on_event,
                                            .event_user = relay->client.event_user,
                                            .on_log = relay->client.on_log,
                                            .log_user = relay->client.log_user };
    return du_store_open(&relay->ctx.store, relay->client.state_dir, relay->options.sys, err);
}

defupd_code du_relay_open(struct du_relay **out, const struct du_relay_options *options,
                          defupd_error *err)
{
    struct du_relay *made = calloc(1, sizeof *made);
    defupd_code rc;

    if (made == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a relay");
    made->ctx.store = (struct du_store){ .dir = -1, .lock = -1 };
    atomic_init(&made->ctx.cancel, false);
    atomic_init(&made->stop, false);
    (void)pthread_mutex_init(&made->mutex, NULL); /* cannot fail without attributes */
    (void)pthread_cond_init(&made->ended, NULL);
    rc = fill(made, options, err);
    if (rc != DEFUPD_OK) {
        du_relay_close(made);
        return rc;
    }
    *out = made;
    return DEFUPD_OK;
}

void du_relay_close(struct du_relay *relay)
{
    const int saved = errno;

    if (relay == NULL)
        return;
    while (relay->idle != NULL) {
        struct du_relay_hand *next = relay->idle->next;

        du_relay_hand_free(relay->idle);
        relay->idle = next;
    }
    du_named_free(&relay->named);
    (void)pthread_cond_destroy(&relay->ended);
    (void)pthread_mutex_destroy(&relay->mutex);
    du_trust_freep(&relay->ctx.trust);
    du_store_close(&relay->ctx.store);
    du_options_free(&relay->client);
    du_names_free(&relay->components);
    free(relay);
    errno = saved;
}

void du_relay_cancel(struct du_relay *relay)
{
    atomic_store(&relay->ctx.cancel, true);
    atomic_store(&relay->stop, true);
}

void du_relay_dirs_close(struct du_relay_dirs *dirs)
{
    du_fd_close(&dirs->parts);
    du_fd_close(&dirs->objects);
    du_fd_close(&dirs->targets);
    du_fd_close(&dirs->metadata);
    du_fd_close(&dirs->top);
}

defupd_code du_relay_dirs_open(const struct du_relay *relay, bool make, struct du_relay_dirs *dirs,
                               defupd_error *err)
{
    const struct du_sys *sys = relay->ctx.sys;

    if (relay->ctx.store.dir < 0) {
        errno = ENOENT;
        return DU_FAIL_IO(err, "open %s", relay->client.state_dir);
    }
    DU_TRY(du_dir_open(sys, relay->ctx.store.dir, DU_RELAY_FOLDER, make, 0755, &dirs->top, err));
    DU_TRY(du_dir_open(sys, dirs->top, "metadata", make, 0755, &dirs->metadata, err));
    DU_TRY(du_dir_open(sys, dirs->top, "targets", make, 0755, &dirs->targets, err));
    DU_TRY(du_dir_open(sys, dirs->top, "objects", make, 0755, &dirs->objects, err));
    return du_dir_open(sys, dirs->top, "parts", make, 0700, &dirs->parts, err);
}

defupd_code du_relay_object_dir(const struct du_relay *relay, int objects,
                                const unsigned char sha256[DU_SHA256_BYTES], bool make, int *dir,
                                char name[DU_SHA256_HEX + 1], defupd_error *err)
{
    char two[3];

    du_hex(name, sha256, DU_SHA256_BYTES);
    memcpy(two, name, 2);
    two[2] = '\0';
    return du_dir_open(relay->ctx.sys, objects, two, make, 0755, dir, err);
}
