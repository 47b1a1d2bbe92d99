// SPDX-License-Identifier: Apache-2.0
#include "probe/cost.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/loopback.h"

/* A few runs more than ours are those of others, on a machine that is not idle. */
#define RUNS_PLAUSIBLE 1.1

/* What the hooks gained, and in how many parts. */
struct gains {
	struct kern_runs runs[KERN_MAX_HOOKS][COST_PARTS];
	size_t n;
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct cost_hook cost_of_hook(const struct kern_runs *parts, size_t n, uint64_t sides)
{
	double each[COST_PARTS], runs;
	uint64_t count = 0;
	size_t m = 0;

	for (size_t i = 0; i < n && i < COST_PARTS; i++) {
		count += parts[i].count;
		if (parts[i].count)
			each[m++] = (double)parts[i].time_ns / (double)parts[i].count;
	}
	if (!m)
		return (struct cost_hook){};
	qsort(each, m, sizeof(*each), by_value);
	runs = (double)count / (double)(n * sides);
	if (runs < 1 || runs > RUNS_PLAUSIBLE)
		runs = 1;
	return (struct cost_hook){ runs, (each[(m - 1) / 2] + each[m / 2]) / 2 };
}

bool cost_has(const struct probe *p)
{
	for (size_t i = 0; i < p->n_hooks; i++)
		if (p->hooks[i].hot)
			return true;
	return false;
}

static int read_runs(const struct probe_run *r, struct kern_runs runs[KERN_MAX_HOOKS])
{
	const struct kern_hook *hooks = probe_run_probe(r)->hooks;
	int err = 0;
	size_t n;

	probe_run_hooks(r, &n);
	for (size_t i = 0; !err && i < n; i++)
		if (hooks[i].hot)
			err = probe_run_hook_runs(r, i, &runs[i]);
	return err;
}

static bool play_part(const struct loopback *l, uint64_t end_ns)
{
	for (int i = 0; i < COST_EXCHANGES; i++)
		if (clock_boot_ns() >= end_ns || !loopback_exchange(l))
			return false;
	return true;
}

static int play(const struct probe_run *r, const struct loopback *l, uint64_t end_ns,
		struct gains *g)
{
	struct kern_runs before[KERN_MAX_HOOKS] = {}, now[KERN_MAX_HOOKS] = {};
	int err;

	/* Not counted: caches and the connection's window come to rest. */
	play_part(l, end_ns);
	err = read_runs(r, before);
	while (!err && g->n < COST_PARTS && play_part(l, end_ns)) {
		err = read_runs(r, now);
		for (size_t i = 0; i < KERN_MAX_HOOKS; i++)
			g->runs[i][g->n] = (struct kern_runs){ now[i].count - before[i].count,
							       now[i].time_ns - before[i].time_ns };
		memcpy(before, now, sizeof(before));
		g->n++;
	}
	return err;
}

/* Each figure of an exchange has a hook. */
static bool all_attached(const struct probe_run *r)
{
	const struct kern_hook *hooks = probe_run_probe(r)->hooks;
	const struct kern_hook_state *states;
	bool had = false;
	size_t n;

	states = probe_run_hooks(r, &n);
	for (size_t i = 0; i < n; i++) {
		bool last = i + 1 == n || strcmp(hooks[i].figure, hooks[i + 1].figure) != 0;

		had = had || states[i].attached;
		if (last && hooks[i].hot && !had)
			return false;
		had = had && !last;
	}
	return true;
}

static int add_up(const struct gains *g, struct cost *ret, struct err *e)
{
	struct cost c = {};

	if (!g->n)
		return err_set(e, -ETIME,
			       "the machine is too slow, or too busy, to play %d exchanges in time",
			       2 * COST_EXCHANGES);
	for (size_t i = 0; i < KERN_MAX_HOOKS; i++) {
		c.hooks[i] = cost_of_hook(g->runs[i], g->n, 2 * COST_EXCHANGES);
		c.exchange_ns += c.hooks[i].runs * c.hooks[i].ns;
	}
	if (c.exchange_ns <= 0)
		return err_set(e, -ENODATA, "the kernel counts no runs of the programs");
	*ret = c;
	return 0;
}

static int measure(const struct probe_run *r, const struct loopback *l, uint64_t limit_ns,
		   struct cost *ret, struct err *e)
{
	cleanup(cleanup_fd) int statistics = -1;
	struct gains g = {};
	int err;

	if (!all_attached(r))
		return err_set(e, -ENOTSUP, "a hook that runs in each exchange is missing");
	statistics = kern_run_statistics(e);
	if (statistics < 0)
		return statistics;
	err = play(r, l, clock_boot_ns() + limit_ns, &g);
	return err ? err_set(e, err, "the kernel does not tell the runs of its programs: %s",
			     strerror(-err))
		   : add_up(&g, ret, e);
}

static int open_loopback(struct loopback *l, struct err *e)
{
	int r = loopback_open(l);

	return r ? err_set(e, r, "no connection over loopback: %s", strerror(-r)) : 0;
}

int cost_measure(const struct probe_run *r, uint64_t limit_ns, struct cost *ret, struct err *e)
{
	struct loopback l;
	int err = open_loopback(&l, e);

	if (err)
		return err;
	err = measure(r, &l, limit_ns, ret, e);
	loopback_close(&l);
	return err;
}

int cost_measure_apart(const struct probe *p, const struct probe_env *env, uint64_t limit_ns,
		       struct cost *ret, struct err *e)
{
	struct probe_env hot = *env;
	struct probe_run *run;
	struct loopback l;
	int err = open_loopback(&l, e);

	if (err)
		return err;
	/* The connection is older than the hooks: its listener is what tells its ends apart. */
	hot.hot_only = true;
	err = probe_run_open(p, &hot, &run, e);
	if (!err) {
		err = measure(run, &l, limit_ns, ret, e);
		probe_run_close(run);
	}
	loopback_close(&l);
	return err;
}
