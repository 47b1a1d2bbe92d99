// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "model/registry.h"
#include "ui/findings.h"

enum {
	CLIENT,
	STAGE,
	DELAYED,
	WINDOWS,
	RETRANSMITS,
	HANDSHAKE,
	OVERFLOWS,
	ENDED,
	FORGOTTEN,
};

static const struct metric table[] = {
	[CLIENT] = { "tcp.client.exchange.duration", "s", METRIC_HISTOGRAM, "" },
	[STAGE] = { "tcp.client.exchange.stage.duration", "s", METRIC_HISTOGRAM, "" },
	[DELAYED] = { "tcp.exchange.delayed", "{exchange}", METRIC_COUNTER, "" },
	[WINDOWS] = { "system.network.tcp.zero_windows", "{event}", METRIC_COUNTER, "" },
	[RETRANSMITS] = { "system.network.tcp.retransmits", "{segment}", METRIC_COUNTER, "" },
	[HANDSHAKE] = { "system.network.tcp.handshake.duration", "s", METRIC_HISTOGRAM, "" },
	[OVERFLOWS] = { "system.network.tcp.accept_queue.overflows", "{connection}", METRIC_COUNTER,
			"" },
	[ENDED] = { "tcp.pool.ended", "{connection}", METRIC_COUNTER, "" },
	[FORGOTTEN] = { "tcp.pool.forgotten", "{connection}", METRIC_GAUGE, "" },
	{},
};

DEFINE_CLEANUP(struct registry, registry_free)

static struct series *series(struct registry *r, int metric, const char *key, const char *value)
{
	const struct attr attrs[] = {
		ATTR_STR("network.peer.address", "10.0.0.7"),
		ATTR_NUM("server.port", 5432),
		ATTR_STR(key, value),
	};

	return registry_series(r, &table[metric], "shop", attrs, key ? 3 : 2);
}

/* @n values of @ns each. */
static void put(struct series *s, uint32_t n, uint64_t ns)
{
	static const struct sn_hist none;
	struct sn_hist h = { .sum_ns = n * ns, .min_inv_ns = ~ns, .max_ns = ns };

	h.bucket[sn_hist_slot(ns)] = n;
	series_add_hist(s, &none, &h);
}

static struct registry *new_registry(void)
{
	struct registry *r = registry_new(100);

	assert_non_null(r);
	assert_int_equal(registry_register(r, table), 0);
	return r;
}

static void find(struct registry *r, struct findings *all)
{
	struct snapshot *s;

	assert_int_equal(registry_snapshot(r, &s), 0);
	assert_int_equal(findings_tcp(s, all), 0);
	snapshot_free(s);
}

static void check(struct registry *r, const char *kind, const char *text)
{
	cleanup(findings_done) struct findings all = {};

	find(r, &all);
	assert_int_equal(all.n, 1);
	assert_string_equal(all.list[0].kind, kind);
	assert_string_equal(all.list[0].text, text);
}

static void check_nothing(struct registry *r)
{
	cleanup(findings_done) struct findings all = {};

	find(r, &all);
	assert_int_equal(all.n, 0);
}

static void test_where_time_goes(void **state)
{
	cleanup(registry_freep) struct registry *r = new_registry();

	put(series(r, CLIENT, NULL, NULL), 19, 10000000);
	put(series(r, STAGE, "tcp.stage", "network"), 20, 2000000);
	put(series(r, STAGE, "tcp.stage", "remote"), 20, 7500000);
	put(series(r, STAGE, "tcp.stage", "receive_queue"), 20, 500000);
	check_nothing(r);
	put(series(r, CLIENT, NULL, NULL), 1, 10000000);
	check(r, "where_time_goes",
	      "shop with 10.0.0.7:5432: 20 exchanges, 10 ms on average, of which the network 20 %, "
	      "the other end 75 %, waiting to be read 5 %.");
}

/* Parts are of the whole, also where some of it cannot be told apart. */
static void test_parts_that_cannot_be_told(void **state)
{
	cleanup(registry_freep) struct registry *r = new_registry();

	put(series(r, CLIENT, NULL, NULL), 20, 10000000);
	put(series(r, STAGE, "tcp.stage", "network"), 10, 2000000);
	put(series(r, STAGE, "tcp.stage", "remote"), 10, 7000000);
	put(series(r, STAGE, "tcp.stage", "receive_queue"), 20, 1000000);
	check(r, "where_time_goes",
	      "shop with 10.0.0.7:5432: 20 exchanges, 10 ms on average, of which the network 10 %, "
	      "the other end 35 %, waiting to be read 10 %, and 45 % that cannot be told apart "
	      "(several sends).");
}

