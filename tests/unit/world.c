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

static void remove_process(int pid)
{
	char command[PATH_MAX];
	static const char *const files[] = { "/environ", "/exe", "" };

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
		cmocka_unit_test(listening_ports),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
