// SPDX-License-Identifier: Apache-2.0
#include "probe/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "kern/features.h"
#include "kern/map.h"
#include "world/process.h"

/* A series is let go when it has not moved for so long: of an ended process, of one that lives. */
#define LET_GO_NS      (5 * NSEC_PER_SEC)
#define LET_GO_LIVE_NS (600 * NSEC_PER_SEC)
#define SWEEP_NS       (10 * NSEC_PER_SEC)

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
	{ SN_STAT_STATE_FULL, METRIC_MISSED, "state_full" },
	{ SN_STAT_UNMATCHED, METRIC_MISSED, "no_start" },
	{ SN_STAT_UNSUPPORTED, METRIC_MISSED, "unsupported" },
};

struct entry {
	struct probe_entry public;
	char service[SERVICE_NAME_MAX]; /* outlives what `processes` knows of it */
	uint32_t tgid;
	uint64_t changed_ns;
	UT_hash_handle hh;
	void *value; /* as it was at the last reading; behind the key in one piece of memory */
	char key[];
};

struct probe_run {
	const struct probe *probe;
	const struct probe_env *env;
	struct kern_object *object;
	struct kern_hook_state *states;
	struct entry *entries;
	struct probe_account account;
	uint64_t now_ns, swept_ns;
	int series_fd, stats_fd, processes_fd;
	struct series *fate_series[ARRAY_SIZE(fates)];
	struct series *aggregated_series, *unfinished_series, *skipped_series, *unaccounted_series;
};

static int add_overflow_keys(struct probe_run *r, struct err *e)
{
	const struct probe *p = r->probe;
	cleanup(cleanup_free) void *zero = calloc(1, p->value_size);
	int err = 0;

	if (!zero)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; !err && i < p->n_overflow_keys; i++)
		err = kern_map_put(r->series_fd, (const char *)p->overflow_keys + i * p->key_size,
				   zero);
	if (err)
		return err_set(e, err, "cannot write to a BPF map: %s", strerror(-err));
	return 0;
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
	r->series_fd = kern_object_map(r->object, p->series_map);
	r->stats_fd = kern_object_map(r->object, "sn_stats");
	r->processes_fd = kern_object_map(r->object, "sn_processes");
	if (r->series_fd < 0 || r->stats_fd < 0 || r->processes_fd < 0)
		return err_set(e, -EINVAL, "BPF object %s lacks one of its maps", p->name);
	err = add_overflow_keys(r, e);
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
		missing = kern_hooks_attach(r->object, p->hooks, p->n_hooks, r->env->tier,
					    r->states, e);
		if (missing < 0)
			return missing;
		if (!p->accept || p->accept(r->states, missing, attempt))
			return 0;
		kern_hooks_detach(r->states, p->n_hooks);
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

const struct kern_hook_state *probe_run_hooks(const struct probe_run *r)
{
	return r->states;
}

static int attach_together(struct probe_run *r, const struct plan_site *s, size_t n, int fd,
			   struct kern_link **ret, struct err *e)
{
	cleanup(cleanup_free) struct kern_uprobe *places = calloc(n, sizeof(*places));
	struct kern_program *p;
	int err;

	if (!places)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		places[i] = (struct kern_uprobe){ s[i].file_offset, s[i].cookie };
	err = kern_program_load(r->object, r->probe->want->combined, &p, e);
	return err ? err : kern_program_attach_uprobes(p, fd, places, n, ret, e);
}

int probe_run_attach(struct probe_run *r, const struct plan_site *s, size_t n, int fd,
		     struct kern_link **ret, struct err *e)
{
	struct kern_link *links = NULL;
	struct kern_program *p;
	int err = 0;

	if (r->probe->want->combined && kern_has(KERN_UPROBE_MULTI))
		return attach_together(r, s, n, fd, ret, e);
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

static bool is_overflow_key(const struct probe *p, const void *key)
{
	for (size_t i = 0; i < p->n_overflow_keys; i++)
		if (memcmp((const char *)p->overflow_keys + i * p->key_size, key, p->key_size) == 0)
			return true;
	return false;
}

static void name_entry(struct probe_run *r, struct entry *en)
{
	char comm[SN_COMM_LEN + 1] = {};
	struct sn_process known;

	en->public.overflow = is_overflow_key(r->probe, en->key);
	if (en->public.overflow) {
		en->public.service = "";
		return;
	}
	en->tgid = r->probe->tgid(en->key);
	if (kern_map_get(r->processes_fd, &en->tgid, &known) == 0)
		memcpy(comm, known.comm, SN_COMM_LEN);
	snprintf(en->service, sizeof(en->service), "%s",
		 processes_service(r->env->processes, en->tgid, comm));
	en->public.service = en->service;
}

static struct entry *get_entry(struct probe_run *r, const void *key)
{
	const struct probe *p = r->probe;
	/* The value needs the alignment of its 64-bit counts. */
	size_t key_room = (p->key_size + 7) & ~(size_t)7;
	struct entry *en;

