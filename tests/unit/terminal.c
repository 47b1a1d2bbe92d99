// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "ui/interval.h"
#include "ui/terminal.h"
#include "ui/text.h"

/*
 * Screens are compared with tests/golden/terminal_*.txt. After a change that is meant, run with
 * SONDE_GOLDEN=write and read the difference.
 */

#define MAX_SERIES 48

enum { CLIENT, SERVER, CLIENT_STAGE, SERVER_STAGE, IO, HTTP, EVENTS, N_METRICS };

static const struct metric table[N_METRICS] = {
	[CLIENT] = { "tcp.client.exchange.duration", "s", METRIC_HISTOGRAM },
	[SERVER] = { "tcp.server.exchange.duration", "s", METRIC_HISTOGRAM },
	[CLIENT_STAGE] = { "tcp.client.exchange.stage.duration", "s", METRIC_HISTOGRAM },
	[SERVER_STAGE] = { "tcp.server.exchange.stage.duration", "s", METRIC_HISTOGRAM },
	[IO] = { "tcp.io", "By", METRIC_COUNTER },
	[HTTP] = { "http.server.request.duration", "s", METRIC_HISTOGRAM },
	[EVENTS] = { "sonde.events", "{event}", METRIC_COUNTER },
};

/* A snapshot made by hand, with room for what it points to. */
struct stage {
	struct snapshot snapshot;
	struct snap_metric metrics[N_METRICS];
	struct snap_series series[N_METRICS][MAX_SERIES];
	struct attr attrs[N_METRICS][MAX_SERIES][4];
	struct hist hists[N_METRICS][MAX_SERIES];
};

static void stage_init(struct stage *st, double seconds)
{
	*st = (struct stage){};
	for (int i = 0; i < N_METRICS; i++)
		st->metrics[i] = (struct snap_metric){ &table[i], st->series[i], 0 };
	st->snapshot = (struct snapshot){ .start_ns = NSEC_PER_SEC,
					  .time_ns = (uint64_t)((1 + seconds) * 1e9),
					  .metrics = st->metrics,
					  .n_metrics = N_METRICS };
}

/* A series with attributes, ended by one without a key. */
static struct snap_series *add(struct stage *st, int metric, const char *service,
			       const struct attr *attrs)
{
	size_t at = st->metrics[metric].n_series++, n = 0;
	struct snap_series *s = &st->series[metric][at];

	assert_true(at < MAX_SERIES);
	for (; attrs[n].key; n++)
		st->attrs[metric][at][n] = attrs[n];
	*s = (struct snap_series){ .service = service,
				   .attrs = st->attrs[metric][at],
				   .n_attrs = n };
	if (table[metric].kind == METRIC_HISTOGRAM)
		s->hist = &st->hists[metric][at];
	return s;
}

/* Adds @n durations to a histogram series, evenly from half to one and a half of @ms. */
static void observe(struct snap_series *s, unsigned n, double ms)
{
	for (unsigned i = 0; i < n; i++)
		hist_observe((struct hist *)s->hist, (uint64_t)(ms * 1e6 * (0.5 + (i + 0.5) / n)));
}

static void conversation(struct stage *st, const char *service, bool server, const char *peer,
			 int port, unsigned n, double ms, uint64_t bytes)
{
	const char *role = server ? "server" : "client";
	struct attr who[] = { ATTR_STR("network.peer.address", peer),
			      ATTR_NUM("server.port", port),
			      {} };
	struct attr stage[] = { ATTR_STR("tcp.stage", "receive_queue"), who[0], who[1], {} };
	struct attr application[] = { ATTR_STR("tcp.stage", "application"), who[0], who[1], {} };
	struct attr io[] = { ATTR_STR("tcp.role", role),
			     ATTR_STR("network.io.direction", "transmit"),
			     who[0],
			     who[1],
			     {} };

	if (n) {
		observe(add(st, server ? SERVER : CLIENT, service, who), n, ms);
		observe(add(st, server ? SERVER_STAGE : CLIENT_STAGE, service, stage), n, ms / 20);
		observe(add(st, server ? SERVER_STAGE : CLIENT_STAGE, service, application), n,
			1e4);
	}
	add(st, IO, service, io)->counter = bytes;
	io[1].str = "receive";
	add(st, IO, service, io)->counter = 20 * bytes;
}

