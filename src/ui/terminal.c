// SPDX-License-Identifier: Apache-2.0
#include "ui/terminal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ui/interval.h"
#include "ui/rows.h"
#include "ui/text.h"

/* ---- columns ---- */

enum figure { SERVICE, KIND, PEER, NUMBER, RATE, P50, P99, QUEUE, SENT, RECEIVED };

struct column {
	const char *title;
	enum figure figure;
	unsigned width; /* 0: a share of what the others leave */
	unsigned from;	/* shown on terminals at least that wide */
};

/* clang-format off */
static const struct column tcp_columns[] = {
	{ "TCP SERVICE", SERVICE },
	{ "ROLE", KIND, 6 },
	{ "PEER", PEER },
	{ "PORT", NUMBER, 5 },
	{ "RATE", RATE, 8 },
	{ "P50", P50, 6, 56 },
	{ "P99", P99, 6, 56 },
	{ "QUEUE P99", QUEUE, 9, 72 },
	{ "SENT", SENT, 8, 100 },
	{ "RECEIVED", RECEIVED, 8, 100 },
	{}
}, http_columns[] = {
	{ "HTTP SERVICE", SERVICE },
	{ "METHOD", KIND, 7 },
	{ "STATUS", NUMBER, 6 },
	{ "RATE", RATE, 8 },
	{ "P50", P50, 6, 56 },
	{ "P99", P99, 6, 56 },
	{}
};
/* clang-format on */

struct table {
	const struct column *columns;
	const struct terminal_style *style;
	unsigned gap;	      /* blanks between columns */
	unsigned flexible[2]; /* widths of the columns that have none of their own */
};

#define SERVICE_MAX 40

static bool is_text(const struct column *c)
{
	return c->figure <= PEER;
}

static void table_layout(struct table *t)
{
	unsigned width = t->style->width, fixed = 0, shares = 0;

	t->gap = width < 100 ? 1 : 2;
	for (const struct column *c = t->columns; c->title; c++) {
		if (c->from > width)
			continue;
		fixed += c->width + (c == t->columns ? 0 : t->gap);
		shares += !c->width;
	}
	t->flexible[0] = (width - fixed) / shares;
	t->flexible[1] = (width - fixed) - t->flexible[0];
	if (t->flexible[0] > SERVICE_MAX)
		t->flexible[0] = SERVICE_MAX;
	if (t->flexible[1] > SERVICE_MAX)
		t->flexible[1] = SERVICE_MAX;
}

static const char *figure_text(const struct row *row, enum figure figure, bool utf8,
			       char buf[UNIT_TEXT_MAX])
{
	switch (figure) {
	case SERVICE:
		return row->service;
	case KIND:
		return *row->kind ? row->kind : "-";
	case PEER:
		return *row->peer ? row->peer : "-";
	case NUMBER:
		snprintf(buf, UNIT_TEXT_MAX, "%lld", (long long)row->number);
		return row->number < 0 ? "-" : buf;
	case RATE:
		return unit_rate(row->rate, buf);
	case P50:
		return unit_seconds(row->p50, utf8, buf);
	case P99:
		return unit_seconds(row->p99, utf8, buf);
	case QUEUE:
		return unit_seconds(row->queue_p99, utf8, buf);
	case SENT:
		return unit_bytes_rate(row->sent, buf);
	default:
		return unit_bytes_rate(row->received, buf);
	}
}

static void begin_style(const struct terminal_style *style, const char *escape, struct strbuf *out)
{
	if (style->color)
		strbuf_puts(out, escape);
}

/* One line of a table: of @row, or of the titles if it is NULL. */
static void table_line(const struct table *t, const struct row *row, struct strbuf *out)
{
	char buf[UNIT_TEXT_MAX];
	unsigned share = 0;

	if (!row)
		begin_style(t->style, BOLD, out);
	for (const struct column *c = t->columns; c->title; c++) {
		unsigned width = c->width ? c->width : t->flexible[share];

		if (c->from > t->style->width)
			continue;
		share += !c->width && !share;
		if (c != t->columns)
			strbuf_printf(out, "%*s", (int)t->gap, "");
		text_cell(out, row ? figure_text(row, c->figure, t->style->utf8, buf) : c->title,
			  width, !is_text(c), t->style->utf8);
	}
	while (out->len && out->data[out->len - 1] == ' ')
		out->data[--out->len] = '\0';
	if (!row)
		begin_style(t->style, PLAIN, out);
	strbuf_putc(out, '\n');
}

/* A line of words, cut to the width of the terminal. */
static void words_line(const struct terminal_style *style, const char *escape, const char *text,
		       struct strbuf *out)
{
	begin_style(style, escape, out);
	text_add(out, text, style->width, style->utf8);
	begin_style(style, PLAIN, out);
	strbuf_putc(out, '\n');
}

/* A blank line, the titles, and at most @lines lines; what is left out is told in the last one. */
static void table_draw(const struct column *columns, const struct rows *rows, size_t lines,
		       const struct terminal_style *style, struct strbuf *out)
{
	struct table t = { .columns = columns, .style = style };
	size_t shown = rows->n <= lines ? rows->n : lines - 1;
	char more[64];

	table_layout(&t);
	strbuf_putc(out, '\n');
	table_line(&t, NULL, out);
	for (size_t i = 0; i < shown; i++)
		table_line(&t, &rows->row[i], out);
	if (shown == rows->n)
		return;
	snprintf(more, sizeof(more), "... and %zu more", rows->n - shown);
	words_line(style, DIM, more, out);
}

