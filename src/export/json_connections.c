// SPDX-License-Identifier: Apache-2.0
#include "export/json_parts.h"

#include <errno.h>
#include <math.h>

#include "base/cleanup.h"
#include "model/connection_groups.h"
#include "model/exchanges.h"

/* Nanoseconds, some of them parts of one, as microseconds; finer than one was not measured. */
static double us(double ns)
{
	return round(ns) / 1000;
}

static json_t *count(uint64_t n)
{
	return json_integer((json_int_t)n);
}

/* Microseconds, null for a time that is not known. */
static json_t *known_us(uint64_t ns)
{
	return ns ? json_real(us((double)ns)) : json_null();
}

static json_t *text(const char *s)
{
	return s ? json_string(s) : json_null();
}

/* ---- all exchanges ---- */

static json_t *percentiles(const struct hist *h)
{
	static const struct {
		const char *key;
		double q;
	} quantiles[] = {
		{ "p50", 0.5 },	 { "p75", 0.75 }, { "p90", 0.9 },
		{ "p95", 0.95 }, { "p99", 0.99 }, { "p999", 0.999 },
	};
	json_t *o = json_object();
	int bad = 0;

	for (size_t i = 0; i < ARRAY_SIZE(quantiles); i++)
		bad |= json_object_set_new(o, quantiles[i].key,
					   json_number(us(hist_quantile(h, quantiles[i].q) * 1e9)));
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *all_percentiles(const struct exchanges *x)
{
	json_t *o = percentiles(&x->all);

	if (json_object_set_new(o, "client", percentiles(&x->client)) |
	    json_object_set_new(o, "server", percentiles(&x->server))) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *histogram(const struct connection *sum)
{
	const uint64_t *n = sum->bucket;

	_Static_assert(CONNECTION_BUCKETS == 6, "each has a name");
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "0-1ms", count(n[0]), "1-5ms",
			 count(n[1]), "5-10ms", count(n[2]), "10-50ms", count(n[3]), "50-100ms",
			 count(n[4]), "100ms+", count(n[5]));
}

/* ---- one connection ---- */

static json_t *latency(const struct connection *c, double ns)
{
	return c->exchanges ? json_real(us(ns)) : json_null();
}

static json_t *connection(const struct connection_group *g)
{
	const struct connection *c = &g->sum;
	char local[CONNECTION_END_MAX], peer[CONNECTION_END_MAX];
	double mean = c->exchanges ? (double)c->sum_ns / (double)c->exchanges : 0;

	return json_pack(
		"{s:s, s:s, s:s, s:s, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
		"s:o, s:o, s:o, s:o}",
		"source", connection_end_text(&c->local, local), "destination",
		connection_end_text(&c->peer, peer), "role",
		c->role == CONNECTION_SERVER ? "server" : "client", "service", c->service, "pid",
		c->pid ? count(c->pid) : json_null(), "open", c->open, "events",
		count(c->exchanges), "min_latency_us", latency(c, (double)c->min_ns),
		"max_latency_us", latency(c, (double)c->max_ns), "avg_latency_us", latency(c, mean),
		"std_dev_us", latency(c, connection_std_dev_us(c) * 1000), "sent_bytes",
		count(c->sent_bytes), "received_bytes", count(c->received_bytes), "retransmits",
		count(c->retransmits), "duration_us", known_us(c->duration_ns), "rtt_us",
		known_us(c->rtt_ns), "rtt_min_us", known_us(c->rtt_min_ns), "error", text(c->error),
		"closed_by", text(c->closed_by), "sockets", count(g->sockets));
}

static void put_groups(struct strbuf *out, const struct connection_groups *groups)
{
	char name[CONNECTION_NAME_MAX];

	strbuf_puts(out, ",\"connections\":{");
	for (size_t i = 0; i < groups->n && !strbuf_failed(out); i++)
		json_put(out, connection_group_name(&groups->group[i], name),
			 connection(&groups->group[i]));
	strbuf_putc(out, '}');
}

int json_put_connections(const struct report *r, struct strbuf *out)
{
	cleanup(connection_groups_done) struct connection_groups groups = {};
	uint64_t sockets, exchanges;
	struct exchanges x;

	/* First: the groups borrow from the connections, until the next call. */
	connections_omitted(r->connections, &sockets, &exchanges);
	if (connection_groups_make(r->connections, &groups) < 0)
		return -ENOMEM;
	exchanges_of(r->snapshot, &x);
	/* Those too whose connection was lost on its way: sonde.events counts it. */
	exchanges += hist_count(&x.all) - connections_sum(r->connections)->exchanges;
	json_put(out, "total_events", count(hist_count(&x.all)));
	json_put(out, "sampling_rate", json_real(r->sampling_rate));
	json_put(out, "event_type_breakdown",
		 json_pack("{s:o, s:o}", "client_exchange", count(hist_count(&x.client)),
			   "server_exchange", count(hist_count(&x.server))));
	json_put(out, "percentiles", all_percentiles(&x));
	json_put(out, "histogram", histogram(connections_sum(r->connections)));
	json_put(out, "connections_omitted",
		 json_pack("{s:o, s:o}", "count", count(sockets), "events", count(exchanges)));
	put_groups(out, &groups);
	return 0;
}
