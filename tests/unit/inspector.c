// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "tests/fuzz/go_image.h"
#include "tests/unit/sealed.h"
#include "world/inspector.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SANITIZED true
#else
#define SANITIZED false
#endif

#define MAGIC_1_20 0xfffffff1

static const char *const names[] = { "main.main", "main.work" };

/* Does what the first name says, the way a parser that a file has taken over would. */
static int hostile_parser(int fd, const char *const *what, uint32_t n_names, struct gobin *ret,
			  struct err *e)
{
	volatile uintptr_t nowhere = 8;

	if (strcmp(what[0], "crash") == 0)
		*(volatile int *)nowhere = 1;
	if (strcmp(what[0], "kill") == 0)
		kill(getppid(), SIGKILL);
	if (strcmp(what[0], "open") == 0)
		return open("/etc/passwd", O_RDONLY) >= 0 ? 0 : -errno;
	if (strcmp(what[0], "socket") == 0)
		return socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? 0 : -errno;
	if (strcmp(what[0], "fork") == 0)
		return fork() >= 0 ? 0 : -errno;
	if (strcmp(what[0], "code") == 0)
		return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0) != MAP_FAILED;
	if (strcmp(what[0], "map") == 0)
		return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED;
	if (strcmp(what[0], "stderr") == 0)
		return (int)write(2, "x", 1);
	if (strcmp(what[0], "spin") == 0)
		for (volatile int k = 1; k;)
			;
	if (strcmp(what[0], "wait") == 0)
		return (int)read(fd, ret, 1);
	if (strcmp(what[0], "leave") == 0)
		_exit(0);
	if (strcmp(what[0], "memory") == 0)
		return mmap(NULL, 200 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
				       MAP_FAILED
			       ? err_set(e, -ENOMEM, "out of memory")
			       : 0;
	memset(ret, 0xff, sizeof(*ret));
	if (strcmp(what[0], "count") != 0)
		ret->n_functions = n_names;
	if (strcmp(what[0], "positive") == 0)
		return 12345;
	if (strcmp(what[0], "escape") == 0)
		return err_set(e, -EBADMSG, "\033[31mred\nline");
	return 0;
}

static int image_fd(void)
{
	struct image i;

	image_make(&i, MAGIC_1_20, TEXT_IN_TABLE, true);
	return image_open(i.data, sizeof(i.data));
}

/* An inspector whose children can seal themselves. */
static struct inspector *sealed_inspector(inspector_parser parser, unsigned int wall_ms)
{
	struct inspector *i;
	struct err e = {};

	need_filters();
	i = parser ? inspector_new_with(parser, wall_ms, &e) : inspector_new(&e);
	if (!i)
		fail_msg("%s", e.msg);
	return i;
}

static void reads_a_program(void **state)
{
	cleanup(inspector_freep) struct inspector *i = sealed_inspector(NULL, 0);
	cleanup(cleanup_fd) int fd = image_fd();
	struct gobin direct, g;
	struct err e = {};

	assert_int_equal(gobin_read(fd, names, 2, &direct, &e), 0);
	for (int k = 0; k < 20; k++) {
		assert_int_equal(inspector_gobin(i, fd, names, 2, &g, &e), 0);
		assert_memory_equal(&g, &direct, sizeof(g));
	}
	assert_string_equal(e.msg, "");
}

static void passes_errors_on(void **state)
{
	cleanup(inspector_freep) struct inspector *i = sealed_inspector(NULL, 0);
	cleanup(cleanup_fd) int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	cleanup(cleanup_fd) int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char longest[300];
	const char *const too_long[] = { longest };
	struct gobin g;
	struct err e = {};

	assert_int_equal(inspector_gobin(i, self, names, 2, &g, &e), -ENODATA);
	assert_string_equal(e.msg, "not a Go program");
	assert_int_equal(inspector_gobin(i, null, names, 2, &g, &e), -ENOEXEC);
	assert_int_equal(inspector_gobin(i, -1, names, 2, &g, &e), -EBADF);
	assert_int_equal(inspector_gobin(i, self, names, GOBIN_MAX_FUNCTIONS + 1, &g, &e), -EINVAL);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(inspector_gobin(i, self, too_long, 1, &g, &e), -EINVAL);
	assert_int_equal(inspector_gobin(i, self, names, 2, &g, &e), -ENODATA);
}

