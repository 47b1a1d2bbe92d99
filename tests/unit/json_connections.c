// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/traffic.h"

/* 2026-11-21T12:34:56.789Z */
#define WALL_NS 1795264496789000000ULL

static void encode(const struct traffic *t, struct strbuf *out)
{
	struct finding list[] = {
		{ .kind = "nagle",
		  .service = "shop",
		  .peer = "10.0.0.7",
		  .port = 5432,
		  .text = "Slow.",
		  .evidence = { ATTR_REAL("exchanges", 32), ATTR_REAL("exchanges_in_all", NAN) },
		  .n_evidence = 2 },
		{ .kind = "accept_queue", .service = "", .peer = "", .text = "Full." },
	};
	const struct findings findings = { list, 2, 2, 7 };
	cleanup(snapshot_freep) struct snapshot *s = fixture_snapshot(t->registry);

	assert_int_equal(json_encode(&(struct report){ .snapshot = s,
						       .duration_ns = 60 * NSEC_PER_SEC,
						       .wall_ns = WALL_NS,
						       .sampling_rate = 1,
						       .connections = t->connections,
						       .findings = &findings },
				     out),
			 0);
}

static json_t *decode(const struct traffic *t)
{
	cleanup(strbuf_done) struct strbuf text = {};
	json_t *doc;

	encode(t, &text);
	doc = json_loads(strbuf_str(&text), JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(doc);
	return doc;
}

static json_int_t integer(const json_t *o, const char *a, const char *b)
{
	const json_t *v = json_object_get(o, a);

	v = b ? json_object_get(v, b) : v;
	assert_true(json_is_integer(v));
	return json_integer_value(v);
}

static void the_document_is_as_agreed(void **state)
{
	cleanup(traffic_done) struct traffic t = traffic_new(100);
	cleanup(strbuf_done) struct strbuf text = {};

	traffic_mixed(&t);
	encode(&t, &text);
	assert_golden(&text, "tests/golden/report_tcp.json");
}

static void nothing_is_zero_and_null(void **state)
{
	cleanup(traffic_done) struct traffic t = traffic_new(100);
	cleanup(strbuf_done) struct strbuf text = {};

	encode(&t, &text);
	assert_golden(&text, "tests/golden/report_nothing.json");
}

/* The sums that the page promises, with some connections left out. */
static void sums_agree(void **state)
{
	cleanup(traffic_done) struct traffic t = traffic_new(2);
	json_t *doc, *one;
	json_int_t events = 0, total;
	const char *key;

	traffic_mixed(&t);
	doc = decode(&t);
	total = integer(doc, "total_events", NULL);
	assert_int_equal(total, 146);
	json_object_foreach(json_object_get(doc, "connections"), key, one) events +=
		integer(one, "events", NULL);
	assert_int_equal(events, 140);
	assert_int_equal(integer(doc, "connections_omitted", "events"), 6);
	assert_int_equal(integer(doc, "connections_omitted", "count"), 4);
	events = 0;
	json_object_foreach(json_object_get(doc, "histogram"), key, one) events +=
		json_integer_value(one);
	assert_int_equal(events, total);
	assert_int_equal(integer(doc, "event_type_breakdown", "client_exchange") +
				 integer(doc, "event_type_breakdown", "server_exchange"),
			 total);
	json_decref(doc);
}

/* One name, three sockets of two roles. */
static void the_same_name_twice(void **state)
{
	cleanup(traffic_done) struct traffic t = traffic_new(100);
	json_t *doc, *one, *all;

	traffic_mixed(&t);
	doc = decode(&t);
	all = json_object_get(doc, "connections");
	one = json_object_get(all, "127.0.0.1:40003 -> 127.0.0.1:8080");
	assert_int_equal(integer(one, "sockets", NULL), 2);
	assert_int_equal(integer(one, "events", NULL), 3);
	assert_int_equal(integer(one, "sent_bytes", NULL), 160);
	/* 2, 2 and 3 ms. */
	assert_float_equal(json_real_value(json_object_get(one, "min_latency_us")), 2000, 0);
	assert_float_equal(json_real_value(json_object_get(one, "max_latency_us")), 3000, 0);
	assert_float_equal(json_real_value(json_object_get(one, "avg_latency_us")), 2333.333, 0);
	assert_float_equal(json_real_value(json_object_get(one, "std_dev_us")), 471.405, 0);
	assert_float_equal(json_real_value(json_object_get(one, "duration_us")), 3000, 0);
	one = json_object_get(all, "127.0.0.1:40003 -> 127.0.0.1:8080 (server)");
	assert_int_equal(integer(one, "sockets", NULL), 1);
	assert_string_equal(json_string_value(json_object_get(one, "role")), "server");
	assert_true(json_is_null(json_object_get(one, "pid")));
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_document_is_as_agreed),
		cmocka_unit_test(nothing_is_zero_and_null),
		cmocka_unit_test(sums_agree),
		cmocka_unit_test(the_same_name_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