/* The queue alone does not say where the rest went. */
static void test_parts_need_details(void **state)
{
	cleanup(registry_freep) struct registry *r = new_registry();

	put(series(r, CLIENT, NULL, NULL), 20, 10000000);
	put(series(r, STAGE, "tcp.stage", "receive_queue"), 20, 500000);
	check_nothing(r);
}

static void test_nagle(void **state)
{
	cleanup(registry_freep) struct registry *r = new_registry();

	put(series(r, CLIENT, NULL, NULL), 40, 41000000);
	series_add(series(r, DELAYED, "tcp.delay.reason", "nagle"), 2);
	check_nothing(r);
	series_add(series(r, DELAYED, "tcp.delay.reason", "nagle"), 30);
	check(r, "nagle",
	      "shop with 10.0.0.7:5432: 32 of 40 exchanges waited some 40 ms, because the last of "
	      "several small writes was held back (Nagle's algorithm) until the other end "
	      "acknowledged "
	      "those before it. Write a request in one piece, or set TCP_NODELAY.");
}

static void test_zero_window(void **state)
{
	cleanup(registry_freep) struct registry *r = new_registry();

	series_add(series(r, WINDOWS, "network.io.direction", "receive"), 2);
	check_nothing(r);
	series_add(series(r, WINDOWS, "network.io.direction", "receive"), 5);
	check(r, "zero_window",
	      "shop with 10.0.0.7:5432: its receive window was used up 7 times, so the sender had "
	      "to "
	      "stop. It reads more slowly than data comes.");
}

static void test_retransmission(void **state)
{
	cleanup(registry_freep) struct registry *r = new_registry();

	series_add(series(r, RETRANSMITS, "network.tcp.retransmit.type", "fast"), 2);
	check_nothing(r);
	series_add(series(r, RETRANSMITS, "network.tcp.retransmit.type", "syn"), 5);
	check(r, "retransmission",
	      "shop with 10.0.0.7:5432: 7 segments were sent again: 2 lost on the way (the other "
	      "end "
	      "said so), 5 to make a connection.");
}

static void test_failures(void **state)
{
	cleanup(registry_freep) struct registry *r = new_registry();
	const struct attr refused[] = {
		ATTR_STR("network.peer.address", "10.0.0.7"),
		ATTR_NUM("server.port", 5432),
		ATTR_STR("network.tcp.handshake.role", "client"),
		ATTR_STR("error.type", "refused"),
	};

	put(registry_series(r, &table[HANDSHAKE], "shop", refused, 3), 3, 1000000);
	check_nothing(r);
	put(registry_series(r, &table[HANDSHAKE], "shop", refused, 4), 2, 1000000);
	check(r, "connect_failed",
	      "shop with 10.0.0.7:5432: 2 of 5 connections came to nothing (refused), after 1.0 ms "
	      "on "
	      "average.");
}

/* One is told as one. */
static void test_singles(void **state)
{
	static const struct {
		int metric;
		const char *key, *value, *kind, *text;
	} cases[] = {
		{ HANDSHAKE, "error.type", "refused", "connect_failed",
		  "shop with 10.0.0.7:5432: the only connection came to nothing (refused), after "
		  "1.0 ms." },
		{ FORGOTTEN, "tcp.role", "client", "close_wait",
		  "shop with 10.0.0.7:5432: the other end of 1 connection has closed, and for ten "
		  "seconds or more the program has not: it loses sockets." },
		{ OVERFLOWS, NULL, NULL, "accept_queue",
		  "A listener's accept queue was full once, and a client had to try again. `ss "
		  "-ltn` "
		  "shows which (Recv-Q above Send-Q): it accepts too slowly, or its backlog or "
		  "net.core.somaxconn is too small." },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(registry_freep) struct registry *r = new_registry();
		struct series *s = series(r, cases[i].metric, cases[i].key, cases[i].value);

		if (table[cases[i].metric].kind == METRIC_HISTOGRAM)
			put(s, 1, 1000000);
		else if (table[cases[i].metric].kind == METRIC_GAUGE)
			series_set(s, 1);
		else
			series_add(s, 1);
		check(r, cases[i].kind, cases[i].text);
	}
}