static void request(struct stage *st, const char *service, const char *method, int status,
		    unsigned n, double ms)
{
	struct attr what[] = { ATTR_STR("http.request.method", method),
			       ATTR_NUM("http.response.status_code", status),
			       ATTR_STR("url.scheme", "http"),
			       {} };

	observe(add(st, HTTP, service, what), n, ms);
}

static void fate(struct stage *st, const char *probe, const char *name, uint64_t n)
{
	struct attr attrs[] = { ATTR_STR("sonde.probe", probe),
				ATTR_STR("sonde.event.fate", name),
				{} };

	add(st, EVENTS, "", attrs)->counter = n;
}

static void golden(const char *name, const struct strbuf *screen)
{
	struct strbuf want = {};
	char path[128], buf[4096];
	const char *mode = getenv("SONDE_GOLDEN");
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "tests/golden/terminal_%s.txt", name);
	if (mode && !strcmp(mode, "write")) {
		f = fopen(path, "we");
		assert_non_null(f);
		fwrite(screen->data, 1, screen->len, f);
		fclose(f);
		return;
	}
	f = fopen(path, "re");
	assert_non_null(f);
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		strbuf_add(&want, buf, n);
	fclose(f);
	assert_string_equal(strbuf_str(screen), strbuf_str(&want));
	strbuf_done(&want);
}

/* Lines that fit, of printable characters only, but for our own colours. */
static void assert_harmless(const struct strbuf *screen, const struct terminal_style *style)
{
	unsigned lines = 0;
	char line[512];

	for (const char *p = strbuf_str(screen); *p; p += strcspn(p, "\n") + 1, lines++) {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(p, "\n"), p);
		assert_true(style->color || !strchr(line, '\x1b'));
		if (!style->color)
			assert_in_range(text_width(line, style->utf8), 0, style->width);
	}
	assert_in_range(lines, 1, style->height - 1);
}

static void check(const char *name, const struct stage *now, const struct stage *before,
		  struct terminal_style style)
{
	struct strbuf screen = {};

	style.host_name = "robot-7";
	terminal_render(&now->snapshot, before ? &before->snapshot : NULL, &style, &screen);
	assert_false(strbuf_failed(&screen));
	assert_harmless(&screen, &style);
	golden(name, &screen);
	strbuf_done(&screen);
}

static const struct terminal_style narrow = { .width = 80, .height = 24 };
static const struct terminal_style broad = { .width = 120, .height = 40, .utf8 = true };

/* Static: half a megabyte each. */
static struct stage now, before;

static void nothing_yet(void **state)
{
	(void)state;
	stage_init(&now, 3);
	check("nothing", &now, NULL, narrow);
}

/* The traffic of two moments, five seconds apart. */
static void traffic(struct stage *st, double seconds, unsigned times)
{
	stage_init(st, seconds);
	conversation(st, "checkout", true, "10.0.3.17", 8080, 1000 * times, 1.2, 20000 * times);
	conversation(st, "checkout", false, "10.0.3.9", 5432, 3000 * times, 0.35, 1000000 * times);
	if (times > 1) /* a conversation that began in between shifts the ones behind it */
		conversation(st, "cart", false, "10.0.3.9", 6379, 400, 0.04, 999);
	conversation(st, "prometheus-node-exporter", true, "2001:db8:85a3::8a2e:370:7334", 9100, 2,
		     14, 5000);
	conversation(st, "rsyslogd", false, "10.0.0.2", 514, 0, 0, 77000 * times);
	request(st, "checkout", "GET", 200, 900 * times, 1.1);
	request(st, "checkout", "GET", 404, 10, 0.2);
	request(st, "checkout", "POST", 500, 5 * times, 1200);
	fate(st, "tcp", "aggregated", 123456);
	fate(st, "tcp", "dropped_no_series", 0);
}

