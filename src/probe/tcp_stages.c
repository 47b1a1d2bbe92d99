// SPDX-License-Identifier: Apache-2.0
/* Where the time of exchanges went: from the map sn_tcp_stages into the registry. */
#include "probe/tcp_series.h"

enum slot {
	SLOT_NETWORK,
	SLOT_REMOTE,
	SLOT_APPLICATION,
	SLOT_TOTAL,
	SLOT_IDLE,
	SLOT_FRESH,
	SLOT_REUSED,
	SLOT_NAGLE
};

static uint64_t add_stage(struct registry *r, struct probe_entry *en, int slot, const char *stage,
			  const struct sn_hist *before, const struct sn_hist *now)
{
	const struct sn_tcp_key *key = en->key;
	const char *method = tcp_method(key->error);
	const struct attr more[] = { ATTR_STR("tcp.stage", stage),
				     ATTR_STR("tcp.stage.method", method) };
	bool server = key->role == SN_TCP_SERVER;

	return tcp_add_hist(r, en, slot, &tcp_metrics[server ? SERVER_STAGE : CLIENT_STAGE], more,
			    method ? 2 : 1, before, now);
}

static void add_exchanges(struct registry *r, struct probe_entry *en, int slot, const char *reused,
			  uint64_t by)
{
	const struct attr more = ATTR_STR("tcp.connection.reused", reused);

	tcp_add_count(r, en, slot, &tcp_metrics[POOL_EXCHANGES], &more, 1, by);
}

uint64_t tcp_stages_add(struct registry *r, struct probe_entry *en, const void *before,
			const void *now)
{
	static const struct attr nagle = ATTR_STR("tcp.delay.reason", "nagle");
	const struct sn_tcp_stages *b = before, *n = now;
	uint64_t events;

	events = add_stage(r, en, SLOT_NETWORK, "network", &b->network, &n->network);
	events += add_stage(r, en, SLOT_REMOTE, "remote", &b->remote, &n->remote);
	events +=
		add_stage(r, en, SLOT_APPLICATION, "application", &b->application, &n->application);
	events += tcp_add_hist(r, en, SLOT_TOTAL, &tcp_metrics[CLIENT_TOTAL], NULL, 0, &b->total,
			       &n->total);
	events += tcp_add_hist(r, en, SLOT_IDLE, &tcp_metrics[POOL_IDLE], NULL, 0, &b->idle,
			       &n->idle);
	add_exchanges(r, en, SLOT_FRESH, "false", n->fresh - b->fresh);
	add_exchanges(r, en, SLOT_REUSED, "true", n->reused - b->reused);
	tcp_add_count(r, en, SLOT_NAGLE, &tcp_metrics[DELAYED], &nagle, 1, n->nagle - b->nagle);
	return events;
}
