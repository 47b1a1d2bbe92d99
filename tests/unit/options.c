// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/options.h"
#include "agent/options_value.h"
#include "base/clock.h"
#include "tests/unit/attempt.h"

static void write_file(char *path, const char *text)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void defaults_are_the_documented_ones(void **state)
{
	struct attempt t = {};

	(void)state;
	parse(&t, "run", NULL);
	assert_int_equal(t.r, 0);
	assert_int_equal(t.cmd->id, COMMAND_RUN);
	assert_string_equal(t.c.listen, "127.0.0.1:9477");
	assert_string_equal(t.c.otlp_endpoint, "");
	assert_string_equal(t.c.service_name, "sonde");
	assert_int_equal(t.c.otlp_timeout_ns, 10 * NSEC_PER_SEC);
	assert_int_equal(t.c.otlp_interval_ns, 60 * NSEC_PER_SEC);
	assert_int_equal(t.c.max_series, 2000);
	assert_int_equal(t.c.tier, TIER_AUTO);
	assert_int_equal(t.c.log_level, LOG_INFO);
	assert_int_equal(t.c.color, COLOR_AUTO);
	assert_false(t.c.json || t.c.otlp_disabled);
	assert_true(config_wants_probe(&t.c, "anything"));
	config_done(&t.c);
}

static void every_row_is_sound(void **state)
{
	char name[OPT_NAME_MAX];

	(void)state;
	for (const struct opt *o = opts; o->key; o++) {
		struct opt_value v = {};
		struct err e;

		assert_ptr_equal(opt_find(o->key), o);
		assert_ptr_equal(opt_find(opt_flag_name(o, name) + 2), o);
		assert_non_null(o->help);
		assert_true(o->commands);
		assert_true((o->type == OPT_BOOL) == !o->metavar);
		assert_true(o->help[strlen(o->help) - 1] != '.');
		for (const struct opt *p = opts; p < o; p++)
			assert_true(!o->letter || p->letter != o->letter);
		if (o->fallback && (*o->fallback || o->type != OPT_TEXT))
			assert_int_equal(opt_read(o, o->fallback, OPT_ENV_PLAIN, "default", &v, &e),
					 0);
		opt_value_done(&v);
	}
	for (size_t i = 0; i < COMMAND_MAX; i++)
		assert_int_equal(commands[i].id, i);
}

static void all_spellings_mean_the_same(void **state)
{
	static const char *const lines[] = {
		"report --duration 90 --max-series 7 -p tcp,http",
		"report --duration=1m30s --max_series=7 tcp http",
		"--duration 90.0s report -ptcp,http --max-series=7",
		"-d 90000ms report --max-series 9 --max-series 7 -- tcp http",
	};
	struct attempt t = {};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		parse(&t, lines[i], NULL);
		assert_int_equal(t.r, 0);
		assert_int_equal(t.cmd->id, COMMAND_REPORT);
		assert_int_equal(t.c.duration_ns, 90 * NSEC_PER_SEC);
		assert_int_equal(t.c.max_series, 7);
		assert_string_equal(t.c.probes, "tcp,http");
		assert_true(config_wants_probe(&t.c, "http"));
		assert_false(config_wants_probe(&t.c, "htt"));
	}
	config_done(&t.c);
}

