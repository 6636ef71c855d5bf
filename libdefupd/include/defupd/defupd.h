/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEFUPD_DEFUPD_H
#define DEFUPD_DEFUPD_H

/** @file defupd/defupd.h
 *  @brief Everything an embedder needs, in one include. */

#include <defupd/client.h>
#include <defupd/error.h>
#include <defupd/event.h>
#include <defupd/lease.h>
#include <defupd/report.h>
#include <defupd/status.h>
#include <defupd/version.h>

#endif
