// SPDX-License-Identifier: Apache-2.0
#include "ui/compare.h"

#include <math.h>

#include "base/clock.h"
#include "ui/compare_table.h"
#include "ui/text.h"

static void hists(struct compare_table *t, const struct pair *p)
{
	struct figures a, b;

	figures_of(p->a->hist, &a);
	figures_of(p->b->hist, &b);
	compare_figures(t, "A", &a, FIGURE_END);
	compare_figures(t, "B", &b, FIGURE_END);
	compare_count_difference(t, a.count, b.count);
	for (enum figure f = 0; f < FIGURE_END; f++)
		compare_seconds_difference(t, b.seconds[f] - a.seconds[f],
					   figures_alike(f, a.seconds[f], b.seconds[f]));
	compare_row(t, "B - A");
	compare_ratio(t, ratio_of((double)a.count, (double)b.count));
	for (enum figure f = 0; f < FIGURE_END; f++)
		compare_ratio(t, ratio_of(a.seconds[f], b.seconds[f]));
	compare_row(t, "B / A");
}

static void counters(struct compare_table *t, const struct pair *p, const double seconds[2])
{
	uint64_t v[] = { p->a->counter, p->b->counter };
	double rate[2];

	for (int i = 0; i < 2; i++) {
		rate[i] = seconds[i] > 0 ? (double)v[i] / seconds[i] : NAN;
		compare_count(t, v[i]);
		compare_rate(t, rate[i], p->metric->unit);
		compare_row(t, i ? "B" : "A");
	}
	compare_count_difference(t, v[0], v[1]);
	compare_rate_difference(t, rate[1] - rate[0], p->metric->unit);
	compare_row(t, "B - A");
	compare_ratio(t, ratio_of((double)v[0], (double)v[1]));
	compare_ratio(t, ratio_of(rate[0], rate[1]));
	compare_row(t, "B / A");
}

static void times(struct compare_table *t, const struct pair *p, const double seconds[2])
{
	double v[] = { (double)p->a->counter / NSEC_PER_SEC, (double)p->b->counter / NSEC_PER_SEC };
	double rate[2];

	for (int i = 0; i < 2; i++) {
		rate[i] = seconds[i] > 0 ? v[i] / seconds[i] : NAN;
		compare_seconds(t, v[i], false);
		compare_seconds(t, rate[i], false);
		compare_row(t, i ? "B" : "A");
	}
	compare_seconds_difference(t, v[1] - v[0], false);
	compare_seconds_difference(t, rate[1] - rate[0], false);
	compare_row(t, "B - A");
	compare_ratio(t, ratio_of(v[0], v[1]));
	compare_ratio(t, ratio_of(rate[0], rate[1]));
	compare_row(t, "B / A");
}

static void gauges(struct compare_table *t, const struct pair *p)
{
	compare_cell(t, "%.6g", p->a->gauge);
	compare_row(t, "A");
	compare_cell(t, "%.6g", p->b->gauge);
	compare_row(t, "B");
}

static bool is_idle(const struct pair *p)
{
	switch (p->metric->kind) {
	case METRIC_COUNTER:
	case METRIC_TIME:
		return !(p->a && p->a->counter) && !(p->b && p->b->counter);
	case METRIC_GAUGE:
		return !(p->a && p->a->gauge != 0) && !(p->b && p->b->gauge != 0);
	default:
		return false;
	}
}

static void metric_titles(struct compare_table *t, const struct metric *m)
{
	compare_title(t, m->kind == METRIC_HISTOGRAM || !*m->unit ? "%s" : "%s, %s", m->name,
		      m->unit);
	t->cell_width = m->kind == METRIC_HISTOGRAM ? 9 : 16;
	if (m->kind == METRIC_HISTOGRAM) {
		compare_titles(t, FIGURE_END);
		return;
	}
	compare_cell(t, m->kind == METRIC_GAUGE ? "value" : "total");
	if (m->kind != METRIC_GAUGE)
		compare_cell(t, "per second");
	compare_row(t, "");
}

static void lonely(struct compare_table *t, const struct pair *p)
{
	const struct snap_series *s = p->a ? p->a : p->b;
	char buf[UNIT_TEXT_MAX];

	strbuf_printf(t->out, "  only in %s: ", p->a ? "A" : "B");
	compare_series(t, s);
	if (p->metric->kind == METRIC_HISTOGRAM)
		strbuf_printf(t->out, " (%llu)", (unsigned long long)hist_count(s->hist));
	else if (p->metric->kind == METRIC_COUNTER)
		strbuf_printf(t->out, " (%llu)", (unsigned long long)s->counter);
	else if (p->metric->kind == METRIC_TIME)
		strbuf_printf(t->out, " (%s)",
			      unit_seconds((double)s->counter / NSEC_PER_SEC, t->style->utf8, buf));
	strbuf_putc(t->out, '\n');
}

static void both(struct compare_table *t, const struct pair *p, const double seconds[2])
{
	strbuf_puts(t->out, "  ");
	compare_series(t, p->a);
	strbuf_putc(t->out, '\n');
	if (p->metric->kind == METRIC_HISTOGRAM)
		hists(t, p);
	else if (p->metric->kind == METRIC_COUNTER)
		counters(t, p, seconds);
	else if (p->metric->kind == METRIC_TIME)
		times(t, p, seconds);
	else
		gauges(t, p);
}

void compare_reports_text(const struct compared *a, const struct compared *b, const struct pairs *p,
			  const struct compare_style *style, struct strbuf *out)
{
	double seconds[] = { snapshot_seconds(a->snapshot), snapshot_seconds(b->snapshot) };
	struct compare_table t = { .out = out, .style = style, .label_width = 10 };
	const struct metric *last = NULL;

	compare_about(&t, "A", a);
	compare_about(&t, "B", b);
	for (size_t i = 0; i < p->n; i++) {
		const struct pair *pair = &p->pair[i];

		if (is_idle(pair))
			continue;
		if (pair->metric != last)
			metric_titles(&t, pair->metric);
		last = pair->metric;
		if (pair->a && pair->b)
			both(&t, pair, seconds);
		else
			lonely(&t, pair);
	}
	if (!last)
		strbuf_puts(out, "\nNothing was measured in either.\n");
	compare_legend(&t);
}
