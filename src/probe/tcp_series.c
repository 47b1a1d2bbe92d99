// SPDX-License-Identifier: Apache-2.0
#include "probe/tcp_series.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/cleanup.h"

static void format_peer(const struct sn_tcp_key *key, char buf[INET6_ADDRSTRLEN])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (memcmp(key->peer, mapped, sizeof(mapped)) == 0)
		inet_ntop(AF_INET, key->peer + sizeof(mapped), buf, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, key->peer, buf, INET6_ADDRSTRLEN);
}

struct series *tcp_series(struct registry *r, struct probe_entry *en, int slot,
			  const struct metric *m, const struct attr *more, size_t n)
{
	const struct sn_tcp_key *key = en->key;
	struct attr attrs[MAX_ATTRS];
	char peer[INET6_ADDRSTRLEN];

	if (en->series[slot])
		return en->series[slot];
	if (en->overflow) {
		attrs[0] = ATTR_STR("otel.metric.overflow", "true");
		return en->series[slot] = registry_series(r, m, "", attrs, 1);
	}
	format_peer(key, peer);
	attrs[0] = ATTR_STR("network.peer.address", peer);
	attrs[1] = ATTR_NUM("server.port", key->port);
	for (size_t i = 0; i < n; i++)
		attrs[2 + i] = more[i];
	return en->series[slot] = registry_series(r, m, en->service, attrs, 2 + n);
}

static const char *role_name(const struct probe_entry *en)
{
	const struct sn_tcp_key *key = en->key;

	return key->role == SN_TCP_SERVER ? "server" : "client";
}

/* @slot's histogram of @m, with the role, and the error if there was one. */
static uint64_t add_hist(struct registry *r, struct probe_entry *en, int slot,
			 const struct metric *m, const char *role_attr,
			 const struct sn_hist *before, const struct sn_hist *now)
{
	static const char *const errors[SN_TCP_ERROR_MAX] = {
		[SN_TCP_REFUSED] = "refused",
		[SN_TCP_TIMED_OUT] = "timed_out",
		[SN_TCP_HOST_UNREACHABLE] = "host_unreachable",
		[SN_TCP_NET_UNREACHABLE] = "net_unreachable",
		[SN_TCP_RESET] = "reset",
		[SN_TCP_CANCELLED] = "cancelled",
		[SN_TCP_OTHER] = "_OTHER",
	};
	const struct sn_tcp_key *key = en->key;
	const char *error = key->error < SN_TCP_ERROR_MAX ? errors[key->error] : "_OTHER";
	const struct attr more[] = { ATTR_STR(role_attr, role_name(en)),
				     ATTR_STR("error.type", error) };

	if (memcmp(before, now, sizeof(*now)) == 0)
		return 0;
	return series_add_hist(tcp_series(r, en, slot, m, more, error ? 2 : 1), before, now);
}

static void add_count(struct registry *r, struct probe_entry *en, int slot, const struct metric *m,
		      const char *attr, const char *value, uint64_t n)
{
	const struct attr more[] = { ATTR_STR("tcp.role", role_name(en)), ATTR_STR(attr, value) };

	if (n)
		series_add(tcp_series(r, en, slot, m, more, ARRAY_SIZE(more)), n);
}

uint64_t tcp_life_add(struct registry *r, struct probe_entry *en, const void *before,
		      const void *now)
{
	static const char *const kinds[SN_TCP_RETRANSMIT_MAX] = {
		[SN_TCP_FAST] = "fast",
		[SN_TCP_TIMEOUT] = "timeout",
		[SN_TCP_TAIL_PROBE] = "tail_probe",
		[SN_TCP_SYN] = "syn",
	};
	const struct sn_tcp_life *b = before, *n = now;
	uint64_t events;

	events = add_hist(r, en, 0, &tcp_metrics[HANDSHAKE], "network.tcp.handshake.role",
			  &b->handshake, &n->handshake);
	events += add_hist(r, en, 1, &tcp_metrics[CONNECTION], "tcp.role", &b->duration,
			   &n->duration);
	events += add_hist(r, en, 8, &tcp_metrics[RTT], "tcp.role", &b->rtt, &n->rtt);
	for (int i = 0; i < SN_TCP_RETRANSMIT_MAX; i++)
		add_count(r, en, 2 + i, &tcp_metrics[RETRANSMITS], "network.tcp.retransmit.type",
			  kinds[i], n->retransmits[i] - b->retransmits[i]);
	add_count(r, en, 6, &tcp_metrics[RESETS], "network.io.direction", "transmit",
		  n->resets_sent - b->resets_sent);
	add_count(r, en, 7, &tcp_metrics[RESETS], "network.io.direction", "receive",
		  n->resets_received - b->resets_received);
	return events;
}
