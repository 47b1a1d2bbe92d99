/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "probe/probe.h"

/*
 * One of a probe's maps of series at work: what each key gained since the last look goes into the
 * registry. All functions belong to one thread.
 */
struct keyed;

/*
 * Puts the overflow keys into the map, before any program runs. @t and @env outlive it; the map and
 * sn_processes are those of @o. -EINVAL: @o lacks one of them.
 */
int keyed_open(const struct probe_table *t, struct kern_object *o, const struct probe_env *env,
	       struct keyed **ret, struct err *e);

/* Events that were found: in the registry; of processes that are not wanted, and so nowhere. */
struct keyed_events {
	uint64_t aggregated, unwanted;
};

/* Adds the events that it found to *@events. */
int keyed_collect(struct keyed *k, uint64_t now_ns, struct keyed_events *events, struct err *e);

/* Lets go of keys that nothing adds to any more; what they gained at the last moment is added. */
void keyed_let_go(struct keyed *k, uint64_t now_ns, struct keyed_events *events);

void keyed_close(struct keyed *k);
