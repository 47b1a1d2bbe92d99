/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/snapshot.h"

/*
 * The rows of the terminal's tables: the series of several metrics, joined by what they are about,
 * with the figures of one interval. Strings are borrowed from the newer snapshot.
 */
struct row {
	const char *service;
	const char *kind; /* TCP: "client", "server"; HTTP: the method; "" when not known */
	const char *peer; /* TCP */
	int64_t number;	  /* TCP: port; HTTP: status; -1 when not known */
	double count;	  /* exchanges or requests since the start */
	/* Of the interval; per second and in seconds; NAN when not known. */
	double rate, p50, p99, queue_p99, sent, received;
	/* In seconds; NAN where they are not asked for. */
	double p75, p90, p95, p999, mean, max;
};

struct rows {
	struct row *row;
	size_t n, size;
};

/* A row of which nothing is known but @count; its strings are empty. */
struct row row_of(double count);

/* Its quantiles and maximum are those of @h. */
void row_set_hist(struct row *row, const struct hist *h);

/* Room for one more, of which nothing is set; NULL without memory. */
struct row *rows_add(struct rows *rows);

/* Fill the zeroed *@rows, the busiest first. 0 or -ENOMEM. */
int rows_tcp(struct rows *rows, const struct snapshot *now, const struct snapshot *before);
int rows_http(struct rows *rows, const struct snapshot *now, const struct snapshot *before);
void rows_done(struct rows *rows);
