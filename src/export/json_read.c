// SPDX-License-Identifier: Apache-2.0
#include "export/json_read.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "export/json_load.h"

#define MAX_METRICS    1024
#define MAX_SERIES     (1 << 20)
#define MAX_HISTOGRAMS (1 << 17) /* 235 MB */
#define MAX_ATTRIBUTES 32
/* 285 years, the most that is a whole number of nanoseconds in 63 bits. */
#define MAX_US	    9.2e15
#define MAX_SECONDS 9200000000

/* The tree is kept: all strings are its own. What it is made into is in arrays of known length. */
struct reading {
	struct document document;
	json_t *root;
	struct snap_metric *metrics;
	struct metric *definitions;
	struct snap_series *series;
	struct attr *attrs;
	struct hist *hists;
	size_t n_series, n_attrs, n_hists;
};

/* ---- values ---- */

static int text_of(const json_t *o, const char *key, const char **ret, struct err *e)
{
	*ret = json_string_value(json_object_get(o, key));
	return *ret ? 0 : err_set(e, -EINVAL, "'%s' is missing or no text", key);
}

static int array_of(const json_t *o, const char *key, const json_t **ret, struct err *e)
{
	*ret = json_object_get(o, key);
	return json_is_array(*ret) ? 0 : err_set(e, -EINVAL, "'%s' is missing or no list", key);
}

