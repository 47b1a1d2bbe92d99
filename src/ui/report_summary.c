// SPDX-License-Identifier: Apache-2.0
#include "ui/report_summary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "model/connection_groups.h"
#include "model/exchanges.h"
#include "ui/findings.h"
#include "ui/terminal.h"
#include "ui/text.h"

#define MAX_SERVICES 20
#define MAX_SLOWEST  10

/* clang-format off */
static const struct column role_columns[] = {
	{ "EXCHANGES", COLUMN_KIND, 9 },
	{ "COUNT", COLUMN_COUNT, 9 },
	{ "P50", COLUMN_P50, 6 },
	{ "P75", COLUMN_P75, 6, 72 },
	{ "P90", COLUMN_P90, 6, 56 },
	{ "P95", COLUMN_P95, 6, 72 },
	{ "P99", COLUMN_P99, 6 },
	{ "P99.9", COLUMN_P999, 6, 56 },
	{ "MAX", COLUMN_MAX, 6 },
	{}
}, tcp_columns[] = {
	{ "TCP SERVICE", COLUMN_SERVICE },
	{ "ROLE", COLUMN_KIND, 6 },
	{ "PEER", COLUMN_PEER },
	{ "PORT", COLUMN_NUMBER, 5 },
	{ "COUNT", COLUMN_COUNT, 9 },
	{ "P50", COLUMN_P50, 6, 72 },
	{ "P99", COLUMN_P99, 6, 56 },
	{ "MAX", COLUMN_MAX, 6, 56 },
	{}
}, http_columns[] = {
	{ "HTTP SERVICE", COLUMN_SERVICE },
	{ "METHOD", COLUMN_KIND, 7 },
	{ "STATUS", COLUMN_NUMBER, 6 },
	{ "COUNT", COLUMN_COUNT, 9 },
	{ "P50", COLUMN_P50, 6, 72 },
	{ "P99", COLUMN_P99, 6, 56 },
	{ "MAX", COLUMN_MAX, 6, 56 },
	{}
}, slowest_columns[] = {
	{ "SLOWEST SOCKETS", COLUMN_PEER, .most = 96 },
	{ "ROLE", COLUMN_KIND, 6 },
	{ "SERVICE", COLUMN_SERVICE, 15, 80 },
	{ "COUNT", COLUMN_COUNT, 9, 56 },
	{ "MEAN", COLUMN_MEAN, 6, 56 },
	{ "MAX", COLUMN_MAX, 6 },
	{}
};
/* clang-format on */

/* ---- exchanges ---- */

static struct row role_row(const char *kind, const struct hist *h)
{
	struct row row = row_of((double)hist_count(h));

	row.kind = kind;
	row_set_hist(&row, h);
	return row;
}

static void roles(const struct exchanges *x, const struct terminal_style *style, struct strbuf *out)
{
	struct row row[] = {
		role_row("client", &x->client),
		role_row("server", &x->server),
		role_row("all", &x->all),
	};
	const struct rows rows = { row, ARRAY_SIZE(row), ARRAY_SIZE(row) };

	table_draw(role_columns, &rows, rows.n, style, out);
}

/* A bar of @share of @width columns, in eighths of one where the terminal has them. */
static void bar(double share, unsigned width, bool utf8, struct strbuf *out)
{
	unsigned eighths = (unsigned)lround(share * width * 8);
	unsigned used;

	/* What is there is seen. */
	eighths = share > 0 && !eighths ? 1 : eighths;
	eighths = utf8 ? eighths : (eighths + 7) / 8 * 8;
	for (used = 0; used < eighths / 8; used++)
		strbuf_puts(out, utf8 ? "\xe2\x96\x88" : "#");
	/* U+2588 is the full block, U+258f an eighth of it. */
	if (eighths % 8) {
		strbuf_printf(out, "\xe2\x96%c", (char)(0x90 - eighths % 8));
		used++;
	}
	strbuf_printf(out, "%*s", (int)(width - used), "");
}

#define BAR_MAX 50

static void bars(const struct connection *sum, const struct terminal_style *style,
		 struct strbuf *out)
{
	static const char *const names[CONNECTION_BUCKETS] = {
		"0-1 ms", "1-5 ms", "5-10 ms", "10-50 ms", "50-100 ms", "100+ ms",
	};
	unsigned room = style->width - 9 - 2 - 11 - 8, width = room < BAR_MAX ? room : BAR_MAX;
	double total = (double)sum->exchanges;

