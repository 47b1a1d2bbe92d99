/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "probe/run.h"

/*
 * What the hooks of a probe cost on this machine: exchanges are played over a loopback connection of
 * our own while the kernel counts the runs of its programs and their time. That count adds some 20 ns
 * to each run, which is not taken off again. Other programs' exchanges run ours meanwhile, too.
 */

/* The play is in parts, and their median counts: a run that was interrupted spoils its part only. */
#define COST_PARTS     20
#define COST_EXCHANGES 50 /* in each part */

struct cost_hook {
	double runs; /* per exchange and side; 0: not measured, or no part of an exchange */
	double ns;   /* per run */
};

struct cost {
	struct cost_hook hooks[KERN_MAX_HOOKS]; /* in the order of the probe's */
	double exchange_ns;			/* per exchange and side */
};

/*
 * Of one hook: @parts are what it gained in @n parts, of @sides exchanges and sides each. Runs per
 * exchange and side are as counted where that can be ours alone, else 1, for more are others' too,
 * and fewer are a count that failed. Zeroes if it never ran.
 */
struct cost_hook cost_of_hook(const struct kern_runs *parts, size_t n, uint64_t sides);

/* Whether the probe has hooks that run in an exchange. */
bool cost_has(const struct probe *p);

/*
 * Measures @r, which is attached: blocks for @limit_ns at most, a second more where loopback does not
 * answer. -errno with a sentence, and no figure, if statistics are refused, a hook is missing, or not
 * one part could be played in time.
 */
int cost_measure(const struct probe_run *r, uint64_t limit_ns, struct cost *ret, struct err *e);

/*
 * The same of hooks that are opened for it and closed again: those of @env that run in an exchange.
 * No other run of the probe may be attached, for programs at one place warm the caches for each other.
 */
int cost_measure_apart(const struct probe *p, const struct probe_env *env, uint64_t limit_ns,
		       struct cost *ret, struct err *e);
