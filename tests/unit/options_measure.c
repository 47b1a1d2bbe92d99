// SPDX-License-Identifier: Apache-2.0
/* The options that choose what is measured: lists, shares. */
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
#include "base/cleanup.h"

#define MAX_WORDS 12

struct attempt {
	struct config c;
	const struct command *cmd;
	struct err e;
	int r;
};

/* A command line written with blanks; without @env, no settings of the machine that runs the test. */
static void parse(struct attempt *t, const char *line, char *const *env)
{
	char words[512], *argv[MAX_WORDS] = { (char[]){ "sonde" } }, *save = words, *word;
	char *none[] = { (char[]){ "SONDE_CONFIG=/dev/null" }, NULL };
	int argc = 1;

	config_done(&t->c);
	*t = (struct attempt){};
	snprintf(words, sizeof(words), "%s", line);
	while ((word = strsep(&save, " ")) && argc < MAX_WORDS - 1)
		argv[argc++] = word;
	t->r = options_parse(argc, argv, env ? env : none, &t->cmd, &t->c, &t->e);
}

static void values_are_read_exactly(void **state)
{
	/* clang-format off */
	static const struct { const char *key, *text; bool good; } texts[] = {
		{ "port", "", true }, { "port", "1,65535,8000-8100,7-7", true },
		{ "port", "0", false }, { "port", "65536", false }, { "port", "0-3", false },
		{ "port", "9-8", false }, { "port", "80,", false }, { "port", ",80", false },
		{ "port", "80-", false }, { "port", "-80", false }, { "port", "80 ", false },
		{ "port", "http", false }, { "port", "+80", false }, { "port", "080", false },
		{ "port", "4294967376", false }, { "port", "80;81", false },
		{ "port", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", true },
		{ "port", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", false },
		{ "peer", "", true }, { "peer", "10.0.0.0/8,::1,fd00::/8,0.0.0.0/0,::/0", true },
		{ "peer", "::ffff:10.0.0.0/104", true }, { "peer", "1.2.3.4/32", true },
		{ "peer", "10.0.0.1/8", false }, { "peer", "10.0.0.0/33", false },
		{ "peer", "::/129", false }, { "peer", "fd00::1/8", false },
		{ "peer", "10.0.0.0/", false }, { "peer", "10.0.0.0/8/8", false },
		{ "peer", "10.0.0/8", false }, { "peer", "localhost", false },
		{ "peer", "::1,", false }, { "peer", "fe80::1%lo", false }, { "peer", "/8", false },
		{ "peer", "10.0.0.0/+8", false }, { "peer", "10.0.0.0/08", false },
		{ "peer", "1111:2222:3333:4444:5555:6666:7777:8888:9999", false },
		{ "pid", "", true }, { "pid", "1,4194304", true }, { "pid", "0", false },
		{ "pid", "4194305", false }, { "pid", "-1", false }, { "pid", "1,,2", false },
		{ "pid", "01", false }, { "pid", "me", false },
		{ "command", "", true }, { "command", "nginx,py*,[ab]?", true },
		{ "command", "a,", false }, { "command", ",a", false },
		{ "command", "a\n", false },
		{ "cgroup", "/system.slice/*,*/a b", true }, { "service", "caf\xc3\xa9", true },
		{ "container", "3f2a,9b01c2", true }, { "container", "3f2", false },
		{ "container", "3F2A", false }, { "container", "3f2g", false },
		{ "container", "3f2a,", false },
	};
	/* clang-format on */
	struct opt_value v = {};
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		int r = opt_read(opt_find(texts[i].key), texts[i].text, OPT_ENV_PLAIN, "test", &v,
				 &e);

		if (r != (texts[i].good ? 0 : -EINVAL))
			fail_msg("%s: %s", texts[i].key, texts[i].text);
		opt_value_done(&v);
	}
}

static void shares_are_read_exactly(void **state)
{
	/* clang-format off */
	static const struct { const char *text; int r; uint64_t share; } shares[] = {
		{ "1", 0, 1ULL << 32 }, { "1.0", 0, 1ULL << 32 }, { "0.5", 0, 1ULL << 31 },
		{ ".25", 0, 1ULL << 30 }, { "0.0000000003", 0, 1 }, { "0.00000000001", -EINVAL, 0 },
		{ "0", -EINVAL, 0 }, { "1.1", -EINVAL, 0 }, { "-0.5", -EINVAL, 0 },
		{ "1e-3", -EINVAL, 0 }, { "nan", -EINVAL, 0 }, { "0x1", -EINVAL, 0 },
		{ "0.1.1", -EINVAL, 0 }, { ".", -EINVAL, 0 }, { "", -EINVAL, 0 },
		{ "50%", -EINVAL, 0 },
	};
	/* clang-format on */
	struct opt_value v = {};
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(shares); i++) {
		int r = opt_read(opt_find("sample"), shares[i].text, OPT_ENV_PLAIN, "test", &v, &e);

		assert_int_equal(r, shares[i].r);
		if (!r)
			assert_int_equal(v.number, shares[i].share);
	}
}

