// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <metrics_service.pb-c.h>

#include "tests/unit/fixture.h"

#define START_OFFSET 1000000000000000000ULL
#define TIME_OFFSET  (START_OFFSET + 5) /* the clock was set in between */

typedef Opentelemetry__Proto__Collector__Metrics__V1__ExportMetricsServiceRequest pb_request;
typedef Opentelemetry__Proto__Metrics__V1__ResourceMetrics pb_resource_metrics;
typedef Opentelemetry__Proto__Metrics__V1__Metric pb_metric;
typedef Opentelemetry__Proto__Metrics__V1__ExponentialHistogramDataPoint pb_histogram_point;
typedef Opentelemetry__Proto__Common__V1__KeyValue pb_key_value;

static pb_request *encode_and_decode(const struct snapshot *s)
{
	cleanup(strbuf_done) struct strbuf out = {};
	pb_request *request;

	assert_int_equal(otlp_encode(s, &fixture_env, START_OFFSET, TIME_OFFSET, &out), 0);
	request =
		opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__unpack(
			NULL, out.len, (uint8_t *)out.data);
	assert_non_null(request);
	return request;
}

static void free_request(pb_request *r)
{
	opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__free_unpacked(
		r, NULL);
}

static const pb_key_value *find(size_t n, pb_key_value **attrs, const char *key)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(attrs[i]->key, key))
			return attrs[i];
	}
	return NULL;
}

static const pb_resource_metrics *service(const pb_request *r, const char *name)
{
	const pb_resource_metrics *found = NULL;

	for (size_t i = 0; i < r->n_resource_metrics; i++) {
		pb_resource_metrics *rm = r->resource_metrics[i];
		const pb_key_value *kv =
			find(rm->resource->n_attributes, rm->resource->attributes, "service.name");

		assert_non_null(kv);
		if (!strcmp(kv->value->string_value, name)) {
			assert_null(found);
			found = rm;
		}
	}
	assert_non_null(found);
	return found;
}

static const pb_metric *metric(const pb_resource_metrics *rm, const char *name)
{
	for (size_t i = 0; i < rm->scope_metrics[0]->n_metrics; i++) {
		if (!strcmp(rm->scope_metrics[0]->metrics[i]->name, name))
			return rm->scope_metrics[0]->metrics[i];
	}
	return NULL;
}

static void a_resource_for_each_service(void **state)
{
	cleanup(registry_freep) struct registry *r = fixture_registry();
	cleanup(snapshot_freep) struct snapshot *s = fixture_snapshot(r);
	pb_request *request = encode_and_decode(s);
	const pb_resource_metrics *own = service(request, "sonde");
	const pb_resource_metrics *api = service(request, "api");

	(void)state;
	/* "" (sonde), a"pi\n, api, idle, worker-0, worker-1, xxx... */
	assert_int_equal(request->n_resource_metrics, 7);
	assert_int_equal(own->n_scope_metrics, 1);
	assert_string_equal(own->scope_metrics[0]->scope->name, "sonde");
	assert_string_equal(own->scope_metrics[0]->scope->version, SONDE_VERSION);
	assert_string_equal(
		find(own->resource->n_attributes, own->resource->attributes, "host.name")
			->value->string_value,
		"robot");
	assert_null(
		find(api->resource->n_attributes, api->resource->attributes, "service.version"));
	/* What has no series is not sent. */
	assert_null(metric(own, "test.nothing"));
	assert_null(metric(own, "test.request.duration"));
	free_request(request);
}

