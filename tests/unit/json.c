// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/fixture.h"

/* 2026-11-21T12:34:56.789Z */
#define WALL_NS 1795264496789000000ULL

static int encode(const struct snapshot *s, struct connections *c, struct strbuf *out)
{
	return json_encode(&(struct report){ .snapshot = s,
					     .duration_ns = s->time_ns - s->start_ns,
					     .wall_ns = WALL_NS,
					     .connections = c },
			   out);
}

static void the_report_is_as_agreed(void **state)
{
	cleanup(registry_freep) struct registry *r = fixture_registry();
	cleanup(snapshot_freep) struct snapshot *s = fixture_snapshot(r);
	cleanup(strbuf_done) struct strbuf report = {};

	(void)state;
	assert_int_equal(encode(s, NULL, &report), 0);
	assert_golden(&report, "tests/golden/report.json");
}

static void the_report_reads_back(void **state)
{
	cleanup(registry_freep) struct registry *r = fixture_registry();
	cleanup(snapshot_freep) struct snapshot *s = fixture_snapshot(r);
	cleanup(strbuf_done) struct strbuf report = {};
	json_t *doc, *metric, *series, *counts;
	json_int_t total = 0;
	size_t i;

	(void)state;
	assert_int_equal(encode(s, NULL, &report), 0);
	doc = json_loads(strbuf_str(&report), JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(doc);
	assert_string_equal(json_string_value(json_object_get(doc, "time")),
			    "2026-11-21T12:34:56.789Z");
	metric = json_array_get(json_object_get(doc, "metrics"), 3);
	series = json_array_get(json_object_get(metric, "series"), 0);
	counts = json_object_get(json_object_get(series, "buckets"), "counts");
	for (i = 0; i < json_array_size(counts); i++)
		total += json_integer_value(json_array_get(counts, i));
	total += json_integer_value(
		json_object_get(json_object_get(series, "buckets"), "zero_count"));
	assert_int_equal(total, json_integer_value(json_object_get(series, "count")));
	assert_int_equal(total, 10);
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_report_is_as_agreed),
		cmocka_unit_test(the_report_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
