// SPDX-License-Identifier: Apache-2.0
#include "probe/keyed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "kern/map.h"
#include "world/process.h"

/* A key is let go when it has not moved for so long: of an ended process, of one that lives. */
#define LET_GO_NS      (5 * NSEC_PER_SEC)
#define LET_GO_LIVE_NS (600 * NSEC_PER_SEC)

struct entry {
	struct probe_entry public;
	char service[SERVICE_NAME_MAX]; /* outlives what `processes` knows of it */
	uint32_t tgid;
	bool unwanted;
	uint64_t changed_ns;
	UT_hash_handle hh;
	void *value; /* as it was at the last reading; behind the key in one piece of memory */
	char key[];
};

struct keyed {
	const struct probe_table *table;
	const struct probe_env *env;
	struct entry *entries;
	struct keyed_events events;
	uint64_t now_ns;
	int map_fd, processes_fd;
};

static int add_overflow_keys(struct keyed *k, struct err *e)
{
	const struct probe_table *t = k->table;
	cleanup(cleanup_free) void *zero = calloc(1, t->value_size);
	int err = 0;

	if (!zero)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; !err && i < t->n_overflow_keys; i++)
		err = kern_map_put(k->map_fd, (const char *)t->overflow_keys + i * t->key_size,
				   zero);
	if (err)
		return err_set(e, err, "cannot write to a BPF map: %s", strerror(-err));
	return 0;
}

static bool is_overflow_key(const struct probe_table *t, const void *key)
{
	for (size_t i = 0; i < t->n_overflow_keys; i++)
		if (memcmp((const char *)t->overflow_keys + i * t->key_size, key, t->key_size) == 0)
			return true;
	return false;
}

static void name_entry(struct keyed *k, struct entry *en)
{
	char comm[SN_COMM_LEN + 1] = {};
	struct sn_process known;

	en->public.overflow = is_overflow_key(k->table, en->key);
	if (en->public.overflow) {
		en->public.service = "";
		return;
	}
	en->tgid = k->table->tgid(en->key);
	if (!en->tgid) {
		snprintf(en->service, sizeof(en->service), "unknown");
		en->public.service = en->service;
		return;
	}
	if (kern_map_get(k->processes_fd, &en->tgid, &known) == 0) {
		memcpy(comm, known.comm, SN_COMM_LEN);
		processes_remember(k->env->processes, en->tgid, comm, known.parent);
	}
	snprintf(en->service, sizeof(en->service), "%s",
		 processes_service(k->env->processes, en->tgid, comm));
	en->public.service = en->service;
}

static struct entry *get_entry(struct keyed *k, const void *key)
{
	const struct probe_table *t = k->table;
	/* The value needs the alignment of its 64-bit counts. */
	size_t key_room = (t->key_size + 7) & ~(size_t)7;
	struct entry *en;

	HASH_FIND(hh, k->entries, key, t->key_size, en);
	if (en)
		return en;
	en = calloc(1, sizeof(*en) + key_room + t->value_size);
	if (!en)
		return NULL;
	memcpy(en->key, key, t->key_size);
	en->public.key = en->key;
	en->value = en->key + key_room;
	en->changed_ns = k->now_ns;
	name_entry(k, en);
	HASH_ADD_KEYPTR(hh, k->entries, en->key, t->key_size, en);
	return en;
}

/* A process that became another program goes on under another name, from its next event on. */
static void follow_name(struct keyed *k, struct entry *en)
{
	const char *name = processes_current(k->env->processes, en->tgid);

	if (en->public.overflow || !en->tgid || !name ||
	    strncmp(name, en->service, sizeof(en->service) - 1) == 0)
		return;
	snprintf(en->service, sizeof(en->service), "%s", name);
	memset(en->public.series, 0, sizeof(en->public.series));
}

/* The same of one that is judged anew. Who had no room is in one series with those that are wanted. */
static void follow_verdict(struct keyed *k, struct entry *en)
{
	bool unwanted = k->env->by_process && !en->public.overflow &&
			!(en->tgid && processes_wanted(k->env->processes, en->tgid));

	if (unwanted != en->unwanted)
		memset(en->public.series, 0, sizeof(en->public.series));
	en->unwanted = unwanted;
}

static void add_value(struct keyed *k, struct entry *en, const void *value)
{
	const struct probe_table *t = k->table;

	if (memcmp(en->value, value, t->value_size) == 0)
		return;
	follow_name(k, en);
	follow_verdict(k, en);
	if (en->unwanted)
		k->events.unwanted += t->add(NULL, &en->public, en->value, value);
	else
		k->events.aggregated += t->add(k->env->registry, &en->public, en->value, value);
	memcpy(en->value, value, t->value_size);
	en->changed_ns = k->now_ns;
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
static void let_go_of(struct keyed *k, struct entry *en, void *value)
{
	if (kern_map_take(k->map_fd, en->key, value) == 0) {
		add_value(k, en, value);
	} else {
		if (kern_map_get(k->map_fd, en->key, value) == 0)
			add_value(k, en, value);
		kern_map_delete(k->map_fd, en->key);
	}
	if (processes_ended(k->env->processes, en->tgid))
		kern_map_delete(k->processes_fd, &en->tgid);
	HASH_DEL(k->entries, en);
	free(en);
}

static void give_events(const struct keyed *k, struct keyed_events *to)
{
	to->aggregated += k->events.aggregated;
	to->unwanted += k->events.unwanted;
}

void keyed_let_go(struct keyed *k, uint64_t now_ns, struct keyed_events *events)
{
	cleanup(cleanup_free) void *value = malloc(k->table->value_size);
	struct entry *en, *next;

	k->now_ns = now_ns;
	k->events = (struct keyed_events){};
	HASH_ITER (hh, k->entries, en, next) {
		uint64_t idle = now_ns - en->changed_ns;
		bool ended;

		if (!value || en->public.overflow || idle < LET_GO_NS)
			continue;
		ended = processes_ended(k->env->processes, en->tgid);
		if (ended || idle >= LET_GO_LIVE_NS)
			let_go_of(k, en, value);
	}
	give_events(k, events);
}

int keyed_open(const struct probe_table *t, struct kern_object *o, const struct probe_env *env,
	       struct keyed **ret, struct err *e)
{
	struct keyed *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		return err_set(e, -ENOMEM, "out of memory");
	k->table = t;
	k->env = env;
	k->map_fd = kern_object_map(o, t->map);
	k->processes_fd = kern_object_map(o, "sn_processes");
	if (k->map_fd < 0 || k->processes_fd < 0)
		err = err_set(e, -EINVAL, "the BPF object lacks the map %s or sn_processes",
			      t->map);
	else
		err = add_overflow_keys(k, e);
	if (err)
		keyed_close(k);
	else
		*ret = k;
	return err;
}

int keyed_collect(struct keyed *k, uint64_t now_ns, struct keyed_events *events, struct err *e)
{
	const struct probe_table *t = k->table;
	int err;

	k->now_ns = now_ns;
	k->events = (struct keyed_events){};
	err = kern_map_walk(k->map_fd, t->key_size, t->value_size, take_value, k, e);
	give_events(k, events);
	return err;
}

void keyed_close(struct keyed *k)
{
	struct entry *en, *next;

	if (!k)
		return;
	HASH_ITER (hh, k->entries, en, next) {
		HASH_DEL(k->entries, en);
		free(en);
	}
	free(k);
}
