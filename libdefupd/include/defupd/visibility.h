/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEFUPD_VISIBILITY_H
#define DEFUPD_VISIBILITY_H

/** @file defupd/visibility.h
 *  @brief How public functions are marked. */

#if defined(__GNUC__)
#define DEFUPD_API __attribute__((visibility("default")))
#define DEFUPD_MUST_CHECK __attribute__((warn_unused_result))
#else
#define DEFUPD_API
#define DEFUPD_MUST_CHECK
#endif

#endif