/* ---- the screen ---- */

static double total(const struct snapshot *s, const char *name)
{
	const struct snap_metric *m = snapshot_find(s, name);
	double n = 0;

	for (size_t i = 0; m && m->metric->kind == METRIC_HISTOGRAM && i < m->n_series; i++)
		n += (double)hist_count(m->series[i].hist);
	return n;
}

static void header(const struct snapshot *now, const struct snapshot *before,
		   const struct terminal_style *style, struct strbuf *out)
{
	char elapsed[UNIT_TEXT_MAX], client[UNIT_TEXT_MAX], server[UNIT_TEXT_MAX],
		requests[UNIT_TEXT_MAX], text[512], rates[64];
	double since = now->time_ns > now->start_ns ? interval_seconds(now, NULL) : 0;
	int n = snprintf(text, sizeof(text),
			 "sonde " SONDE_VERSION ", %s, %s: exchanges %s out, %s in; requests %s",
			 style->host_name, unit_elapsed(since, elapsed),
			 unit_count(total(now, "tcp.client.exchange.duration"), client),
			 unit_count(total(now, "tcp.server.exchange.duration"), server),
			 unit_count(total(now, "http.server.request.duration"), requests));

	/* Only whole: a figure that is cut is a wrong one. */
	snprintf(rates, sizeof(rates), "; rates of the last %.1f s", interval_seconds(now, before));
	if (before && n > 0 && (size_t)n + sizeof(rates) < sizeof(text) &&
	    text_width(text, style->utf8) + strlen(rates) <= style->width)
		snprintf(text + n, sizeof(text) - (size_t)n, "%s", rates);
	words_line(style, BOLD, text, out);
}

/* A promise: what is not in the figures is told above them. */
static bool losses(const struct snapshot *now, const struct terminal_style *style,
		   struct strbuf *out)
{
	const struct snap_metric *m = snapshot_find(now, "sonde.events");
	cleanup(strbuf_done) struct strbuf parts = {};
	cleanup(strbuf_done) struct strbuf text = {};
	char count[UNIT_TEXT_MAX];
	uint64_t lost = 0;

	for (size_t i = 0; m && m->metric->kind == METRIC_COUNTER && i < m->n_series; i++) {
		const struct snap_series *s = &m->series[i];
		const struct attr *fate = snap_attr(s, "sonde.event.fate");
		const struct attr *probe = snap_attr(s, "sonde.probe");

		if (!s->counter || !fate || fate->type != ATTR_STRING ||
		    strncmp(fate->str, "dropped", 7))
			continue;
		probe = probe && probe->type == ATTR_STRING ? probe : NULL;
		strbuf_printf(&parts, "%s%s %s%s%s", lost ? ", " : "",
			      unit_count((double)s->counter, count), probe ? probe->str : "",
			      probe ? " " : "", fate->str + 7 + strspn(fate->str + 7, "._- :"));
		lost += s->counter;
	}
	if (!lost)
		return false;
	strbuf_printf(&text, "LOST: %s event%s not in these figures (%s)",
		      unit_count((double)lost, count), lost == 1 ? " is" : "s are",
		      strbuf_str(&parts));
	words_line(style, RED, strbuf_str(&text), out);
	return true;
}

/* Shares @lines among two tables: each gets what it needs, or at least half. */
static size_t share_lines(size_t lines, size_t own, size_t others)
{
	size_t half = lines / 2, rest = others < lines ? lines - others : 0;
	size_t most = rest > half ? rest : half;

	return own < most ? own : most;
}

void terminal_render(const struct snapshot *now, const struct snapshot *before,
		     const struct terminal_style *asked, struct strbuf *out)
{
	cleanup(rows_done) struct rows tcp = {};
	cleanup(rows_done) struct rows http = {};
	struct terminal_style style = *asked;
	size_t lines;

	style.width = style.width < 40 ? 40 : style.width;
	style.height = style.height < 10 ? 10 : style.height;
	if (rows_tcp(&tcp, now, before) < 0 || rows_http(&http, now, before) < 0) {
		out->failed = true;
		return;
	}
	header(now, before, &style, out);
	lines = style.height - 2U - losses(now, &style, out) - 2U * !!tcp.n - 2U * !!http.n;
	if (tcp.n)
		table_draw(tcp_columns, &tcp, share_lines(lines, tcp.n, http.n), &style, out);
	if (http.n)
		table_draw(http_columns, &http, lines - share_lines(lines, tcp.n, http.n), &style,
			   out);
	if (tcp.n || http.n)
		return;
	strbuf_putc(out, '\n');
	words_line(&style, "",
		   "No TCP exchange or Go HTTP request yet: they appear here as they happen.", out);
	words_line(&style, DIM,
		   "'sonde doctor' says what works on this machine, 'sonde plan' what is watched.",
		   out);
}

void terminal_redraw(const struct strbuf *screen, struct strbuf *out)
{
	const char *line = strbuf_str(screen);

	strbuf_puts(out, "\x1b[H");
	while (*line) {
		size_t len = strcspn(line, "\n");

		/* Cleared first: behind a full line, clearing would take its last character. */
		strbuf_puts(out, "\x1b[2K");
		strbuf_add(out, line, len);
		strbuf_puts(out, "\r\n");
		line += len + (line[len] == '\n');
	}
	strbuf_puts(out, "\x1b[J");
}
