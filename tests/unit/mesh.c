// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/strbuf.h"
#include "export/mesh_read.h"

#define M "istio_request_duration_milliseconds"

static struct mesh *make(const char *now, const char *before)
{
	cleanup(mesh_samples_done) struct mesh_samples n = {}, b = {};
	struct mesh *m = NULL;
	struct err e = {};

	if (mesh_samples_read(now, strlen(now), &n, &e) < 0 ||
	    (before && mesh_samples_read(before, strlen(before), &b, &e) < 0) ||
	    mesh_make(&n, before ? &b : NULL, &m, &e) < 0)
		fail_msg("%s", e.msg);
	return m;
}

/* A series with bounds of 1 ms and 10 ms. */
static void series(struct strbuf *out, const char *labels, unsigned upto_1, unsigned upto_10,
		   unsigned count, double sum)
{
	strbuf_printf(out, M "_bucket{%s,le=\"1\"} %u\n", labels, upto_1);
	strbuf_printf(out, M "_bucket{%s,le=\"10\"} %u 1795264496789\n", labels, upto_10);
	strbuf_printf(out, M "_bucket{le=\"+Inf\",%s} %u\n", labels, count);
	strbuf_printf(out, M "_sum{%s} %g\n" M "_count{ %s, } %u\n", labels, sum, labels, count);
}

#define TO "destination_workload=\"shop\",destination_service_name=\"shop-svc\""

static void quantiles_lie_in_their_bucket(void **state)
{
	double bound[] = { 0.001, 0.01, 0.1, INFINITY }, upto[] = { 0, 50, 90, 100 }, low, high;
	struct classic h = { 4, bound, upto, 2 };

	(void)state;
	assert_true(fabs(classic_quantile(&h, 0.25, &low, &high) - 0.0055) < 1e-12);
	assert_true(low == 0.001 && high == 0.01);
	assert_true(fabs(classic_quantile(&h, 0.5, &low, &high) - 0.01) < 1e-12);
	assert_true(low == 0.001 && high == 0.01);
	assert_true(fabs(classic_quantile(&h, 0.9, &low, &high) - 0.1) < 1e-12);
	assert_true(classic_quantile(&h, 0.99, &low, &high) == 0.1);
	assert_true(low == 0.1 && isinf(high));
	upto[3] = upto[2] = upto[1] = 0;
	assert_true(isnan(classic_quantile(&h, 0.5, &low, &high)) && isnan(low));
	/* All in the last bucket, and there is no other. */
	h = (struct classic){ 1, &bound[3], &(double){ 3 }, 1 };
	assert_true(classic_quantile(&h, 0.5, &low, &high) == 0 && isinf(high));
}

static void text_is_added_up_by_destination(void **state)
{
	cleanup(strbuf_done) struct strbuf text = {};
	cleanup(mesh_freep) struct mesh *m = NULL;

	(void)state;
	strbuf_puts(&text, "# TYPE " M " histogram\nother{le=} x\n" M "s_count 7\n\n");
	series(&text, TO ",reporter=\"destination\",source_workload=\"b\\\"\\\\\\n\"", 1, 3, 4,
	       100.5);
	series(&text, TO ",reporter=\"destination\",source_workload=\"a\",response_code=\"200\"",
	       10, 10, 10, 5);
	series(&text, TO ",reporter=\"destination\",source_workload=\"a\",response_code=\"500\"", 0,
	       0, 2, 50);
	series(&text, TO ",reporter=\"source\",source_workload=\"a\"", 0, 1, 1, 7);
	series(&text, TO ",reporter=\"source\",source_workload=\"idle\"", 0, 0, 0, 0);
	m = make(strbuf_str(&text), NULL);
	assert_int_equal(m->n, 2);
	assert_string_equal(m->figure[0].reporter, "destination");
	assert_string_equal(m->figure[0].workload, "shop");
	assert_string_equal(m->figure[0].service_name, "shop-svc");
	assert_int_equal(m->figure[0].n_sources, 2);
	assert_string_equal(m->figure[0].sources[0], "a");
	assert_string_equal(m->figure[0].sources[1], "b\"\\\n");
	assert_int_equal(m->figure[0].hist.n, 3);
	assert_true(m->figure[0].hist.bound[0] == 0.001 && isinf(m->figure[0].hist.bound[2]));
	assert_true(m->figure[0].hist.upto[0] == 11 && m->figure[0].hist.upto[1] == 13 &&
		    m->figure[0].hist.upto[2] == 16);
	assert_true(fabs(m->figure[0].hist.sum - 0.1555) < 1e-12);
	assert_true(m->figure[1].hist.upto[2] == 1);
	assert_int_equal(m->figure[1].n_sources, 1);
}