static void wrong_use_gets_one_sentence(void **state)
{
	/* clang-format off */
	static const struct { const char *line, *sentence; } cases[] = {
		{ "", "no command given. See 'sonde --help'" },
		{ "rum", "unknown command 'rum': did you mean 'run'? See 'sonde --help'" },
		{ "frobnicate", "unknown command 'frobnicate'. See 'sonde --help'" },
		{ "run --foo", "unknown option --foo for 'run'. See 'sonde run --help'" },
		{ "--cofnig=x run", "unknown option --cofnig for 'run': did you mean --config? See "
		  "'sonde run --help'" },
		{ "run --endpoint x", "unknown option --endpoint for 'run': did you mean "
		  "--otlp.endpoint? "
		  "See 'sonde run --help'" },
		{ "run --duration 3", "unknown option --duration for 'run'. See 'sonde run "
		  "--help'" },
		{ "run -x", "unknown option -x for 'run'. See 'sonde run --help'" },
		{ "report -d", "-d wants a value, TIME: how long to measure; 0: until Ctrl-C" },
		{ "doctor tcp", "'doctor' does not take 'tcp'. See 'sonde doctor --help'" },
		{ "help foo", "unknown command 'foo'. See 'sonde --help'" },
		{ "run --tier best", "tier (--tier): 'best' is not one of auto, btf, fentry, "
		  "kprobe" },
		{ "run --max-series 0", "max_series (--max-series): '0' is not a whole number "
		  "from 1 to "
		  "100000" },
		{ "run --max-series 99999999999999999999", "max_series (--max-series): "
		  "'99999999999999999999' is not a whole number from 1 to 100000" },
		{ "run --otlp.timeout 2h", "otlp.timeout (--otlp.timeout): '2h' is not a "
		  "duration from "
		  "10ms to 1h, such as 10s or 1m30s" },
		{ "run --otlp.protocol grpc", "otlp.protocol (--otlp.protocol): 'grpc' is not "
		  "http/protobuf, the only one in this version" },
		{ "list --json=perhaps", "json (--json): 'perhaps' is not true or false" },
		{ "run -l localhost", "listen (-l): 'localhost' is not a numeric address and a "
		  "port, such "
		  "as 127.0.0.1:9477 or [::1]:9477, or off" },
		{ "run --probes tcp,,http", "probes (--probes): 'tcp,,http' is not a list of "
		  "names such as "
		  "tcp,http" },
		{ "run --config /nonexistent", "cannot open the settings file /nonexistent: No "
		  "such file "
		  "or directory" },
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

static void secrets_are_not_printed(void **state)
{
	static const char *const lines[] = {
		"run --otlp.headers=sekrit",
		"run --otlp.headers a=b,sekrit",
		"run --otlp.heders=sekrit",
		"run --otlp.headers Authorization=Basic sekrit=",
		"run --otlp.endpoint http://me:sekrit@host",
		"doctor --otlp.headers Authorization=Basic sekrit",
	};
	struct attempt t = {};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		parse(&t, lines[i], NULL);
		assert_int_equal(t.r, -EINVAL);
		assert_null(strstr(t.e.msg, "sekrit"));
	}
	/* Looks like a probe; whoever knows the probes must not print it either. */
	parse(&t, "run --otlp.headers Authorization=Basic sekrit", NULL);
	assert_int_equal(t.r, 0);
	assert_int_equal(config_check_probes(&t.c, (const char *[]){ "tcp", NULL }, &t.e), -EINVAL);
	assert_null(strstr(t.e.msg, "sekrit"));
	config_done(&t.c);
}

static void stronger_layers_win(void **state)
{
	char path[] = "/tmp/sonde-test-XXXXXX", line[128];
	char *env[] = { (char[]){ "SONDE_MAX_SERIES=22" }, (char[]){ "SONDE_TIER=kprobe" },
			(char[]){ "SONDE_LOG_LEVEL=" }, NULL };
	struct attempt t = {};

	(void)state;
	write_file(path, "max_series: 11\ntier: btf\nlog_level: debug\nlisten: off\nduration: 5\n");
	snprintf(line, sizeof(line), "run -c %s --max-series 33", path);
	parse(&t, line, env);
	assert_int_equal(t.r, 0);
	assert_int_equal(t.c.max_series, 33);
	assert_int_equal(t.c.tier, TIER_KPROBE);
	assert_int_equal(t.c.log_level, LOG_DEBUG); /* an empty variable is an unset one */
	assert_string_equal(t.c.listen, "off");
	assert_int_equal(t.c.duration_ns, 0); /* run has no such option */
	assert_int_equal(t.c.layer[opt_find("max_series") - opts], LAYER_FLAG);
	assert_int_equal(t.c.layer[opt_find("otlp.timeout") - opts], LAYER_DEFAULT);
	config_done(&t.c);
	unlink(path);
}

static void opentelemetry_variables_are_read(void **state)
{
	char *env[] = { (char[]){ "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318" },
			(char[]){ "OTEL_EXPORTER_OTLP_HEADERS=a=1" },
			(char[]){ "OTEL_EXPORTER_OTLP_METRICS_HEADERS=b=2" },
			(char[]){ "OTEL_EXPORTER_OTLP_TIMEOUT=250" },
			(char[]){ "OTEL_METRIC_EXPORT_INTERVAL=5000" },
			(char[]){ "OTEL_SERVICE_NAME=probe of ours" },
			(char[]){ "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf" },
			(char[]){ "OTEL_SDK_DISABLED=True" },
			(char[]){ "NO_COLOR=1" },
			NULL };
	char *bad[] = { (char[]){ "OTEL_METRIC_EXPORT_INTERVAL=1m" }, NULL };
	char *grpc[] = { (char[]){ "OTEL_EXPORTER_OTLP_PROTOCOL=grpc" }, NULL };
	char *special[] = { (char[]){ "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://m/x" },
			    (char[]){ "OTEL_EXPORTER_OTLP_ENDPOINT=http://c" }, NULL };
	struct attempt t = {};

	(void)state;
	parse(&t, "run", env);
	assert_int_equal(t.r, 0);
	assert_string_equal(t.c.otlp_endpoint, "http://c:4318");
	assert_string_equal(t.c.otlp_headers, "b=2");
	assert_int_equal(t.c.otlp_timeout_ns, 250 * NSEC_PER_MSEC);
	assert_int_equal(t.c.otlp_interval_ns, 5 * NSEC_PER_SEC);
	assert_string_equal(t.c.service_name, "probe of ours");
	assert_true(t.c.otlp_disabled);
	assert_int_equal(t.c.color, COLOR_NEVER);

	parse(&t, "run", bad);
	assert_string_equal(t.e.msg, "otlp.interval (OTEL_METRIC_EXPORT_INTERVAL): '1m' is not a "
				     "whole number of milliseconds from 100 to 86400000");
	parse(&t, "run", grpc);
	assert_int_equal(t.r, -EINVAL);
	parse(&t, "list", grpc); /* exports nothing, so it does not mind */
	assert_int_equal(t.r, 0);
	parse(&t, "run --otlp.protocol http/protobuf", grpc);
	assert_int_equal(t.r, 0);

	parse(&t, "run", special);
	assert_string_equal(t.c.otlp_metrics_endpoint, "http://m/x");
	parse(&t, "run --otlp.endpoint http://mine", special);
	assert_string_equal(t.c.otlp_endpoint, "http://mine");
	assert_string_equal(t.c.otlp_metrics_endpoint, "");
	config_done(&t.c);
}

static void files_are_checked_to_the_last_key(void **state)
{
	/* clang-format off */
	static const struct { const char *text, *sentence; } cases[] = {
		{ "listen: off\notlp:\n  timeot: 3\n", ":3: unknown key 'otlp.timeot': did you "
		  "mean "
		  "'otlp.timeout'?" },
		{ "foo:\n", ":1: unknown key 'foo'" },
		{ "config: x\n", ":1: unknown key 'config'" },
		{ "tier: btf\ntier: btf\n", ":2: 'tier' is given twice" },
		{ "otlp: {timeout: 3}\notlp.timeout: 4\n", ":2: 'otlp.timeout' is given twice" },
		{ "listen: [off]\n", ":1: 'listen' wants one value, not a list" },
		{ "otlp: 3\n", ":1: unknown key 'otlp'" },
		{ "max_series: 44\nduration: never\n", ":2): 'never' is not a duration from 0s "
		  "to 366d, "
		  "such as 10s or 1m30s" },
		{ "max_series: 0\n", ":1): '0' is not a whole number from 1 to 100000" },
	};
	/* clang-format on */
	struct attempt t = {};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char path[] = "/tmp/sonde-test-XXXXXX", line[128];

		write_file(path, cases[i].text);
		snprintf(line, sizeof(line), "run --max-series 5 -c%s", path);
		parse(&t, line, NULL);
		unlink(path);
		assert_int_equal(t.r, -EINVAL);
		assert_non_null(strstr(t.e.msg, path));
		assert_string_equal(strstr(t.e.msg, path) + strlen(path), cases[i].sentence);
	}
	config_done(&t.c);
}