static void a_hostile_file_costs_a_child(void **state)
{
	static const struct {
		const char *what;
		int r;
		const char *message;
		bool sealed; /* needs the system call filter */
	} cases[] = {
		{ "crash", -EBADMSG, "the parser died on this file (signal 11)", true },
		{ "leave", -EBADMSG, "the parser left this file without an answer" },
		{ "kill", -EBADMSG, "the parser died on this file (signal 31)", true },
		{ "open", -EBADMSG, "the parser died on this file (signal 31)", true },
		{ "socket", -EBADMSG, "the parser died on this file (signal 31)", true },
		{ "fork", -EBADMSG, "the parser died on this file (signal 31)", true },
		{ "code", -EBADMSG, "the parser died on this file (signal 31)", true },
		{ "map", -EBADMSG, "the parser died on this file (signal 31)", true },
		{ "stderr", -EBADMSG, "the parser died on this file (signal 31)", true },
		{ "memory", -ENOMEM, "out of memory", true },
		{ "count", -EBADMSG, "the parser answered nonsense on this file" },
		{ "positive", -EBADMSG, "the parser answered nonsense on this file" },
		{ "escape", -EBADMSG, "?[31mred?line" },
	};
	cleanup(inspector_freep) struct inspector *i =
		sealed_inspector(hostile_parser, INSPECTOR_WALL_MS);
	cleanup(cleanup_fd) int fd = image_fd();

	for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
		struct err e = {};
		struct gobin g;
		int r;

		if (SANITIZED && cases[k].sealed)
			continue;
		r = inspector_gobin(i, fd, &cases[k].what, 1, &g, &e);
		if (r != cases[k].r || strcmp(e.msg, cases[k].message) != 0)
			fail_msg("%s: %d (%s)", cases[k].what, r, e.msg);
	}
}

/* What the check of an answer does not know it takes away. */
static void sites_of_every_machine_come_through(void **state)
{
	static const struct {
		uint16_t machine;
		enum site_kind first, second;
	} cases[] = { { EM_X86_64, SITE_PUSH, SITE_JCC }, { EM_AARCH64, SITE_BCOND, SITE_BCOND } };
	cleanup(inspector_freep) struct inspector *i = sealed_inspector(NULL, 0);

	assert_non_null(i);
	for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
		cleanup(cleanup_fd) int fd = -1;
		struct image image;
		struct gobin g;

		image_make_for(&image, cases[k].machine, MAGIC_1_20, TEXT_IN_TABLE, true);
		fd = image_open(image.data, sizeof(image.data));
		assert_int_equal(inspector_gobin(i, fd, names, ARRAY_SIZE(names), &g, NULL), 0);
		assert_int_equal(g.machine, cases[k].machine);
		assert_int_equal(g.functions[0].site.kind, cases[k].first);
		assert_int_equal(g.functions[1].site.kind, cases[k].second);
		assert_int_not_equal(g.functions[0].site.file_offset, 0);
	}
}

static void answers_are_made_harmless(void **state)
{
	cleanup(inspector_freep) struct inspector *i =
		sealed_inspector(hostile_parser, INSPECTOR_WALL_MS);
	cleanup(cleanup_fd) int fd = image_fd();
	const char *const what[] = { "lie" };
	struct gobin g;

	assert_int_equal(inspector_gobin(i, fd, what, 1, &g, NULL), 0);
	assert_int_equal(strlen(g.version), sizeof(g.version) - 1);
	assert_int_equal(g.version[0], '?');
	assert_int_equal(strlen(g.functions[0].site.insn), sizeof(g.functions[0].site.insn) - 1);
	assert_int_equal(g.functions[0].site.kind, SITE_NONE);
	assert_int_equal(g.functions[0].site.file_offset, 0);
	assert_true(g.pie == true && g.stripped == true);
}

static void time_is_limited(void **state)
{
	cleanup(inspector_freep) struct inspector *i = sealed_inspector(hostile_parser, 300);
	const char *const spin[] = { "spin" };
	const char *const wait[] = { "wait" };
	const char *const lie[] = { "lie" };
	struct err e = {};
	struct gobin g;
	uint64_t start;
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	start = clock_boot_ns();
	assert_int_equal(inspector_gobin(i, pipes[0], wait, 1, &g, &e), -ETIMEDOUT);
	assert_string_equal(e.msg, "the parser took longer than 300 ms on this file");
	assert_int_equal(inspector_gobin(i, pipes[0], spin, 1, &g, &e), -ETIMEDOUT);
	assert_true(clock_boot_ns() - start < 2 * NSEC_PER_SEC);
	assert_int_equal(inspector_gobin(i, pipes[0], lie, 1, &g, &e), 0);
	close(pipes[0]);
	close(pipes[1]);
}

