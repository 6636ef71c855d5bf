/* SPDX-License-Identifier: Apache-2.0 */
/* A thread of the library's own inside of a call: it does not outlive the call, is small, and takes
 * no signals. */
#ifndef DU_SYS_THREAD_H
#define DU_SYS_THREAD_H

#include <pthread.h>

/* pthread_create(3), or what a test puts in its place. */
typedef int (*du_thread_start_fn)(pthread_t *thread, const pthread_attr_t *attr,
                                  void *(*run)(void *), void *user);

/* 0, or an error number: a host without threads to spare is slower and nothing else. */
int du_thread_start(du_thread_start_fn start, pthread_t *thread, void *(*run)(void *), void *user);

#endif
