// SPDX-License-Identifier: Apache-2.0
/* What happens once in the life of a connection: from the map sn_tcp_lives into the registry. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "probe/tcp_series.h"

enum slot {
	SLOT_HANDSHAKE,
	SLOT_DURATION,
	SLOT_RTT,
	SLOT_RTT_MIN,
	SLOT_RESET_OUT,
	SLOT_RESET_IN,
	SLOT_SHUT_BY_US,
	SLOT_SHUT_BY_PEER,
	SLOT_RETRANSMITS,
	SLOT_USE = SLOT_RETRANSMITS + SN_TCP_RETRANSMIT_MAX,
	SLOT_STATE = SLOT_USE + SN_TCP_USE_MAX,
	SLOT_MAX = SLOT_STATE + SN_TCP_STATES,
};
_Static_assert(SLOT_MAX <= PROBE_MAX_SERIES, "an entry has room for every series");

struct adding {
	struct registry *registry;
	struct probe_entry *entry;
	const char *role;
};

static uint64_t add_durations(const struct adding *a, const struct sn_tcp_life *b,
			      const struct sn_tcp_life *n)
{
	const struct sn_tcp_key *key = a->entry->key;
	const char *error = tcp_error(key->error & ((1 << SN_TCP_CLOSER_SHIFT) - 1));
	const char *closer = tcp_closer(key->error >> SN_TCP_CLOSER_SHIFT);
	struct attr made[] = { ATTR_STR("network.tcp.handshake.role", a->role),
			       ATTR_STR("error.type", error) };
	struct attr stood[3] = { ATTR_STR("tcp.role", a->role) };
	size_t n_stood = 1;
	uint64_t events;

	if (closer)
		stood[n_stood++] = ATTR_STR("tcp.close.initiator", closer);
	if (error)
		stood[n_stood++] = ATTR_STR("error.type", error);
	events = tcp_add_hist(a->registry, a->entry, SLOT_HANDSHAKE, &tcp_metrics[HANDSHAKE], made,
			      error ? 2 : 1, &b->handshake, &n->handshake);
	events += tcp_add_hist(a->registry, a->entry, SLOT_DURATION, &tcp_metrics[CONNECTION],
			       stood, n_stood, &b->duration, &n->duration);
	return events;
}

static uint64_t add_rtt(const struct adding *a, const struct sn_tcp_life *b,
			const struct sn_tcp_life *n)
{
	const struct attr role = ATTR_STR("tcp.role", a->role);
	struct series *s;

	if (n->rtt_min_inv_ns != b->rtt_min_inv_ns) {
		s = tcp_series(a->registry, a->entry, SLOT_RTT_MIN, &tcp_metrics[RTT_MIN], &role,
			       1);
		series_lower(s, (double)~n->rtt_min_inv_ns / NSEC_PER_SEC);
	}
	return tcp_add_hist(a->registry, a->entry, SLOT_RTT, &tcp_metrics[RTT], &role, 1, &b->rtt,
			    &n->rtt);
}

static void add_count(const struct adding *a, int slot, const struct metric *m, const char *attr,
		      const char *value, uint64_t by)
{
	const struct attr more[] = { ATTR_STR("tcp.role", a->role), ATTR_STR(attr, value) };

	tcp_add_count(a->registry, a->entry, slot, m, more, ARRAY_SIZE(more), by);
}

static void add_pool(const struct adding *a, const struct sn_tcp_life *b,
		     const struct sn_tcp_life *n)
{
	static const char *const uses[SN_TCP_USE_MAX] = {
		[SN_TCP_UNUSED] = "unused",
		[SN_TCP_USED_ONCE] = "once",
		[SN_TCP_REUSED] = "reused",
	};

	for (int i = 0; i < SN_TCP_USE_MAX; i++) {
		const struct attr use = ATTR_STR("tcp.pool.use", uses[i]);

		tcp_add_count(a->registry, a->entry, SLOT_USE + i, &tcp_metrics[POOL_ENDED], &use,
			      1, n->use[i] - b->use[i]);
	}
}

uint64_t tcp_life_add(struct registry *r, struct probe_entry *en, const void *before,
		      const void *now)
{
	static const char *const kinds[SN_TCP_RETRANSMIT_MAX] = {
		[SN_TCP_FAST] = "fast",
		[SN_TCP_TIMEOUT] = "timeout",
		[SN_TCP_TAIL_PROBE] = "tail_probe",
		[SN_TCP_SYN] = "syn",
		[SN_TCP_SYN_ACK] = "syn_ack",
	};
	const struct sn_tcp_key *key = en->key;
	const struct adding a = { r, en, tcp_role(key->role) };
	const struct sn_tcp_life *b = before, *n = now;

	for (int i = 0; i < SN_TCP_RETRANSMIT_MAX; i++)
		add_count(&a, SLOT_RETRANSMITS + i, &tcp_metrics[RETRANSMITS],
			  "network.tcp.retransmit.type", kinds[i],
			  n->retransmits[i] - b->retransmits[i]);
	add_count(&a, SLOT_RESET_OUT, &tcp_metrics[RESETS], "network.io.direction", "transmit",
		  n->resets_sent - b->resets_sent);
	add_count(&a, SLOT_RESET_IN, &tcp_metrics[RESETS], "network.io.direction", "receive",
		  n->resets_received - b->resets_received);
	add_count(&a, SLOT_SHUT_BY_US, &tcp_metrics[ZERO_WINDOWS], "network.io.direction",
		  "receive", n->window_shut_by_us - b->window_shut_by_us);
	add_count(&a, SLOT_SHUT_BY_PEER, &tcp_metrics[ZERO_WINDOWS], "network.io.direction",
		  "transmit", n->window_shut_by_peer - b->window_shut_by_peer);
	for (uint8_t i = 0; i < SN_TCP_STATES; i++)
		if (n->state_ns[i] != b->state_ns[i])
			add_count(&a, SLOT_STATE + i, &tcp_metrics[STATE_TIME],
				  "network.connection.state", tcp_state(i),
				  n->state_ns[i] - b->state_ns[i]);
	add_pool(&a, b, n);
	return add_durations(&a, b, n) + add_rtt(&a, b, n);
}
