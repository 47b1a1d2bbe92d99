// SPDX-License-Identifier: Apache-2.0
#include "model/compare.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NSEC_PER_SEC 1e9

const char *const figure_names[FIGURE_END] = {
	[FIGURE_MEAN] = "mean", [FIGURE_P50] = "p50", [FIGURE_P90] = "p90",   [FIGURE_P95] = "p95",
	[FIGURE_P99] = "p99",	[FIGURE_MAX] = "max", [FIGURE_P999] = "p999",
};

double figure_quantile(enum figure f)
{
	switch (f) {
	case FIGURE_P50:
		return 0.5;
	case FIGURE_P90:
		return 0.9;
	case FIGURE_P95:
		return 0.95;
	case FIGURE_P99:
		return 0.99;
	case FIGURE_P999:
		return 0.999;
	default:
		return NAN;
	}
}

void figures_of(const struct hist *h, struct figures *ret)
{
	double n;

	ret->count = hist_count(h);
	n = (double)ret->count;
	for (enum figure f = 0; f < FIGURE_END; f++)
		ret->seconds[f] = hist_quantile(h, figure_quantile(f));
	ret->seconds[FIGURE_MEAN] = n > 0 ? (double)h->sum_ns / n / NSEC_PER_SEC : NAN;
	ret->seconds[FIGURE_MAX] =
		n > 0 && h->min_ns <= h->max_ns ? (double)h->max_ns / NSEC_PER_SEC : NAN;
}

bool quantiles_alike(double a, double b)
{
	double low = fmin(a, b), high = fmax(a, b);

	if (isnan(a) || isnan(b))
		return false;
	return high <= ldexp(1, SN_HIST_MIN_EXP) || low > ldexp(1, SN_HIST_MAX_EXP) ||
	       high < low * exp2(1. / (1 << SN_HIST_SCALE));
}

bool figures_alike(enum figure f, double a, double b)
{
	return !isnan(figure_quantile(f)) && quantiles_alike(a, b);
}

double ratio_of(double a, double b)
{
	return a > 0 && b >= 0 ? b / a : NAN;
}

double snapshot_seconds(const struct snapshot *s)
{
	return s->time_ns > s->start_ns ? (double)(s->time_ns - s->start_ns) / NSEC_PER_SEC : 0;
}

/* ---- pairs ---- */

static const struct snap_metric *find_like(const struct snapshot *s, const struct metric *m)
{
	const struct snap_metric *found = snapshot_find(s, m->name);

	if (!found || found->metric->kind != m->kind || strcmp(found->metric->unit, m->unit))
		return NULL;
	return found;
}

static void merge(const struct metric *m, const struct snap_metric *a, const struct snap_metric *b,
		  struct pairs *p)
{
	size_t i = 0, k = 0, n_a = a ? a->n_series : 0, n_b = b ? b->n_series : 0;

	while (i < n_a || k < n_b) {
		int d = i == n_a ? 1 : k == n_b ? -1 : snap_order(&a->series[i], &b->series[k]);

		p->pair[p->n++] = (struct pair){
			.metric = m,
			.a = d <= 0 ? &a->series[i] : NULL,
			.b = d >= 0 ? &b->series[k] : NULL,
		};
		i += d <= 0;
		k += d >= 0;
	}
}

static size_t n_series(const struct snapshot *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_metrics; i++)
		n += s->metrics[i].n_series;
	return n;
}

int pairs_make(const struct snapshot *a, const struct snapshot *b, struct pairs *ret)
{
	struct pairs p = { .pair = calloc(n_series(a) + n_series(b) + 1, sizeof(*p.pair)) };

	if (!p.pair)
		return -ENOMEM;
	for (size_t i = 0; i < a->n_metrics; i++)
		merge(a->metrics[i].metric, &a->metrics[i], find_like(b, a->metrics[i].metric), &p);
	for (size_t i = 0; i < b->n_metrics; i++)
		if (!find_like(a, b->metrics[i].metric))
			merge(b->metrics[i].metric, NULL, &b->metrics[i], &p);
	*ret = p;
	return 0;
}

void pairs_done(struct pairs *p)
{
	free(p->pair);
	*p = (struct pairs){};
}
