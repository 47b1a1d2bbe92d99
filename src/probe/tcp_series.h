/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <arpa/inet.h>

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
	RTT_MIN,
	STATE_TIME,
	ZERO_WINDOWS,
	CLIENT_TOTAL,
	DELAYED,
	POOL_IDLE,
	POOL_EXCHANGES,
	POOL_ENDED,
	POOL_CONNECTIONS,
	POOL_FORGOTTEN,
	QUEUE_OVERFLOWS,
};
extern const struct metric tcp_metrics[];

/* The series in @slot of @en, made when its first value comes: of @m, with @n more attributes. */
struct series *tcp_series(struct registry *r, struct probe_entry *en, int slot,
			  const struct metric *m, const struct attr *more, size_t n);

/* What a histogram of the kernel half gained, or a counter (@by), into the series in @slot. */
uint64_t tcp_add_hist(struct registry *r, struct probe_entry *en, int slot, const struct metric *m,
		      const struct attr *more, size_t n, const struct sn_hist *before,
		      const struct sn_hist *now);
void tcp_add_count(struct registry *r, struct probe_entry *en, int slot, const struct metric *m,
		   const struct attr *more, size_t n, uint64_t by);

/* The other end's address, or one of our own, as text. */
void tcp_address(const uint8_t address[16], char buf[INET6_ADDRSTRLEN]);

/* Text of the numbers in abi.h, static; NULL for none of them. */
const char *tcp_role(uint8_t role);
const char *tcp_error(uint8_t error);
const char *tcp_closer(uint8_t closer);
const char *tcp_method(uint8_t method);
const char *tcp_state(uint8_t state);

/* probe_table.add of sn_tcp_stages. */
uint64_t tcp_stages_add(struct registry *r, struct probe_entry *en, const void *before,
			const void *now);

/* probe_table.add of sn_tcp_lives. */
uint64_t tcp_life_add(struct registry *r, struct probe_entry *en, const void *before,
		      const void *now);