	strbuf_putc(out, '\n');
	style_line(style, BOLD, "TIME TO THE ANSWER", out);
	for (int i = 0; i < CONNECTION_BUCKETS; i++) {
		double share = total > 0 ? (double)sum->bucket[i] / total : 0;

		strbuf_printf(out, "%9s  ", names[i]);
		bar(share, width, style->utf8, out);
		strbuf_printf(out, " %10llu  %5.1f%%\n", (unsigned long long)sum->bucket[i],
			      100 * share);
	}
}

/* ---- connections ---- */

static int by_maximum(const void *pa, const void *pb)
{
	const struct connection *a = &((const struct connection_group *)pa)->sum,
				*b = &((const struct connection_group *)pb)->sum;
	uint64_t x = a->exchanges ? a->max_ns : 0, y = b->exchanges ? b->max_ns : 0;

	return x != y ? (x < y) - (x > y)
		      : (a->exchanges < b->exchanges) - (a->exchanges > b->exchanges);
}

static void slowest(struct connections *c, const struct terminal_style *style, struct strbuf *out)
{
	cleanup(connection_groups_done) struct connection_groups groups = {};
	char names[MAX_SLOWEST][CONNECTION_NAME_MAX];
	struct row row[MAX_SLOWEST];
	struct rows rows = { row, 0, MAX_SLOWEST };

	if (connection_groups_make(c, &groups) < 0) {
		out->failed = true;
		return;
	}
	if (groups.n)
		qsort(groups.group, groups.n, sizeof(*groups.group), by_maximum);
	for (size_t i = 0; i < groups.n && i < MAX_SLOWEST; i++) {
		const struct connection *one = &groups.group[i].sum;

		if (!one->exchanges)
			break;
		row[i] = row_of((double)one->exchanges);
		row[i].service = *one->service ? one->service : "(unknown)";
		row[i].kind = one->role == CONNECTION_SERVER ? "server" : "client";
		row[i].peer = connection_group_name(&groups.group[i], names[i]);
		row[i].mean = (double)one->sum_ns / (double)one->exchanges / NSEC_PER_SEC;
		row[i].max = (double)one->max_ns / NSEC_PER_SEC;
		rows.n++;
	}
	if (rows.n)
		table_draw(slowest_columns, &rows, rows.n, style, out);
}

/* ---- what went wrong ---- */

static uint64_t value_of(const struct snap_metric *m, const struct snap_series *s)
{
	return m->metric->kind == METRIC_HISTOGRAM ? hist_count(s->hist) : s->counter;
}

/* More names than these are added up. */
#define MAX_NAMES 16

/* Adds "12 refused, 3 timed_out": the values of @metric by attribute @key, where it is there. */
static void by_attribute(const struct snapshot *now, const char *metric, const char *key,
			 struct strbuf *out)
{
	const struct snap_metric *m = snapshot_find(now, metric);
	struct {
		const char *name;
		uint64_t n;
	} sums[MAX_NAMES + 1] = { [MAX_NAMES] = { "others", 0 } };
	size_t n = 0, at;

	for (size_t i = 0; m && i < m->n_series; i++) {
		const struct attr *a = snap_attr(&m->series[i], key);

		if (!a || a->type != ATTR_STRING || !value_of(m, &m->series[i]))
			continue;
		for (at = 0; at < n && strcmp(sums[at].name, a->str) != 0; at++)
			;
		if (at < MAX_NAMES) {
			n += at == n;
			sums[at].name = a->str;
		}
		sums[at].n += value_of(m, &m->series[i]);
	}
	n += sums[MAX_NAMES].n > 0;
	for (at = 0; at < n; at++)
		strbuf_printf(out, "%s%llu %s", at ? ", " : "", (unsigned long long)sums[at].n,
			      sums[at].name);
}

static void failures(const struct snapshot *now, const struct terminal_style *style,
		     struct strbuf *out)
{
	static const struct {
		const char *title, *metric, *key;
	} kinds[] = {
		{ "failed handshakes", "system.network.tcp.handshake.duration", "error.type" },
		{ "failed connections", "system.network.tcp.connection.duration", "error.type" },
		{ "segments sent again", "system.network.tcp.retransmits",
		  "network.tcp.retransmit.type" },
		{ "resets", "system.network.tcp.resets", "network.io.direction" },
	};

