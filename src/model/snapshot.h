/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/hist.h"
#include "model/metric.h"

/*
 * What every face of sonde sees: an immutable copy of the registry at one moment. Terminal,
 * Prometheus, OTLP and JSON read the same one, so they cannot disagree. Everything that a snapshot
 * points to lives as long as the snapshot (snapshot_free) or is static (struct metric).
 */
struct snap_series {
	const char *service;	  /* service.name of the watched; "" for sonde's own figures */
	const struct attr *attrs; /* n_attrs of them, the default attributes of the metric */
	size_t n_attrs;		  /* an overflow series has one: otel.metric.overflow=true */
	uint64_t start_ns;	  /* boot time from which counters and histograms accumulate */
	union {
		uint64_t counter;	 /* METRIC_COUNTER; METRIC_TIME, in nanoseconds */
		double gauge;		 /* METRIC_GAUGE */
		const struct hist *hist; /* METRIC_HISTOGRAM */
	};
};

struct snap_metric {
	const struct metric *metric;
	const struct snap_series *series; /* n_series of them, services in one run each */
	size_t n_series;
};

struct snapshot {
	uint64_t time_ns;  /* boot time at which it was taken */
	uint64_t start_ns; /* boot time at which the agent started to measure */
	const struct snap_metric
		*metrics; /* n_metrics of them, in the order of their registration */
	size_t n_metrics;
};

void snapshot_free(struct snapshot *s);

/* The metric's series by its OpenTelemetry name, or NULL. */
const struct snap_metric *snapshot_find(const struct snapshot *s, const char *name);

/* The attribute of @s with this key, or NULL. */
const struct attr *snap_attr(const struct snap_series *s, const char *key);

/* The text of that attribute; "" where there is none, or a number. */
const char *snap_text(const struct snap_series *s, const char *key);

/*
 * Orders series by their service, then by their attributes, one by one: 0 for the same series. Both
 * have to have their attributes in the same order.
 */
int snap_order(const struct snap_series *a, const struct snap_series *b);

/*
 * The series of @service in @m (NULL: none), which have to be sorted by snap_order(): how many, from
 * *@ret_first on. O(log n) but for their own number.
 */
size_t snap_run(const struct snap_metric *m, const char *service, size_t *ret_first);

/* Whether @s gathers what the bound on series refused one of its own. */
bool snap_is_overflow(const struct snap_series *s);
