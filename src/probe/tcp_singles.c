// SPDX-License-Identifier: Apache-2.0
#include "probe/tcp_singles.h"

#include <math.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "kern/map.h"
#include "probe/tcp_series.h"

/* The kernel's number of TCP_CLOSE. */
#define STATE_CLOSE 7

const char *tcp_single_service(const struct probe_env *env, struct kern_object *o, uint32_t tgid,
			       const char *comm)
{
	struct sn_process known = {};
	char name[SN_COMM_LEN + 1] = {};

	const char *service;

	if (!tgid)
		return env->by_process ? NULL : "unknown";
	/* @comm is a thread's, and goes for a name only where nothing better is known. */
	if (!processes_current(env->processes, tgid)) {
		if (kern_map_get(kern_object_map(o, "sn_processes"), &tgid, &known) == 0) {
			memcpy(name, known.comm, SN_COMM_LEN);
			processes_remember(env->processes, tgid, name, known.parent);
		} else if (comm) {
			memcpy(name, comm, SN_COMM_LEN);
		}
	}
	service = processes_service(env->processes, tgid, name);
	return !env->by_process || processes_wanted(env->processes, tgid) ? service : NULL;
}

/* The event that is being put together; texts that its attributes point to. */
struct telling {
	struct event ev;
	struct attr attrs[EVENT_MAX_ATTRS];
	char local[INET6_ADDRSTRLEN], peer[INET6_ADDRSTRLEN], comm[SN_COMM_LEN + 1];
};

static void put(struct telling *t, struct attr a)
{
	if (t->ev.n_attrs < EVENT_MAX_ATTRS)
		t->attrs[t->ev.n_attrs++] = a;
}

static void put_text(struct telling *t, const char *key, const char *value)
{
	if (value && *value)
		put(t, ATTR_STR(key, value));
}

static void put_time(struct telling *t, const char *key, uint64_t ns)
{
	if (ns != SN_TCP_NO_TIME)
		put(t, ATTR_REAL(key, (double)ns / NSEC_PER_SEC));
}

static void put_rtt(struct telling *t, uint32_t srtt_us, uint32_t rtt_min_us)
{
	if (srtt_us)
		put(t, ATTR_REAL("tcp.rtt", srtt_us / 8e6));
	if (rtt_min_us && rtt_min_us != UINT32_MAX)
		put(t, ATTR_REAL("tcp.rtt.min", rtt_min_us / 1e6));
}

struct ends {
	const uint8_t *local, *peer;
	uint16_t local_port, peer_port;
};

static void put_identity(struct telling *t, const struct sn_tcp_key *key, struct ends ends,
			 const char *comm)
{
	static const uint8_t nowhere[16];

	put(t, ATTR_STR("tcp.role", tcp_role(key->role)));
	if (key->tgid)
		put(t, ATTR_NUM("process.pid", key->tgid));
	memcpy(t->comm, comm, SN_COMM_LEN);
	put_text(t, "process.command", t->comm);
	if (memcmp(ends.local, nowhere, sizeof(nowhere)) != 0) {
		tcp_address(ends.local, t->local);
		put(t, ATTR_STR("network.local.address", t->local));
	}
	if (ends.local_port)
		put(t, ATTR_NUM("network.local.port", ends.local_port));
	tcp_address(ends.peer, t->peer);
	put(t, ATTR_STR("network.peer.address", t->peer));
	put(t, ATTR_NUM("network.peer.port", ends.peer_port));
	put(t, ATTR_NUM("server.port", key->port));
}

static void tell(const struct probe_env *env, struct telling *t)
{
	t->ev.attrs = t->attrs;
	env->singles.sink.take(&t->ev, env->singles.sink.arg);
}

static bool tell_single(const struct probe_env *env, struct kern_object *o,
			const struct sn_tcp_single *s)
{
	struct ends ends = { s->local, s->key.peer, s->local_port, s->peer_port };
	bool failed = s->type == SN_TCP_FAILED;
	struct telling t = { .ev = {
				     .name = failed ? "tcp.connect.failed" : "tcp.exchange",
				     .time_ns = clock_boot_of(s->time_ns),
				     .duration_ns = s->duration_ns,
			     } };

	t.ev.service = tcp_single_service(env, o, s->key.tgid, s->comm);
	if (!t.ev.service)
		return false;
	put_identity(&t, &s->key, ends, s->comm);
	if (failed) {
		put_text(&t, "error.type", tcp_error(s->key.error));
	} else {
		/* A server's exchange ends with its first send: those before it were of another. */
		if (s->key.role == SN_TCP_CLIENT)
			put(&t, ATTR_NUM("tcp.exchange.sends", s->sends));
		put(&t, ATTR_NUM("tcp.request.size", s->request_bytes));
		put_time(&t, "tcp.receive_queue.duration", s->wait_ns);
		put_time(&t, "tcp.exchange.total.duration", s->total_ns);
		put_time(&t, "tcp.network.duration", s->network_ns);
		put_time(&t, "tcp.remote.duration", s->remote_ns);
		put_text(&t, "tcp.stage.method", tcp_method(s->key.error));
		put_time(&t, "tcp.application.duration", s->application_ns);
	}
	put_rtt(&t, s->srtt_us, s->rtt_min_us);
	tell(env, &t);
	return true;
}