static void an_answer_of_prometheus_is_the_same(void **state)
{
	static const char answer[] =
		" {\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":["
		"{\"metric\":{\"__name__\":\"" M "_bucket\",\"le\":\"5\",\"reporter\":\"source\","
		"\"destination_workload\":\"w\"},\"value\":[1.5,\"2\"]},"
		"{\"metric\":{\"__name__\":\"" M "_bucket\",\"le\":\"+Inf\",\"reporter\":"
		"\"source\",\"destination_workload\":\"w\"},\"value\":[1.5,\"3\"]},"
		"{\"metric\":{\"__name__\":\"" M "_sum\",\"reporter\":\"source\","
		"\"destination_workload\":\"w\"},\"value\":[1.5,\"12.5\"]},"
		"{\"metric\":{\"__name__\":\"up\"},\"value\":[1.5,\"1\"]},"
		"{\"metric\":{\"__name__\":\"" M "_count\",\"reporter\":\"source\","
		"\"destination_workload\":\"w\"},\"value\":[1.5,\"3\"]}]}}";
	cleanup(mesh_freep) struct mesh *m = make(answer, NULL);

	(void)state;
	assert_int_equal(m->n, 1);
	assert_string_equal(m->figure[0].workload, "w");
	assert_string_equal(m->figure[0].service_name, "");
	assert_true(m->figure[0].hist.upto[0] == 2 && m->figure[0].hist.upto[1] == 3);
	assert_true(m->figure[0].hist.sum == 0.0125);
}

static void an_interval_is_what_was_gained(void **state)
{
	cleanup(strbuf_done) struct strbuf before = {}, now = {};
	cleanup(mesh_freep) struct mesh *m = NULL;

	(void)state;
	series(&before, TO ",pod=\"1\"", 5, 6, 7, 50);
	series(&now, TO ",pod=\"1\"", 6, 8, 10, 90);
	series(&before, TO ",pod=\"2\"", 5, 6, 100, 50); /* restarted */
	series(&now, TO ",pod=\"2\"", 1, 1, 1, 0.5);
	series(&now, TO ",pod=\"3\"", 0, 2, 2, 4);    /* new */
	series(&before, TO ",pod=\"4\"", 9, 9, 9, 9); /* gone */
	series(&before, TO ",pod=\"5\"", 9, 9, 9, 9); /* idle */
	series(&now, TO ",pod=\"5\"", 9, 9, 9, 9);
	m = make(strbuf_str(&now), strbuf_str(&before));
	assert_int_equal(m->n, 1);
	assert_true(m->figure[0].hist.upto[0] == 2 && m->figure[0].hist.upto[1] == 5 &&
		    m->figure[0].hist.upto[2] == 6);
	assert_true(fabs(m->figure[0].hist.sum - 0.0445) < 1e-12);
	assert_int_equal(m->n_restarted, 1);
	assert_int_equal(m->n_new, 1);
}

#define WHOLE(v) \
	M "_bucket{le=\"1\"} " v "\n" M "_bucket{le=\"+Inf\"} 4\n" M "_sum 1\n" M "_count 4\n"

static void hostile_figures_get_a_sentence(void **state)
{
	/* clang-format off */
	static const struct { const char *text, *sentence; } cases[] = {
		{ "", "which is not there" },
		{ "\x7f" "ELF", "which is not there" },
		{ WHOLE("-1"), "'-1', which is no count" },
		{ WHOLE("NaN"), "'NaN', which is no count" },
		{ WHOLE("+Inf"), "'+Inf', which is no count" },
		{ WHOLE("0x10"), "'0x10', which is no count" },
		{ WHOLE("1e300"), "'1e300', which is no count" },
		{ WHOLE("1e999"), "'1e999', which is no count" },
		{ WHOLE("5"), "has a bucket below zero" },
		{ WHOLE("1") M "_count 4\n", "is not whole" },
		{ WHOLE("1") WHOLE("1"), "is not whole" },
		{ M "_bucket{le=\"1\"} 1\n" WHOLE("1"), "is there twice" },
		{ M "_bucket{le=\"+Inf\"} 3\n" M "_sum 1\n" M "_count 4\n", "buckets hold 3" },
		{ M "_count 4\n", "is not whole" },
		{ M "_bucket{} 1\n", "has no label le" },
		{ M "_bucket{le=\"-1\"} 1\n", "has the bound '-1'" },
		{ M "_bucket{le=\"NaN\"} 1\n", "has the bound 'NaN'" },
		{ M "_bucket{le=\"1\",le=\"2\"} 1\n", "has a label twice" },
		{ M "_bucket{le=\"1} 1\n", "cannot be read" },
		{ M "_bucket{le=\"1\\", "cannot be read" },
		{ M "_bucket{le=1} 1\n", "cannot be read" },
		{ M "_bucket{le=\"1\" 1\n", "cannot be read" },
		{ M "_bucket{le=\"1\"}\n", "cannot be read" },
		{ "{}", "no answer of Prometheus" },
		{ "{\"status\":\"error\",\"error\":\"too\\nmany\"}", "could not answer the query: too" },
		{ "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[]}}",
		  "ask for an instant vector" },
		{ "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":"
		  "{},\"value\":[1,\"2\"]}]}}", "without a name" },
		{ "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":"
		  "{\"__name__\":\"" M "_count\"},\"value\":[1,\"-2\"]}]}}", "which is no count" },
		{ "{\"status\"", "no JSON" },
	};
	/* clang-format on */
	struct mesh *m = NULL;
	struct err e;
	int r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(mesh_samples_done) struct mesh_samples s = {};

		e.msg[0] = '\0';
		r = mesh_samples_read(cases[i].text, strlen(cases[i].text), &s, &e);
		if (r >= 0)
			r = mesh_make(&s, NULL, &m, &e);
		assert_true(r < 0);
		if (!strstr(e.msg, cases[i].sentence))
			fail_msg("not '%s' but '%s'", cases[i].sentence, e.msg);
	}
}

