/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests and facts for tests of plan/. Trees: release N has the digest that repeats N's last two
 * decimal digits, so that "03" is the tree of 1003. */
#ifndef PLAN_CASE_H
#define PLAN_CASE_H

#include "plan/plan.h"
#include "t.h"

#define DD(d) d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d
/* A release; `d` is two hex digits for tree and object. */
#define REL_(v, d, requires, children)                                                         \
    "<release version='" #v "' published='2026-11-21T09:00:00Z' size='9' files='1' tree='" DD( \
        d) "' requires='" requires "'>" children "</release>"
#define FULL_(d, n, codec) "<full object='" DD(d) "' bytes='" #n "' codec='" codec "'/>"
#define FULL(d) FULL_(d, 1000, "tar+zst")
#define DELTA_(from, d, n, codec) \
    "<delta from='" #from "' object='" DD(d) "' bytes='" #n "' codec='" codec "'/>"
/* 1001 to 1004 with a full bundle each, and whatever else `x` says. */
#define R1(x) REL_(1001, "01", "", FULL("01") x)
#define R2(x) REL_(1002, "02", "", FULL("02") x)
#define R3(x) REL_(1003, "03", "", FULL("03") x)
#define R4(x) REL_(1004, "04", "", FULL("04") x)
#define GONE(more) "<withdrawn at='2026-11-21T12:00:00Z' " more "/>"
#define ROLLOUT(start, x) "<rollout start='2026-11-21T" start ":00Z'>" x "</rollout>"

#define NOON 1795262400 /* 2026-11-21T12:00:00Z */

static const char *const case_codecs[] = { "tar+zst", "1", NULL };

/* What each test starts from: cohort 500, noon, an engine, another component. */
static inline struct du_plan_facts case_facts(enum du_order order, uint64_t installed)
{
    static const struct du_engine engine[] = { { "scan", "4.10" } };
    static const struct du_installed other[] = { { "yara", 20 } };

    return (struct du_plan_facts){ .order = order,
                                   .now = NOON,
                                   .installed = installed,
                                   .cohort = 500,
                                   .engine = engine,
                                   .engines = 1,
                                   .other = other,
                                   .others = 1,
                                   .codec = case_codecs };
}

/* The manifest of tetra that holds these releases. */
static inline struct du_manifest *case_manifest(const char *releases)
{
    char *text = malloc(strlen(releases) + 100);
    struct du_manifest *manifest = NULL;
    struct du_verified bytes;
    defupd_error err = { 0 };
    int len;

    if (text == NULL)
        abort();
    len = sprintf(text, "<manifest format='1' component='tetra'>%s</manifest>", releases);
    bytes = (struct du_verified){ (const unsigned char *)text, (size_t)len };
    T_OK(du_manifest_parse(&manifest, &bytes, "tetra", "it", &err), &err);
    if (manifest == NULL)
        abort();
    free(text);
    return manifest;
}

#endif