static void processor_time_is_limited(void **state)
{
	cleanup(inspector_freep) struct inspector *i = sealed_inspector(hostile_parser, 60000);
	cleanup(cleanup_fd) int fd = image_fd();
	const char *const spin[] = { "spin" };
	struct err e = {};
	struct gobin g;

	assert_int_equal(inspector_gobin(i, fd, spin, 1, &g, &e), -ETIMEDOUT);
	assert_string_equal(e.msg, "the parser used more than 2 s of processor time on this file");
}

static void the_helper_holds_nothing(void **state)
{
	cleanup(inspector_freep) struct inspector *i = inspector_new(NULL);
	pid_t pid = only_child(getpid());
	char path[64], line[256];
	int seen = 0;
	FILE *f;

	assert_non_null(i);
	if (pid < 0)
		skip(); /* this kernel does not list children */
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "CapPrm:", 7) == 0 || strncmp(line, "CapEff:", 7) == 0) {
			assert_int_equal(strtoull(line + 7, NULL, 16), 0);
			seen++;
		} else if (strncmp(line, "NoNewPrivs:", 11) == 0) {
			assert_int_equal(strtoull(line + 11, NULL, 10), 1);
			seen++;
		}
	}
	fclose(f);
	assert_int_equal(seen, 3);
}

static void a_dead_helper_is_an_error(void **state)
{
	cleanup(inspector_freep) struct inspector *i = sealed_inspector(NULL, 0);
	cleanup(cleanup_fd) int fd = image_fd();
	pid_t pid = only_child(getpid());
	struct err e = {};
	struct gobin g;

	assert_non_null(i);
	if (pid < 0)
		skip();
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &(siginfo_t){}, WEXITED | WNOWAIT), 0);
	for (int k = 0; k < 2; k++) {
		assert_int_equal(inspector_gobin(i, fd, names, 2, &g, &e), -EPIPE);
		assert_string_equal(e.msg, "the process that reads foreign files has ended");
	}
}

static void a_dead_helper_is_started_again(void **state)
{
	cleanup(inspector_freep) struct inspector *i = sealed_inspector(NULL, 0);
	cleanup(cleanup_fd) int fd = image_fd();
	struct gobin direct, g;
	struct err e = {};
	pid_t pid;

	assert_non_null(i);
	assert_int_equal(gobin_read(fd, names, 2, &direct, &e), 0);
	for (int k = 0; k < 3; k++) {
		pid = only_child(getpid());
		if (pid < 0)
			skip();
		/* One that is alive makes room too. */
		if (k < 2)
			kill(pid, SIGKILL);
		if (inspector_restart(i, &e) < 0)
			fail_msg("%s", e.msg);
		assert_int_not_equal(only_child(getpid()), pid);
		assert_int_equal(inspector_gobin(i, fd, names, 2, &g, &e), 0);
		assert_memory_equal(&g, &direct, sizeof(g));
	}
}

static void a_parser_of_tests_is_not_replaced_by_another(void **state)
{
	cleanup(inspector_freep) struct inspector *i =
		inspector_new_with(hostile_parser, INSPECTOR_WALL_MS, NULL);
	struct err e = {};

	assert_non_null(i);
	assert_int_equal(inspector_restart(i, &e), -ENOTSUP);
}

static void the_helper_ends_with_its_parent(void **state)
{
	pid_t agent, helper;

	/* Orphans come to us, so that their end can be seen. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 && errno == EINVAL) {
		print_message("Orphans cannot be adopted here, under qemu's user emulation.\n");
		skip();
	}
	agent = fork();
	if (agent == 0) {
		if (!inspector_new(NULL))
			_exit(1);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(agent, NULL, WUNTRACED), agent);
	helper = only_child(agent);
	kill(agent, SIGKILL);
	assert_int_equal(waitpid(agent, NULL, 0), agent);
	if (helper > 0)
		assert_int_equal(waitpid(helper, NULL, 0), helper);
}

static void freeing_accepts_nothing(void **state)
{
	inspector_free(NULL);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_program),
		cmocka_unit_test(passes_errors_on),
		cmocka_unit_test(a_hostile_file_costs_a_child),
		cmocka_unit_test(sites_of_every_machine_come_through),
		cmocka_unit_test(answers_are_made_harmless),
		cmocka_unit_test(time_is_limited),
		cmocka_unit_test(processor_time_is_limited),
		cmocka_unit_test(the_helper_holds_nothing),
		cmocka_unit_test(a_dead_helper_is_an_error),
		cmocka_unit_test(a_dead_helper_is_started_again),
		cmocka_unit_test(a_parser_of_tests_is_not_replaced_by_another),
		cmocka_unit_test(the_helper_ends_with_its_parent),
		cmocka_unit_test(freeing_accepts_nothing),
	};

	inspector_main(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
