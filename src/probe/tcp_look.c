// SPDX-License-Identifier: Apache-2.0
/* The sockets that are there: how many of each kind, and, at the end, what each came to. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "kern/iter.h"
#include "kern/map.h"
#include "probe/tcp_series.h"
#include "probe/tcp_singles.h"
#include "world/netstat.h"

/* The kernel's number of TCP_CLOSE_WAIT. */
#define STATE_CLOSE_WAIT 8

/* Who has not closed by then has forgotten to. */
#define FORGOTTEN_NS (10 * NSEC_PER_SEC)

/* How many sockets a series was last seen to have. */
struct level {
	struct series *series;
	uint64_t n;
	UT_hash_handle hh;
};

struct looking {
	struct kern_iter *iter; /* NULL where state is in a hash */
	struct kern_iter *last; /* of what was not told yet; NULL unless somebody wants that */
	struct level *levels;
	bool cannot;	    /* the sockets cannot be walked over */
	uint64_t overflows; /* at the last look */
	bool counted;	    /* there was one */
};

struct look {
	const struct probe_env *env;
	struct kern_object *object;
	struct looking *looking;
	bool last;
	uint64_t exchanges; /* of those that are seen in this pass */
};

static int open_iter(struct kern_object *o, const char *program, struct kern_iter **ret,
		     struct err *e)
{
	struct kern_program *p;
	int fd = kern_object_map(o, "sn_tcp_full"), r;

	if (fd < 0)
		return 0;
	r = kern_program_load(o, program, &p, e);
	return r ? r : kern_iter_open(p, fd, ret, e);
}

static int open_looking(struct kern_object *o, const struct probe_env *env, struct looking **ret,
			struct err *e)
{
	struct looking *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return err_set(e, -ENOMEM, "out of memory");
	*ret = l;
	r = open_iter(o, "sn_tcp_look", &l->iter, e);
	return r || !env->connections ? r : open_iter(o, "sn_tcp_last", &l->last, e);
}

static void add_one(struct look *l, struct series *s)
{
	struct level *level;

	if (!s)
		return;
	HASH_FIND_PTR(l->looking->levels, &s, level);
	if (!level) {
		level = calloc(1, sizeof(*level));
		if (!level)
			return;
		level->series = s;
		HASH_ADD_PTR(l->looking->levels, series, level);
	}
	level->n++;
}

static void count(struct look *l, const char *service, const struct sn_tcp_connection *c)
{
	const struct sn_tcp_key *key = &c->sock.key;
	char peer[INET6_ADDRSTRLEN];
	const struct attr attrs[] = {
		ATTR_STR("network.peer.address", peer),
		ATTR_NUM("server.port", key->port),
		ATTR_STR("tcp.role", tcp_role(key->role)),
		ATTR_STR("network.connection.state", tcp_state(c->state)),
	};
	uint64_t since = c->sock.more.state_since;

	tcp_address(key->peer, peer);
	add_one(l, registry_series(l->env->registry, &tcp_metrics[POOL_CONNECTIONS], service, attrs,
				   ARRAY_SIZE(attrs)));
	if (c->state == STATE_CLOSE_WAIT && since && c->time_ns >= since + FORGOTTEN_NS)
		add_one(l, registry_series(l->env->registry, &tcp_metrics[POOL_FORGOTTEN], service,
					   attrs, 3));
}

static void count_overflows(struct look *l)
{
	struct series *s =
		registry_series(l->env->registry, &tcp_metrics[QUEUE_OVERFLOWS], "", NULL, 0);
	uint64_t now;

	if (netstat_read(l->env->proc, "TcpExt", "ListenOverflows", &now) < 0)
		return;
	if (l->looking->counted && now > l->looking->overflows)
		series_add(s, now - l->looking->overflows);
	l->looking->overflows = now;
	l->looking->counted = true;
}

