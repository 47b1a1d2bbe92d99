// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "model/registry.h"

static const struct metric table[] = {
	{ "test.requests", "{request}", METRIC_COUNTER, "Requests." },
	{ "test.level", "1", METRIC_GAUGE, "A level." },
	{ "test.duration", "s", METRIC_HISTOGRAM, "Durations." },
	{},
};
static const struct metric *const counter = &table[0], *const gauge = &table[1],
				  *const duration = &table[2];

DEFINE_CLEANUP(struct registry, registry_free)
DEFINE_CLEANUP(struct snapshot, snapshot_free)

static struct registry *new_registry(size_t max_series)
{
	struct registry *r = registry_new(max_series);

	assert_non_null(r);
	assert_int_equal(registry_register(r, table), 0);
	return r;
}

static struct snapshot *take(const struct registry *r)
{
	struct snapshot *s = NULL;

	assert_int_equal(registry_snapshot(r, &s), 0);
	return s;
}

static struct series *route(struct registry *r, const char *service, const char *value)
{
	struct attr a = ATTR_STR("http.route", value);
	struct series *s = registry_series(r, counter, service, &a, 1);

	assert_non_null(s);
	return s;
}

static void the_same_series_is_found_again(void **state)
{
	cleanup(registry_freep) struct registry *r = new_registry(100);
	struct attr number = ATTR_NUM("status", 200), text = ATTR_STR("status", "200");
	char value[] = "/a";
	struct series *s = route(r, "api", value);

	(void)state;
	value[1] = 'b'; /* the registry keeps a copy */
	assert_ptr_equal(s, route(r, "api", "/a"));
	assert_ptr_not_equal(s, route(r, "api", "/b"));
	assert_ptr_not_equal(s, route(r, "web", "/a"));
	assert_ptr_not_equal(s, registry_series(r, duration, "api", NULL, 0));
	assert_ptr_not_equal(registry_series(r, counter, "api", &number, 1),
			     registry_series(r, counter, "api", &text, 1));
}

static void registering_twice_and_not_at_all(void **state)
{
	static const struct metric other[] = { { "test.requests", "1", METRIC_GAUGE, "" }, {} };
	cleanup(registry_freep) struct registry *r = new_registry(100);

	(void)state;
	assert_int_equal(registry_register(r, table), 0);
	assert_int_equal(registry_register(r, other), -EEXIST);
	assert_null(registry_series(r, other, "", NULL, 0));
}

static void a_snapshot_is_a_sorted_deep_copy(void **state)
{
	cleanup(registry_freep) struct registry *r = new_registry(100);
	cleanup(snapshot_freep) struct snapshot *snap = NULL;
	struct sn_hist none = {}, now = {
		.sum_ns = 5000, .min_inv_ns = ~5000ULL, .max_ns = 5000, .bucket = { [18] = 1 }
	};
	struct attr port = ATTR_NUM("server.port", -8080);
	const struct snap_metric *m;

	(void)state;
	series_add(route(r, "web", "/z"), 1);
	series_add(route(r, "web", "/a"), 2);
	series_add(route(r, "api", "/z"), 3);
	series_set(registry_series(r, gauge, "", NULL, 0), 0.5);
	series_add_hist(registry_series(r, duration, "web", &port, 1), &none, &now);
	snap = take(r);
	series_add(route(r, "web", "/z"), 100);
	registry_free(take_ptr(r));

	assert_int_equal(snap->n_metrics, 3);
	m = &snap->metrics[0];
	assert_ptr_equal(m->metric, counter);
	assert_int_equal(m->n_series, 3);
	assert_string_equal(m->series[0].service, "api");
	assert_string_equal(snap_attr(&m->series[1], "http.route")->str, "/a");
	assert_int_equal(m->series[1].counter, 2);
	assert_int_equal(m->series[2].counter, 1);
	assert_int_equal(m->series[2].start_ns, snap->start_ns);
	assert_null(snap_attr(&m->series[0], "http"));
	assert_true(snapshot_find(snap, "test.level")->series[0].gauge == 0.5);
	m = snapshot_find(snap, "test.duration");
	assert_int_equal(m->series[0].hist->max_ns, 5000);
	assert_int_equal(snap_attr(&m->series[0], "server.port")->num, -8080);
	assert_null(snapshot_find(snap, "test"));
	assert_true(snap->time_ns >= snap->start_ns && snap->time_ns <= clock_boot_ns());
}

