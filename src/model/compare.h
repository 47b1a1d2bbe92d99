/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/snapshot.h"

/*
 * Figures of one histogram, and two snapshots side by side. Pure; what is shown of it, and how, is
 * the business of src/ui and src/export.
 */
enum figure {
	FIGURE_MEAN,
	FIGURE_P50,
	FIGURE_P90,
	FIGURE_P95,
	FIGURE_P99,
	FIGURE_P999,
	FIGURE_MAX,
	FIGURE_END,
};

extern const char *const figure_names[FIGURE_END]; /* "mean", "p50", ... */

struct figures {
	uint64_t count;
	double seconds[FIGURE_END]; /* NAN: nothing was measured, or it is not known */
};

void figures_of(const struct hist *h, struct figures *ret);

/* The fraction of a quantile; NAN for the mean and the maximum, which are exact. */
double figure_quantile(enum figure f);

/*
 * Whether @a and @b, two quantiles of such histograms in seconds, differ by less than one bucket: 9 %,
 * all there is in the zero bucket, all there is beyond the range. They may be the same then.
 */
bool quantiles_alike(double a, double b);

/* The same for any figure: what is exact is never only alike. */
bool figures_alike(enum figure f, double a, double b);

/* @b divided by @a; NAN where that says nothing. */
double ratio_of(double a, double b);

/* A snapshot with what a reader wants to know of where it comes from; all borrowed. */
struct compared {
	const char *name; /* of its file */
	const char *version, *time;
	const struct snapshot *snapshot;
};

/* A series of one metric, in both snapshots, or in one of them: the other is NULL. */
struct pair {
	const struct metric *metric; /* of A if it is there */
	const struct snap_series *a, *b;
};

struct pairs {
	struct pair *pair; /* metrics in one run each: in the order of A, then those of B alone */
	size_t n;
};

/*
 * Matches the series of @a and @b, which have to be sorted by snap_order() in each metric. A metric
 * that has become one of another kind or unit is two. The caller calls pairs_done(); what is in it
 * is borrowed from the snapshots. -ENOMEM.
 */
int pairs_make(const struct snapshot *a, const struct snapshot *b, struct pairs *ret);
void pairs_done(struct pairs *p);

/* The length of what @s holds, in seconds; 0 if it has none. */
double snapshot_seconds(const struct snapshot *s);
