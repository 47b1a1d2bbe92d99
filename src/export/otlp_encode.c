// SPDX-License-Identifier: Apache-2.0
#include "export/export.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <metrics_service.pb-c.h>

#include "export/otlp_message.h"

typedef Opentelemetry__Proto__Collector__Metrics__V1__ExportMetricsServiceRequest pb_request;
typedef Opentelemetry__Proto__Metrics__V1__ResourceMetrics pb_resource_metrics;
typedef Opentelemetry__Proto__Metrics__V1__ScopeMetrics pb_scope_metrics;
typedef Opentelemetry__Proto__Metrics__V1__Metric pb_metric;
typedef Opentelemetry__Proto__Metrics__V1__Sum pb_sum;
typedef Opentelemetry__Proto__Metrics__V1__Gauge pb_gauge;
typedef Opentelemetry__Proto__Metrics__V1__NumberDataPoint pb_number;
typedef Opentelemetry__Proto__Metrics__V1__ExponentialHistogram pb_histogram;
typedef Opentelemetry__Proto__Metrics__V1__ExponentialHistogramDataPoint pb_histogram_point;
typedef Opentelemetry__Proto__Metrics__V1__ExponentialHistogramDataPoint__Buckets pb_buckets;

#define RESOURCE_METRICS opentelemetry__proto__metrics__v1__resource_metrics__descriptor
#define SCOPE_METRICS	 opentelemetry__proto__metrics__v1__scope_metrics__descriptor
#define METRIC		 opentelemetry__proto__metrics__v1__metric__descriptor
#define SUM		 opentelemetry__proto__metrics__v1__sum__descriptor
#define GAUGE		 opentelemetry__proto__metrics__v1__gauge__descriptor
#define NUMBER		 opentelemetry__proto__metrics__v1__number_data_point__descriptor
#define HISTOGRAM	 opentelemetry__proto__metrics__v1__exponential_histogram__descriptor
#define HISTOGRAM_POINT \
	opentelemetry__proto__metrics__v1__exponential_histogram_data_point__descriptor
#define BUCKETS \
	opentelemetry__proto__metrics__v1__exponential_histogram_data_point__buckets__descriptor

#define CUMULATIVE \
	OPENTELEMETRY__PROTO__METRICS__V1__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE

struct encoder {
	const struct snapshot *snapshot;
	const struct export_env *env;
	uint64_t start_offset_ns, time_unix_ns;
	struct otlp_pool pool;
};

static void *allot(struct encoder *e, size_t size)
{
	return otlp_allot(&e->pool, size);
}

static void *message(struct encoder *e, const ProtobufCMessageDescriptor *type)
{
	return otlp_message(&e->pool, type);
}

static pb_key_value *attribute(struct encoder *e, const struct snap_series *s, const struct attr *a)
{
	return snap_is_overflow(s) ? otlp_true_attribute(&e->pool, a->key)
				   : otlp_attribute(&e->pool, a);
}

