// SPDX-License-Identifier: Apache-2.0
#include "probe/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/membarrier.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "kern/features.h"
#include "kern/map.h"
#include "kern/ring.h"

#define SWEEP_NS (10 * NSEC_PER_SEC)
#define LOOK_NS	 (5 * NSEC_PER_SEC)

static const char *const event_attrs[] = { "sonde.probe", "sonde.event.fate", NULL };
static const char *const missed_attrs[] = { "sonde.probe", "sonde.event.reason", NULL };
static const char *const probe_attrs[] = { "sonde.probe", NULL };

enum { METRIC_EVENTS, METRIC_MISSED, METRIC_UNACCOUNTED };

const struct metric probe_run_metrics[] = {
	[METRIC_EVENTS] = { "sonde.events", "{event}", METRIC_COUNTER,
			    "Events that a probe produced, by what became of them.", event_attrs },
	[METRIC_MISSED] = { "sonde.events.missed", "{event}", METRIC_COUNTER,
			    "Starts or ends that a probe saw and could not make an event of.",
			    missed_attrs },
	[METRIC_UNACCOUNTED] = { "sonde.events.unaccounted", "{event}", METRIC_GAUGE,
				 "Events produced less those aggregated, shipped or dropped.",
				 probe_attrs },
	{},
};

/* What became of an event (of the metric sonde.events) or kept one from being (.missed). */
static const struct {
	enum sn_stat stat;
	int metric;
	const char *value;
} fates[] = {
	{ SN_STAT_OVERFLOW, METRIC_EVENTS, "aggregated_overflow" },
	{ SN_STAT_DROP_NO_SERIES, METRIC_EVENTS, "dropped_no_series" },
	{ SN_STAT_DROP_UNREADABLE, METRIC_EVENTS, "dropped_unreadable" },
	{ SN_STAT_DROP_RING_FULL, METRIC_EVENTS, "dropped_ring_full" },
	{ SN_STAT_STATE_FULL, METRIC_MISSED, "state_full" },
	{ SN_STAT_UNMATCHED, METRIC_MISSED, "no_start" },
	{ SN_STAT_UNSUPPORTED, METRIC_MISSED, "unsupported" },
};

struct probe_run {
	const struct probe *probe;
	const struct probe_env *env;
	struct kern_object *object;
	struct kern_hook_state *states;
	size_t n_hooks; /* of the probe's, those that are wanted */
	struct keyed *tables[PROBE_MAX_TABLES];
	struct kern_ring *ring; /* of single events; NULL: none are wanted */
	struct probe_account account;
	uint64_t swept_ns, looked_ns;
	bool detached;
	void *looking; /* the state of probe->look() */
	int stats_fd;
	struct series *fate_series[ARRAY_SIZE(fates)];
	struct series *aggregated_series, *unwanted_series, *shipped_series, *unfinished_series,
		*skipped_series, *unaccounted_series;
};

static void close_tables(struct probe_run *r)
{
	kern_ring_close(r->ring);
	r->ring = NULL;
	for (size_t i = 0; i < PROBE_MAX_TABLES; i++) {
		keyed_close(r->tables[i]);
		r->tables[i] = NULL;
	}
}

static int open_tables(struct probe_run *r, struct err *e)
{
	const struct probe *p = r->probe;
	int err = 0;

	for (size_t i = 0; !err && i < PROBE_MAX_TABLES && p->tables[i].map; i++)
		if (!p->tables[i].detail || r->env->detail)
			err = keyed_open(&p->tables[i], r->object, r->env, &r->tables[i], e);
	return err;
}

static void take_single(const void *data, size_t size, void *arg)
{
	struct probe_run *r = arg;

	if (r->probe->single(r->env, r->object, data, size))
		r->account.shipped++;
	else
		r->account.found.unwanted++;
}

static int open_ring(struct probe_run *r, struct err *e)
{
	const struct probe *p = r->probe;

	if (!p->ring || !probe_wants_singles(r->env))
		return 0;
	return kern_ring_open(kern_object_map(r->object, p->ring), take_single, r, &r->ring, e);
}

static int open_object(struct probe_run *r, int attempt, struct err *e)
{
	const struct probe *p = r->probe;
	int err;

	err = kern_object_open(&p->image, &r->object, e);
	if (!err && p->configure)
		err = p->configure(r->object, r->env, attempt, e);
	if (!err)
		err = kern_object_create(r->object, e);
	if (err)
		return err;
	r->stats_fd = kern_object_map(r->object, "sn_stats");
	if (r->stats_fd < 0)
		return err_set(e, -EINVAL, "BPF object %s lacks the map sn_stats", p->name);
	err = open_tables(r, e);
	if (!err)
		err = open_ring(r, e);
	if (!err && p->prefill)
		err = p->prefill(r->object, r->env, e);
	return err;
}

