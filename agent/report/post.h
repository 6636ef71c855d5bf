/* SPDX-License-Identifier: Apache-2.0 */
/* POST of a document over HTTP. The only user of libcurl beside the library. */
#ifndef AG_REPORT_POST_H
#define AG_REPORT_POST_H

#include <stddef.h>
#include <stdint.h>

#include <defupd/error.h>

struct ag_post;

/* `ca_file` NULL: the system's CAs. DEFUPD_E_INVALID (no http or https URL), DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_post_open(struct ag_post **post, const char *url,
                                           const char *ca_file, defupd_error *err);

/* Send one document; connections are kept in between. *status is the answer's, whatever it is, and
 * *retry_after_s its Retry-After in seconds, 0 if none. Ends within a minute. Without an answer:
 * DEFUPD_E_RESOLVE, DEFUPD_E_CONNECT, DEFUPD_E_TLS, DEFUPD_E_TLS_VERIFY, DEFUPD_E_TIMEOUT,
 * DEFUPD_E_INTERRUPTED, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_post_send(struct ag_post *post, const char *body, size_t count,
                                           long *status, int64_t *retry_after_s, defupd_error *err);

void ag_post_close(struct ag_post *post);

#endif