	HASH_FIND(hh, r->entries, key, p->key_size, en);
	if (en)
		return en;
	en = calloc(1, sizeof(*en) + key_room + p->value_size);
	if (!en)
		return NULL;
	memcpy(en->key, key, p->key_size);
	en->public.key = en->key;
	en->value = en->key + key_room;
	en->changed_ns = r->now_ns;
	name_entry(r, en);
	HASH_ADD_KEYPTR(hh, r->entries, en->key, p->key_size, en);
	return en;
}

/* A process that became another program goes on under another name, from its next event on. */
static void follow_name(struct probe_run *r, struct entry *en)
{
	const char *name = processes_current(r->env->processes, en->tgid);

	if (en->public.overflow || !name ||
	    strncmp(name, en->service, sizeof(en->service) - 1) == 0)
		return;
	snprintf(en->service, sizeof(en->service), "%s", name);
	memset(en->public.series, 0, sizeof(en->public.series));
}

static void add_value(struct probe_run *r, struct entry *en, const void *value)
{
	const struct probe *p = r->probe;

	if (memcmp(en->value, value, p->value_size) == 0)
		return;
	follow_name(r, en);
	r->account.aggregated += p->add(r->env->registry, &en->public, en->value, value);
	memcpy(en->value, value, p->value_size);
	en->changed_ns = r->now_ns;
}

static int take_value(const void *key, const void *value, void *arg)
{
	struct entry *en = get_entry(arg, key);

	if (!en)
		return -ENOMEM;
	add_value(arg, en, value);
	return 0;
}

/*
 * Lets go of a series that nothing adds to any more. What came since the last look is not lost: the
 * kernel hands out the value as it was when the entry left the map. Kernels that cannot (before 5.14)
 * are asked once more just before.
 */
static void let_go_of(struct probe_run *r, struct entry *en, void *value)
{
	if (kern_map_take(r->series_fd, en->key, value) == 0) {
		add_value(r, en, value);
	} else {
		if (kern_map_get(r->series_fd, en->key, value) == 0)
			add_value(r, en, value);
		kern_map_delete(r->series_fd, en->key);
	}
	if (processes_ended(r->env->processes, en->tgid))
		kern_map_delete(r->processes_fd, &en->tgid);
	HASH_DEL(r->entries, en);
	free(en);
}

static void let_go(struct probe_run *r)
{
	cleanup(cleanup_free) void *value = malloc(r->probe->value_size);
	struct entry *en, *next;

	HASH_ITER (hh, r->entries, en, next) {
		uint64_t idle = r->now_ns - en->changed_ns;
		bool ended;

		if (!value || en->public.overflow || idle < LET_GO_NS)
			continue;
		ended = processes_ended(r->env->processes, en->tgid);
		if (ended || idle >= LET_GO_LIVE_NS)
			let_go_of(r, en, value);
	}
}

static void publish_account(struct probe_run *r)
{
	struct probe_account *a = &r->account;

	for (size_t i = 0; i < ARRAY_SIZE(fates); i++)
		series_set_total(r->fate_series[i], a->stats[fates[i].stat]);
	series_set_total(r->aggregated_series, a->aggregated - a->stats[SN_STAT_OVERFLOW]);
	series_set_total(r->unfinished_series, a->unfinished + a->stats[SN_STAT_STALE]);
	/* The programs of a probe without hooks are the worker's, and are never left out. */
	if (r->probe->n_hooks)
		series_set_total(r->skipped_series, kern_object_misses(r->object));
	series_set(r->unaccounted_series, (double)a->unaccounted);
}

int probe_run_collect(struct probe_run *r, struct err *e)
{
	struct probe_account *a = &r->account;
	const struct probe *p = r->probe;
	int err;

	r->now_ns = clock_boot_ns();
	/* The counts first: what they count is then in the series, or in a drop, already. */
	err = kern_stats_read(r->stats_fd, a->stats);
	if (!err)
		err = kern_map_walk(r->series_fd, p->key_size, p->value_size, take_value, r, e);
	if (err)
		return err_wrap(e, err, "probe %s", p->name);
	a->dropped = a->stats[SN_STAT_DROP_NO_SERIES] + a->stats[SN_STAT_DROP_UNREADABLE];
	a->unaccounted = (int64_t)(a->stats[SN_STAT_PRODUCED] - a->aggregated - a->dropped);
	if (r->now_ns - r->swept_ns >= SWEEP_NS) {
		r->swept_ns = r->now_ns;
		if (p->sweep)
			a->unfinished += p->sweep(r->object, r->env, r->now_ns);
		let_go(r);
	}
	publish_account(r);
	return 0;
}

const struct probe_account *probe_run_account(const struct probe_run *r)
{
	return &r->account;
}

void probe_run_detach(struct probe_run *r)
{
	kern_hooks_detach(r->states, r->probe->n_hooks);
}

void probe_run_close(struct probe_run *r)
{
	struct entry *en, *next;

	if (!r)
		return;
	if (r->states)
		probe_run_detach(r);
	HASH_ITER (hh, r->entries, en, next) {
		HASH_DEL(r->entries, en);
		free(en);
	}
	kern_object_close(r->object);
	free(r->states);
	free(r);
}
