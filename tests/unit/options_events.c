// SPDX-License-Identifier: Apache-2.0
/* The options of single events: sets, and the logs signal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/attempt.h"

static void sets_are_bits(void **state)
{
	/* clang-format off */
	static const struct { const char *line; uint64_t want; } cases[] = {
		{ "trace", 0 },
		{ "trace --events=", 0 },
		{ "trace --events exchanges", EVENTS_EXCHANGES },
		{ "trace --events ends,failures", EVENTS_ENDS | EVENTS_FAILURES },
		{ "trace --events failures,exchanges,ends,ends",
		  EVENTS_EXCHANGES | EVENTS_FAILURES | EVENTS_ENDS },
	};
	/* clang-format on */
	struct attempt t = {};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		parse(&t, cases[i].line, NULL);
		assert_int_equal(t.r, 0);
		assert_int_equal(t.c.events, cases[i].want);
	}
	config_done(&t.c);
}

static void a_wrong_set_gets_one_sentence(void **state)
{
	/* clang-format off */
	static const struct { const char *line, *sentence; } cases[] = {
		{ "trace --events exchanges,losses", "events (--events): 'exchanges,losses' is "
		  "not a list of exchanges, failures, ends" },
		{ "trace --events ends,", "events (--events): 'ends,' is not a list of exchanges, "
		  "failures, ends" },
	};
	/* clang-format on */
	struct attempt t = {};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		parse(&t, cases[i].line, NULL);
		assert_true(t.r < 0);
		assert_string_equal(t.e.msg, cases[i].sentence);
	}
	config_done(&t.c);
}

/* What is said of all signals holds for logs, and what is said of metrics does not. */
static void logs_have_settings_of_their_own(void **state)
{
	/* clang-format off */
	static const struct {
		const char *line, *variables[3], *headers;
		uint64_t timeout_ms;
	} cases[] = {
		{ "run", {}, "", 10000 },
		{ "run --otlp.headers a=1 --otlp.timeout 1s", {}, "a=1", 1000 },
		{ "run --otlp.headers a=1 --otlp.logs-headers b=2", {}, "b=2", 10000 },
		{ "run", { "OTEL_EXPORTER_OTLP_HEADERS=a=1", "OTEL_EXPORTER_OTLP_TIMEOUT=250" },
		  "a=1", 250 },
		{ "run", { "OTEL_EXPORTER_OTLP_METRICS_HEADERS=m=1",
			   "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT=250" }, "", 10000 },
		{ "run", { "OTEL_EXPORTER_OTLP_HEADERS=a=1",
			   "OTEL_EXPORTER_OTLP_LOGS_HEADERS=l=1",
			   "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT=70" }, "l=1", 70 },
		{ "run", { "SONDE_OTLP_HEADERS=s=1", "SONDE_OTLP_TIMEOUT=2s" }, "s=1", 2000 },
		{ "run --otlp.headers a=1", { "OTEL_EXPORTER_OTLP_LOGS_HEADERS=l=1" }, "a=1", 10000 },
	};
	/* clang-format on */
	char *endpoints[] = { (char[]){ "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://l/x" },
			      (char[]){ "OTEL_EXPORTER_OTLP_ENDPOINT=http://c" },
			      (char[]){ "OTEL_BLRP_SCHEDULE_DELAY=5" }, NULL };
	struct attempt t = {};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char texts[3][80], *env[4] = {};

		for (size_t k = 0; k < 3 && cases[i].variables[k]; k++) {
			snprintf(texts[k], sizeof(texts[k]), "%s", cases[i].variables[k]);
			env[k] = texts[k];
		}
		parse(&t, cases[i].line, env);
		assert_int_equal(t.r, 0);
		assert_string_equal(t.c.otlp_logs_headers, cases[i].headers);
		assert_int_equal(t.c.otlp_logs_timeout_ns, cases[i].timeout_ms * NSEC_PER_MSEC);
	}
	parse(&t, "run --otlp.logs exchanges,ends", endpoints);
	assert_string_equal(t.c.otlp_logs_endpoint, "http://l/x");
	assert_int_equal(t.c.otlp_logs_delay_ns, 5 * NSEC_PER_MSEC);
	assert_int_equal(t.c.otlp_logs, EVENTS_EXCHANGES | EVENTS_ENDS);
	assert_int_equal(t.c.otlp_logs_slower_than_ns, 100 * NSEC_PER_MSEC);
	parse(&t, "run --otlp.endpoint http://mine", endpoints);
	assert_string_equal(t.c.otlp_logs_endpoint, "");
	assert_int_equal(t.c.otlp_logs, 0);
	config_done(&t.c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_are_bits),
		cmocka_unit_test(a_wrong_set_gets_one_sentence),
		cmocka_unit_test(logs_have_settings_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
