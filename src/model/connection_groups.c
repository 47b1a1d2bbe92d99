// SPDX-License-Identifier: Apache-2.0
#include "model/connection_groups.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_end(const struct connection_end *a, const struct connection_end *b)
{
	int d = memcmp(a->address, b->address, sizeof(a->address));

	return d ? d : (a->port > b->port) - (a->port < b->port);
}

static int by_ends(const struct connection *a, const struct connection *b)
{
	int d = by_end(&a->local, &b->local);

	return d ? d : by_end(&a->peer, &b->peer);
}

/* The client before the server, in a group the one with the most exchanges first. */
static int by_name(const void *pa, const void *pb)
{
	const struct connection_group *a = pa, *b = pb;
	int d = by_ends(&a->sum, &b->sum);

	if (!d)
		d = (a->sum.role > b->sum.role) - (a->sum.role < b->sum.role);
	if (!d)
		d = (a->sum.exchanges < b->sum.exchanges) - (a->sum.exchanges > b->sum.exchanges);
	return d ? d : (a->sum.pid > b->sum.pid) - (a->sum.pid < b->sum.pid);
}

static int by_exchanges(const void *pa, const void *pb)
{
	const struct connection_group *a = pa, *b = pb;
	int d = (a->sum.exchanges < b->sum.exchanges) - (a->sum.exchanges > b->sum.exchanges);

	return d ? d : by_name(a, b);
}

static void keep_longest(uint64_t *into, uint64_t from)
{
	if (from > *into)
		*into = from;
}

static void join(struct connection *into, const struct connection *from)
{
	connection_add(into, from);
	keep_longest(&into->duration_ns, from->duration_ns);
	if (!into->rtt_min_ns || (from->rtt_min_ns && from->rtt_min_ns < into->rtt_min_ns))
		into->rtt_min_ns = from->rtt_min_ns;
	into->open |= from->open;
	into->rtt_ns = into->rtt_ns ? into->rtt_ns : from->rtt_ns;
	into->pid = into->pid ? into->pid : from->pid;
	into->service = *into->service ? into->service : from->service;
	into->error = into->error ? into->error : from->error;
	into->closed_by = into->closed_by ? into->closed_by : from->closed_by;
}

int connection_groups_make(struct connections *c, struct connection_groups *ret)
{
	struct connection_group *g;
	size_t n, kept = 0;
	const struct connection *list = connections_list(c, &n);

	*ret = (struct connection_groups){};
	if (!n)
		return 0;
	g = calloc(n, sizeof(*g));
	if (!g)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		g[i] = (struct connection_group){ .sum = list[i], .sockets = 1 };
	qsort(g, n, sizeof(*g), by_name);
	for (size_t i = 1; i < n; i++) {
		bool same = !by_ends(&g[kept].sum, &g[i].sum);

		if (same && g[kept].sum.role == g[i].sum.role) {
			join(&g[kept].sum, &g[i].sum);
			g[kept].sockets++;
			continue;
		}
		g[i].ambiguous = same;
		g[++kept] = g[i];
	}
	*ret = (struct connection_groups){ g, kept + 1 };
	qsort(g, ret->n, sizeof(*g), by_exchanges);
	return 0;
}

void connection_groups_done(struct connection_groups *g)
{
	free(g->group);
	*g = (struct connection_groups){};
}

const char *connection_end_text(const struct connection_end *end, char buf[CONNECTION_END_MAX])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	bool four = memcmp(end->address, mapped, sizeof(mapped)) == 0;
	char address[INET6_ADDRSTRLEN] = "";

	inet_ntop(four ? AF_INET : AF_INET6, end->address + (four ? sizeof(mapped) : 0), address,
		  sizeof(address));
	snprintf(buf, CONNECTION_END_MAX, four ? "%s:%u" : "[%s]:%u", address, end->port);
	return buf;
}

const char *connection_group_name(const struct connection_group *g, char buf[CONNECTION_NAME_MAX])
{
	char local[CONNECTION_END_MAX], peer[CONNECTION_END_MAX];

	snprintf(buf, CONNECTION_NAME_MAX, "%s -> %s%s", connection_end_text(&g->sum.local, local),
		 connection_end_text(&g->sum.peer, peer), g->ambiguous ? " (server)" : "");
	return buf;
}

void connections_omitted(struct connections *c, uint64_t *ret_sockets, uint64_t *ret_exchanges)
{
	size_t n;
	const struct connection *list = connections_list(c, &n);

	*ret_sockets = connections_count(c) - n;
	*ret_exchanges = connections_sum(c)->exchanges;
	for (size_t i = 0; i < n; i++)
		*ret_exchanges -= list[i].exchanges;
}
