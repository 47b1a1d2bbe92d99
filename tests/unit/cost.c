// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/loopback.h"
#include "probe/cost.h"

#define SIDES 500 /* in each part */

/* What a hook gained in the parts of a play, and what that makes. */
static void figures_of_a_hook(void **state)
{
	static const struct {
		const char *name;
		struct kern_runs parts[COST_PARTS];
		size_t n;
		double runs, ns;
	} cases[] = {
		{ "nothing played", { { 0 } }, 0, 0, 0 },
		{ "never ran", { { 0 }, { 0 }, { 0 } }, 3, 0, 0 },
		{ "ours alone", { { 500, 50000 }, { 500, 45000 }, { 500, 60000 } }, 3, 1, 100 },
		{ "two parts", { { 500, 50000 }, { 500, 60000 } }, 2, 1, 110 },
		{ "one was interrupted",
		  { { 500, 50000 }, { 500, 9000000 }, { 500, 50000 } },
		  3,
		  1,
		  100 },
		{ "others ran it a little", { { 500, 50000 }, { 530, 53000 } }, 2, 1.03, 100 },
		{ "others ran it most of the time",
		  { { 500, 50000 }, { 90000, 9000000 } },
		  2,
		  1,
		  100 },
		{ "some were not counted", { { 400, 40000 }, { 500, 50000 } }, 2, 1, 100 },
		{ "one part was not counted", { { 0, 0 }, { 500, 50000 } }, 2, 1, 100 },
		{ "an even number of different ones",
		  { { 500, 5000 },
		    { 500, 10000 },
		    { 500, 15000 },
		    { 500, 20000 },
		    { 500, 25000 },
		    { 500, 30000 },
		    { 500, 35000 },
		    { 500, 40000 } },
		  8,
		  1,
		  45 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cost_hook c = cost_of_hook(cases[i].parts, cases[i].n, SIDES);

		print_message("  %s\n", cases[i].name);
		assert_float_equal(c.runs, cases[i].runs, 1e-9);
		assert_float_equal(c.ns, cases[i].ns, 1e-9);
	}
}

static void which_probes_have_one(void **state)
{
	assert_true(cost_has(probe_find("tcp")));
	assert_false(cost_has(probe_find("http")));
}

static void exchanges_over_loopback(void **state)
{
	struct loopback l;

	assert_int_equal(loopback_open(&l), 0);
	for (int i = 0; i < 10; i++)
		assert_true(loopback_exchange(&l));
	loopback_close(&l);
	assert_false(loopback_exchange(&l));
	loopback_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(figures_of_a_hook),
		cmocka_unit_test(which_probes_have_one),
		cmocka_unit_test(exchanges_over_loopback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