static void buckets_are_bounded_and_alike(void **state)
{
	cleanup(mesh_samples_done) struct mesh_samples many = {}, unlike = {};
	cleanup(strbuf_done) struct strbuf text = {};
	struct mesh *m = NULL;
	struct err e = {};

	(void)state;
	for (int i = 0; i < 600; i++)
		strbuf_printf(&text, M "_bucket{le=\"%d\"} 1\n", i);
	strbuf_puts(&text, M "_bucket{le=\"+Inf\"} 1\n" M "_sum 1\n" M "_count 1\n");
	assert_int_equal(mesh_samples_read(text.data, text.len, &many, &e), 0);
	assert_int_equal(mesh_make(&many, NULL, &m, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "more than 512 buckets"));
	strbuf_clear(&text);
	series(&text, TO ",pod=\"1\"", 1, 1, 1, 1);
	strbuf_puts(&text, M "_bucket{" TO ",le=\"+Inf\"} 1\n" M "_sum{" TO "} 1\n");
	strbuf_puts(&text, M "_count{" TO "} 1\n");
	assert_int_equal(mesh_samples_read(text.data, text.len, &unlike, &e), 0);
	assert_int_equal(mesh_make(&unlike, NULL, &m, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "different buckets"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantiles_lie_in_their_bucket),
		cmocka_unit_test(text_is_added_up_by_destination),
		cmocka_unit_test(an_answer_of_prometheus_is_the_same),
		cmocka_unit_test(an_interval_is_what_was_gained),
		cmocka_unit_test(hostile_figures_get_a_sentence),
		cmocka_unit_test(buckets_are_bounded_and_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
