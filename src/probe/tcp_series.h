/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "probe/probe.h"

/* What the maps of the tcp probe have in common: series of a service, a peer and a port. */
enum tcp_metric {
	CLIENT_EXCHANGE,
	SERVER_EXCHANGE,
	CLIENT_STAGE,
	SERVER_STAGE,
	IO,
	AMBIGUOUS,
	HANDSHAKE,
	CONNECTION,
	RTT,
	RETRANSMITS,
	RESETS,
};
extern const struct metric tcp_metrics[];

/* The series in @slot of @en, made when its first value comes: of @m, with @n more attributes. */
struct series *tcp_series(struct registry *r, struct probe_entry *en, int slot,
			  const struct metric *m, const struct attr *more, size_t n);

/* probe_table.add of sn_tcp_lives. */
uint64_t tcp_life_add(struct registry *r, struct probe_entry *en, const void *before,
		      const void *now);
