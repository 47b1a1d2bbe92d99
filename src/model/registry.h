/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/snapshot.h"

/*
 * All series of the agent, cumulative since its start. Probes add differences, exporters take
 * snapshots. One thread. Every metric holds at most max_series series; beyond that, values go to one
 * overflow series per service-less attribute set otel.metric.overflow=true: totals stay right, and
 * registry_overflowed() counts the series that were refused one of their own.
 */
struct registry;
struct series; /* a handle, valid for the life of the registry */

struct registry *registry_new(size_t max_series);
void registry_free(struct registry *r);

/* Registers a NULL-ended table of metrics; tables are static and outlive the registry. */
int registry_register(struct registry *r, const struct metric *table);

/*
 * The series of @m for @service and @attrs (copied; at most MAX_ATTRS, in the order of the metric's
 * own list), made at first use; the overflow series for the one attribute otel.metric.overflow. Never
 * NULL for a registered metric unless memory is exhausted, or @r is NULL: for who wants to know what
 * values there are, and keep none.
 */
struct series *registry_series(struct registry *r, const struct metric *m, const char *service,
			       const struct attr *attrs, size_t n_attrs);

/* What is added to NULL goes nowhere; series_add_hist() says how many values there were all the same. */
void series_add(struct series *s, uint64_t delta); /* METRIC_COUNTER, METRIC_TIME */
void series_set(struct series *s, double value);   /* METRIC_GAUGE */
void series_lower(struct series *s, double value); /* METRIC_GAUGE: unless it is less already */
void series_set_total(struct series *s, uint64_t total); /* METRIC_COUNTER kept elsewhere */
uint64_t series_add_hist(struct series *s, const struct sn_hist *before,
			 const struct sn_hist *now); /* METRIC_HISTOGRAM; see hist.h */

uint64_t registry_overflowed(const struct registry *r);

/* The caller frees with snapshot_free(). -ENOMEM. */
int registry_snapshot(const struct registry *r, struct snapshot **ret);