static int open_hooks(struct probe_run *r, struct err *e)
{
	const struct probe *p = r->probe;
	int err, missing;

	for (int attempt = 0; attempt < 2; attempt++) {
		err = open_object(r, attempt, e);
		if (err)
			return err;
		if (!p->n_hooks)
			return 0;
		missing = kern_hooks_attach(r->object, p->hooks, r->n_hooks, r->env->tier,
					    r->env->hot_only, r->states, e);
		if (missing < 0)
			return missing;
		if (!p->accept || p->accept(r->states, attempt)) {
			err = kern_object_poke(r->object, "sn_stage", SN_STAGE_RUNNING);
			return err && err != -ENOENT
				       ? err_set(e, err, "cannot start: %s", strerror(-err))
				       : 0;
		}
		kern_hooks_detach(r->states, r->n_hooks);
		close_tables(r);
		kern_object_close(r->object);
		r->object = NULL;
	}
	return 0;
}

static struct series *own_series(struct probe_run *r, int metric, const char *key,
				 const char *value)
{
	struct attr attrs[] = { ATTR_STR("sonde.probe", r->probe->name), ATTR_STR(key, value) };

	return registry_series(r->env->registry, &probe_run_metrics[metric], "", attrs,
			       key ? 2 : 1);
}

static void open_series(struct probe_run *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(fates); i++)
		r->fate_series[i] =
			own_series(r, fates[i].metric,
				   fates[i].metric == METRIC_EVENTS ? "sonde.event.fate"
								    : "sonde.event.reason",
				   fates[i].value);
	r->aggregated_series = own_series(r, METRIC_EVENTS, "sonde.event.fate", "aggregated");
	if (r->env->by_process)
		r->unwanted_series = own_series(r, METRIC_EVENTS, "sonde.event.fate", "unwanted");
	r->shipped_series = own_series(r, METRIC_EVENTS, "sonde.event.fate", "shipped");
	r->unfinished_series = own_series(r, METRIC_MISSED, "sonde.event.reason", "no_end");
	r->skipped_series = own_series(r, METRIC_MISSED, "sonde.event.reason", "recursion");
	r->unaccounted_series = own_series(r, METRIC_UNACCOUNTED, NULL, NULL);
}

int probe_run_open(const struct probe *p, const struct probe_env *env, struct probe_run **ret,
		   struct err *e)
{
	struct probe_run *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	r->probe = p;
	r->env = env;
	r->swept_ns = clock_boot_ns();
	r->n_hooks = p->n_hooks - (env->detail ? 0 : p->n_detail_hooks);
	r->states = calloc(p->n_hooks + 1, sizeof(*r->states));
	err = r->states ? open_hooks(r, e) : err_set(e, -ENOMEM, "out of memory");
	if (err) {
		probe_run_close(r);
		return err_wrap(e, err, "probe %s", p->name);
	}
	open_series(r);
	*ret = r;
	return 0;
}

const struct probe *probe_run_probe(const struct probe_run *r)
{
	return r->probe;
}

const struct kern_hook_state *probe_run_hooks(const struct probe_run *r, size_t *n)
{
	*n = r->n_hooks;
	return r->states;
}

int probe_run_hook_runs(const struct probe_run *r, size_t i, struct kern_runs *ret)
{
	*ret = (struct kern_runs){};
	if (i >= r->n_hooks || !r->states[i].attached)
		return 0;
	return kern_program_runs(r->object, r->probe->hooks[i].program, ret);
}

static int attach_together(struct probe_run *r, const struct plan_site *s, size_t n, int fd,
			   struct kern_link **ret, struct err *e)
{
	cleanup(cleanup_free) struct kern_uprobe *places = calloc(n, sizeof(*places));
	struct kern_link *links = NULL;
	struct kern_program *p;
	int err;

	if (!places)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		places[i] = (struct kern_uprobe){ s[i].file_offset, s[i].cookie };
	err = kern_program_load(r->object, r->probe->want->combined, &p, e);
	if (!err)
		err = kern_program_attach_uprobes(p, fd, places, n, &links, e);
	if (err)
		kern_link_free(links);
	else
		*ret = links;
	return err;
}

int probe_run_attach(struct probe_run *r, const struct plan_site *s, size_t n, int fd,
		     struct kern_link **ret, struct err *e)
{
	struct kern_link *links = NULL;
	struct kern_program *p;
	int err = 0;

	/* A kernel that refuses the one program may still take the small ones. */
	if (r->probe->want->combined && kern_has(KERN_UPROBE_MULTI) &&
	    attach_together(r, s, n, fd, ret, e) == 0)
		return 0;
	for (size_t i = 0; !err && i < n; i++) {
		struct kern_uprobe place = { s[i].file_offset };

		err = kern_program_load(r->object, s[i].program, &p, e);
		if (!err)
			err = kern_program_attach_uprobes(p, fd, &place, 1, &links, e);
	}
	if (err)
		kern_link_free(links);
	else
		*ret = links;
	return err;
}

