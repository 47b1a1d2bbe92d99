/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/connections.h"

/*
 * Connections by their name: "10.0.0.1:34567 -> 10.0.0.2:80", the socket's own end first, IPv6 in
 * brackets. Several sockets can have the same name, in two network namespaces or one after the other:
 * those of one role are one group. Where there are clients and servers of one name, the servers' has
 * " (server)" behind it.
 *
 * A group is their sum: exchanges as one population, bytes, retransmits; it is open if one of them is,
 * and its duration is the longest. Process, service, error and end are those of the socket with the
 * most exchanges that has any; so is the round-trip time, while its minimum is that of all.
 */
struct connection_group {
	struct connection sum; /* service as connections_list() has it */
	uint64_t sockets;
	bool ambiguous; /* the name is a client's too, and this is the servers' */
};

struct connection_groups {
	struct connection_group *group; /* n of them, most exchanges first, then by name */
	size_t n;
};

/* Fills *@ret from what is kept of @c, and is valid as long as its list. -ENOMEM. */
int connection_groups_make(struct connections *c, struct connection_groups *ret);
void connection_groups_done(struct connection_groups *g);

/* "10.0.0.1:80", "[::1]:80"; returns @buf. */
#define CONNECTION_END_MAX 64
const char *connection_end_text(const struct connection_end *end, char buf[CONNECTION_END_MAX]);

#define CONNECTION_NAME_MAX 160
const char *connection_group_name(const struct connection_group *g, char buf[CONNECTION_NAME_MAX]);

/* What is not in the list: sockets, and their exchanges. */
void connections_omitted(struct connections *c, uint64_t *ret_sockets, uint64_t *ret_exchanges);
