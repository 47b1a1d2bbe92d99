/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "probe/keyed.h"
#include "probe/probe.h"

/*
 * A probe at work. All functions belong to one thread, except probe_run_attach(), which is the
 * worker's: it touches nothing but the object's programs.
 */
struct probe_run;

/* The account of a probe's events since it was opened. */
struct probe_account {
	uint64_t stats[SN_STAT_MAX]; /* the kernel half's own counts */
	struct keyed_events found;   /* in series, or of processes that are not wanted */
	uint64_t shipped;	     /* events taken out of the ring */
	uint64_t dropped;	     /* the sum of the DROP counts */
	uint64_t unfinished;	     /* starts that were aged out or whose process ended */
	/*
	 * produced - aggregated - unwanted - shipped - dropped: between two readings an event can be in one count and
	 * not yet in the other; once the hooks are off it is 0, or sonde has a bug.
	 */
	int64_t unaccounted;
};

extern const struct metric probe_run_metrics[];

/*
 * Makes the probe's maps and attaches its hooks. Figures that this kernel cannot give are no error:
 * probe_run_hooks() has them. -errno with a sentence when nothing can be had.
 */
int probe_run_open(const struct probe *p, const struct probe_env *env, struct probe_run **ret,
		   struct err *e);

const struct probe *probe_run_probe(const struct probe_run *r);

/* The states of the first *@n of probe->hooks, in their order: those of details only if wanted. */
const struct kern_hook_state *probe_run_hooks(const struct probe_run *r, size_t *n);

/* What the kernel counted of the program of hook @i, see kern_program_runs(); none if not attached. */
int probe_run_hook_runs(const struct probe_run *r, size_t i, struct kern_runs *ret);

/*
 * Attaches the @n planned sites of one file (plan_group()) to the file behind @fd, all or none. Worker
 * thread. The caller frees the link.
 */
int probe_run_attach(struct probe_run *r, const struct plan_site *s, size_t n, int fd,
		     struct kern_link **ret, struct err *e);

/* Becomes readable when the ring of single events is half full; -1: there is none. */
int probe_run_ring_fd(const struct probe_run *r);

/* Hands what waits in the ring to its sink, with no system call if there is nothing. */
void probe_run_drain(struct probe_run *r);

/*
 * Whether the kernel half is to leave this process alone, as far as it can be told to; a full map is no
 * error, for keyed.h leaves it out.
 */
void probe_run_ignore(struct probe_run *r, uint32_t tgid, bool ignore);

/* The map of those that it leaves alone, or -ENOENT if that cannot be told. */
int probe_run_ignored(const struct probe_run *r);

/* Moves what the kernel half gained into the registry, and checks the account. */
int probe_run_collect(struct probe_run *r, struct err *e);

const struct probe_account *probe_run_account(const struct probe_run *r);

/*
 * Removes the hooks, and looks a last time at what has to be; a last probe_run_collect() then gives exact
 * figures. An error is of that look alone.
 */
int probe_run_detach(struct probe_run *r, struct err *e);

void probe_run_close(struct probe_run *r);
