// SPDX-License-Identifier: Apache-2.0
#include "ui/compare_table.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ui/text.h"

#define OVERFLOW "(all others)"

static void style(const struct compare_table *t, struct strbuf *out, const char *escape)
{
	if (t->style->color)
		strbuf_puts(out, escape);
}

void compare_title(struct compare_table *t, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	strbuf_putc(t->out, '\n');
	style(t, t->out, BOLD);
	text_add(t->out, text, sizeof(text), t->style->utf8);
	style(t, t->out, PLAIN);
	strbuf_putc(t->out, '\n');
}

/* The last column of a cell is the mark's, so that figures stand below each other. */
static void add(struct compare_table *t, const char *text, bool marked)
{
	size_t width = t->cell_width - 1, used = text_width(text, t->style->utf8);

	for (size_t i = used; i < width; i++)
		strbuf_putc(&t->cells, ' ');
	if (marked)
		style(t, &t->cells, DIM);
	text_add(&t->cells, text, used, t->style->utf8);
	strbuf_putc(&t->cells, marked ? '~' : ' ');
	if (marked)
		style(t, &t->cells, PLAIN);
	t->marked |= marked;
}

void compare_cell(struct compare_table *t, const char *fmt, ...)
{
	char text[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	add(t, text, false);
}

void compare_row(struct compare_table *t, const char *label)
{
	while (t->cells.len && t->cells.data[t->cells.len - 1] == ' ')
		t->cells.data[--t->cells.len] = '\0';
	strbuf_printf(t->out, "    %-*s%s\n", (int)t->label_width - 4, label,
		      strbuf_str(&t->cells));
	t->out->failed |= t->cells.failed;
	strbuf_done(&t->cells);
	t->cells = (struct strbuf){};
}

/* Exact as long as it fits beside its sign. */
void compare_count(struct compare_table *t, uint64_t n)
{
	char buf[UNIT_TEXT_MAX];

	snprintf(buf, sizeof(buf), "%llu", (unsigned long long)n);
	add(t, strlen(buf) < t->cell_width - 1 ? buf : unit_count((double)n, buf), false);
}

static void add_signed(struct compare_table *t, double v, const char *text, bool marked)
{
	char buf[UNIT_TEXT_MAX + 2];

	snprintf(buf, sizeof(buf), "%s%s", v > 0 ? "+" : v < 0 ? "-" : "", text);
	add(t, buf, marked);
}

void compare_count_difference(struct compare_table *t, uint64_t a, uint64_t b)
{
	uint64_t n = b > a ? b - a : a - b;
	char buf[UNIT_TEXT_MAX];

	snprintf(buf, sizeof(buf), "%llu", (unsigned long long)n);
	add_signed(t,
		   b > a   ? 1
		   : b < a ? -1
			   : 0,
		   strlen(buf) < t->cell_width - 2 ? buf : unit_count((double)n, buf), false);
}

void compare_seconds(struct compare_table *t, double s, bool marked)
{
	char buf[UNIT_TEXT_MAX];

	add(t, unit_seconds(s, t->style->utf8, buf), marked);
}

void compare_seconds_difference(struct compare_table *t, double s, bool marked)
{
	char buf[UNIT_TEXT_MAX];

	add_signed(t, s, unit_seconds(fabs(s), t->style->utf8, buf), marked);
}

static const char *rate_text(double per_s, const char *unit, char buf[UNIT_TEXT_MAX])
{
	return strcmp(unit, "By") ? unit_rate(per_s, buf) : unit_bytes_rate(per_s, buf);
}

void compare_rate(struct compare_table *t, double per_s, const char *unit)
{
	char buf[UNIT_TEXT_MAX];

	add(t, rate_text(per_s, unit, buf), false);
}

void compare_rate_difference(struct compare_table *t, double per_s, const char *unit)
{
	char buf[UNIT_TEXT_MAX];

	add_signed(t, per_s, rate_text(fabs(per_s), unit, buf), false);
}

void compare_ratio(struct compare_table *t, double ratio)
{
	if (isnan(ratio))
		compare_cell(t, "-");
	else if (ratio < 99999.5)
		compare_cell(t, "%.*f", ratio < 9.995 ? 2 : ratio < 99.95 ? 1 : 0, ratio);
	else
		compare_cell(t, "%.1e", ratio);
}

/* ---- what all comparisons have ---- */

void compare_about(const struct compare_table *t, const char *label, const struct compared *c)
{
	strbuf_printf(t->out, "%s: ", label);
	text_add(t->out, c->name, COMPARE_NAME_WIDTH, t->style->utf8);
	strbuf_puts(t->out, " (sonde ");
	text_add(t->out, c->version, 20, t->style->utf8);
	strbuf_puts(t->out, ", ");
	text_add(t->out, c->time, 40, t->style->utf8);
	strbuf_printf(t->out, ", %.1f s)\n", snapshot_seconds(c->snapshot));
}

void compare_attrs(const struct compare_table *t, const struct snap_series *s)
{
	for (size_t i = 0; i < s->n_attrs; i++) {
		const struct attr *a = &s->attrs[i];

		strbuf_puts(t->out, i ? " " : "");
		text_add(t->out, a->key, COMPARE_NAME_WIDTH, t->style->utf8);
		strbuf_putc(t->out, '=');
		if (a->type == ATTR_INT)
			strbuf_printf(t->out, "%lld", (long long)a->num);
		else
			text_add(t->out, a->str, COMPARE_NAME_WIDTH, t->style->utf8);
	}
}

void compare_series(const struct compare_table *t, const struct snap_series *s)
{
	const char *service = snap_is_overflow(s)	  ? OVERFLOW
			      : *s->service || s->n_attrs ? s->service
							  : "sonde itself";

	text_add(t->out, service, COMPARE_NAME_WIDTH, t->style->utf8);
	if (*service && s->n_attrs)
		strbuf_puts(t->out, "  ");
	compare_attrs(t, s);
}

void compare_legend(const struct compare_table *t)
{
	if (t->marked)
		strbuf_puts(t->out, "\n~ within one bucket (9 % wide): these histograms cannot "
				    "tell the two apart.\n");
}

void compare_titles(struct compare_table *t, enum figure end)
{
	compare_cell(t, "count");
	for (enum figure f = 0; f < end; f++)
		compare_cell(t, "%s", figure_names[f]);
	compare_row(t, "");
}

void compare_figures(struct compare_table *t, const char *label, const struct figures *f,
		     enum figure end)
{
	compare_count(t, f->count);
	for (enum figure i = 0; i < end; i++)
		compare_seconds(t, f->seconds[i], false);
	compare_row(t, label);
}
