/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

struct event_base;
struct inspector;
struct probe_run;
struct processes;
struct worker;

/*
 * Follows the processes of the machine: a program that begins is looked at by the worker (probes are
 * attached to it, if they want it), one that ends is told to whoever keeps its series. Events come
 * from the kernel; a walk over all of /proc at the start, every ten seconds and after every loss
 * makes up for what they cannot tell.
 */
struct tracker;

int tracker_new(struct event_base *base, struct worker *w, struct inspector *inspector,
		struct processes *processes, struct probe_run *const *runs, struct tracker **ret,
		struct err *e);

/* Calls @ready once, when the programs that ran at the start have been looked at and attached to. */
void tracker_on_ready(struct tracker *t, void (*ready)(void *arg), void *arg);

/* Takes in all events that are waiting, and makes up for those that were lost. */
void tracker_drain(struct tracker *t);

/* Asks the worker to remove all attachments; they are gone when it is freed. NULL is fine. */
void tracker_stop(struct tracker *t);

/* After the worker. NULL is fine. */
void tracker_free(struct tracker *t);