static int attributes(struct encoder *e, const struct snap_series *s, size_t *ret_n,
		      pb_key_value ***ret)
{
	*ret = allot(e, s->n_attrs * sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	for (; *ret_n < s->n_attrs; ++*ret_n) {
		(*ret)[*ret_n] = attribute(e, s, &s->attrs[*ret_n]);
		if (!(*ret)[*ret_n])
			return -ENOMEM;
	}
	return 0;
}

/* ---- data points ---- */

/* A clock that was put back must not make a point end before it starts. */
static uint64_t point_time(const struct encoder *e, uint64_t start_unix_ns)
{
	return e->time_unix_ns > start_unix_ns ? e->time_unix_ns : start_unix_ns;
}

static pb_number *number_point(struct encoder *e, const struct snap_metric *m,
			       const struct snap_series *s)
{
	pb_number *p = message(e, &NUMBER);

	if (!p || attributes(e, s, &p->n_attributes, &p->attributes) < 0)
		return NULL;
	if (m->metric->kind == METRIC_COUNTER) {
		p->start_time_unix_nano = s->start_ns + e->start_offset_ns;
		p->value_case = OPENTELEMETRY__PROTO__METRICS__V1__NUMBER_DATA_POINT__VALUE_AS_INT;
		p->as_int = (int64_t)s->counter;
	} else if (m->metric->kind == METRIC_TIME) {
		p->start_time_unix_nano = s->start_ns + e->start_offset_ns;
		p->value_case =
			OPENTELEMETRY__PROTO__METRICS__V1__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
		p->as_double = (double)s->counter / 1e9;
	} else {
		p->value_case =
			OPENTELEMETRY__PROTO__METRICS__V1__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
		p->as_double = s->gauge;
	}
	p->time_unix_nano = point_time(e, p->start_time_unix_nano);
	return p;
}

/* The buckets from the first to the last that is not empty. */
static pb_buckets *buckets(struct encoder *e, const struct hist *h)
{
	pb_buckets *b = message(e, &BUCKETS);
	int first = 0, end = SN_HIST_BUCKETS;

	while (end > 0 && !h->bucket[end - 1])
		end--;
	while (first < end && !h->bucket[first])
		first++;
	if (!b || first == end)
		return b;
	b->offset = SN_HIST_OFFSET + first;
	b->n_bucket_counts = (size_t)(end - first);
	b->bucket_counts = (uint64_t *)(h->bucket + first);
	return b;
}

static pb_histogram_point *histogram_point(struct encoder *e, const struct snap_series *s)
{
	pb_histogram_point *p = message(e, &HISTOGRAM_POINT);
	const struct hist *h = s->hist;

	if (!p || attributes(e, s, &p->n_attributes, &p->attributes) < 0)
		return NULL;
	p->start_time_unix_nano = s->start_ns + e->start_offset_ns;
	p->time_unix_nano = point_time(e, p->start_time_unix_nano);
	p->count = hist_count(h);
	p->_sum_case =
		OPENTELEMETRY__PROTO__METRICS__V1__EXPONENTIAL_HISTOGRAM_DATA_POINT___SUM_SUM;
	p->sum = (double)h->sum_ns / 1e9;
	p->scale = SN_HIST_SCALE;
	p->zero_count = h->zero;
	p->zero_threshold = ldexp(1, SN_HIST_MIN_EXP);
	p->positive = buckets(e, h);
	if (p->count && h->min_ns <= h->max_ns) {
		p->_min_case =
			OPENTELEMETRY__PROTO__METRICS__V1__EXPONENTIAL_HISTOGRAM_DATA_POINT___MIN_MIN;
		p->min = (double)h->min_ns / 1e9;
		p->_max_case =
			OPENTELEMETRY__PROTO__METRICS__V1__EXPONENTIAL_HISTOGRAM_DATA_POINT___MAX_MAX;
		p->max = (double)h->max_ns / 1e9;
	}
	return p->positive ? p : NULL;
}

/* ---- metrics ---- */

static void **points(struct encoder *e, const struct snap_metric *m, size_t first, size_t n)
{
	void **list = allot(e, n * sizeof(*list));

	for (size_t i = 0; list && i < n; i++) {
		const struct snap_series *s = &m->series[first + i];

		list[i] = m->metric->kind == METRIC_HISTOGRAM ? (void *)histogram_point(e, s)
							      : (void *)number_point(e, m, s);
		if (!list[i])
			return NULL;
	}
	return list;
}

static int set_sum(struct encoder *e, pb_metric *pb, void **list, size_t n)
{
	pb->data_case = OPENTELEMETRY__PROTO__METRICS__V1__METRIC__DATA_SUM;
	pb->sum = message(e, &SUM);
	if (!pb->sum)
		return -ENOMEM;
	pb->sum->aggregation_temporality = CUMULATIVE;
	pb->sum->is_monotonic = true;
	pb->sum->n_data_points = n;
	pb->sum->data_points = (pb_number **)list;
	return 0;
}

static int set_gauge(struct encoder *e, pb_metric *pb, void **list, size_t n)
{
	pb->data_case = OPENTELEMETRY__PROTO__METRICS__V1__METRIC__DATA_GAUGE;
	pb->gauge = message(e, &GAUGE);
	if (!pb->gauge)
		return -ENOMEM;
	pb->gauge->n_data_points = n;
	pb->gauge->data_points = (pb_number **)list;
	return 0;
}

static int set_histogram(struct encoder *e, pb_metric *pb, void **list, size_t n)
{
	pb->data_case = OPENTELEMETRY__PROTO__METRICS__V1__METRIC__DATA_EXPONENTIAL_HISTOGRAM;
	pb->exponential_histogram = message(e, &HISTOGRAM);
	if (!pb->exponential_histogram)
		return -ENOMEM;
	pb->exponential_histogram->aggregation_temporality = CUMULATIVE;
	pb->exponential_histogram->n_data_points = n;
	pb->exponential_histogram->data_points = (pb_histogram_point **)list;
	return 0;
}

/* The metric with @n of its series, from @first on. */
static pb_metric *metric(struct encoder *e, const struct snap_metric *m, size_t first, size_t n)
{
	pb_metric *pb = message(e, &METRIC);
	void **list = points(e, m, first, n);
	int r;

	if (!pb || !list)
		return NULL;
	pb->name = OTLP_BORROW(m->metric->name);
	pb->unit = OTLP_BORROW(m->metric->unit);
	pb->description = OTLP_BORROW(m->metric->description);
	switch (m->metric->kind) {
	case METRIC_COUNTER:
	case METRIC_TIME:
		r = set_sum(e, pb, list, n);
		break;
	case METRIC_GAUGE:
		r = set_gauge(e, pb, list, n);
		break;
	default:
		r = set_histogram(e, pb, list, n);
		break;
	}
	return r < 0 ? NULL : pb;
}

/* ---- resources ---- */

static pb_resource_metrics *resource_metrics(struct encoder *e, const char *service)
{
	pb_resource_metrics *rm = message(e, &RESOURCE_METRICS);
	pb_scope_metrics *sm = message(e, &SCOPE_METRICS);

	if (!rm || !sm)
		return NULL;
	rm->resource = otlp_resource(&e->pool, e->env, service);
	rm->scope_metrics = allot(e, sizeof(*rm->scope_metrics));
	sm->scope = otlp_scope(&e->pool);
	sm->metrics = allot(e, e->snapshot->n_metrics * sizeof(*sm->metrics));
	if (!rm->resource || !rm->scope_metrics || !sm->scope || !sm->metrics)
		return NULL;
	rm->scope_metrics[rm->n_scope_metrics++] = sm;
	return rm;
}

/*
 * Series are sorted by service within each metric: as in a merge, @at says for each metric up to
 * where its series are done, and the smallest service that is next anywhere is the next resource.
 */
static const char *next_service(const struct snapshot *s, const size_t *at)
{
	const char *next = NULL, *service;

	for (size_t i = 0; i < s->n_metrics; i++) {
		if (at[i] == s->metrics[i].n_series)
			continue;
		service = s->metrics[i].series[at[i]].service;
		if (!next || strcmp(service, next) < 0)
			next = service;
	}
	return next;
}

/* Adds what each metric has of @service to @sm. */
static int take_service(struct encoder *e, const char *service, size_t *at, pb_scope_metrics *sm)
{
	for (size_t i = 0; i < e->snapshot->n_metrics; i++) {
		const struct snap_metric *m = &e->snapshot->metrics[i];
		size_t first = at[i];

		while (at[i] < m->n_series && !strcmp(m->series[at[i]].service, service))
			at[i]++;
		if (at[i] == first)
			continue;
		sm->metrics[sm->n_metrics] = metric(e, m, first, at[i] - first);
		if (!sm->metrics[sm->n_metrics++])
			return -ENOMEM;
	}
	return 0;
}

static int build_request(struct encoder *e, pb_request *request)
{
	const struct snapshot *s = e->snapshot;
	size_t n = 0, *at = allot(e, s->n_metrics * sizeof(*at));
	pb_resource_metrics *rm;
	const char *service;

	for (size_t i = 0; i < s->n_metrics; i++)
		n += s->metrics[i].n_series;
	request->resource_metrics = allot(e, n * sizeof(*request->resource_metrics));
	if (!at || !request->resource_metrics)
		return -ENOMEM;
	while ((service = next_service(s, at))) {
		rm = resource_metrics(e, service);
		if (!rm || take_service(e, service, at, rm->scope_metrics[0]) < 0)
			return -ENOMEM;
		request->resource_metrics[request->n_resource_metrics++] = rm;
	}
	return 0;
}

int otlp_encode(const struct snapshot *s, const struct export_env *env, uint64_t start_offset_ns,
		uint64_t time_offset_ns, struct strbuf *out)
{
	pb_request request =
		OPENTELEMETRY__PROTO__COLLECTOR__METRICS__V1__EXPORT_METRICS_SERVICE_REQUEST__INIT;
	struct encoder e = {
		.snapshot = s,
		.env = env,
		.start_offset_ns = start_offset_ns,
		.time_unix_ns = s->time_ns + time_offset_ns,
	};
	int r = build_request(&e, &request);

	if (r == 0)
		otlp_pack(&request.base, out);
	otlp_pool_done(&e.pool);
	return strbuf_failed(out) ? -ENOMEM : r;
}
