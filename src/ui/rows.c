// SPDX-License-Identifier: Apache-2.0
#include "ui/rows.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ui/interval.h"

#define OVERFLOW_SERVICE "(all others)"

static int64_t number_attr(const struct snap_series *s, const char *key)
{
	const struct attr *a = snap_attr(s, key);

	return a && a->type == ATTR_INT ? a->num : -1;
}

struct row row_of(double count)
{
	return (struct row){
		.service = "",
		.kind = "",
		.peer = "",
		.number = -1,
		.count = count,
		.rate = NAN,
		.p50 = NAN,
		.p99 = NAN,
		.queue_p99 = NAN,
		.sent = NAN,
		.received = NAN,
		.p75 = NAN,
		.p90 = NAN,
		.p95 = NAN,
		.p999 = NAN,
		.mean = NAN,
		.max = NAN,
	};
}

void row_set_hist(struct row *row, const struct hist *h)
{
	row->p50 = hist_quantile(h, 0.5);
	row->p75 = hist_quantile(h, 0.75);
	row->p90 = hist_quantile(h, 0.9);
	row->p95 = hist_quantile(h, 0.95);
	row->p99 = hist_quantile(h, 0.99);
	row->p999 = hist_quantile(h, 0.999);
	row->max = hist_count(h) ? (double)h->max_ns / NSEC_PER_SEC : NAN;
}

/* ---- what a series says about its row ---- */

static void fill_exchange(struct row *row, const struct snap_series *s,
			  const struct snap_series *before, double seconds)
{
	struct hist h;

	interval_hist(s, before, &h);
	row->count = (double)hist_count(s->hist);
	row->rate = seconds > 0 ? (double)hist_count(&h) / seconds : NAN;
	row_set_hist(row, &h);
}

static void fill_queue(struct row *row, const struct snap_series *s,
		       const struct snap_series *before, double seconds)
{
	struct hist h;

	(void)seconds;
	if (strcmp(snap_text(s, "tcp.stage"), "receive_queue"))
		return;
	interval_hist(s, before, &h);
	row->queue_p99 = hist_quantile(&h, 0.99);
}

static void fill_bytes(struct row *row, const struct snap_series *s,
		       const struct snap_series *before, double seconds)
{
	double rate = seconds > 0 ? (double)interval_counter(s, before) / seconds : NAN;

	if (!strcmp(snap_text(s, "network.io.direction"), "transmit"))
		row->sent = rate;
	else if (!strcmp(snap_text(s, "network.io.direction"), "receive"))
		row->received = rate;
}

/* A metric that rows are made of: where their names are, and how to read a series. */
struct source {
	const char *metric;
	enum metric_kind type;
	const char *kind; /* fixed by the metric, or NULL: in the attribute kind_key */
	const char *kind_key;
	const char *peer_key; /* NULL: none */
	const char *number_key;
	void (*fill)(struct row *row, const struct snap_series *s, const struct snap_series *before,
		     double seconds);
};

#define PEER "network.peer.address"
#define PORT "server.port"

/* clang-format off */
static const struct source tcp_sources[] = {
	{ "tcp.client.exchange.duration", METRIC_HISTOGRAM, "client", NULL, PEER, PORT,
	  fill_exchange },
	{ "tcp.server.exchange.duration", METRIC_HISTOGRAM, "server", NULL, PEER, PORT,
	  fill_exchange },
	{ "tcp.client.exchange.stage.duration", METRIC_HISTOGRAM, "client", NULL, PEER, PORT,
	  fill_queue },
	{ "tcp.server.exchange.stage.duration", METRIC_HISTOGRAM, "server", NULL, PEER, PORT,
	  fill_queue },
	{ "tcp.io", METRIC_COUNTER, NULL, "tcp.role", PEER, PORT, fill_bytes },
	{}
}, http_sources[] = {
	{ "http.server.request.duration", METRIC_HISTOGRAM, NULL, "http.request.method", NULL,
	  "http.response.status_code", fill_exchange },
	{}
};
/* clang-format on */

