/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

/*
 * One thread for what blocks (creating and removing links, walks of /proc), so that the loop never
 * stalls. A job runs on the worker; when it is over, its completion runs on the thread that calls
 * worker_finish(), in the order of submission. A job and its argument belong to the worker in
 * between: nothing else may touch them.
 */
struct worker;

int worker_new(struct worker **ret, struct err *e);

/* Becomes readable when completions are waiting. */
int worker_fd(const struct worker *w);

/* 0 or -ENOMEM. @done may be NULL. */
int worker_submit(struct worker *w, void (*run)(void *arg), void (*done)(void *arg), void *arg);

/* Runs the completions of all jobs that are over. */
void worker_finish(struct worker *w);

/* Lets the jobs that were submitted come to an end, runs their completions, ends the thread. */
void worker_free(struct worker *w);