static void all_the_time(void **state)
{
	(void)state;
	traffic(&now, 125, 1);
	check("total_80", &now, NULL, narrow);
	check("total_120", &now, NULL, broad);
}

static void the_last_interval(void **state)
{
	(void)state;
	traffic(&before, 125, 1);
	traffic(&now, 130, 3);
	check("interval_80", &now, &before, narrow);
	check("interval_120", &now, &before, broad);
	check("interval_80_color", &now, &before,
	      (struct terminal_style){ .width = 80, .height = 24, .color = true, .utf8 = true });
	check("interval_40", &now, &before, (struct terminal_style){ .width = 40, .height = 24 });
}

static void more_than_fits(void **state)
{
	static char names[20][16];

	(void)state;
	stage_init(&now, 10);
	for (int i = 0; i < 20; i++) {
		snprintf(names[i], sizeof(names[i]), "service-%02d", i);
		conversation(&now, names[i], true, "10.0.0.1", 80, 10 + (unsigned)i, 5, 100);
		request(&now, names[i], "GET", 200, 10, 5);
	}
	fate(&now, "tcp", "dropped_no_series", 12);
	fate(&now, "http", "dropped_unreadable", 3);
	check("full_24", &now, NULL, narrow);
	check("full_10", &now, NULL, (struct terminal_style){ .width = 80, .height = 10 });
}

static void hostile_names(void **state)
{
	(void)state;
	stage_init(&now, 1);
	conversation(&now, "evil\x1b[2J\x1b]0;title\a", true, "10.0.0.1", 80, 5, 1, 1);
	conversation(&now, "line\nbreak\r\t", true, "10.0.0.1", 81, 4, 1, 1);
	conversation(&now,
		     "b\xff"
		     "a\xc3"
		     "d\xed\xa0\x80\xf4\x90\x80\x80\xc0\xaf",
		     true, "10.0.0.1", 82, 3, 1, 1);
	conversation(&now,
		     "right\u202eleft\u200b\xc2\x9b"
		     "2J",
		     true, "10.0.0.1", 83, 2, 1, 1);
	conversation(&now,
		     "\u6e2c\u5b9a\u6e2c\u5b9a\u6e2c\u5b9a\u6e2c\u5b9a\u6e2c\u5b9a\u6e2c\u5b9a",
		     true, "10.0.0.1", 84, 1, 1, 1);
	conversation(&now, "", true, "", 85, 1, 1, 1);
	request(&now, "caf\u00e9",
		"G\x1b"
		"T",
		200, 1, 1);
	observe(add(&now, SERVER, "",
		    (struct attr[]){ { .key = "otel.metric.overflow", .str = "true" }, {} }),
		9, 3);
	fate(&now, "tcp", "dropped\x1b[0m", 1);
	check("hostile_ascii", &now, NULL, narrow);
	check("hostile_utf8", &now, NULL,
	      (struct terminal_style){ .width = 80, .height = 24, .utf8 = true });
}

