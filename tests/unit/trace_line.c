// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/trace_silence.h"
#include "tests/unit/events.h"
#include "tests/unit/fixture.h"
#include "ui/text.h"
#include "ui/trace_line.h"

/* 2026-11-21T12:34:56.000789Z */
#define WALL_NS 1795264496000789123ULL

static void draw(struct trace_style style, const char *path)
{
	struct event bare = { .name = "tcp.exchange", .service = "" };
	cleanup(strbuf_done) struct strbuf out = {};

	trace_header(&style, &out);
	for (size_t i = 0; i < N_EVENTS; i++)
		trace_line(&style, &events[i], WALL_NS, 0, &out);
	trace_line(&style, &bare, WALL_NS, 0, &out);
	bare.name = "tcp.connect.failed";
	trace_line(&style, &bare, WALL_NS, 0, &out);
	bare.name = "tcp.connection";
	trace_line(&style, &bare, WALL_NS, 0, &out);
	/* Once more: columns are now as wide as what was in them. */
	for (size_t i = 0; i < N_EVENTS; i++)
		trace_line(&style, &events[i], WALL_NS, 0, &out);
	for (const char *p = strbuf_str(&out); *p; p++)
		assert_true(*p == '\n' || (unsigned char)*p >= ' ' || style.color);
	assert_golden(&out, path);
}

static void lines_are_as_agreed(void **state)
{
	(void)state;
	draw((struct trace_style){ .slow_ns = 100 * NSEC_PER_MSEC },
	     "tests/golden/trace_ascii.txt");
	draw((struct trace_style){ .slow_ns = 100 * NSEC_PER_MSEC, .color = true, .utf8 = true },
	     "tests/golden/trace_color.txt");
}

static void the_clock_is_that_of_the_place(void **state)
{
	static const struct {
		long offset_s;
		const char *want;
	} cases[] = {
		{ 0, "12:34:56.000789  " },	 { 3600, "13:34:56.000789  " },
		{ -43200, "00:34:56.000789  " }, { -45000, "00:04:56.000789  " },
		{ 50400, "02:34:56.000789  " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(strbuf_done) struct strbuf out = {};
		struct trace_style style = {};

		trace_line(&style, &events[SERVER], WALL_NS, cases[i].offset_s, &out);
		assert_memory_equal(strbuf_str(&out), cases[i].want, strlen(cases[i].want));
	}
}

/* The first lines are aligned with each other: the columns that follow stand in the same place. */
static void columns_are_aligned(void **state)
{
	cleanup(strbuf_done) struct strbuf first = {};
	cleanup(strbuf_done) struct strbuf second = {};
	struct trace_style style = {};

	(void)state;
	trace_line(&style, &events[CLIENT], WALL_NS, 0, &first);
	trace_line(&style, &events[ENDED], WALL_NS, 0, &second);
	assert_int_equal(strstr(strbuf_str(&first), " -> ") - strbuf_str(&first),
			 strstr(strbuf_str(&second), " -> ") - strbuf_str(&second));
	assert_int_equal(strstr(strbuf_str(&first), "  queue") - strbuf_str(&first),
			 strstr(strbuf_str(&second), "  closed") - strbuf_str(&second));
}

static void bytes_are_whole_while_they_fit(void **state)
{
	char buf[UNIT_TEXT_MAX];

	(void)state;
	assert_string_equal(unit_bytes(0, buf), "0 B");
	assert_string_equal(unit_bytes(999, buf), "999 B");
	assert_string_equal(unit_bytes(1000, buf), "1.0 kB");
	assert_string_equal(unit_bytes(4500000000, buf), "4.5 GB");
}

/* ---- why there is nothing ---- */

static const struct metric exchanges[] = {
	{ "tcp.client.exchange.duration", "s", METRIC_HISTOGRAM, "" },
	{ "tcp.server.exchange.duration", "s", METRIC_HISTOGRAM, "" },
	{},
};

static void see(struct registry *r, int metric, const char *service, uint64_t ns)
{
	struct sn_hist none = {}, h = { .sum_ns = ns, .max_ns = ns, .min_inv_ns = ~ns };

	h.bucket[sn_hist_slot(ns)] = 1;
	series_add_hist(registry_series(r, &exchanges[metric], service, NULL, 0), &none, &h);
}

static void assert_silence(const struct registry *r, const struct config *c, const char *want)
{
	cleanup(strbuf_done) struct strbuf out = {};
	struct snapshot *s = NULL;

	assert_int_equal(registry_snapshot(r, &s), 0);
	trace_silence(c, s, &out);
	if (!strstr(strbuf_str(&out), want))
		fail_msg("'%s' is not in '%s'", want, strbuf_str(&out));
	snapshot_free(s);
}

static void silence_is_explained_by_what_was_counted(void **state)
{
	cleanup(registry_freep) struct registry *r = registry_new(10);
	struct config c = {};

	(void)state;
	registry_register(r, exchanges);
	assert_silence(r, &c, "no exchange has ended since the start; 'sonde doctor'");
	c.layer[opt_find("port") - opts] = LAYER_FLAG;
	assert_silence(r, &c, "no exchange that --port lets through has ended since the start");
	c.layer[opt_find("service") - opts] = LAYER_ENV;
	assert_silence(r, &c, "no exchange that --port and --service let through has ended");
	see(r, 0, "a", 2000000);
	assert_silence(r, &c, "1 exchange has ended since the start");
	see(r, 1, "b", 3000000);
	c.slower_than_ns = 10 * NSEC_PER_MSEC;
	assert_silence(
		r, &c,
		"2 exchanges have ended since the start, the slowest in 3.0 ms: none took 10ms");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_as_agreed),
		cmocka_unit_test(the_clock_is_that_of_the_place),
		cmocka_unit_test(columns_are_aligned),
		cmocka_unit_test(bytes_are_whole_while_they_fit),
		cmocka_unit_test(silence_is_explained_by_what_was_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