static void wrong_use_gets_one_sentence(void **state)
{
	/* clang-format off */
	static const struct { const char *line, *sentence; } cases[] = {
		{ "run --port 80,http", "port (--port): '80,http' is not a list of at most 16 "
		  "ports and ranges such as 80,8000-8100" },
		{ "report --peer 10.0.0.1/8", "peer (--peer): '10.0.0.1/8' is not a list of at "
		  "most 16 addresses and networks such as 10.0.0.0/8,fd00::/8, without bits behind "
		  "the prefix" },
		{ "run --sample 0", "sample (--sample): '0' is not a share above 0 and up to 1, "
		  "such as 0.1" },
		{ "run --role both", "role (--role): 'both' is not one of any, client, server" },
		{ "run --container nginx", "container (--container): 'nginx' is not a list of "
		  "container ids, 4 to 64 lower-case hexadecimal digits of each" },
		{ "plan --pid init", "pid (--pid): 'init' is not a list of process ids such as "
		  "812,4711" },
		{ "doctor --port 80", "unknown option --port for 'doctor'. See 'sonde doctor "
		  "--help'" },
	};
	/* clang-format on */
	struct attempt t = {};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		parse(&t, cases[i].line, NULL);
		assert_int_equal(t.r, -EINVAL);
		assert_string_equal(t.e.msg, cases[i].sentence);
	}
	config_done(&t.c);
}

static void choices_of_what_is_measured(void **state)
{
	static const char text[] = "port: [80, 8000-8100]\npeer:\n  - 10.0.0.0/8\n  - \"::1\"\n"
				   "role: server\npid: 7\nsample: 0.25\n";
	char path[] = "/tmp/sonde-test-XXXXXX", line[128];
	char *env[] = { (char[]){ "SONDE_SERVICE=cart,shop*" }, (char[]){ "SONDE_SAMPLE=0.5" },
			(char[]){ "SONDE_PORT=" }, NULL };
	struct attempt t = {};
	int fd;

	parse(&t, "report", NULL);
	assert_int_equal(t.r, 0);
	assert_string_equal(t.c.ports, "");
	assert_string_equal(t.c.peers, "");
	assert_string_equal(t.c.pids, "");
	assert_string_equal(t.c.cgroups, "");
	assert_int_equal(t.c.role, 0);
	assert_int_equal(t.c.sample, 1ULL << 32);
	fd = mkstemp(path);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	snprintf(line, sizeof(line), "run -c %s --container 3f2a --command py*", path);
	parse(&t, line, env);
	unlink(path);
	assert_int_equal(t.r, 0);
	assert_string_equal(t.c.ports, "80,8000-8100");
	assert_string_equal(t.c.peers, "10.0.0.0/8,::1");
	assert_string_equal(t.c.pids, "7");
	assert_string_equal(t.c.services, "cart,shop*");
	assert_string_equal(t.c.containers, "3f2a");
	assert_string_equal(t.c.commands, "py*");
	assert_int_equal(t.c.role, 2);
	assert_int_equal(t.c.sample, 1ULL << 31);
	config_done(&t.c);
}

static void test_given_again(void **state)
{
	struct attempt t = {};

	parse(&t, "report --port 80 --pid 1 --port 8000-8100 --pid 2,3", NULL);
	assert_int_equal(t.r, 0);
	assert_string_equal(t.c.ports, "80,8000-8100");
	assert_string_equal(t.c.pids, "1,2,3");
	config_done(&t.c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_given_again),
		cmocka_unit_test(values_are_read_exactly),
		cmocka_unit_test(shares_are_read_exactly),
		cmocka_unit_test(wrong_use_gets_one_sentence),
		cmocka_unit_test(choices_of_what_is_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
