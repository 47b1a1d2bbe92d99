// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/reader.h"
#include "base/cleanup.h"
#include "tests/fuzz/go_image.h"
#include "tests/unit/sealed.h"

#define MAGIC_1_20 0xfffffff1

static const char *const names[] = { "main.main", "main.work" };

/* False where it cannot be found. */
static bool kill_helper(void)
{
	pid_t child = only_child(getpid());

	if (child < 0 || kill(child, SIGKILL) < 0)
		return false;
	/* It may answer until it is gone; whom to reap is the inspector's affair. */
	return waitid(P_PID, (id_t)child, &(siginfo_t){}, WEXITED | WNOWAIT) == 0;
}

static int read_program(struct reader *r, struct err *e)
{
	cleanup(cleanup_fd) int fd = -1;
	struct gobin g;
	struct image i;

	image_make(&i, MAGIC_1_20, TEXT_IN_TABLE, true);
	fd = image_open(i.data, sizeof(i.data));
	return reader_gobin(r, fd, names, 2, &g, e);
}

static void a_helper_that_ends_is_started_again(void **state)
{
	cleanup(inspector_freep) struct inspector *i = inspector_new(NULL);
	struct reader r = { .inspector = i, .window_ns = READER_WINDOW_NS };
	struct err e = {};

	need_filters();
	assert_non_null(i);
	for (unsigned int n = 0; n <= READER_RESTARTS; n++) {
		if (read_program(&r, &e) < 0)
			fail_msg("%s", e.msg);
		assert_int_equal(r.n_restarts, n);
		assert_false(r.is_away);
		if (!kill_helper())
			skip();
	}
	/* Once too often. Nothing is read, whoever asks, and it is told apart from a bad file. */
	for (int k = 0; k < 3; k++) {
		assert_int_equal(read_program(&r, &e), -EPIPE);
		assert_string_equal(e.msg, "the process that reads foreign files has ended");
		assert_true(r.is_away);
	}
	assert_int_equal(r.n_restarts, READER_RESTARTS);
}

static void when_the_window_is_over_it_may_be_started_again(void **state)
{
	cleanup(inspector_freep) struct inspector *i = inspector_new(NULL);
	struct reader r = { .inspector = i,
			    .window_ns = READER_WINDOW_NS,
			    .began_ns = clock_boot_ns(),
			    .n_window = READER_RESTARTS };

	need_filters();
	assert_non_null(i);
	if (!kill_helper())
		skip();
	assert_int_equal(read_program(&r, NULL), -EPIPE);
	assert_true(r.is_away);
	r.window_ns = 0;
	assert_int_equal(read_program(&r, NULL), 0);
	assert_false(r.is_away);
	assert_int_equal(r.n_restarts, 1);
}

/* One that hangs is waited for once, not for each file of a whole machine. */
static void one_that_hangs_too_often_is_ended(void **state)
{
	cleanup(inspector_freep) struct inspector *i = inspector_new_with(gobin_read, 100, NULL);
	struct reader r = { .inspector = i,
			    .window_ns = READER_WINDOW_NS,
			    .began_ns = clock_boot_ns(),
			    .n_window = READER_RESTARTS };
	pid_t child = only_child(getpid());

	assert_non_null(i);
	need_filters();
	if (child < 0)
		skip();
	assert_int_equal(kill(child, SIGSTOP), 0);
	assert_int_equal(read_program(&r, NULL), -EPIPE);
	assert_int_equal(kill(child, 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_int_equal(read_program(&r, NULL), -EPIPE);
}

static void what_a_file_is_comes_through(void **state)
{
	cleanup(inspector_freep) struct inspector *i = inspector_new(NULL);
	cleanup(cleanup_fd) int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct reader r = { .inspector = i, .window_ns = READER_WINDOW_NS };
	struct err e = {};
	struct gobin g;

	need_filters();
	assert_non_null(i);
	assert_int_equal(reader_gobin(&r, null, names, 2, &g, &e), -ENOEXEC);
	assert_true(strlen(e.msg) > 0);
	assert_int_equal(r.n_restarts, 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_helper_that_ends_is_started_again),
		cmocka_unit_test(when_the_window_is_over_it_may_be_started_again),
		cmocka_unit_test(one_that_hangs_too_often_is_ended),
		cmocka_unit_test(what_a_file_is_comes_through),
	};

	inspector_main(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
