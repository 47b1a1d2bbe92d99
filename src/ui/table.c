// SPDX-License-Identifier: Apache-2.0
#include "ui/table.h"

#include <stdio.h>

#include "ui/text.h"

struct table {
	const struct column *columns;
	const struct terminal_style *style;
	unsigned gap;	      /* blanks between columns */
	unsigned flexible[2]; /* widths of the columns that have none of their own */
};

#define SHARE_MAX 40

static bool is_text(const struct column *c)
{
	return c->figure <= COLUMN_PEER;
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
	if (!shares)
		return;
	t->flexible[0] = (width - fixed) / shares;
	t->flexible[1] = (width - fixed) - t->flexible[0];
	shares = 0;
	for (const struct column *c = t->columns; c->title && shares < 2; c++) {
		unsigned most = c->most ? c->most : SHARE_MAX;

		if (c->width || c->from > width)
			continue;
		if (t->flexible[shares] > most)
			t->flexible[shares] = most;
		shares++;
	}
}

static double seconds_of(const struct row *row, enum figure figure)
{
	switch (figure) {
	case COLUMN_P50:
		return row->p50;
	case COLUMN_P75:
		return row->p75;
	case COLUMN_P90:
		return row->p90;
	case COLUMN_P95:
		return row->p95;
	case COLUMN_P99:
		return row->p99;
	case COLUMN_P999:
		return row->p999;
	case COLUMN_QUEUE:
		return row->queue_p99;
	case COLUMN_MEAN:
		return row->mean;
	default:
		return row->max;
	}
}

static const char *figure_text(const struct row *row, enum figure figure, bool utf8,
			       char buf[UNIT_TEXT_MAX])
{
	switch (figure) {
	case COLUMN_SERVICE:
		return row->service;
	case COLUMN_KIND:
		return *row->kind ? row->kind : "-";
	case COLUMN_PEER:
		return *row->peer ? row->peer : "-";
	case COLUMN_NUMBER:
		snprintf(buf, UNIT_TEXT_MAX, "%lld", (long long)row->number);
		return row->number < 0 ? "-" : buf;
	case COLUMN_RATE:
		return unit_rate(row->rate, buf);
	case COLUMN_SENT:
		return unit_bytes_rate(row->sent, buf);
	case COLUMN_RECEIVED:
		return unit_bytes_rate(row->received, buf);
	case COLUMN_COUNT:
		/* To the last one, where there is room for it. */
		snprintf(buf, UNIT_TEXT_MAX, "%.0f", row->count);
		return row->count < 1e9 ? buf : unit_count(row->count, buf);
	default:
		return unit_seconds(seconds_of(row, figure), utf8, buf);
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

void style_line(const struct terminal_style *style, const char *escape, const char *text,
		struct strbuf *out)
{
	begin_style(style, escape, out);
	text_add(out, text, style->width, style->utf8);
	begin_style(style, PLAIN, out);
	strbuf_putc(out, '\n');
}

void table_draw(const struct column *columns, const struct rows *rows, size_t lines,
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
	style_line(style, DIM, more, out);
}
