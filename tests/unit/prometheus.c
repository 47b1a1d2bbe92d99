// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/fixture.h"

static void the_page_is_as_agreed(void **state)
{
	cleanup(registry_freep) struct registry *r = fixture_registry();
	cleanup(snapshot_freep) struct snapshot *s = fixture_snapshot(r);
	cleanup(strbuf_done) struct strbuf page = {};

	(void)state;
	prometheus_encode(s, &fixture_env, &page);
	assert_golden(&page, "tests/golden/prometheus.txt");
}

/* Whatever a watched process calls itself, a line is name, labels, blank, number. */
static void no_label_breaks_out_of_its_line(void **state)
{
	cleanup(registry_freep) struct registry *r = registry_new(300);
	cleanup(snapshot_freep) struct snapshot *s = NULL;
	cleanup(strbuf_done) struct strbuf page = {};
	size_t lines = 0;
	char text[4] = { 0 };

	(void)state;
	registry_register(r, fixture_metrics);
	for (unsigned c = 1; c < 256; c++) {
		struct attr a = ATTR_STR("k", text);

		text[0] = text[2] = (char)c;
		text[1] = '"';
		series_add(registry_series(r, &fixture_metrics[0], text, &a, 1), 1);
	}
	s = fixture_snapshot(r);
	prometheus_encode(s, &fixture_env, &page);
	for (char *line = page.data, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		lines += !strncmp(line, "test_requests_total{", 20);
		assert_true(
			*line == '#' || !strncmp(line, "target_info{", 12) ||
			(!strncmp(line, "test_requests_total{service_name=\"", 34) &&
			 strspn(strrchr(line, '}'), "} 0123456789") == strlen(strrchr(line, '}'))));
	}
	assert_int_equal(lines, s->metrics[0].n_series);
}

static void doubles_are_short_and_exact(void **state)
{
	static const struct {
		double v;
		const char *text;
	} cases[] = {
		{ 0.1, "0.1" },
		{ 1.0 / 3, "0.3333333333333333" },
		{ 5e-324, "4.94065645841247e-324" },
		{ 1e22, "1e+22" },
		{ -0.0, "-0" },
		{ 2.0 / 0.0, "+Inf" },
		{ -2.0 / 0.0, "-Inf" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(registry_freep) struct registry *r = registry_new(4);
		cleanup(snapshot_freep) struct snapshot *s = NULL;
		cleanup(strbuf_done) struct strbuf page = {};
		char want[64];

		registry_register(r, fixture_metrics);
		series_set(registry_series(r, &fixture_metrics[2], "", NULL, 0), cases[i].v);
		s = fixture_snapshot(r);
		prometheus_encode(s, &fixture_env, &page);
		snprintf(want, sizeof(want), "\ntest_level_now_ratio %s\n", cases[i].text);
		assert_non_null(strstr(strbuf_str(&page), want));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_is_as_agreed),
		cmocka_unit_test(no_label_breaks_out_of_its_line),
		cmocka_unit_test(doubles_are_short_and_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
