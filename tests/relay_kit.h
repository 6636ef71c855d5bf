/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay between the repository and the endpoint of update_kit.h: its state directory is hub/, it
 * asks file://HERE/repo unless hub.source says otherwise; endpoints are to ask hub_url().
 */
#ifndef RELAY_KIT_H
#define RELAY_KIT_H

#include "relay/relay_priv.h"
#include "t_tree.h"
#include "update_kit.h"

static struct {
    struct du_relay_options options;
    struct du_relay_report report;
    const char *source; /* NULL: repo/ */
    defupd_client_options client;
} hub;

static inline void hub_start(void)
{
    const defupd_client_options client = DEFUPD_CLIENT_OPTIONS_INIT;

    memset(&hub, 0, sizeof hub);
    hub.client = client;
}

static inline defupd_code hub_open(struct du_relay **relay, defupd_error *err)
{
    static char root[65536], state[256], url[256];
    static const char *sources[2];
    FILE *file = fopen("repo/metadata/1.root.json", "r");

    kit.events = 0;
    (void)snprintf(state, sizeof state, "%s/hub", kit.here);
    (void)snprintf(url, sizeof url, "file://%s/repo", kit.here);
    sources[0] = hub.source != NULL ? hub.source : url;
    hub.client.state_dir = state;
    hub.client.sources = hub.client.source_list == NULL ? sources : NULL;
    if (hub.client.trusted_root == NULL) {
        hub.client.trusted_root_bytes = file != NULL ? fread(root, 1, sizeof root, file) : 0;
        hub.client.trusted_root = root;
    }
    if (file != NULL)
        (void)fclose(file);
    hub.client.on_event = kit_on_event;
    hub.options.client = &hub.client;
    return du_relay_open(relay, &hub.options, err);
}

static inline defupd_code hub_sync_from(const char *archive, defupd_error *err)
{
    defupd_import from = DEFUPD_IMPORT_INIT;
    struct du_relay *relay = NULL;
    defupd_code rc = hub_open(&relay, err);

    from.path = archive;
    if (rc == DEFUPD_OK)
        rc = du_relay_sync(relay, archive != NULL ? &from : NULL, &hub.report, err);
    du_relay_close(relay);
    return rc;
}

static inline defupd_code hub_sync(defupd_error *err)
{
    return hub_sync_from(NULL, err);
}

static inline const char *hub_url(void)
{
    static char url[256];

    (void)snprintf(url, sizeof url, "file://%s/hub/relay", kit.here);
    return url;
}

static inline struct du_relay_figures hub_figures(void)
{
    struct du_relay_figures figures;
    char state[256];
    defupd_error err = { 0 };

    (void)snprintf(state, sizeof state, "%s/hub", kit.here);
    T_OK(du_relay_figures_read(&figures, state, &err), &err);
    return figures;
}

/* Versions FROM to TO of alpha: trees a1, a2, ..., which are there afterwards. */
static inline void hub_releases(int from, int to)
{
    char name[16], text[16];

    for (int v = from; v <= to; v++) {
        (void)snprintf(name, sizeof name, "a%d", v);
        (void)snprintf(text, sizeof text, "text %d", v);
        t_tree(name, text);
        kit_add((uint64_t)v, name);
    }
}

/* The later the clock of the relay. */
static int64_t hub_later_s;
static inline int64_t hub_now_s(void)
{
    return du_sys_posix.now_s() + hub_later_s;
}
static inline void hub_turn_clock(int64_t later_s)
{
    static struct du_sys sys;

    hub_later_s = later_s;
    sys = du_sys_posix;
    sys.now_s = hub_now_s;
    hub.options.sys = &sys;
}

#endif
