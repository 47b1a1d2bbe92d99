/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Single connections, for a report: what each came to. One entry is one socket; a connection between
 * two programs of this machine is two of them. At most @max entries are kept, those with the most
 * exchanges; what the others came to is in their sum.
 */

/* Bounds between the buckets of connection.bucket, in nanoseconds: 1, 5, 10, 50, 100 ms. */
#define CONNECTION_BUCKETS 6
extern const uint64_t connection_bounds_ns[CONNECTION_BUCKETS - 1];

enum connection_role { CONNECTION_CLIENT, CONNECTION_SERVER };

struct connection_end {
	uint8_t address[16]; /* IPv6, or IPv4 mapped into it */
	uint16_t port;	     /* host order */
};

struct connection {
	struct connection_end local, peer;
	enum connection_role role;
	uint32_t pid;	     /* 0: unknown */
	const char *service; /* "" if unknown; copied by connections_add() */
	bool open;	     /* still there when the report was made */
	/* Exchanges: time to first byte of a client's, residence of a server's. */
	uint64_t exchanges;
	uint64_t sum_ns, min_ns, max_ns; /* minimum and maximum mean nothing without exchanges */
	double sum_sq_us; /* of squares, in square microseconds; they may be rounded */
	uint64_t bucket[CONNECTION_BUCKETS];
	uint64_t sent_bytes, received_bytes, retransmits;
	uint64_t duration_ns;	       /* from its handshake; 0: older than sonde */
	uint64_t rtt_ns, rtt_min_ns;   /* as the kernel saw them last; 0: unknown */
	const char *error, *closed_by; /* static; "refused", ...; "local", "remote"; NULL: none */
};

struct connections;

struct connections *connections_new(size_t max);
void connections_free(struct connections *c);

/* Adds one, copying all of it, its service as valid UTF-8. -ENOMEM: it is in the sum alone. */
int connections_add(struct connections *c, const struct connection *one);

/* Those that are kept, by number of exchanges, most first; valid until the next call of any function. */
const struct connection *connections_list(struct connections *c, size_t *n);

/* The sum of all that were added, kept or not; its addresses, service and times mean nothing. */
const struct connection *connections_sum(const struct connections *c);

/* All that were added. */
uint64_t connections_count(const struct connections *c);

/* Adds the exchanges of @one to those of @sum, as one population, and its bytes and retransmits. */
void connection_add(struct connection *sum, const struct connection *one);

/*
 * Standard deviation of the exchanges of @c in microseconds, of the whole population, and at most
 * half of their range: 0 without any, for one, and for those that all took as long.
 */
double connection_std_dev_us(const struct connection *c);
