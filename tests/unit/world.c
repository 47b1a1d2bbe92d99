// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "world/listeners.h"
#include "world/process.h"
#include "world/processes.h"

/* A /proc of our own: PROC/PID/{environ,exe}. */
static char proc[] = "/tmp/sonde-test-proc-XXXXXX";

static void put_process(int pid, const char *env, size_t len, const char *exe)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%d", proc, pid);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/%d/environ", proc, pid);
	f = fopen(path, "w");
	assert_non_null(f);
	fwrite(env, 1, len, f);
	fclose(f);
	snprintf(path, sizeof(path), "%s/%d/exe", proc, pid);
	unlink(path);
	if (exe)
		assert_int_equal(symlink(exe, path), 0);
}

#define PUT(pid, env, exe) put_process(pid, env, sizeof(env) - 1, exe)

static void put_text(int pid, const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%d/%s", proc, pid, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void remove_process(int pid)
{
	char command[PATH_MAX];
	static const char *const files[] = { "/environ", "/exe", "/comm", "/cgroup", "" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(command, sizeof(command), "%s/%d%s", proc, pid, files[i]);
		remove(command);
	}
}

static int setup(void **state)
{
	return mkdtemp(proc) ? 0 : -1;
}

static int teardown(void **state)
{
	for (int pid = 1; pid < 20; pid++)
		remove_process(pid);
	return rmdir(proc);
}

static void service_names(void **state)
{
	static const struct {
		const char *env;
		size_t len;
		const char *name;
	} cases[] = {
#define CASE(env, name) { env, sizeof(env) - 1, name }
		CASE("", "shop"),
		CASE("PATH=/bin\0OTEL_SERVICE_NAME=cart\0HOME=/\0", "cart"),
		CASE("OTEL_SERVICE_NAME=\0", "shop"), /* empty is unset */
		CASE("OTEL_RESOURCE_ATTRIBUTES=a=b,service.name=api,c=d\0", "api"),
		CASE("OTEL_RESOURCE_ATTRIBUTES= service.name=api\0", "api"),
		CASE("OTEL_RESOURCE_ATTRIBUTES=service.name=api\0OTEL_SERVICE_NAME=cart\0", "cart"),
		CASE("OTEL_RESOURCE_ATTRIBUTES=other.service.name=no\0", "shop"),
		CASE("OTEL_RESOURCE_ATTRIBUTES=service.name=\0", "shop"),
		CASE("XOTEL_SERVICE_NAME=no\0", "shop"),
		CASE("OTEL_SERVICE_NAME=unterminated", "unterminated"),
#undef CASE
	};
	char name[SERVICE_NAME_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put_process(1, cases[i].env, cases[i].len, "/srv/bin/shop");
		assert_int_equal(process_service_name(proc, 1, name), 0);
		assert_string_equal(name, cases[i].name);
	}
	PUT(1, "", "/srv/bin/shop (deleted)");
	assert_int_equal(process_service_name(proc, 1, name), 0);
	assert_string_equal(name, "shop");
	assert_int_equal(process_service_name(proc, 19, name), -ESRCH);
}

static void a_name_of_any_length_fits(void **state)
{
	char env[1000] = "OTEL_SERVICE_NAME=", name[SERVICE_NAME_MAX];

	memset(env + 18, 'x', sizeof(env) - 19);
	put_process(1, env, sizeof(env), "/srv/shop");
	assert_int_equal(process_service_name(proc, 1, name), 0);
	assert_int_equal(strlen(name), SERVICE_NAME_MAX - 1);
}

static void names_outlive_their_process(void **state)
{
	struct processes *p = processes_new(proc);

	PUT(2, "OTEL_SERVICE_NAME=cart\0", "/srv/shop");
	assert_string_equal(processes_service(p, 2, NULL), "cart");
	assert_false(processes_ended(p, 2));
	remove_process(2);
	processes_check_all(p);
	assert_true(processes_ended(p, 2));
	assert_string_equal(processes_service(p, 2, NULL), "cart");
	processes_forget(p, clock_boot_ns() - 1000 * NSEC_PER_SEC);
	assert_string_equal(processes_service(p, 2, NULL), "cart");
	processes_forget(p, UINT64_MAX);
	/* Gone, and never seen alive: what the kernel half remembered, or the number. */
	assert_string_equal(processes_service(p, 2, "shop"), "shop");
	assert_string_equal(processes_service(p, 3, NULL), "pid 3");
	assert_true(processes_ended(p, 4));
	processes_free(p);
}

static void another_program_has_another_name(void **state)
{
	struct processes *p = processes_new(proc);

	PUT(5, "", "/bin/sh");
	assert_string_equal(processes_service(p, 5, NULL), "sh");
	PUT(5, "", "/srv/shop");
	processes_execed(p, 5);
	assert_string_equal(processes_service(p, 5, NULL), "shop");
	processes_free(p);
	remove_process(5);
}

/* What a listener was told: "+7" leave 7 alone, "-7" no longer, "!" one has turned. */
static char told[256];

static void note_turn(void *arg)
{
	snprintf(told + strlen(told), sizeof(told) - strlen(told), "!");
}

static void note_ignore(uint32_t tgid, bool ignore, void *arg)
{
	snprintf(told + strlen(told), sizeof(told) - strlen(told), "%c%u ", ignore ? '+' : '-',
		 tgid);
}

#define ASSERT_TOLD(text)                        \
	do {                                     \
		assert_string_equal(told, text); \
		told[0] = '\0';                  \
	} while (0)

static struct processes *choosing(const struct selection *s)
{
	static const struct processes_listener listener = { note_turn, note_ignore, NULL };
	struct processes *p = processes_new(proc);

	told[0] = '\0';
	processes_select(p, s, &listener);
	return p;
}

static void unwanted_processes_are_told_of(void **state)
{
	static const struct selection s = { .commands = "shop", .cgroups = "/a" };
	struct processes *p = choosing(&s);
	struct err e;

	remove_process(1); /* of another case */
	PUT(6, "", "/srv/shop");
	put_text(6, "comm", "main\n");
	put_text(6, "cgroup", "0::/a\n");
	PUT(7, "", "/bin/sh");
	put_text(7, "comm", "sh\n");
	put_text(7, "cgroup", "0::/a\n");
	assert_false(processes_wanted(p, 6)); /* not yet known */
	assert_int_equal(processes_survey(p, &e), 0);
	ASSERT_TOLD("+7 ");
	assert_true(processes_wanted(p, 6));
	assert_false(processes_wanted(p, 7));
	/* Into another program, and back; into the same again. */
	PUT(7, "", "/srv/shop");
	processes_execed(p, 7);
	ASSERT_TOLD("-7 ");
	assert_true(processes_wanted(p, 7));
	put_text(7, "cgroup", "0::/b\n");
	processes_execed(p, 7);
	ASSERT_TOLD("+7 !");
	processes_execed(p, 7);
	ASSERT_TOLD("+7 ");
	/* Its number may be another's soon; what it had done is still not wanted. */
	processes_exited(p, 7);
	ASSERT_TOLD("-7 ");
	assert_false(processes_wanted(p, 7));
	processes_execed(p, 7);
	ASSERT_TOLD("+7 ");
	/* Gone before it could be looked at as what it became. */
	remove_process(6);
	processes_execed(p, 6);
	ASSERT_TOLD("!");
	assert_false(processes_wanted(p, 6));
	/* The same of one that is left alone: whoever gets its number must not be. */
	remove_process(7);
	processes_execed(p, 7);
	ASSERT_TOLD("-7 ");
	processes_free(p);
}

static void who_is_gone_is_judged_by_what_is_left(void **state)
{
	static const struct selection by_name = { .commands = "shop" }, by_number = { .pids = "9" },
				      by_place = { .cgroups = "/a" },
				      by_service = { .services = "cart" };
	static const struct {
		const struct selection *s;
		const char *comm;
		bool wanted, orphan; /* with a parent that is known, and without */
	} cases[] = {
		{ &by_name, "shop", true, true },     { &by_name, "sh", false, false },
		{ &by_name, "main", true, false }, /* as its parent, which runs shop */
		{ &by_number, "main", true, false },  { &by_place, "main", true, false },
		{ &by_place, "sh", true, false }, /* another program, in the same place */
		{ &by_service, "main", true, false }, { &by_service, "sh", false, false },
		{ &by_service, "cart", true, true },
	};

	PUT(8, "OTEL_SERVICE_NAME=cart\0", "/srv/shop");
	put_text(8, "comm", "main\n");
	put_text(8, "cgroup", "0::/a\n");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct processes *p = choosing(cases[i].s);
		struct err e;

		assert_int_equal(processes_survey(p, &e), 0);
		processes_remember(p, 9, cases[i].comm, 8);
		if (processes_wanted(p, 9) != cases[i].wanted)
			fail_msg("case %zu", i);
		processes_remember(p, 10, cases[i].comm, 0);
		if (processes_wanted(p, 10) != cases[i].orphan)
			fail_msg("case %zu, without a parent", i);
		assert_string_equal(processes_service(p, 9, NULL),
				    strcmp(cases[i].comm, "main") ? cases[i].comm : "cart");
		processes_free(p);
	}
	remove_process(8);
}

