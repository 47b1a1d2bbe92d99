/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "plan/plan.h"

struct inspector;
struct probe_run;
struct reader;

/*
 * Finds the executables that run, has each read once, plans what the probes want of them, and brings
 * the attachments into line with the plan. All of it blocks, so it belongs to the worker: after
 * discovery_new() only worker jobs may call these functions.
 */
struct discovery;

/*
 * @runs are the probes that may want something of programs, NULL-ended; NULL plans for all probes
 * and attaches nothing (`sonde plan`). Nothing is owned.
 */
struct discovery *discovery_new(const char *proc, struct inspector *inspector,
				struct probe_run *const *runs);

/* Removes all attachments. */
void discovery_free(struct discovery *d);

/* Looks at all processes, or at those given; then plans and attaches. */
int discovery_scan(struct discovery *d, struct err *e);
void discovery_look(struct discovery *d, const pid_t *pids, size_t n);
void discovery_apply(struct discovery *d);

/* Removes all attachments and makes no more. */
void discovery_stop(struct discovery *d);

/*
 * Calls @each for the processes that were looked at since the last call and run a Go program: their
 * names are worth reading while they live.
 */
void discovery_take_looked(struct discovery *d, void (*each)(pid_t pid, void *arg), void *arg);

/* How many processes of the last walk could not be looked at for want of rights. */
size_t discovery_unreadable(const struct discovery *d);

/* How what reads the executables fares: valid as long as @d, to be read between two jobs. */
const struct reader *discovery_reader(const struct discovery *d);

/* The plan in force: valid until the next call. */
const struct plan *discovery_plan(const struct discovery *d);
