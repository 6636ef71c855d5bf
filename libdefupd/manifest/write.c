/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "base/when.h"
#include "manifest/manifest_priv.h"

static void put_time(struct du_xml_writer *w, const char *name, int64_t when)
{
    char text[DU_TIME_TEXT];

    du_time_format(text, when);
    du_xml_put_attr(w, name, text);
}

static void put_digest(struct du_xml_writer *w, const char *name,
                       const unsigned char digest[DU_SHA256_BYTES])
{
    char text[DU_SHA256_HEX + 1];

    du_hex(text, digest, DU_SHA256_BYTES);
    du_xml_put_attr(w, name, text);
}

/* Days, hours, minutes and seconds, so that people can read it: "P1DT6H". */
static void put_duration(struct du_xml_writer *w, const char *name, uint64_t seconds)
{
    const unsigned long long d = seconds / 86400, h = seconds / 3600 % 24, m = seconds / 60 % 60,
                             s = seconds % 60;
    char text[64];
    int n = snprintf(text, sizeof text, "P");

    if (d > 0)
        n += snprintf(text + n, sizeof text - (size_t)n, "%lluD", d);
    if (h > 0 || m > 0 || s > 0 || d == 0)
        n += snprintf(text + n, sizeof text - (size_t)n, "T");
    if (h > 0)
        n += snprintf(text + n, sizeof text - (size_t)n, "%lluH", h);
    if (m > 0)
        n += snprintf(text + n, sizeof text - (size_t)n, "%lluM", m);
    if (s > 0 || seconds == 0)
        (void)snprintf(text + n, sizeof text - (size_t)n, "%lluS", s);
    du_xml_put_attr(w, name, text);
}

static void put_object(struct du_xml_writer *w, const struct du_object *object)
{
    du_xml_start(w, object->from == 0 ? "full" : "delta");
    if (object->from != 0)
        du_xml_put_u64(w, "from", object->from);
    put_digest(w, "object", object->sha256);
    du_xml_put_u64(w, "bytes", object->bytes);
    du_xml_put_attr(w, "codec", object->codec);
    du_xml_end(w);
}

static void put_rollout(struct du_xml_writer *w, const struct du_release *release)
{
    du_xml_start(w, "rollout");
    put_time(w, "start", release->rollout_start);
    if (release->rollout_paused)
        put_time(w, "paused", release->rollout_paused_at);
    for (size_t i = 0; i < release->steps; i++) {
        const struct du_rollout_step *step = &release->step[i];
        const bool ring = step->ring[0] != '\0';

        du_xml_start(w, ring ? "ring" : "step");
        if (ring)
            du_xml_put_attr(w, "name", step->ring);
        put_duration(w, "after", step->after_s);
        if (!ring)
            du_xml_put_u64(w, "permille", step->permille);
        du_xml_end(w);
    }
    du_xml_end(w);
}

static void put_need(struct du_xml_writer *w, const struct du_need *need)
{
    du_xml_start(w, "needs");
    du_xml_put_attr(w, need->engine ? "engine" : "component", need->name);
    if (need->engine)
        du_xml_put_attr(w, "min", need->min_text);
    else
        du_xml_put_u64(w, "min", need->min);
    du_xml_end(w);
}

static void put_withdrawn(struct du_xml_writer *w, const struct du_release *release)
{
    du_xml_start(w, "withdrawn");
    put_time(w, "at", release->withdrawn_at);
    if (release->replace_by != 0)
        du_xml_put_u64(w, "replace-by", release->replace_by);
    if (release->withdrawn_reason != NULL)
        du_xml_put_attr(w, "reason", release->withdrawn_reason);
    du_xml_end(w);
}

static void put_release(struct du_xml_writer *w, const struct du_release *release)
{
    du_xml_start(w, "release");
    du_xml_put_u64(w, "version", release->version);
    if (release->label[0] != '\0')
        du_xml_put_attr(w, "label", release->label);
    put_time(w, "published", release->published);
    put_digest(w, "tree", release->tree);
    du_xml_put_u64(w, "size", release->size);
    du_xml_put_u64(w, "files", release->files);
    if (release->licence_class[0] != '\0')
        du_xml_put_attr(w, "class", release->licence_class);
    /* So that a reader without these features does not take what it should not yet, or not here. */
    du_xml_put_attr(w, "requires",
                    release->has_rollout && release->needs > 0 ? "rollout needs"
                    : release->has_rollout                     ? "rollout"
                    : release->needs > 0                       ? "needs"
                                                               : "");
    if (release->full.codec[0] != '\0')
        put_object(w, &release->full);
    for (size_t i = 0; i < release->deltas; i++)
        put_object(w, &release->delta[i]);
    if (release->has_rollout)
        put_rollout(w, release);
    for (size_t i = 0; i < release->needs; i++)
        put_need(w, &release->need[i]);
    if (release->withdrawn)
        put_withdrawn(w, release);
    if (release->note != NULL) {
        du_xml_start(w, "note");
        du_xml_put_text(w, release->note);
        du_xml_end(w);
    }
    du_xml_end(w);
}

static int newest_first(const void *a, const void *b)
{
    const uint64_t va = (*(const struct du_release *const *)a)->version;
    const uint64_t vb = (*(const struct du_release *const *)b)->version;

    return va < vb ? 1 : va > vb ? -1 : 0;
}

static defupd_code put_manifest(struct du_xml_writer *w, const struct du_manifest *manifest,
                                defupd_error *err)
{
    DU_AUTO_FREE const struct du_release **order = NULL;

    order = calloc(manifest->count + 1, sizeof *order);
    if (order == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a list of %zu releases",
                       manifest->count);
    for (size_t i = 0; i < manifest->count; i++)
        order[i] = &manifest->release[i];
    qsort(order, manifest->count, sizeof *order, newest_first);
    du_xml_start(w, "manifest");
    du_xml_put_u64(w, "format", 1);
    du_xml_put_attr(w, "component", manifest->component);
    for (size_t i = 0; i < manifest->count; i++) {
        /* Only its version is known here: writing it would publish it emptied. */
        if (order[i]->requires != NULL)
            return DU_FAIL(err, DEFUPD_E_MANIFEST_NEWER,
                           "%s %llu was published by a newer version of this software: it requires "
                           "\"%s\"",
                           manifest->component, (unsigned long long)order[i]->version,
                           order[i]->requires);
        put_release(w, order[i]);
    }
    du_xml_end(w);
    return DEFUPD_OK;
}

defupd_code du_manifest_write(const struct du_manifest *manifest, struct du_buf *out,
                              defupd_error *err)
{
    DU_AUTO_XML_WRITER *w = NULL;
    DU_AUTO_BUF text = DU_BUF(DU_MANIFEST_BYTES_MAX);
    DU_AUTO_MANIFEST *proof = NULL;

    DU_TRY(du_xml_writer_new(&w, err));
    DU_TRY(put_manifest(w, manifest, err));
    DU_TRY(du_xml_writer_finish(w, &text, err));
    /* What clients would refuse must not leave the publisher: read it back as they will. */
    DU_TRY(du_manifest_read(&proof, du_buf_bytes(&text), manifest->component, "new manifest", err));
    return du_buf_add(out, text.data, text.len, err);
}