/* Of many dead peers the worst are told, and how many there are besides. */
static void test_many(void **state)
{
	cleanup(registry_freep) struct registry *r = registry_new(4000);
	cleanup(findings_done) struct findings all = {};
	const struct terminal_style style = { .width = 80 };
	cleanup(strbuf_done) struct strbuf out = {};
	size_t lines = 0;

	assert_non_null(r);
	assert_int_equal(registry_register(r, table), 0);
	for (int i = 0; i < 2000; i++) {
		const struct attr attrs[] = {
			ATTR_STR("network.peer.address", "10.0.0.7"),
			ATTR_NUM("server.port", i + 1),
			ATTR_STR("network.tcp.handshake.role", "client"),
			ATTR_STR("error.type", "refused"),
		};

		put(registry_series(r, &table[HANDSHAKE], "shop", attrs, 3), 1, 1000000);
		put(registry_series(r, &table[HANDSHAKE], "shop", attrs, 4),
		    (uint32_t)(i * 37 % 2000 + 1), 1000000);
	}
	series_set(series(r, FORGOTTEN, "tcp.role", "client"), 3);
	find(r, &all);
	assert_int_equal(all.n, FINDINGS_OF_A_KIND + 1);
	assert_int_equal(all.omitted, 2000 - FINDINGS_OF_A_KIND);
	for (size_t i = 0; i < FINDINGS_OF_A_KIND; i++) {
		assert_true(all.list[i].evidence[0].real == 2000. - (double)i);
		assert_true(all.list[i].evidence[1].real == 2001. - (double)i);
	}
	assert_string_equal(all.list[FINDINGS_OF_A_KIND].kind, "close_wait");
	findings_render(&all, &style, &out);
	for (const char *at = strbuf_str(&out); (at = strstr(at, "\n- ")); at++)
		lines++;
	assert_int_equal(lines, 11);
	assert_non_null(strstr(strbuf_str(&out), "2000 of 2001 connections came"));
	assert_non_null(strstr(strbuf_str(&out), "it loses sockets."));
	assert_non_null(
		strstr(strbuf_str(&out), "\n- And 1991 more: the worst of each kind are above.\n"));
}

static void test_churn(void **state)
{
	cleanup(registry_freep) struct registry *r = new_registry();

	series_add(series(r, ENDED, "tcp.pool.use", "once"), 30);
	series_add(series(r, ENDED, "tcp.pool.use", "reused"), 8);
	check_nothing(r);
	series_add(series(r, ENDED, "tcp.pool.use", "unused"), 2);
	check(r, "pool_churn",
	      "shop with 10.0.0.7:5432: 32 of 40 connections that ended had been used once at "
	      "most, "
	      "and each cost a handshake. Keep connections open (keep-alive), or let the pool hold "
	      "more.");
}

static void test_forgotten(void **state)
{
	cleanup(registry_freep) struct registry *r = new_registry();

	series_set(series(r, FORGOTTEN, "tcp.role", "client"), 0);
	check_nothing(r);
	series_set(series(r, FORGOTTEN, "tcp.role", "client"), 3);
	check(r, "close_wait",
	      "shop with 10.0.0.7:5432: the other end of 3 connections has closed, and for ten "
	      "seconds "
	      "or more the program has not: it loses sockets.");
}

static void test_overflow(void **state)
{
	cleanup(registry_freep) struct registry *r = new_registry();
	struct series *s = registry_series(r, &table[OVERFLOWS], "", NULL, 0);

	check_nothing(r);
	series_add(s, 12);
	check(r, "accept_queue",
	      "A listener's accept queue was full 12 times, and clients had to try again. `ss "
	      "-ltn` "
	      "shows which (Recv-Q above Send-Q): it accepts too slowly, or its backlog or "
	      "net.core.somaxconn is too small.");
}

/* Paragraphs are broken at blanks, what has none where the line ends; each begins with a mark. */
static void test_render(void **state)
{
	struct finding list[] = {
		{ .kind = "nagle", .text = "One word too many for a line of thirty." },
		{ .kind = "nagle", .text = "shop-with-a-name-that-has-no-blank-anywhere: slow" },
	};
	const struct findings all = { list, 2, 2, 0 };
	const struct terminal_style style = { .width = 30 };
	cleanup(strbuf_done) struct strbuf out = {};

	findings_render(&(struct findings){}, &style, &out);
	assert_int_equal(out.len, 0);
	findings_render(&all, &style, &out);
	assert_string_equal(strbuf_str(&out), "\n"
					      "WHAT THE FIGURES SAY\n"
					      "- One word too many for a line\n"
					      "  of thirty.\n"
					      "- shop-with-a-name-that-has-no\n"
					      "  -blank-anywhere: slow\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_where_time_goes),
		cmocka_unit_test(test_parts_that_cannot_be_told),
		cmocka_unit_test(test_parts_need_details),
		cmocka_unit_test(test_nagle),
		cmocka_unit_test(test_zero_window),
		cmocka_unit_test(test_retransmission),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_singles),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_churn),
		cmocka_unit_test(test_forgotten),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_render),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