static void help_is_a_command(void **state)
{
	/* clang-format off */
	static const struct { const char *line; enum command_id id; const char *topic; } cases[] = {
		{ "--help", COMMAND_HELP, "" },
		{ "help", COMMAND_HELP, "" },
		{ "help report", COMMAND_HELP, "report" },
		{ "report --help", COMMAND_HELP, "report" },
		{ "-h plan tcp", COMMAND_HELP, "plan" },
		{ "--version", COMMAND_VERSION, "" },
		{ "--version --json", COMMAND_VERSION, "" },
	};
	/* clang-format on */
	struct attempt t = {};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		parse(&t, cases[i].line, NULL);
		assert_int_equal(t.r, 0);
		assert_int_equal(t.cmd->id, cases[i].id);
		assert_string_equal(t.c.topic, cases[i].topic);
	}
	config_done(&t.c);
}

static void files_are_arguments_of_their_own(void **state)
{
	struct attempt t = {};

	(void)state;
	parse(&t, "compare a,b.json --json ./-c --mesh http://h:1 --service shop", NULL);
	assert_int_equal(t.r, 0);
	assert_int_equal(t.cmd->id, COMMAND_COMPARE);
	assert_string_equal(t.c.files[0], "a,b.json");
	assert_string_equal(t.c.files[1], "./-c");
	assert_null(t.c.files[2]);
	assert_string_equal(t.c.mesh, "http://h:1");
	assert_string_equal(t.c.services, "shop");
	assert_string_equal(t.c.proxy, "");
	assert_string_equal(t.c.probes, "");
	parse(&t, "compare", NULL);
	assert_int_equal(t.r, 0);
	assert_null(t.c.files[0]);
	parse(&t, "compare a b c", NULL);
	assert_string_equal(t.e.msg, "'compare' does not take 'c'. See 'sonde compare --help'");
	config_done(&t.c);
}