static void all_are_wanted_if_none_is_chosen(void **state)
{
	struct processes *p = processes_new(proc);

	assert_true(processes_wanted(p, 1));
	assert_string_equal(processes_service(p, 11, "shop"), "shop");
	assert_true(processes_wanted(p, 11));
	processes_free(p);
}

static void listening_ports(void **state)
{
	static const struct {
		const char *line;
		int port;
	} cases[] = {
		{ "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000", 8080 },
		{ "   1: 00000000000000000000000000000000:0050 "
		  "00000000000000000000000000000000:0000 0A",
		  80 },
		{ "   0: 0100007F:1F90 0100007F:C350 01 00000000:00000000", -1 }, /* established */
		{ "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when", -1 },
		{ "", -1 },
		{ "   0: 0100007F:1F90", -1 },
		{ "   0: zz:1F90 00000000:0000 0A", -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(listeners_parse_line(cases[i].line), cases[i].port);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(service_names),
		cmocka_unit_test(a_name_of_any_length_fits),
		cmocka_unit_test(names_outlive_their_process),
		cmocka_unit_test(another_program_has_another_name),
		cmocka_unit_test(unwanted_processes_are_told_of),
		cmocka_unit_test(who_is_gone_is_judged_by_what_is_left),
		cmocka_unit_test(all_are_wanted_if_none_is_chosen),
		cmocka_unit_test(listening_ports),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
