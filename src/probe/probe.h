/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "kern/object.h"
#include "kern/tiers.h"
#include "model/connections.h"
#include "model/event.h"
#include "model/registry.h"
#include "plan/plan.h"
#include "world/processes.h"

/*
 * A probe is a constant: data first, functions second, NULL means "does not". Its kernel half is
 * bpf/NAME.bpf.c; its row in probes.def makes it known. docs/ADD-A-PROBE.md shows how to write one.
 *
 * What all probes have in common is done once, in run.c: maps and hooks, the walk over the series,
 * names of processes, counts of losses.
 */

/* Series that a probe keeps handles of, for each key of its map. */
#define PROBE_MAX_SERIES 32

#define PROBE_MAX_TABLES 3

/* One key of a probe's series map, as user space knows it. */
struct probe_entry {
	const void *key;
	const char *service; /* of the process in the key; "" in the overflow series */
	bool overflow;
	struct series *series[PROBE_MAX_SERIES]; /* the probe's own; NULL until it needs them */
};

/* What is to be told singly. */
struct probe_singles {
	bool exchanges, failures, ends; /* of them; none if there is no sink */
	uint64_t slower_than_ns;	/* of exchanges: at least so long */
	struct event_sink sink;
};

struct probe_env {
	struct registry *registry;
	struct processes *processes;
	const char *proc;    /* "/proc" */
	enum kern_tier tier; /* forced, or KERN_TIER_AUTO */
	bool detail;	     /* also what costs more */
	struct probe_singles singles;
	struct connections *connections; /* where single connections are added up, or NULL */
	bool by_process;		 /* some processes are not measured: processes_select() */
	struct sn_tcp_filter tcp_filter;
	bool hot_only; /* of the hooks, those that run in each exchange: to measure them */
};

bool probe_wants_singles(const struct probe_env *env);

/* A map of series. */
struct probe_table {
	const char *map;
	size_t key_size, value_size;
	/* They must be in it before the programs run: what has no room goes there. */
	const void *overflow_keys;
	size_t n_overflow_keys;
	uint32_t (*tgid)(const void *key);
	/*
	 * Adds to the registry what @entry gained between two readings of its value; @before is
	 * zeroed at the first. Returns the number of events, for the account of losses; that alone
	 * is wanted when @r is NULL, which registry_series() takes.
	 */
	uint64_t (*add)(struct registry *r, struct probe_entry *entry, const void *before,
			const void *now);
	bool detail; /* made only when details are asked for */
};

/* When a probe looks: every five seconds; with the first n_end_hooks left; when all hooks are off. */
enum probe_moment { PROBE_NOW, PROBE_ENDING, PROBE_OVER };

struct probe {
	const char *name;
	const char *summary; /* half a line, for `sonde list` */
	const struct metric *metrics;
	struct kern_image image;

	/* Hooks on kernel events: one of each figure is attached. */
	const struct kern_hook *hooks;
	size_t n_hooks;
	size_t n_detail_hooks; /* so many of the last are for details */
	size_t n_end_hooks;    /* so many of the first stay until the last look is over */

	/* What it wants of programs: attached to each that has it, as they come and go. */
	const struct plan_want *want;

	struct probe_table tables[PROBE_MAX_TABLES]; /* ends with a NULL map */

	/*
	 * Before the maps are made: variables, sizes. @attempt is 0, then 1 if accept() was not
	 * content with the hooks that could be had.
	 */
	int (*configure)(struct kern_object *o, const struct probe_env *env, int attempt,
			 struct err *e);
	/* Between the making of the maps and the attaching of the hooks. */
	int (*prefill)(struct kern_object *o, const struct probe_env *env, struct err *e);
	bool (*accept)(const struct kern_hook_state *states, int attempt);
	/* The map that single events come through, and what takes one of them. */
	const char *ring;
	/* False: it is of a process that is not wanted, and was not told. */
	bool (*single)(const struct probe_env *env, struct kern_object *o, const void *data,
		       size_t size);
	/*
	 * What has to be looked at to be known. @state is the probe's own, NULL at first; forget()
	 * frees it.
	 */
	int (*look)(struct kern_object *o, const struct probe_env *env, void **state,
		    enum probe_moment when, struct err *e);
	void (*forget)(void *state);
	/* Every ten seconds: ages out what never ended; the number of such. */
	uint64_t (*sweep)(struct kern_object *o, const struct probe_env *env, uint64_t now_ns);
};

extern const struct probe *const probes[]; /* NULL-ended, from probes.def */

const struct probe *probe_find(const char *name);