static void probes_are_checked_by_name(void **state)
{
	static const char *const known[] = { "tcp", "http", NULL };
	struct attempt t = {};

	(void)state;
	parse(&t, "report http tpc", NULL);
	assert_int_equal(t.r, 0);
	assert_int_equal(config_check_probes(&t.c, known, &t.e), -EINVAL);
	assert_string_equal(t.e.msg,
			    "there is no probe 'tpc': did you mean 'tcp'? See 'sonde list'");
	parse(&t, "report http tcp", NULL);
	assert_int_equal(config_check_probes(&t.c, known, &t.e), 0);
	config_done(&t.c);
}

static void values_are_read_exactly(void **state)
{
	/* clang-format off */
	static const struct { const char *text; int r; uint64_t ns; } durations[] = {
		{ "10s", 0, 10 * NSEC_PER_SEC }, { "250ms", 0, 250 * NSEC_PER_MSEC },
		{ "1m30s", 0, 90 * NSEC_PER_SEC }, { "90", 0, 90 * NSEC_PER_SEC },
		{ "1.5", 0, 1500 * NSEC_PER_MSEC }, { "0.000000001", 0, 1 }, { "1.5ns", 0, 1 },
		{ "0", 0, 0 }, { "1h0.5m", 0, 3630 * NSEC_PER_SEC }, { "584y", -EINVAL, 0 },
		{ "", -EINVAL, 0 }, { "s", -EINVAL, 0 }, { "1.s", -EINVAL, 0 },
		{ "-1s", -EINVAL, 0 },
		{ "1m30", -EINVAL, 0 }, { "1 s", -EINVAL, 0 },
		{ "213503d", 0, 213503ULL * 86400 * NSEC_PER_SEC },
		{ "213504d", -ERANGE, 0 }, { "99999999999999999999", -ERANGE, 0 },
	};
	static const struct { const char *key, *text; bool good; } texts[] = {
		{ "listen", "[::1]:0", true }, { "listen", "0.0.0.0:65535", true },
		{ "listen", "off", true }, { "listen", "0.0.0.0:65536", false },
		{ "listen", ":80", false }, { "listen", "::1:80", false },
		{ "listen", "[::1:80", false },
		{ "listen", "1.2.3:4", false }, { "listen", "[]:1", false },
		{ "listen", "", false },
		{ "otlp.endpoint", "https://h:4318/p?q", true },
		{ "otlp.endpoint", "HTTP://[::1]:1", true },
		{ "otlp.endpoint", "", true }, { "otlp.endpoint", "http://", false },
		{ "otlp.endpoint", "h:4318", false }, { "otlp.endpoint", "http:///x", false },
		{ "otlp.endpoint", "http://a b", false },
		{ "otlp.endpoint", "http://a\x1b", false },
		{ "otlp.headers", "a=b, c = d%20e", true }, { "otlp.headers", "a=", true },
		{ "otlp.headers", "a=b,", false }, { "otlp.headers", "=b", false },
		{ "otlp.headers", "a", false }, { "otlp.headers", "a=b;c", false },
		{ "otlp.headers", "a=b\r\nHost: x", false }, { "otlp.headers", "a:b=c", false },
		{ "service_name", "", false }, { "service_name", "x\ty", false },
	};
	/* clang-format on */
	struct opt_value v = {};
	struct err e;
	uint64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		ns = 0;
		assert_int_equal(duration_parse(durations[i].text, &ns), durations[i].r);
		assert_int_equal(ns, durations[i].ns);
	}
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int r = opt_read(opt_find(texts[i].key), texts[i].text, OPT_ENV_PLAIN, "test", &v,
				 &e);

		assert_int_equal(r, texts[i].good ? 0 : -EINVAL);
		opt_value_done(&v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_the_documented_ones),
		cmocka_unit_test(every_row_is_sound),
		cmocka_unit_test(all_spellings_mean_the_same),
		cmocka_unit_test(wrong_use_gets_one_sentence),
		cmocka_unit_test(secrets_are_not_printed),
		cmocka_unit_test(stronger_layers_win),
		cmocka_unit_test(opentelemetry_variables_are_read),
		cmocka_unit_test(files_are_checked_to_the_last_key),
		cmocka_unit_test(help_is_a_command),
		cmocka_unit_test(files_are_arguments_of_their_own),
		cmocka_unit_test(probes_are_checked_by_name),
		cmocka_unit_test(values_are_read_exactly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
