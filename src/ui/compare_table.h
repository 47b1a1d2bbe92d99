/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ui/compare.h"

/*
 * Lines of figures in columns: cells are added from the left, and compare_row() ends the line. What
 * differs by no more than can be told is marked, and dim.
 */
struct compare_table {
	struct strbuf *out;
	const struct compare_style *style;
	unsigned label_width, cell_width;
	struct strbuf cells; /* of the line so far */
	bool marked;	     /* a mark was used: it wants to be explained */
};

/* Names may come from watched programs: they are made harmless. */
void compare_title(struct compare_table *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void compare_cell(struct compare_table *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void compare_row(struct compare_table *t, const char *label);

void compare_count(struct compare_table *t, uint64_t n);
void compare_count_difference(struct compare_table *t, uint64_t a, uint64_t b); /* @b - @a */
void compare_seconds(struct compare_table *t, double s, bool marked);
void compare_seconds_difference(struct compare_table *t, double s, bool marked);
void compare_rate(struct compare_table *t, double per_s, const char *unit);
void compare_rate_difference(struct compare_table *t, double per_s, const char *unit);
void compare_ratio(struct compare_table *t, double ratio);

/* What all comparisons have. */
#define COMPARE_NAME_WIDTH 200

/* "LABEL: FILE (sonde VERSION, TIME, SECONDS)" */
void compare_about(const struct compare_table *t, const char *label, const struct compared *c);
void compare_attrs(const struct compare_table *t, const struct snap_series *s);
void compare_series(const struct compare_table *t, const struct snap_series *s);

/* Lines of the count and the figures before @end. */
void compare_titles(struct compare_table *t, enum figure end);
void compare_figures(struct compare_table *t, const char *label, const struct figures *f,
		     enum figure end);

/* Explains the mark of buckets, if it was used. */
void compare_legend(const struct compare_table *t);