static int count_of(const json_t *v, const char *what, uint64_t *ret, struct err *e)
{
	if (!json_is_integer(v))
		return err_set(e, -EINVAL, "'%s' is missing or no whole number", what);
	if (json_integer_value(v) < 0)
		return err_set(e, -EINVAL, "'%s' is negative", what);
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

static int ns_of(const json_t *o, const char *key, uint64_t *ret, struct err *e)
{
	const json_t *v = json_object_get(o, key);
	double us = json_number_value(v);

	if (!json_is_number(v))
		return err_set(e, -EINVAL, "'%s' is missing or no number", key);
	if (!(us >= 0 && us <= MAX_US))
		return err_set(e, -EINVAL, "'%s' is negative or beyond any duration", key);
	*ret = (uint64_t)llround(us * NSEC_PER_USEC);
	return 0;
}

static int seconds_of(const json_t *v, const char *what, uint64_t *ret_ns, struct err *e)
{
	double seconds = json_number_value(v);

	if (!json_is_number(v))
		return err_set(e, -EINVAL, "'%s' is missing or no number", what);
	if (!(seconds >= 0 && seconds <= MAX_SECONDS))
		return err_set(e, -EINVAL, "'%s' is negative or beyond any duration", what);
	*ret_ns = (uint64_t)llround(seconds * NSEC_PER_SEC);
	return 0;
}

/* ---- histograms ---- */

static int read_counts(const json_t *b, struct hist *h, struct err *e)
{
	const json_t *offset = json_object_get(b, "offset"), *counts;
	json_int_t first = json_integer_value(offset);
	size_t n;
	int r = array_of(b, "counts", &counts, e);

	if (r < 0)
		return r;
	n = json_array_size(counts);
	if (!n)
		return 0;
	if (!json_is_integer(offset) || first < SN_HIST_OFFSET ||
	    first >= SN_HIST_OFFSET + SN_HIST_BUCKETS ||
	    n > (size_t)(SN_HIST_OFFSET + SN_HIST_BUCKETS - first))
		return err_set(e, -EINVAL, "buckets beyond the range that this version knows");
	for (size_t i = 0; i < n && r >= 0; i++)
		r = count_of(json_array_get(counts, i), "counts",
			     &h->bucket[(size_t)(first - SN_HIST_OFFSET) + i], e);
	return r;
}

/* No sum of counts may overflow, or the quantiles would be nonsense. */
static int check_counts(const struct hist *h, uint64_t count, struct err *e)
{
	uint64_t n = h->zero;
	bool over = n > INT32_MAX * (uint64_t)INT32_MAX;

	for (int i = 0; i < SN_HIST_BUCKETS; i++) {
		over |= h->bucket[i] > INT32_MAX * (uint64_t)INT32_MAX;
		n += over ? 0 : h->bucket[i];
		over |= n > INT32_MAX * (uint64_t)INT32_MAX;
	}
	if (over)
		return err_set(e, -EINVAL, "more values than can be counted");
	if (n != count)
		return err_set(e, -EINVAL, "'count' is %llu, but its buckets hold %llu",
			       (unsigned long long)count, (unsigned long long)n);
	if (h->clamped > h->bucket[SN_HIST_BUCKETS - 1])
		return err_set(e, -EINVAL, "'clamped_count' is more than the last bucket holds");
	return 0;
}

static int read_hist(const json_t *o, struct hist *h, struct err *e)
{
	const json_t *b = json_object_get(o, "buckets");
	const json_t *scale = json_object_get(b, "scale");
	bool has_range = !json_is_null(json_object_get(o, "max_us"));
	uint64_t count;
	int r;

	if (!json_is_integer(scale) || json_integer_value(scale) != SN_HIST_SCALE)
		return err_set(e, -EINVAL, "its buckets are missing or not of scale %d",
			       SN_HIST_SCALE);
	r = count_of(json_object_get(o, "count"), "count", &count, e);
	if (r >= 0)
		r = count_of(json_object_get(b, "zero_count"), "zero_count", &h->zero, e);
	if (r >= 0)
		r = count_of(json_object_get(b, "clamped_count"), "clamped_count", &h->clamped, e);
	if (r >= 0)
		r = read_counts(b, h, e);
	if (r >= 0)
		r = check_counts(h, count, e);
	if (r >= 0)
		r = ns_of(o, "sum_us", &h->sum_ns, e);
	if (r < 0 || !count)
		return r;
	/* An extreme that was not known when it was written is open: model/hist.c. */
	h->min_ns = UINT64_MAX;
	if (!has_range)
		return 0;
	r = ns_of(o, "min_us", &h->min_ns, e);
	if (r >= 0)
		r = ns_of(o, "max_us", &h->max_ns, e);
	if (r >= 0 && h->min_ns > h->max_ns)
		return err_set(e, -EINVAL, "its minimum is above its maximum");
	return r;
}

/* ---- series ---- */

static int attr_by_key(const void *a, const void *b)
{
	return strcmp(((const struct attr *)a)->key, ((const struct attr *)b)->key);
}

static int read_attrs(struct reading *in, const json_t *o, struct snap_series *s, struct err *e)
{
	struct attr *attrs = &in->attrs[in->n_attrs];
	const char *key;
	const json_t *v;

	if (!json_is_object(o))
		return err_set(e, -EINVAL, "'attributes' is missing or no object");
	/* jansson iterates over what it does not change by a pointer to what it might. */
	json_object_foreach((json_t *)o, key, v)
	{
		struct attr *a = &in->attrs[in->n_attrs++];

		if (json_is_integer(v))
			*a = ATTR_NUM(key, json_integer_value(v));
		else if (json_is_string(v))
			*a = ATTR_STR(key, json_string_value(v));
		else if (json_is_boolean(v))
			*a = ATTR_STR(key, json_is_true(v) ? "true" : "false");
		else
			return err_set(e, -EINVAL, "attribute '%.60s' is no text and no number",
				       key);
		s->n_attrs++;
	}
	if (s->n_attrs)
		qsort(attrs, s->n_attrs, sizeof(*attrs), attr_by_key);
	s->attrs = attrs;
	return 0;
}

static int read_series(struct reading *in, const struct metric *m, const json_t *o,
		       struct snap_series *s, struct err *e)
{
	const json_t *value = json_object_get(o, "value");
	int r = text_of(o, "service", &s->service, e);

	if (r >= 0)
		r = read_attrs(in, json_object_get(o, "attributes"), s, e);
	if (r < 0)
		return r;
	switch (m->kind) {
	case METRIC_COUNTER:
		return count_of(value, "value", &s->counter, e);
	case METRIC_TIME:
		return seconds_of(value, "value", &s->counter, e);
	case METRIC_GAUGE:
		s->gauge = json_is_number(value) ? json_number_value(value) : NAN;
		if (!json_is_number(value) && !json_is_null(value))
			return err_set(e, -EINVAL, "'value' is missing or no number");
		return 0;
	default:
		s->hist = &in->hists[in->n_hists];
		return read_hist(o, &in->hists[in->n_hists++], e);
	}
}

static int series_order(const void *a, const void *b)
{
	return snap_order(a, b);
}

/* ---- metrics ---- */

/* The kind that @o says, or -1: one that this version does not know. Time is counted in seconds. */
static int kind_of(const json_t *o)
{
	const char *kind = json_string_value(json_object_get(o, "kind"));
	const char *unit = json_string_value(json_object_get(o, "unit"));

	if (kind && !strcmp(kind, "counter"))
		return unit && !strcmp(unit, "s") ? METRIC_TIME : METRIC_COUNTER;
	if (kind && !strcmp(kind, "gauge"))
		return METRIC_GAUGE;
	return kind && !strcmp(kind, "histogram") ? METRIC_HISTOGRAM : -1;
}

/* Series of one metric are merged later: what all of them hold has to fit into one histogram. */
static int check_sums(const struct snap_metric *m, struct err *e)
{
	uint64_t count = 0, sum_ns = 0;

	for (size_t i = 0; i < m->n_series; i++) {
		const struct hist *h = m->series[i].hist;

		count += hist_count(h);
		if (count > INT64_MAX)
			return err_set(e, -EINVAL,
				       "metric %.60s holds more values than can be added up",
				       m->metric->name);
		if (__builtin_add_overflow(sum_ns, h->sum_ns, &sum_ns))
			return err_set(e, -EINVAL,
				       "metric %.60s holds more time than can be added up",
				       m->metric->name);
	}
	return 0;
}

static int read_metric(struct reading *in, const json_t *o, struct err *e)
{
	struct snap_metric *sm = &in->metrics[in->document.snapshot.n_metrics];
	struct metric *m = &in->definitions[in->document.snapshot.n_metrics];
	struct snap_series *series = &in->series[in->n_series];
	const json_t *all;
	int r;

	r = text_of(o, "name", &m->name, e);
	if (r >= 0)
		r = text_of(o, "unit", &m->unit, e);
	if (r >= 0)
		r = array_of(o, "series", &all, e);
	if (r < 0)
		return r;
	m->kind = (enum metric_kind)kind_of(o);
	m->description = "";
	if (snapshot_find(&in->document.snapshot, m->name))
		return err_set(e, -EINVAL, "metric %.60s is there twice", m->name);
	*sm = (struct snap_metric){ m, series, json_array_size(all) };
	in->n_series += sm->n_series;
	for (size_t i = 0; i < sm->n_series; i++) {
		r = read_series(in, m, json_array_get(all, i), &series[i], e);
		if (r < 0)
			return err_wrap(e, r, "metric %.60s, series %zu", m->name, i + 1);
	}
	if (sm->n_series)
		qsort(series, sm->n_series, sizeof(*series), series_order);
	for (size_t i = 1; i < sm->n_series; i++)
		if (!snap_order(&series[i - 1], &series[i]))
			return err_set(e, -EINVAL,
				       "metric %.60s has a series of service '%.60s' twice",
				       m->name, series[i].service);
	in->document.snapshot.n_metrics++;
	return m->kind == METRIC_HISTOGRAM ? check_sums(sm, e) : 0;
}

/* Counts what there will be, so that all of it can be had at once. */
static int allocate(struct reading *in, const json_t *metrics, struct err *e)
{
	size_t n_series = 0, n_attrs = 0, n_hists = 0, i, k;
	const json_t *o, *s;

	json_array_foreach(metrics, i, o)
	{
		const json_t *all = json_object_get(o, "series");

		n_series += json_array_size(all);
		if (kind_of(o) == METRIC_HISTOGRAM)
			n_hists += json_array_size(all);
		json_array_foreach(all, k, s)
		{
			size_t n = json_object_size(json_object_get(s, "attributes"));

			if (n > MAX_ATTRIBUTES)
				return err_set(e, -EINVAL, "a series has more than %d attributes",
					       MAX_ATTRIBUTES);
			n_attrs += n;
		}
	}
	if (i > MAX_METRICS || n_series > MAX_SERIES || n_hists > MAX_HISTOGRAMS)
		return err_set(e, -EFBIG, "more metrics or series than sonde compares");
	in->metrics = calloc(i + 1, sizeof(*in->metrics));
	in->definitions = calloc(i + 1, sizeof(*in->definitions));
	in->series = calloc(n_series + 1, sizeof(*in->series));
	in->attrs = calloc(n_attrs + 1, sizeof(*in->attrs));
	in->hists = calloc(n_hists + 1, sizeof(*in->hists));
	in->document.snapshot.metrics = in->metrics;
	if (!in->metrics || !in->definitions || !in->series || !in->attrs || !in->hists)
		return err_set(e, -ENOMEM, "out of memory");
	return 0;
}

/* ---- the document ---- */

static int read_time(const json_t *root, struct document *d, struct err *e)
{
	struct tm tm = {};
	const char *rest;
	double fraction;
	time_t seconds;
	int r = text_of(root, "time", &d->time, e);

	if (r < 0)
		return r;
	rest = strptime(d->time, "%Y-%m-%dT%H:%M:%S", &tm);
	seconds = rest ? timegm(&tm) : -1;
	fraction = rest && *rest == '.' ? strtod(rest, (char **)&rest) : 0;
	if (!rest || strcmp(rest, "Z") || seconds < 0 || seconds > MAX_SECONDS ||
	    !(fraction >= 0 && fraction < 1))
		return err_set(e, -EINVAL, "'time' is no time such as 2026-11-21T12:34:56.789Z");
	d->wall_ns = (uint64_t)seconds * NSEC_PER_SEC + (uint64_t)(fraction * NSEC_PER_SEC);
	return 0;
}

static int read_root(struct reading *in, struct err *e)
{
	const json_t *duration = json_object_get(in->root, "duration_seconds"), *metrics, *o;
	struct document *d = &in->document;
	size_t i;
	int r;

	d->version = json_string_value(json_object_get(in->root, "sonde"));
	if (!d->version)
		return err_set(e, -EINVAL, "no document of 'sonde report': it has no \"sonde\"");
	r = read_time(in->root, d, e);
	if (r >= 0)
		r = seconds_of(duration, "duration_seconds", &d->snapshot.time_ns, e);
	if (r >= 0)
		r = array_of(in->root, "metrics", &metrics, e);
	if (r >= 0)
		r = allocate(in, metrics, e);
	if (r < 0)
		return r;
	json_array_foreach(metrics, i, o)
	{
		if (json_is_string(json_object_get(o, "kind")) && kind_of(o) < 0)
			continue;
		if (kind_of(o) < 0)
			return err_set(e, -EINVAL, "a metric without a kind");
		r = read_metric(in, o, e);
		if (r < 0)
			return r;
	}
	return 0;
}

void document_free(struct document *d)
{
	struct reading *in = (struct reading *)d;

	if (!in)
		return;
	json_decref(in->root);
	free(in->metrics);
	free(in->definitions);
	free(in->series);
	free(in->attrs);
	free(in->hists);
	free(in);
}

int document_read(const char *data, size_t len, struct document **ret, struct err *e)
{
	struct reading *in = calloc(1, sizeof(*in));
	int r;

	if (!in)
		return err_set(e, -ENOMEM, "out of memory");
	r = json_load_bounded(data, len, &in->root, e);
	if (r >= 0)
		r = read_root(in, e);
	if (r < 0 && in->document.version)
		err_wrap(e, r,
			 "a document that this version of sonde cannot read (written by %.20s)",
			 in->document.version);
	if (r < 0) {
		document_free(&in->document);
		return r;
	}
	*ret = &in->document;
	return 0;
}
