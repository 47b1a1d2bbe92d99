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
};

struct rows {
	struct row *row;
	size_t n, size;
};

/* Fill the zeroed *@rows, the busiest first. 0 or -ENOMEM. */
int rows_tcp(struct rows *rows, const struct snapshot *now, const struct snapshot *before);
int rows_http(struct rows *rows, const struct snapshot *now, const struct snapshot *before);
void rows_done(struct rows *rows);