/* ---- collecting ---- */

struct row *rows_add(struct rows *rows)
{
	if (rows->n == rows->size) {
		size_t size = rows->size ? 2 * rows->size : 64;
		struct row *grown = reallocarray(rows->row, size, sizeof(*grown));

		if (!grown)
			return NULL;
		rows->row = grown;
		rows->size = size;
	}
	return &rows->row[rows->n++];
}

static int collect(struct rows *rows, const struct source *from, const struct snapshot *now,
		   const struct snapshot *before)
{
	const struct snap_metric *m = snapshot_find(now, from->metric);
	const struct snap_metric *m_before = before ? snapshot_find(before, from->metric) : NULL;
	double seconds = interval_seconds(now, before);
	size_t cursor = 0;

	if (!m || m->metric->kind != from->type)
		return 0;
	for (size_t i = 0; i < m->n_series; i++) {
		const struct snap_series *s = &m->series[i];
		bool overflow = snap_attr(s, "otel.metric.overflow");
		struct row *row = rows_add(rows);

		if (!row)
			return -ENOMEM;
		*row = row_of(0);
		row->service = overflow ? OVERFLOW_SERVICE : *s->service ? s->service : "(unknown)";
		row->kind = from->kind ? from->kind : snap_text(s, from->kind_key);
		row->peer = from->peer_key ? snap_text(s, from->peer_key) : "";
		row->number = number_attr(s, from->number_key);
		from->fill(row, s, interval_match(m_before, s, &cursor), seconds);
	}
	return 0;
}

/* ---- joining and sorting ---- */

static int by_name(const void *pa, const void *pb)
{
	const struct row *a = pa, *b = pb;
	int d = strcmp(a->service, b->service);

	if (!d)
		d = strcmp(a->kind, b->kind);
	if (!d)
		d = strcmp(a->peer, b->peer);
	return d ? d : (a->number > b->number) - (a->number < b->number);
}

static int by_figure(double a, double b)
{
	a = isnan(a) ? -1 : a;
	b = isnan(b) ? -1 : b;
	return (a < b) - (a > b);
}

/* The busiest first; what only moves bytes comes behind what was ever answered. */
static int by_rate(const void *pa, const void *pb)
{
	const struct row *a = pa, *b = pb;
	int d = by_figure(a->rate, b->rate);

	if (!d)
		d = by_figure(a->sent + a->received, b->sent + b->received);
	return d ? d : by_name(a, b);
}

static void take(double *into, double from)
{
	if (!isnan(from))
		*into = from;
}

static void join(struct row *into, const struct row *from)
{
	into->count += from->count;
	take(&into->rate, from->rate);
	take(&into->p50, from->p50);
	take(&into->p99, from->p99);
	take(&into->max, from->max);
	take(&into->queue_p99, from->queue_p99);
	take(&into->sent, from->sent);
	take(&into->received, from->received);
}

static int rows_make(struct rows *rows, const struct source *from, const struct snapshot *now,
		     const struct snapshot *before)
{
	size_t kept = 0;

	for (; from->metric; from++)
		if (collect(rows, from, now, before) < 0)
			return -ENOMEM;
	if (!rows->n)
		return 0;
	qsort(rows->row, rows->n, sizeof(*rows->row), by_name);
	for (size_t i = 1; i < rows->n; i++) {
		if (by_name(&rows->row[kept], &rows->row[i]))
			rows->row[++kept] = rows->row[i];
		else
			join(&rows->row[kept], &rows->row[i]);
	}
	rows->n = kept + 1;
	qsort(rows->row, rows->n, sizeof(*rows->row), by_rate);
	return 0;
}

int rows_tcp(struct rows *rows, const struct snapshot *now, const struct snapshot *before)
{
	return rows_make(rows, tcp_sources, now, before);
}

int rows_http(struct rows *rows, const struct snapshot *now, const struct snapshot *before)
{
	return rows_make(rows, http_sources, now, before);
}

void rows_done(struct rows *rows)
{
	free(rows->row);
	*rows = (struct rows){};
}