static void publish_account(struct probe_run *r)
{
	struct probe_account *a = &r->account;

	for (size_t i = 0; i < ARRAY_SIZE(fates); i++)
		series_set_total(r->fate_series[i], a->stats[fates[i].stat]);
	series_set_total(r->aggregated_series, a->found.aggregated - a->stats[SN_STAT_OVERFLOW]);
	series_set_total(r->unwanted_series, a->found.unwanted);
	series_set_total(r->shipped_series, a->shipped);
	series_set_total(r->unfinished_series, a->unfinished + a->stats[SN_STAT_STALE]);
	/* The programs of a probe without hooks are the worker's, and are never left out. */
	if (r->probe->n_hooks)
		series_set_total(r->skipped_series, kern_object_misses(r->object));
	series_set(r->unaccounted_series, (double)a->unaccounted);
}

int probe_run_ring_fd(const struct probe_run *r)
{
	return r->ring ? kern_ring_fd(r->ring) : -1;
}

void probe_run_drain(struct probe_run *r)
{
	if (r->ring)
		kern_ring_drain(r->ring);
}

/* A figure that cannot be looked at is missing, and said to be; the others are none the worse. */
static int look(struct probe_run *r, uint64_t now_ns, struct err *e)
{
	if (!r->probe->look || r->detached || now_ns - r->looked_ns < LOOK_NS)
		return 0;
	r->looked_ns = now_ns;
	return r->probe->look(r->object, r->env, &r->looking, PROBE_NOW, e);
}

int probe_run_collect(struct probe_run *r, struct err *e)
{
	struct probe_account *a = &r->account;
	const struct probe *p = r->probe;
	uint64_t now_ns = clock_boot_ns();
	bool sweeps = now_ns - r->swept_ns >= SWEEP_NS;
	int err;

	/* The counts first: what they count is then in the series, the ring or a drop already. */
	err = kern_stats_read(r->stats_fd, a->stats);
	if (!err)
		probe_run_drain(r);
	for (size_t i = 0; !err && i < PROBE_MAX_TABLES; i++)
		if (r->tables[i])
			err = keyed_collect(r->tables[i], now_ns, &a->found, e);
	if (err)
		return err_wrap(e, err, "probe %s", p->name);
	a->dropped = a->stats[SN_STAT_DROP_NO_SERIES] + a->stats[SN_STAT_DROP_UNREADABLE] +
		     a->stats[SN_STAT_DROP_RING_FULL];
	a->unaccounted = (int64_t)(a->stats[SN_STAT_PRODUCED] - a->found.aggregated -
				   a->found.unwanted - a->shipped - a->dropped);
	if (sweeps && p->sweep)
		a->unfinished += p->sweep(r->object, r->env, now_ns);
	for (size_t i = 0; sweeps && i < PROBE_MAX_TABLES; i++)
		if (r->tables[i])
			keyed_let_go(r->tables[i], now_ns, &a->found);
	if (sweeps)
		r->swept_ns = now_ns;
	publish_account(r);
	return look(r, now_ns, e);
}

int probe_run_ignored(const struct probe_run *r)
{
	return r->env->by_process ? kern_object_map(r->object, "sn_ignored") : -ENOENT;
}

void probe_run_ignore(struct probe_run *r, uint32_t tgid, bool ignore)
{
	int fd = probe_run_ignored(r);
	uint8_t one = 1;

	if (fd >= 0 && ignore)
		kern_map_put(fd, &tgid, &one);
	else if (fd >= 0)
		kern_map_delete(fd, &tgid);
}

const struct probe_account *probe_run_account(const struct probe_run *r)
{
	return &r->account;
}

/* Hooks whose programs are still at work on another CPU are done with when this returns. */
static void detach(struct probe_run *r, size_t from, size_t to)
{
	kern_hooks_detach(r->states + from, to - from);
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	probe_run_drain(r);
}

int probe_run_detach(struct probe_run *r, struct err *e)
{
	const struct probe *p = r->probe;
	int err = 0;

	kern_object_poke(r->object, "sn_stage", SN_STAGE_ENDING);
	/* Programs that began before are done with when this returns. */
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	detach(r, p->n_end_hooks, r->n_hooks);
	if (p->look)
		err = p->look(r->object, r->env, &r->looking, PROBE_ENDING, e);
	detach(r, 0, p->n_end_hooks);
	r->detached = true;
	if (p->look && !err)
		err = p->look(r->object, r->env, &r->looking, PROBE_OVER, e);
	return err < 0 ? err_wrap(e, err, "probe %s", p->name) : 0;
}

void probe_run_close(struct probe_run *r)
{
	if (!r)
		return;
	if (r->states)
		kern_hooks_detach(r->states, r->n_hooks);
	close_tables(r);
	if (r->looking)
		r->probe->forget(r->looking);
	kern_object_close(r->object);
	free(r->states);
	free(r);
}
