// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdlib.h>

#include "base/worker.h"

struct job {
	int n, *order, *n_done;
	int ran;
};

static void run(void *arg)
{
	struct job *j = arg;

	j->ran++;
}

static void done(void *arg)
{
	struct job *j = arg;

	j->order[(*j->n_done)++] = j->n;
}

static void jobs_are_completed_in_their_order(void **state)
{
	enum { JOBS = 100 };
	int order[JOBS], n_done = 0;
	struct job jobs[JOBS];
	struct worker *w;

	assert_int_equal(worker_new(&w, NULL), 0);
	for (int i = 0; i < JOBS; i++) {
		jobs[i] = (struct job){ .n = i, .order = order, .n_done = &n_done };
		assert_int_equal(worker_submit(w, run, done, &jobs[i]), 0);
	}
	while (n_done < JOBS) {
		struct pollfd ready = { .fd = worker_fd(w), .events = POLLIN };

		assert_int_equal(poll(&ready, 1, 10000), 1);
		worker_finish(w);
	}
	for (int i = 0; i < JOBS; i++) {
		assert_int_equal(order[i], i);
		assert_int_equal(jobs[i].ran, 1);
	}
	worker_free(w);
}

static void what_was_submitted_is_done_before_the_end(void **state)
{
	int order[3], n_done = 0;
	struct job jobs[3];
	struct worker *w;

	assert_int_equal(worker_new(&w, NULL), 0);
	for (int i = 0; i < 3; i++) {
		jobs[i] = (struct job){ .n = i, .order = order, .n_done = &n_done };
		/* The last one without a completion. */
		assert_int_equal(worker_submit(w, run, i < 2 ? done : NULL, &jobs[i]), 0);
	}
	worker_free(w);
	assert_int_equal(n_done, 2);
	assert_int_equal(jobs[2].ran, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_are_completed_in_their_order),
		cmocka_unit_test(what_was_submitted_is_done_before_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
