// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <event2/event.h>

#include "agent/line_writer.h"

/* A writer, and a pipe that it writes to. */
struct world {
	struct event_base *base;
	struct line_writer *writer;
	int fds[2];
	int n_gone, error;
	char got[16 << 20];
	size_t len;
};

static void on_gone(void *arg, int error)
{
	struct world *w = arg;

	w->n_gone++;
	w->error = error;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	signal(SIGPIPE, SIG_IGN);
	w->base = event_base_new();
	assert_int_equal(pipe2(w->fds, O_CLOEXEC), 0);
	fcntl(w->fds[0], F_SETFL, O_NONBLOCK);
	assert_int_equal(line_writer_new(w->base, w->fds[1], on_gone, w, &w->writer), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	line_writer_free(w->writer);
	event_base_free(w->base);
	close(w->fds[0]);
	close(w->fds[1]);
	free(w);
	return 0;
}

static void read_all(struct world *w)
{
	ssize_t n;

	while ((n = read(w->fds[0], w->got + w->len, sizeof(w->got) - w->len)) > 0)
		w->len += (size_t)n;
}

static void turn(struct world *w)
{
	event_base_loop(w->base, EVLOOP_NONBLOCK);
}

static void lines_are_written_at_the_end_of_the_turn(void **state)
{
	struct world *w = *state;

	assert_true(line_writer_add(w->writer, "one\n", 4));
	assert_true(line_writer_add(w->writer, "two\n", 4));
	read_all(w);
	assert_int_equal(w->len, 0);
	turn(w);
	read_all(w);
	assert_memory_equal(w->got, "one\ntwo\n", 8);
	assert_int_equal(w->n_gone, 0);
	assert_int_equal(line_writer_end(w->writer, 0), 0);
}

/* Nobody reads: more than the pipe holds waits, more than that is refused, and nothing blocks. */
static void what_has_no_room_waits_and_then_is_refused(void **state)
{
	struct world *w = *state;
	size_t taken = 0, line = 0;
	char text[100];

	for (int i = 0; i < 200000; i++) {
		snprintf(text, sizeof(text), "%098d\n", i);
		if (!line_writer_add(w->writer, text, 99))
			break;
		taken++;
		if (i % 100 == 0)
			turn(w);
	}
	assert_in_range(taken * 99, 8 << 20, (8 << 20) + (1 << 17));
	for (int i = 0; i < 10000; i++) {
		read_all(w);
		turn(w);
	}
	assert_int_equal(w->len, taken * 99);
	for (; line < taken; line++) {
		snprintf(text, sizeof(text), "%098zu\n", line);
		assert_memory_equal(w->got + line * 99, text, 99);
	}
	assert_true(line_writer_add(w->writer, text, 99));
}

static void the_end_is_patient_for_so_long(void **state)
{
	struct world *w = *state;
	uint64_t lost;

	for (int i = 0; i < 10000; i++)
		assert_true(line_writer_add(w->writer, "0123456789\n", 11));
	lost = line_writer_end(w->writer, 20);
	read_all(w);
	/* The last may be there in part. */
	assert_int_equal(lost + w->len / 11, 10000);
	assert_true(lost > 0);
	assert_int_equal(line_writer_end(w->writer, -1), 0);
	read_all(w);
	assert_int_equal(w->len, 110000);
}

static void a_reader_that_ends_is_known_at_once(void **state)
{
	struct world *w = *state;

	turn(w);
	assert_int_equal(w->n_gone, 0);
	close(w->fds[0]);
	turn(w);
	assert_int_equal(w->n_gone, 1);
	assert_int_equal(w->error, -EPIPE);
	assert_false(line_writer_add(w->writer, "x\n", 2));
	turn(w);
	assert_int_equal(w->n_gone, 1);
}

/* Nobody reads a terminal: neither the loop nor the end blocks, and nothing is lost before the end. */
static void a_terminal_does_not_block(void **state)
{
	struct world *w = *state;
	struct event_base *base = event_base_new();
	struct line_writer *writer;
	int ours, theirs, fd;
	size_t left;

	assert_int_equal(openpty(&ours, &theirs, NULL, NULL, NULL), 0);
	fd = line_writer_descriptor(theirs);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(theirs, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(line_writer_new(base, fd, on_gone, w, &writer), 0);
	alarm(30);
	for (int i = 0; i < 20000; i++) {
		assert_true(line_writer_add(writer, "0123456789\n", 11));
		if (i % 100 == 0)
			event_base_loop(base, EVLOOP_NONBLOCK);
	}
	assert_true(line_writer_end(writer, 20) > 0);
	fcntl(ours, F_SETFL, O_NONBLOCK);
	/* A terminal writes CR LF. */
	for (left = 20000 * 12; left;) {
		ssize_t n = read(ours, w->got, left);

		left -= n > 0 ? (size_t)n : 0;
		event_base_loop(base, n > 0 ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
	}
	assert_int_equal(line_writer_end(writer, 0), 0);
	alarm(0);
	assert_int_equal(w->n_gone, 0);
	line_writer_free(writer);
	event_base_free(base);
	close(fd);
	close(theirs);
	close(ours);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lines_are_written_at_the_end_of_the_turn),
		TEST(what_has_no_room_waits_and_then_is_refused),
		TEST(the_end_is_patient_for_so_long),
		TEST(a_reader_that_ends_is_known_at_once),
		TEST(a_terminal_does_not_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