static void tell_end(const struct probe_env *env, const char *service,
		     const struct sn_tcp_connection *c)
{
	const struct sn_tcp_sock *s = &c->sock;
	struct ends ends = { s->more.local, s->key.peer, s->more.local_port, s->more.peer_port };
	static const char no_comm[SN_COMM_LEN];
	struct telling t = { .ev = {
				     .name = "tcp.connection",
				     .time_ns = clock_boot_of(c->time_ns),
				     .duration_ns = s->more.duration,
				     .service = service,
			     } };

	put_identity(&t, &s->key, ends, no_comm);
	put(&t, ATTR_NUM("tcp.exchanges", s->exchanges));
	put(&t, ATTR_NUM("tcp.sent.size", (int64_t)s->more.tx_bytes));
	put(&t, ATTR_NUM("tcp.received.size", (int64_t)s->more.rx_bytes));
	put(&t, ATTR_NUM("tcp.retransmits", s->more.retransmits));
	put_text(&t, "error.type", tcp_error(s->more.error));
	put_text(&t, "tcp.close.initiator", tcp_closer(s->closer));
	put_rtt(&t, s->more.srtt_us, s->more.rtt_min_us);
	tell(env, &t);
}

void tcp_add_connection(const struct probe_env *env, const char *service,
			const struct sn_tcp_connection *c)
{
	const struct sn_tcp_sock *s = &c->sock;
	struct connection one = {
		.local.port = s->more.local_port,
		.peer.port = s->more.peer_port,
		.role = s->key.role == SN_TCP_SERVER ? CONNECTION_SERVER : CONNECTION_CLIENT,
		.pid = s->key.tgid,
		.service = service,
		.open = c->type == SN_TCP_STILL_OPEN && c->state != STATE_CLOSE,
		.exchanges = s->exchanges,
		.sum_ns = s->more.sum_ns,
		.min_ns = ~s->more.min_inv_ns,
		.max_ns = s->more.max_ns,
		/* Units of 2^8 and 2^16 ns, squared. */
		.sum_sq_us = ldexp((double)s->more.sum_sq, 16) / 1e6 +
			     ldexp((double)s->more.sum_sq_long, 32) / 1e6,
		.sent_bytes = s->more.tx_bytes,
		.received_bytes = s->more.rx_bytes,
		.retransmits = s->more.retransmits,
		.duration_ns = s->more.duration,
		.rtt_ns = (uint64_t)s->more.srtt_us * 125,
		.rtt_min_ns = s->more.rtt_min_us == UINT32_MAX ? 0 : s->more.rtt_min_us * 1000ULL,
		.error = tcp_error(s->more.error),
		.closed_by = tcp_closer(s->closer),
	};

	memcpy(one.local.address, s->more.local, sizeof(one.local.address));
	memcpy(one.peer.address, s->key.peer, sizeof(one.peer.address));
	if (one.open && s->more.established)
		one.duration_ns = c->time_ns - s->more.established;
	for (size_t i = 0; i < CONNECTION_BUCKETS; i++)
		one.bucket[i] = s->more.bucket[i];
	connections_add(env->connections, &one);
}

static bool take_end(const struct probe_env *env, struct kern_object *o,
		     const struct sn_tcp_connection *c)
{
	const char *service = tcp_single_service(env, o, c->sock.key.tgid, NULL);

	if (!service)
		return false;
	if (env->connections)
		tcp_add_connection(env, service, c);
	if (env->singles.ends && env->singles.sink.take)
		tell_end(env, service, c);
	return true;
}

bool tcp_single(const struct probe_env *env, struct kern_object *o, const void *data, size_t size)
{
	if (size == sizeof(struct sn_tcp_connection))
		return take_end(env, o, data);
	return size != sizeof(struct sn_tcp_single) || !env->singles.sink.take ||
	       tell_single(env, o, data);
}
