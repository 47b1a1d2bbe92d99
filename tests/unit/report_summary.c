// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/traffic.h"
#include "ui/report_progress.h"
#include "ui/report_summary.h"
#include "ui/text.h"

static const struct terminal_style narrow = { .width = 80, .host_name = "robot-7" };
static const struct terminal_style narrower = { .width = 48, .host_name = "robot-7" };
static const struct terminal_style broad = { .width = 120, .utf8 = true, .host_name = "robot-7" };
static const struct terminal_style colored = {
	.width = 80, .utf8 = true, .color = true, .host_name = "robot-7"
};

/* No line is longer than the terminal is wide, and no other escapes are there than ours. */
static void assert_fits(const struct strbuf *text, const struct terminal_style *style)
{
	char line[1024];

	for (const char *p = strbuf_str(text); *p; p += strcspn(p, "\n") + 1) {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(p, "\n"), p);
		if (!style->color) {
			assert_null(strchr(line, '\x1b'));
			assert_in_range(text_width(line, style->utf8), 0, style->width);
		}
	}
}

static void check(const char *path, const struct traffic *t, bool detail,
		  const struct terminal_style *style)
{
	cleanup(snapshot_freep) struct snapshot *s = fixture_snapshot(t->registry);
	cleanup(strbuf_done) struct strbuf text = {};

	report_summary_render(&(struct report_summary){ .snapshot = s,
							.seconds = 60,
							.connections = t->connections,
							.detail = detail },
			      style, &text);
	assert_false(strbuf_failed(&text));
	assert_fits(&text, style);
	assert_golden(&text, path);
}

static void a_page(void **state)
{
	cleanup(traffic_done) struct traffic t = traffic_new(100);

	traffic_mixed(&t);
	check("tests/golden/summary_80.txt", &t, false, &narrow);
	check("tests/golden/summary_48.txt", &t, false, &narrower);
	check("tests/golden/summary_120.txt", &t, false, &broad);
}

/* Failures, losses, requests, and more connections than are kept. */
static void what_went_wrong(void **state)
{
	cleanup(traffic_done) struct traffic t = traffic_new(2);
	const struct attr refused = ATTR_STR("error.type", "refused"),
			  late = ATTR_STR("error.type", "timed_out"),
			  fast = ATTR_STR("network.tcp.retransmit.type", "fast"),
			  out = ATTR_STR("network.io.direction", "transmit"),
			  request[] = { ATTR_STR("http.request.method", "GET"),
					ATTR_NUM("http.response.status_code", 200) },
			  lost[] = { ATTR_STR("sonde.probe", "tcp"),
				     ATTR_STR("sonde.event.fate", "dropped_no_series") };

	traffic_mixed(&t);
	traffic_observe(&t, T_HANDSHAKE, "shop", NULL, 0, 1000000);
	for (int i = 0; i < 3; i++)
		traffic_observe(&t, T_HANDSHAKE, "shop", &refused, 1, 1000000);
	traffic_observe(&t, T_HANDSHAKE, "shop", &late, 1, 1000000000);
	traffic_observe(&t, T_HANDSHAKE, "evil\x1b[2J", &refused, 1, 1000000);
	traffic_count(&t, T_RETRANSMITS, "shop", &fast, 1, 12);
	traffic_count(&t, T_RESETS, "shop", &out, 1, 0);
	for (uint64_t i = 1; i < 30; i++)
		traffic_observe(&t, T_HTTP, "shop", request, 2, i * 1000000);
	traffic_count(&t, T_EVENTS, "", lost, 2, 5);
	check("tests/golden/summary_detail.txt", &t, true, &narrow);
	check("tests/golden/summary_detail_color.txt", &t, true, &colored);
}

/* Whatever the names are, the sum is whole. */
static void more_kinds_of_failures_than_are_named(void **state)
{
	cleanup(traffic_done) struct traffic t = traffic_new(2);
	cleanup(snapshot_freep) struct snapshot *s = NULL;
	cleanup(strbuf_done) struct strbuf text = {};

	for (int i = 0; i < 18; i++) {
		char name[16];
		const struct attr error = ATTR_STR("error.type", name);

		snprintf(name, sizeof(name), "e%02d", i);
		for (int k = 0; k <= i; k++)
			traffic_observe(&t, T_HANDSHAKE, "shop", &error, 1, 1000000);
	}
	assert_int_equal(registry_snapshot(t.registry, &s), 0);
	report_summary_render(&(struct report_summary){ .snapshot = s,
							.seconds = 60,
							.connections = t.connections,
							.detail = true },
			      &(struct terminal_style){ .width = 300, .host_name = "r" }, &text);
	assert_non_null(strstr(strbuf_str(&text), "1 e00, 2 e01, "));
	assert_non_null(strstr(strbuf_str(&text), ", 16 e15, 35 others\n"));
}

static void nothing(void **state)
{
	cleanup(traffic_done) struct traffic t = traffic_new(2);

	check("tests/golden/summary_nothing.txt", &t, true, &narrow);
}

static void assert_progress(const struct traffic *t, const struct snapshot *before,
			    const char *want)
{
	cleanup(snapshot_freep) struct snapshot *s = NULL;
	cleanup(strbuf_done) struct strbuf text = {};

	assert_int_equal(registry_snapshot(t->registry, &s), 0);
	s->time_ns = 75 * NSEC_PER_SEC;
	report_progress_render(s, before, 5 * NSEC_PER_SEC, false, &text);
	assert_string_equal(strbuf_str(&text), want);
}

static void progress(void **state)
{
	cleanup(traffic_done) struct traffic t = traffic_new(100);
	cleanup(snapshot_freep) struct snapshot *before = NULL;
	const struct attr lost[] = { ATTR_STR("sonde.probe", "tcp"),
				     ATTR_STR("sonde.event.fate", "dropped_no_series") };

	assert_progress(&t, NULL, "1m10s: 0 exchanges, 0 /s, p50 -, p99 -");
	traffic_mixed(&t);
	assert_progress(&t, NULL, "1m10s: 146 exchanges, 2.09 /s, p50 1.2 ms, p99 285 ms");
	assert_int_equal(registry_snapshot(t.registry, &before), 0);
	before->time_ns = 65 * NSEC_PER_SEC;
	traffic_add(&t,
		    (struct connection){ .local = traffic_end("10.0.0.1", 80), .service = "shop" },
		    20, 1000, 0);
	traffic_observe(&t, T_HTTP, "shop", NULL, 0, 1000000);
	traffic_count(&t, T_EVENTS, "", lost, 2, 5);
	assert_progress(&t, before,
			"1m10s: 166 exchanges, 2.00 /s, p50 1.1 ms, p99 283 ms; "
			"1 request, 0.10 /s, p50 1.0 ms, p99 1.0 ms; LOST: 5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page),
		cmocka_unit_test(what_went_wrong),
		cmocka_unit_test(more_kinds_of_failures_than_are_named),
		cmocka_unit_test(nothing),
		cmocka_unit_test(progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