static void take(const void *record, void *arg)
{
	const struct sn_tcp_connection *c = record;
	const char *service;
	struct look *l = arg;

	l->exchanges += c->sock.exchanges;
	/* Listening sockets have no other end; those that only failed to connect never stood. */
	if (!c->sock.ready || (c->sock.unwanted && !(l->last && c->sock.exchanges)) ||
	    !tcp_state(c->state) || (!c->sock.open && !c->sock.more.established))
		return;
	service = tcp_single_service(l->env, l->object, c->sock.key.tgid, NULL);
	if (!service)
		return;
	if (l->env->detail)
		count(l, service, c);
	if (l->last && l->env->connections)
		tcp_add_connection(l->env, service, c);
}

/* Where state is in a hash, what only the socket knows is missing. */
static int take_hashed(const void *key, const void *value, void *arg)
{
	struct sn_tcp_connection c = { .type = SN_TCP_STILL_OPEN };

	memcpy(&c.sock, value, sizeof(c.sock));
	c.sock.more.rx_bytes += (uint64_t)(int32_t)c.sock.rx_pending;
	c.state = c.sock.state;
	c.time_ns = clock_monotonic_ns();
	take(&c, arg);
	return 0;
}

static int walk(struct look *l, struct err *e)
{
	if (l->looking->iter)
		return kern_iter_read(l->looking->iter, sizeof(struct sn_tcp_connection), take, l,
				      e);
	return kern_map_walk(kern_object_map(l->object, "sn_tcp_hash"), sizeof(uint64_t),
			     sizeof(struct sn_tcp_sock), take_hashed, l, e);
}

#define MAX_PASSES 20

/*
 * Each socket once, those included that a pass misses because others ended meanwhile. Those that begin
 * now have no exchanges any more, or it would never end.
 */
static int walk_rest(struct look *l, struct err *e)
{
	int r = 0;

	for (int pass = 0; !r && pass < MAX_PASSES; pass++) {
		l->exchanges = 0;
		r = kern_iter_read(l->looking->last, sizeof(struct sn_tcp_connection), take, l, e);
		if (!l->exchanges)
			break;
	}
	return r;
}

/* A series whose last socket is gone is told to have none, once and for good. */
static void publish(struct looking *l)
{
	struct level *level, *next;

	HASH_ITER (hh, l->levels, level, next) {
		series_set(level->series, (double)level->n);
		if (!level->n) {
			HASH_DEL(l->levels, level);
			free(level);
			continue;
		}
		level->n = 0;
	}
}

/*
 * What each socket came to is known when its exchanges are not counted any more. Those that are in socket
 * storage are told while the ends of others still are; a hash keeps what ends until it is read.
 */
int tcp_look(struct kern_object *o, const struct probe_env *env, void **state,
	     enum probe_moment when, struct err *e)
{
	struct look l = { .env = env, .object = o, .looking = *state, .last = when != PROBE_NOW };
	int r = 0;

	if (!env->detail && !env->connections)
		return 0;
	if (!l.looking) {
		r = open_looking(o, env, &l.looking, e);
		*state = l.looking;
		if (l.looking)
			l.looking->cannot = r < 0;
	} else if (l.looking->cannot) {
		return 0; /* as was said */
	}
	if (env->detail)
		count_overflows(&l);
	if (r < 0)
		return r;
	if (when == PROBE_NOW ? !env->detail : (when == PROBE_ENDING) != !!l.looking->last)
		return 0;
	r = when == PROBE_ENDING ? walk_rest(&l, e) : walk(&l, e);
	if (!r)
		publish(l.looking);
	return r;
}

void tcp_forget(void *state)
{
	struct looking *l = state;
	struct level *level, *next;

	HASH_ITER (hh, l->levels, level, next) {
		HASH_DEL(l->levels, level);
		free(level);
	}
	kern_iter_close(l->iter);
	kern_iter_close(l->last);
	free(l);
}
