// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "model/connections.h"

DEFINE_CLEANUP(struct connections, connections_free)

/* @n exchanges of @ns each. */
static struct connection of(uint64_t n, uint64_t ns)
{
	double us = (double)ns / 1000;

	return (struct connection){
		.service = "shop",
		.exchanges = n,
		.sum_ns = n * ns,
		.min_ns = ns,
		.max_ns = ns,
		.sum_sq_us = (double)n * us * us,
		.bucket = { n },
		.sent_bytes = 10 * n,
	};
}

static void add(struct connections *c, uint64_t n, uint64_t ns)
{
	struct connection one = of(n, ns);

	assert_int_equal(connections_add(c, &one), 0);
}

static void test_sum(void **state)
{
	cleanup(connections_freep) struct connections *c = connections_new(4);
	const struct connection *sum = connections_sum(c);

	add(c, 0, 0);
	add(c, 3, 1000);
	add(c, 1, 5000);
	assert_int_equal(connections_count(c), 3);
	assert_int_equal(sum->exchanges, 4);
	assert_int_equal(sum->sum_ns, 8000);
	assert_int_equal(sum->min_ns, 1000);
	assert_int_equal(sum->max_ns, 5000);
	assert_int_equal(sum->bucket[0], 4);
	assert_int_equal(sum->sent_bytes, 40);
	/* 1, 1, 1 and 5 us: a mean of 2, and squares of what is off it 1, 1, 1 and 9. */
	assert_float_equal(connection_std_dev_us(sum), 1.7320508, 1e-6);
}

/* As the kernel half has it: of whole 256 ns, rounded to the nearest. */
static struct connection rounded(uint64_t n, uint64_t ns)
{
	struct connection c = of(n, ns);
	double us = (double)((ns + 128) / 256 * 256) / 1000;

	c.sum_sq_us = (double)n * us * us;
	return c;
}

/* Squares are rounded, their mean is not: what is alike has no deviation all the same. */
static void test_rounded_squares(void **state)
{
	static const uint64_t ns[] = { 1, 300, 388800, 388927, 40000127, 8000000127, 100000000001 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ns); i++) {
		struct connection one = rounded(1, ns[i]), many = rounded(1000, ns[i]);
		struct connection all = one, other = rounded(1000, ns[i] + 1000);

		assert_float_equal(connection_std_dev_us(&one), 0, 0);
		assert_float_equal(connection_std_dev_us(&many), 0, 0);
		connection_add(&all, &many);
		assert_float_equal(connection_std_dev_us(&all), 0, 0);
		/* Half of the range is the most that there can be. */
		connection_add(&many, &other);
		assert_true(connection_std_dev_us(&many) <= 0.5);
	}
}

/* However many come, the greatest stay, and nothing is missing from the sum. */
static void test_bound(void **state)
{
	cleanup(connections_freep) struct connections *c = connections_new(3);
	const struct connection *list;
	uint64_t total = 0;
	size_t n;

	for (uint64_t i = 0; i < 100; i++) {
		add(c, (i * 37) % 100, 1000);
		total += i;
	}
	list = connections_list(c, &n);
	assert_int_equal(n, 3);
	assert_int_equal(list[0].exchanges, 99);
	assert_int_equal(list[1].exchanges, 98);
	assert_int_equal(list[2].exchanges, 97);
	assert_string_equal(list[0].service, "shop");
	assert_int_equal(connections_sum(c)->exchanges, total);
	assert_int_equal(connections_count(c), 100);
}

static void test_nothing(void **state)
{
	cleanup(connections_freep) struct connections *c = connections_new(3);
	size_t n;

	connections_list(c, &n);
	assert_int_equal(n, 0);
	assert_float_equal(connection_std_dev_us(connections_sum(c)), 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum),
		cmocka_unit_test(test_rounded_squares),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