	strbuf_putc(out, '\n');
	style_line(style, BOLD, "FAILURES", out);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		cleanup(strbuf_done) struct strbuf sums = {};
		cleanup(strbuf_done) struct strbuf line = {};

		by_attribute(now, kinds[i].metric, kinds[i].key, &sums);
		strbuf_printf(&line, "%-19s  %s", kinds[i].title,
			      sums.len ? strbuf_str(&sums) : "none");
		style_line(style, sums.len ? RED : "", strbuf_str(&line), out);
	}
}

/* ---- the page ---- */

static void header(const struct report_summary *r, const struct exchanges *x,
		   const struct terminal_style *style, struct strbuf *out)
{
	cleanup(strbuf_done) struct strbuf text = {};
	char elapsed[UNIT_TEXT_MAX], rate[UNIT_TEXT_MAX];
	double n = (double)hist_count(&x->all);

	strbuf_printf(&text, "sonde " SONDE_VERSION ", %s: %s", style->host_name,
		      unit_elapsed(r->seconds, elapsed));
	if (r->connections)
		strbuf_printf(&text, ", %.0f exchange%s (%s), %llu socket%s", n, n == 1 ? "" : "s",
			      unit_rate(r->seconds > 0 ? n / r->seconds : NAN, rate),
			      (unsigned long long)connections_count(r->connections),
			      connections_count(r->connections) == 1 ? "" : "s");
	style_line(style, BOLD, strbuf_str(&text), out);
}

/* Beyond what is kept, connections are in all sums and in no list. */
static void omitted(struct connections *c, const struct terminal_style *style, struct strbuf *out)
{
	uint64_t sockets, exchanges;
	char text[128];

	connections_omitted(c, &sockets, &exchanges);
	if (!sockets)
		return;
	snprintf(text, sizeof(text),
		 "%llu sockets with fewer exchanges (%llu in all) are not in the list",
		 (unsigned long long)sockets, (unsigned long long)exchanges);
	style_line(style, DIM, text, out);
}

static void tcp_part(const struct report_summary *r, const struct exchanges *x,
		     const struct rows *services, const struct terminal_style *style,
		     struct strbuf *out)
{
	if (hist_count(&x->all)) {
		roles(x, style, out);
		bars(connections_sum(r->connections), style, out);
	}
	if (services->n)
		table_draw(tcp_columns, services, MAX_SERVICES, style, out);
	slowest(r->connections, style, out);
	omitted(r->connections, style, out);
	if (r->detail) {
		failures(r->snapshot, style, out);
	} else {
		strbuf_putc(out, '\n');
		style_line(style, DIM, "--tcp.detail: where time goes, and what failed", out);
	}
}

void report_summary_render(const struct report_summary *r, const struct terminal_style *asked,
			   struct strbuf *out)
{
	cleanup(rows_done) struct rows tcp = {};
	cleanup(rows_done) struct rows http = {};
	struct terminal_style style = *asked;
	struct exchanges x;

	style.width = style.width < 48 ? 48 : style.width;
	if (rows_tcp(&tcp, r->snapshot, NULL) < 0 || rows_http(&http, r->snapshot, NULL) < 0) {
		out->failed = true;
		return;
	}
	exchanges_of(r->snapshot, &x);
	header(r, &x, &style, out);
	terminal_losses(r->snapshot, &style, out);
	if (r->connections)
		tcp_part(r, &x, &tcp, &style, out);
	if (r->findings)
		findings_render(r->findings, &style, out);
	if (http.n)
		table_draw(http_columns, &http, MAX_SERVICES, &style, out);
	if (tcp.n || http.n)
		return;
	strbuf_putc(out, '\n');
	if (r->chosen) {
		style_line(&style, "", "Nothing of what was chosen was exchanged meanwhile.", out);
		style_line(&style, DIM, "Without --port, --service and the like, all is shown.",
			   out);
		return;
	}
	style_line(&style, "", "Nothing was exchanged while this was measured.", out);
	style_line(&style, DIM, "'sonde doctor' says what works on this machine.", out);
}
