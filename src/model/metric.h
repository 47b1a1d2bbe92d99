/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The one table of names: a probe lists its metrics as an array of struct metric that ends with a
 * NULL name. `sonde list`, the pages in docs/probes, # HELP and OTLP descriptions are printed from it.
 */
enum metric_kind {
	METRIC_COUNTER,	  /* monotonic sum */
	METRIC_TIME,	  /* monotonic sum of time, kept in nanoseconds, shown in seconds */
	METRIC_GAUGE,	  /* last value */
	METRIC_HISTOGRAM, /* durations in seconds, model/hist.h */
};

struct metric {
	const char *name; /* OpenTelemetry form: dotted, lower case */
	const char *unit; /* UCUM: "s", "By", "1", "{request}" */
	enum metric_kind kind;
	const char *description; /* one sentence */
	const char *const
		*attributes; /* default attribute keys, NULL-ended; NULL when there are none */
};

/* An attribute of a series. Keys are static strings; string values belong to whoever says so. */
enum attr_type {
	ATTR_STRING,
	ATTR_INT,
	ATTR_DOUBLE, /* of events alone: no series is told apart by one */
};

struct attr {
	const char *key;
	enum attr_type type;
	union {
		const char *str;
		int64_t num;
		double real;
	};
};

#define ATTR_STR(k, v)	((struct attr){ .key = (k), .type = ATTR_STRING, .str = (v) })
#define ATTR_NUM(k, v)	((struct attr){ .key = (k), .type = ATTR_INT, .num = (v) })
#define ATTR_REAL(k, v) ((struct attr){ .key = (k), .type = ATTR_DOUBLE, .real = (v) })

/* A series has at most this many attributes; probes assert it. */
#define MAX_ATTRS 8
