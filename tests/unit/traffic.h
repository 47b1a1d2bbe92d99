/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * TCP exchanges made by hand that are in series and in connections alike, as the tcp probe has them.
 * Include after cmocka.h.
 */
#include <arpa/inet.h>

#include "base/clock.h"
#include "model/connection_groups.h"
#include "tests/unit/fixture.h"

DEFINE_CLEANUP(struct connections, connections_free)

enum { T_CLIENT, T_SERVER, T_EVENTS, T_HANDSHAKE, T_RETRANSMITS, T_RESETS, T_HTTP };

static const struct metric traffic_metrics[] = {
	[T_CLIENT] = { "tcp.client.exchange.duration", "s", METRIC_HISTOGRAM, "Client's." },
	[T_SERVER] = { "tcp.server.exchange.duration", "s", METRIC_HISTOGRAM, "Server's." },
	[T_EVENTS] = { "sonde.events", "{event}", METRIC_COUNTER, "Fates." },
	[T_HANDSHAKE] = { "system.network.tcp.handshake.duration", "s", METRIC_HISTOGRAM,
			  "Handshakes." },
	[T_RETRANSMITS] = { "system.network.tcp.retransmits", "{segment}", METRIC_COUNTER,
			    "Sent again." },
	[T_RESETS] = { "system.network.tcp.resets", "{reset}", METRIC_COUNTER, "Resets." },
	[T_HTTP] = { "http.server.request.duration", "s", METRIC_HISTOGRAM, "Requests." },
	{},
};

struct traffic {
	struct registry *registry;
	struct connections *connections;
};

static inline struct traffic traffic_new(size_t max_connections)
{
	struct traffic t = { registry_new(1000), connections_new(max_connections) };

	assert_int_equal(registry_register(t.registry, traffic_metrics), 0);
	return t;
}

static inline void traffic_done(struct traffic *t)
{
	registry_free(t->registry);
	connections_free(t->connections);
}

/* "127.0.0.1" or "::1" */
static inline struct connection_end traffic_end(const char *address, uint16_t port)
{
	struct connection_end end = { .address = { [10] = 0xff, [11] = 0xff }, .port = port };

	if (inet_pton(AF_INET, address, end.address + 12) != 1) {
		assert_int_equal(inet_pton(AF_INET6, address, end.address), 1);
	}
	return end;
}

/* One value into a series of its own. */
static inline void traffic_observe(struct traffic *t, int metric, const char *service,
				   const struct attr *attrs, size_t n_attrs, uint64_t ns)
{
	struct sn_hist none = {}, h = { .sum_ns = ns, .min_inv_ns = ~ns, .max_ns = ns };
	int slot = sn_hist_slot(ns);

	*(slot < 0 ? &h.zero : &h.bucket[slot]) += 1;
	series_add_hist(
		registry_series(t->registry, &traffic_metrics[metric], service, attrs, n_attrs),
		&none, &h);
}

static inline void traffic_count(struct traffic *t, int metric, const char *service,
				 const struct attr *attrs, size_t n_attrs, uint64_t n)
{
	series_add(registry_series(t->registry, &traffic_metrics[metric], service, attrs, n_attrs),
		   n);
}

/* Adds what @c says of a connection, and @n exchanges, from @first_ns on, @step_ns longer each. */
static inline void traffic_add(struct traffic *t, struct connection c, unsigned n,
			       uint64_t first_ns, uint64_t step_ns)
{
	bool server = c.role == CONNECTION_SERVER;
	char end[CONNECTION_END_MAX], peer[CONNECTION_END_MAX];
	struct attr attrs[] = {
		ATTR_STR("network.peer.address", peer),
		ATTR_NUM("server.port", server ? c.local.port : c.peer.port),
	};

	connection_end_text(&c.peer, end);
	snprintf(peer, sizeof(peer), "%.*s", (int)strcspn(end + (*end == '['), "]"),
		 end + (*end == '['));
	if (*end != '[')
		*strrchr(peer, ':') = '\0';
	for (unsigned i = 0; i < n; i++) {
		uint64_t ns = first_ns + i * step_ns;
		double us = (double)ns / 1000;
		int b = 0;

		traffic_observe(t, server ? T_SERVER : T_CLIENT, c.service, attrs, 2, ns);
		while (b < CONNECTION_BUCKETS - 1 && ns > connection_bounds_ns[b])
			b++;
		c.bucket[b]++;
		c.min_ns = !c.exchanges || ns < c.min_ns ? ns : c.min_ns;
		c.max_ns = ns > c.max_ns ? ns : c.max_ns;
		c.exchanges++;
		c.sum_ns += ns;
		c.sum_sq_us += us * us;
	}
	assert_int_equal(connections_add(t->connections, &c), 0);
}

/* A name that was used twice, and is the other end's too: in another network namespace. */
static inline void traffic_same_names(struct traffic *t)
{
	const struct connection_end loop = traffic_end("127.0.0.1", 40003),
				    shop = traffic_end("127.0.0.1", 8080);

	for (int i = 0; i < 2; i++)
		traffic_add(t,
			    (struct connection){ .local = loop,
						 .peer = shop,
						 .role = CONNECTION_CLIENT,
						 .pid = 900,
						 .service = "curl\xff",
						 .sent_bytes = 80,
						 .received_bytes = 1000,
						 .duration_ns = (3 - (uint64_t)i) * 1000000,
						 .closed_by = "local" },
			    1 + (unsigned)i, 2000000, 1000000);
	traffic_add(t,
		    (struct connection){ .local = loop,
					 .peer = shop,
					 .role = CONNECTION_SERVER,
					 .service = "",
					 .open = true },
		    3, 120000000, 0);
}

/* Of a bit of everything. */
static inline void traffic_mixed(struct traffic *t)
{
	const struct connection_end shop = traffic_end("10.0.0.1", 8080),
				    client = traffic_end("10.0.0.7", 40001),
				    six = traffic_end("2001:db8::7", 40002),
				    six_db = traffic_end("2001:db8::9", 5432);

	traffic_add(t,
		    (struct connection){ .local = shop,
					 .peer = client,
					 .role = CONNECTION_SERVER,
					 .pid = 812,
					 .service = "shop",
					 .open = true,
					 .sent_bytes = 100000,
					 .received_bytes = 10000,
					 .retransmits = 2,
					 .duration_ns = 59 * NSEC_PER_SEC,
					 .rtt_ns = 350000,
					 .rtt_min_ns = 290500 },
		    100, 500000, 10000);
	traffic_add(t,
		    (struct connection){ .local = six,
					 .peer = six_db,
					 .role = CONNECTION_CLIENT,
					 .pid = 812,
					 .service = "shop",
					 .sent_bytes = 4000,
					 .received_bytes = 900000,
					 .duration_ns = 1500000,
					 .closed_by = "remote" },
		    40, 100000, 7500000);
	traffic_same_names(t);
	/* One that came to nothing. */
	traffic_add(t,
		    (struct connection){ .local = traffic_end("10.0.0.1", 40004),
					 .peer = traffic_end("10.0.0.9", 6379),
					 .role = CONNECTION_CLIENT,
					 .pid = 812,
					 .service = "shop",
					 .error = "refused" },
		    0, 0, 0);
}