static void totals_stay_exact_beyond_the_limit(void **state)
{
	cleanup(registry_freep) struct registry *r = new_registry(64);
	cleanup(snapshot_freep) struct snapshot *snap = NULL;
	const struct snap_metric *m;
	const struct attr *mark;
	uint64_t total = 0;
	char name[32];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 100; i++) {
			snprintf(name, sizeof(name), "/route-%03u", i);
			series_add(route(r, "api", name), i);
		}
	}
	assert_int_equal(registry_overflowed(r), 36);
	snap = take(r);
	m = snapshot_find(snap, "test.requests");
	assert_int_equal(m->n_series, 65);
	for (size_t i = 0; i < m->n_series; i++)
		total += m->series[i].counter;
	assert_int_equal(total, 3 * 99 * 100 / 2);
	/* The service "" of the overflow series sorts first. */
	mark = snap_attr(&m->series[0], "otel.metric.overflow");
	assert_non_null(mark);
	assert_string_equal(mark->str, "true");
	assert_int_equal(m->series[0].n_attrs, 1);
	assert_string_equal(m->series[0].service, "");
	/* Another metric has its own limit. */
	assert_int_equal(snapshot_find(snap, "test.duration")->n_series, 0);
	assert_non_null(registry_series(r, duration, "api", NULL, 0));
	assert_int_equal(registry_overflowed(r), 36);
}

static void overflow_of_the_kernel_half_is_the_same_series(void **state)
{
	cleanup(registry_freep) struct registry *r = new_registry(1);
	struct attr mark = ATTR_STR("otel.metric.overflow", "true"), other = ATTR_STR("k", "v");
	struct series *first = registry_series(r, counter, "", &mark, 1);

	(void)state;
	assert_non_null(first);
	assert_int_equal(registry_overflowed(r), 0);
	assert_non_null(registry_series(r, counter, "a", &other, 1));
	assert_ptr_equal(registry_series(r, counter, "b", &other, 1), first);
	assert_int_equal(registry_overflowed(r), 1);
}

static void hostile_strings_are_bounded_and_clean(void **state)
{
	static char huge[1 << 20];
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "caf\xc3\xa9", "caf\xc3\xa9" },
		{ "\xff", "\xef\xbf\xbd" },
		{ "a\xc3", "a\xef\xbf\xbd" },
		{ "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xf0\x9f\x98\x80!", "\xf0\x9f\x98\x80!" },
		{ "\"}\n", "\"}\n" },
		{ "", "" },
	};
	cleanup(snapshot_freep) struct snapshot *snap = NULL;
	const char *cut;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(registry_freep) struct registry *r = new_registry(10);
		cleanup(snapshot_freep) struct snapshot *one = NULL;

		route(r, cases[i].in, cases[i].in);
		/* What reads the same is the same series. */
		assert_ptr_equal(route(r, cases[i].in, cases[i].in),
				 route(r, cases[i].out, cases[i].out));
		one = take(r);
		assert_string_equal(one->metrics[0].series[0].service, cases[i].out);
		assert_string_equal(one->metrics[0].series[0].attrs[0].str, cases[i].out);
	}
	cleanup(registry_freep) struct registry *r = new_registry(10);
	memset(huge, 0xe2, sizeof(huge) - 1);
	route(r, huge, huge);
	snap = take(r);
	cut = snap->metrics[0].series[0].attrs[0].str;
	assert_int_equal(strlen(cut), 1023); /* a whole number of U+FFFD */
}

static void set_total_never_goes_back(void **state)
{
	cleanup(registry_freep) struct registry *r = new_registry(10);
	cleanup(snapshot_freep) struct snapshot *snap = NULL;
	struct series *s = registry_series(r, counter, "", NULL, 0);

	(void)state;
	series_set_total(s, 10);
	series_set_total(s, 7);
	snap = take(r);
	assert_int_equal(snap->metrics[0].series[0].counter, 10);
}

static void nowhere_takes_everything(void **state)
{
	struct sn_hist before = {}, now = { .bucket = { [3] = 5 }, .zero = 2 };
	struct series *s = registry_series(NULL, counter, "", NULL, 0);

	(void)state;
	assert_null(s);
	series_add(s, 7);
	series_set_total(s, 7);
	assert_int_equal(series_add_hist(s, &before, &now), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_series_is_found_again),
		cmocka_unit_test(registering_twice_and_not_at_all),
		cmocka_unit_test(a_snapshot_is_a_sorted_deep_copy),
		cmocka_unit_test(totals_stay_exact_beyond_the_limit),
		cmocka_unit_test(overflow_of_the_kernel_half_is_the_same_series),
		cmocka_unit_test(hostile_strings_are_bounded_and_clean),
		cmocka_unit_test(set_total_never_goes_back),
		cmocka_unit_test(nowhere_takes_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
