// SPDX-License-Identifier: Apache-2.0
#include "export/export.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "export/json_parts.h"

/*
 * jansson's *_new() functions take values over and pass NULL on, so a tree that ran out of memory
 * is noticed where its parts are put together.
 */
static double us(uint64_t ns)
{
	return (double)ns / 1000;
}

json_t *json_number(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

json_t *json_time(uint64_t wall_ns, int digits)
{
	time_t seconds = (time_t)(wall_ns / NSEC_PER_SEC);
	char date[32], part[16];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(part, sizeof(part), "%09u", (unsigned)(wall_ns % NSEC_PER_SEC));
	return json_sprintf("%s.%.*sZ", date, digits, part);
}

static json_t *attributes(const struct snap_series *s)
{
	json_t *o = json_object(), *v;
	int bad = 0;

	for (size_t i = 0; o && i < s->n_attrs; i++) {
		if (s->attrs[i].type == ATTR_INT)
			v = json_integer(s->attrs[i].num);
		else if (snap_is_overflow(s))
			v = json_true();
		else
			v = json_string(s->attrs[i].str);
		bad |= json_object_set_new(o, s->attrs[i].key, v);
	}
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}

/* The buckets from the first to the last that is not empty, as OTLP has them. */
static json_t *buckets(const struct hist *h)
{
	int first = 0, end = SN_HIST_BUCKETS;
	json_t *counts = json_array();

	while (end > 0 && !h->bucket[end - 1])
		end--;
	while (first < end && !h->bucket[first])
		first++;
	for (int i = first; i < end; i++)
		json_array_append_new(counts, json_integer((json_int_t)h->bucket[i]));
	return json_pack("{s:i, s:f, s:I, s:I, s:i, s:o}", "scale", SN_HIST_SCALE, "zero_threshold",
			 ldexp(1, SN_HIST_MIN_EXP), "zero_count", (json_int_t)h->zero,
			 "clamped_count", (json_int_t)h->clamped, "offset",
			 first < end ? SN_HIST_OFFSET + first : 0, "counts", counts);
}

static int add_hist(json_t *o, const struct hist *h)
{
	static const struct {
		const char *key;
		double q;
	} quantiles[] = {
		{ "p50_us", 0.5 },  { "p90_us", 0.9 },	  { "p95_us", 0.95 },
		{ "p99_us", 0.99 }, { "p999_us", 0.999 },
	};
	uint64_t n = hist_count(h);
	bool has_range = n && h->min_ns <= h->max_ns;
	int bad = 0;

	bad |= json_object_set_new(o, "count", json_integer((json_int_t)n));
	bad |= json_object_set_new(o, "sum_us", json_real(us(h->sum_ns)));
	bad |= json_object_set_new(o, "min_us", json_number(has_range ? us(h->min_ns) : NAN));
	bad |= json_object_set_new(o, "max_us", json_number(has_range ? us(h->max_ns) : NAN));
	for (size_t i = 0; i < ARRAY_SIZE(quantiles); i++)
		bad |= json_object_set_new(o, quantiles[i].key,
					   json_number(hist_quantile(h, quantiles[i].q) * 1e6));
	return bad | json_object_set_new(o, "buckets", buckets(h));
}

static json_t *series(const struct metric *m, const struct snap_series *s)
{
	json_t *o = json_pack("{s:s, s:o}", "service", s->service, "attributes", attributes(s));
	int bad = !o;

	if (!o)
		return NULL;
	switch (m->kind) {
	case METRIC_COUNTER:
		bad |= json_object_set_new(o, "value", json_integer((json_int_t)s->counter));
		break;
	case METRIC_TIME:
		bad |= json_object_set_new(o, "value",
					   json_real((double)s->counter / NSEC_PER_SEC));
		break;
	case METRIC_GAUGE:
		bad |= json_object_set_new(o, "value", json_number(s->gauge));
		break;
	case METRIC_HISTOGRAM:
		bad |= add_hist(o, s->hist);
		break;
	}
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *metric(const struct snap_metric *m)
{
	static const char *const kinds[] = {
		[METRIC_COUNTER] = "counter",
		[METRIC_TIME] = "counter",
		[METRIC_GAUGE] = "gauge",
		[METRIC_HISTOGRAM] = "histogram",
	};
	json_t *all = json_array();
	int bad = 0;

	for (size_t i = 0; i < m->n_series; i++)
		bad |= json_array_append_new(all, series(m->metric, &m->series[i]));
	if (bad) {
		json_decref(all);
		return NULL;
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:o}", "name", m->metric->name, "unit",
			 m->metric->unit, "kind", kinds[m->metric->kind], "description",
			 m->metric->description, "series", all);
}

static json_t *metrics(const struct snapshot *s)
{
	json_t *all = json_array();
	int bad = 0;

	for (size_t i = 0; i < s->n_metrics; i++)
		bad |= json_array_append_new(all, metric(&s->metrics[i]));
	if (bad) {
		json_decref(all);
		return NULL;
	}
	return all;
}

int json_append(const char *data, size_t len, void *arg)
{
	strbuf_add(arg, data, len);
	return 0;
}

/* 15 digits are exact for every count of nanoseconds in eleven days. */
void json_put(struct strbuf *out, const char *key, json_t *value)
{
	const char *last = out->len ? out->data + out->len - 1 : "{";

	strbuf_printf(out, "%s\"%s\":", *last == '{' ? "" : ",", key);
	if (!value || json_dump_callback(value, json_append, out,
					 JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)))
		out->failed = true;
	json_decref(value);
}

int json_encode(const struct report *r, struct strbuf *out)
{
	strbuf_putc(out, '{');
	json_put(out, "sonde", json_string(SONDE_VERSION));
	json_put(out, "time", json_time(r->wall_ns, 3));
	json_put(out, "timestamp", json_time(r->wall_ns, 3));
	json_put(out, "duration_seconds", json_real((double)r->duration_ns / NSEC_PER_SEC));
	if (r->connections && json_put_connections(r, out) < 0)
		return -ENOMEM;
	if (r->findings) {
		json_put(out, "findings", json_findings(r->findings));
		json_put(out, "findings_omitted", json_integer((json_int_t)r->findings->omitted));
	}
	json_put(out, "metrics", metrics(r->snapshot));
	strbuf_puts(out, "}\n");
	return strbuf_failed(out) ? -ENOMEM : 0;
}