static void counters_and_gauges(void **state)
{
	cleanup(registry_freep) struct registry *r = fixture_registry();
	cleanup(snapshot_freep) struct snapshot *s = fixture_snapshot(r);
	pb_request *request = encode_and_decode(s);
	const pb_metric *m = metric(service(request, "api"), "test.requests");
	const pb_key_value *kv;

	(void)state;
	assert_int_equal(m->data_case, OPENTELEMETRY__PROTO__METRICS__V1__METRIC__DATA_SUM);
	assert_true(m->sum->is_monotonic);
	assert_int_equal(m->sum->aggregation_temporality, 2);
	assert_int_equal(m->sum->n_data_points, 1);
	assert_int_equal(m->sum->data_points[0]->as_int, 7);
	assert_int_equal(m->sum->data_points[0]->start_time_unix_nano,
			 START_OFFSET + 5 * NSEC_PER_SEC);
	assert_int_equal(m->sum->data_points[0]->time_unix_nano, TIME_OFFSET + 3605 * NSEC_PER_SEC);
	kv = find(2, m->sum->data_points[0]->attributes, "http.response.status_code");
	assert_int_equal(kv->value->int_value, -200);
	kv = find(2, m->sum->data_points[0]->attributes, "http.route");
	assert_string_equal(kv->value->string_value, "/a\"}\nb\\c\xef\xbf\xbd caf\xc3\xa9");
	m = metric(service(request, "sonde"), "test.requests");
	assert_int_equal(m->sum->data_points[0]->as_int, 25);
	kv = find(1, m->sum->data_points[0]->attributes, "otel.metric.overflow");
	assert_int_equal(kv->value->value_case,
			 OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BOOL_VALUE);
	assert_true(kv->value->bool_value);
	m = metric(service(request, "sonde"), "test.level..now");
	assert_int_equal(m->data_case, OPENTELEMETRY__PROTO__METRICS__V1__METRIC__DATA_GAUGE);
	assert_true(m->gauge->data_points[0]->as_double == 0.1);
	free_request(request);
}

static void histograms_are_exact_copies(void **state)
{
	cleanup(registry_freep) struct registry *r = fixture_registry();
	cleanup(snapshot_freep) struct snapshot *s = fixture_snapshot(r);
	const struct hist *h = snapshot_find(s, "test.request.duration")->series[0].hist;
	pb_request *request = encode_and_decode(s);
	const pb_metric *m = metric(service(request, "api"), "test.request.duration");
	const pb_histogram_point *p = m->exponential_histogram->data_points[0];
	uint64_t n = p->zero_count;

	(void)state;
	assert_string_equal(m->unit, "s");
	assert_int_equal(m->exponential_histogram->aggregation_temporality, 2);
	assert_int_equal(p->scale, 3);
	assert_true(p->zero_threshold == 0x1p-20);
	assert_int_equal(p->zero_count, 2);
	assert_int_equal(p->positive->offset, SN_HIST_OFFSET);
	assert_int_equal(p->positive->n_bucket_counts, SN_HIST_BUCKETS);
	for (size_t i = 0; i < p->positive->n_bucket_counts; i++) {
		assert_int_equal(p->positive->bucket_counts[i], h->bucket[i]);
		n += p->positive->bucket_counts[i];
	}
	assert_int_equal(p->count, n);
	assert_int_equal(p->count, 10);
	assert_true(p->min == 0 && p->_min_case);
	assert_true(p->max == 300);
	assert_true(p->sum == 556.509813955);
	m = metric(service(request, "idle"), "test.request.duration");
	p = m->exponential_histogram->data_points[0];
	assert_int_equal(p->count, 0);
	assert_int_equal(p->positive->n_bucket_counts, 0);
	assert_false(p->_min_case || p->_max_case);
	free_request(request);
}

static void nothing_is_sent_of_nothing(void **state)
{
	cleanup(registry_freep) struct registry *r = registry_new(4);
	cleanup(snapshot_freep) struct snapshot *s = NULL;
	cleanup(strbuf_done) struct strbuf out = {};

	(void)state;
	registry_register(r, fixture_metrics);
	s = fixture_snapshot(r);
	assert_int_equal(otlp_encode(s, &fixture_env, 0, 0, &out), 0);
	assert_int_equal(out.len, 0);
}

/* More than one chunk of the encoder's memory. */
static void many_series(void **state)
{
	cleanup(registry_freep) struct registry *r = registry_new(5000);
	cleanup(snapshot_freep) struct snapshot *s = NULL;
	pb_request *request;
	char name[16];

	(void)state;
	registry_register(r, fixture_metrics);
	for (unsigned i = 0; i < 5000; i++) {
		struct attr a = ATTR_NUM("i", i);

		snprintf(name, sizeof(name), "s%u", i % 50);
		series_add(registry_series(r, &fixture_metrics[0], name, &a, 1), i);
	}
	s = fixture_snapshot(r);
	request = encode_and_decode(s);
	assert_int_equal(request->n_resource_metrics, 50);
	assert_int_equal(metric(service(request, "s7"), "test.requests")->sum->n_data_points, 100);
	free_request(request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_resource_for_each_service),
		cmocka_unit_test(counters_and_gauges),
		cmocka_unit_test(histograms_are_exact_copies),
		cmocka_unit_test(nothing_is_sent_of_nothing),
		cmocka_unit_test(many_series),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