static void figures_are_short(void **state)
{
	/* clang-format off */
	static const struct { double v; const char *seconds, *rate, *bytes; } cases[] = {
		{ NAN, "-", "-", "-" },
		{ 0, "0 us", "0 /s", "0 B/s" },
		{ 5e-7, "0.5 us", "0.00 /s", "0.0 B/s" },
		{ 9.96e-6, "10 us", "0.00 /s", "0.0 B/s" },
		{ 0.00123, "1.2 ms", "0.00 /s", "0.0 B/s" },
		{ 0.9994e-3, "999 us", "0.00 /s", "0.0 B/s" },
		{ 0.9996e-3, "1.0 ms", "0.00 /s", "0.0 B/s" },
		{ 0.33, "330 ms", "0.33 /s", "0.3 B/s" },
		{ 9.996, "10 s", "10.0 /s", "10 B/s" },
		{ 99.4, "99 s", "99.4 /s", "99 B/s" },
		{ 150, "2.5 min", "150 /s", "150 B/s" },
		{ 999.6, "17 min", "1.00 k/s", "1.0 kB/s" },
		{ 12345, "206 min", "12.3 k/s", "12 kB/s" },
		{ 9.99e8, "16650000 min", "999 M/s", "999 MB/s" },
	};
	static const struct { double v; const char *count, *elapsed; } counts[] = {
		{ 0, "0", "0s" }, { 59.9, "60", "59s" }, { 125, "125", "2m05s" },
		{ 9999, "9999", "2h46m" }, { 10000, "10.0 k", "2h46m" },
		{ 999600, "1.00 M", "11d13h" },
	};
	/* clang-format on */
	char buf[UNIT_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(unit_seconds(cases[i].v, false, buf), cases[i].seconds);
		assert_string_equal(unit_rate(cases[i].v, buf), cases[i].rate);
		assert_string_equal(unit_bytes_rate(cases[i].v, buf), cases[i].bytes);
	}
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		assert_string_equal(unit_count(counts[i].v, buf), counts[i].count);
		assert_string_equal(unit_elapsed(counts[i].v, buf), counts[i].elapsed);
	}
}

/* Old values of 1 s, new ones of 1 ms: the interval knows nothing of the old. */
static void an_interval_forgets_what_was_before(void **state)
{
	struct hist h;

	(void)state;
	stage_init(&before, 1);
	stage_init(&now, 2);
	request(&before, "a", "GET", 200, 100, 1000);
	request(&now, "a", "GET", 200, 100, 1000);
	observe(&now.series[HTTP][0], 50, 1);
	interval_hist(&now.series[HTTP][0], &before.series[HTTP][0], &h);
	assert_int_equal(hist_count(&h), 50);
	assert_true(fabs(hist_quantile(&h, 0.5) - 0.001) < 0.0001);
	assert_true(hist_quantile(&h, 1) < 0.0017);
	assert_true(hist_quantile(&h, 0) >= 0.0005);
}

static void a_series_that_started_anew_is_all_new(void **state)
{
	size_t cursor = 0;

	(void)state;
	stage_init(&before, 1);
	stage_init(&now, 2);
	request(&before, "a", "GET", 200, 100, 1);
	request(&before, "b", "GET", 200, 100, 1);
	request(&now, "b", "GET", 200, 100, 1);
	request(&now, "a", "GET", 200, 10, 1);
	now.series[HTTP][1].start_ns = 5;
	assert_ptr_equal(interval_match(&before.metrics[HTTP], &now.series[HTTP][0], &cursor),
			 &before.series[HTTP][1]);
	assert_null(interval_match(&before.metrics[HTTP], &now.series[HTTP][1], &cursor));
	assert_null(interval_match(NULL, &now.series[HTTP][1], &cursor));
}

static void redrawing_clears_each_line_and_the_rest(void **state)
{
	struct strbuf screen = {}, out = {};

	(void)state;
	strbuf_puts(&screen, "one\n\ntwo\n");
	terminal_redraw(&screen, &out);
	assert_string_equal(strbuf_str(&out),
			    "\x1b[H\x1b[2Kone\r\n\x1b[2K\r\n\x1b[2Ktwo\r\n\x1b[J");
	strbuf_done(&screen);
	strbuf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_yet),
		cmocka_unit_test(all_the_time),
		cmocka_unit_test(the_last_interval),
		cmocka_unit_test(more_than_fits),
		cmocka_unit_test(hostile_names),
		cmocka_unit_test(figures_are_short),
		cmocka_unit_test(an_interval_forgets_what_was_before),
		cmocka_unit_test(a_series_that_started_anew_is_all_new),
		cmocka_unit_test(redrawing_clears_each_line_and_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
