// SPDX-License-Identifier: Apache-2.0
#include "ui/terminal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ui/interval.h"
#include "ui/rows.h"
#include "ui/table.h"
#include "ui/text.h"

/* clang-format off */
static const struct column tcp_columns[] = {
	{ "TCP SERVICE", COLUMN_SERVICE },
	{ "ROLE", COLUMN_KIND, 6 },
	{ "PEER", COLUMN_PEER },
	{ "PORT", COLUMN_NUMBER, 5 },
	{ "RATE", COLUMN_RATE, 8 },
	{ "P50", COLUMN_P50, 6, 56 },
	{ "P99", COLUMN_P99, 6, 56 },
	{ "QUEUE P99", COLUMN_QUEUE, 9, 72 },
	{ "SENT", COLUMN_SENT, 8, 100 },
	{ "RECEIVED", COLUMN_RECEIVED, 8, 100 },
	{}
}, http_columns[] = {
	{ "HTTP SERVICE", COLUMN_SERVICE },
	{ "METHOD", COLUMN_KIND, 7 },
	{ "STATUS", COLUMN_NUMBER, 6 },
	{ "RATE", COLUMN_RATE, 8 },
	{ "P50", COLUMN_P50, 6, 56 },
	{ "P99", COLUMN_P99, 6, 56 },
	{}
};
/* clang-format on */

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
	style_line(style, BOLD, text, out);
}

uint64_t terminal_lost(const struct snapshot *now, struct strbuf *parts)
{
	const struct snap_metric *m = snapshot_find(now, "sonde.events");
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
		strbuf_printf(parts, "%s%s %s%s%s", lost ? ", " : "",
			      unit_count((double)s->counter, count), probe ? probe->str : "",
			      probe ? " " : "", fate->str + 7 + strspn(fate->str + 7, "._- :"));
		lost += s->counter;
	}
	return lost;
}

bool terminal_losses(const struct snapshot *now, const struct terminal_style *style,
		     struct strbuf *out)
{
	cleanup(strbuf_done) struct strbuf parts = {};
	cleanup(strbuf_done) struct strbuf text = {};
	uint64_t lost = terminal_lost(now, &parts);
	char count[UNIT_TEXT_MAX];

	if (!lost)
		return false;
	strbuf_printf(&text, "LOST: %s event%s not in these figures (%s)",
		      unit_count((double)lost, count), lost == 1 ? " is" : "s are",
		      strbuf_str(&parts));
	style_line(style, RED, strbuf_str(&text), out);
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
	lines = style.height - 2U - terminal_losses(now, &style, out) - 2U * !!tcp.n -
		2U * !!http.n;
	if (tcp.n)
		table_draw(tcp_columns, &tcp, share_lines(lines, tcp.n, http.n), &style, out);
	if (http.n)
		table_draw(http_columns, &http, lines - share_lines(lines, tcp.n, http.n), &style,
			   out);
	if (tcp.n || http.n)
		return;
	strbuf_putc(out, '\n');
	style_line(&style, "",
		   "No TCP exchange or Go HTTP request yet: they appear here as they happen.", out);
	style_line(&style, DIM,
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
