/* SPDX-License-Identifier: Apache-2.0 */
#include <defupd/lease.h>

#include <stdlib.h>

#include "base/scope.h"
#include "store/store.h"

struct defupd_lease {
    struct du_lease held;
};

static void close_store(struct du_store *store)
{
    du_store_close(store);
}

static defupd_code open_lease(defupd_lease **out, const char *state_dir, defupd_error *err)
{
    DU_AUTO(close_store) struct du_store store = { .dir = -1, .lock = -1 };
    DU_AUTO_FREE defupd_lease *lease = NULL;

    if (state_dir == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "state_dir is NULL");
    DU_TRY(du_store_open_reader(&store, state_dir, &du_sys_posix, err));
    lease = calloc(1, sizeof *lease);
    if (lease == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a lease");
    DU_TRY(du_store_lease(&store, &lease->held, err));
    *out = du_take(&lease);
    return DEFUPD_OK;
}

defupd_code defupd_lease_open(defupd_lease **lease, const char *state_dir, defupd_error *error)
{
    defupd_error scratch;

    if (error == NULL)
        error = &scratch;
    if (lease == NULL)
        return DU_FAIL(error, DEFUPD_E_INVALID, "lease is NULL");
    *lease = NULL;
    return open_lease(lease, state_dir, error);
}

uint64_t defupd_lease_generation(const defupd_lease *lease)
{
    return lease->held.number;
}

const char *defupd_lease_path(const defupd_lease *lease)
{
    return lease->held.path;
}

int defupd_lease_fd(const defupd_lease *lease)
{
    return lease->held.fd;
}

void defupd_lease_close(defupd_lease *lease)
{
    if (lease == NULL)
        return;
    du_lease_free(&lease->held);
    du_mem_free(&lease);
}
