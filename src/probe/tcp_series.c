// SPDX-License-Identifier: Apache-2.0
#include "probe/tcp_series.h"

#include <string.h>

#include "base/cleanup.h"

void tcp_address(const uint8_t address[16], char buf[INET6_ADDRSTRLEN])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (memcmp(address, mapped, sizeof(mapped)) == 0)
		inet_ntop(AF_INET, address + sizeof(mapped), buf, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, address, buf, INET6_ADDRSTRLEN);
}

const char *tcp_role(uint8_t role)
{
	return role == SN_TCP_SERVER ? "server" : "client";
}

const char *tcp_error(uint8_t error)
{
	static const char *const names[SN_TCP_ERROR_MAX] = {
		[SN_TCP_REFUSED] = "refused",
		[SN_TCP_TIMED_OUT] = "timed_out",
		[SN_TCP_HOST_UNREACHABLE] = "host_unreachable",
		[SN_TCP_NET_UNREACHABLE] = "net_unreachable",
		[SN_TCP_RESET] = "reset",
		[SN_TCP_CANCELLED] = "cancelled",
		[SN_TCP_OTHER] = "_OTHER",
	};

	return error < SN_TCP_ERROR_MAX ? names[error] : "_OTHER";
}

const char *tcp_closer(uint8_t closer)
{
	static const char *const names[SN_TCP_CLOSER_MAX] = {
		[SN_TCP_LOCAL] = "local",
		[SN_TCP_REMOTE] = "remote",
	};

	return closer < SN_TCP_CLOSER_MAX ? names[closer] : NULL;
}

const char *tcp_method(uint8_t method)
{
	static const char *const names[SN_TCP_METHOD_MAX] = {
		[SN_TCP_BY_RTT_MIN] = "rtt_min",
		[SN_TCP_MEASURED] = "measured",
	};

	return method < SN_TCP_METHOD_MAX ? names[method] : NULL;
}

const char *tcp_state(uint8_t state)
{
	/* By the kernel's numbers; the names are OpenTelemetry's. */
	static const char *const names[SN_TCP_STATES] = {
		[1] = "established", [2] = "syn_sent",	[3] = "syn_received", [4] = "fin_wait_1",
		[5] = "fin_wait_2",  [6] = "time_wait", [7] = "closed",	      [8] = "close_wait",
		[9] = "last_ack",    [10] = "listen",	[11] = "closing",     [12] = "syn_received",
	};

	return state < SN_TCP_STATES ? names[state] : NULL;
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
	tcp_address(key->peer, peer);
	attrs[0] = ATTR_STR("network.peer.address", peer);
	attrs[1] = ATTR_NUM("server.port", key->port);
	for (size_t i = 0; i < n; i++)
		attrs[2 + i] = more[i];
	return en->series[slot] = registry_series(r, m, en->service, attrs, 2 + n);
}

uint64_t tcp_add_hist(struct registry *r, struct probe_entry *en, int slot, const struct metric *m,
		      const struct attr *more, size_t n, const struct sn_hist *before,
		      const struct sn_hist *now)
{
	if (memcmp(before, now, sizeof(*now)) == 0)
		return 0;
	return series_add_hist(tcp_series(r, en, slot, m, more, n), before, now);
}

void tcp_add_count(struct registry *r, struct probe_entry *en, int slot, const struct metric *m,
		   const struct attr *more, size_t n, uint64_t by)
{
	if (by)
		series_add(tcp_series(r, en, slot, m, more, n), by);
}
