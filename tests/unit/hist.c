// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>

#include "model/hist.h"

#define MILLION 1000000

/* The rule of the OpenTelemetry data model, in long double: -1 is the zero bucket. */
static int slot_by_logarithm(uint64_t ns)
{
	long double s = (long double)ns / 1e9L;
	long double i = ceill(log2l(s) * (1 << SN_HIST_SCALE)) - 1 - SN_HIST_OFFSET;

	if (ns == 0 || i < 0)
		return -1;
	return i < SN_HIST_BUCKETS ? (int)i : SN_HIST_BUCKETS - 1;
}

/* xorshift64: the same million values in each run. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void slots_agree_with_the_logarithm(void **state)
{
	uint64_t seed = 88172645463325252ULL, ns;
	int want, got, off = 0;

	(void)state;
	for (int i = 0; i < MILLION; i++) {
		ns = next_random(&seed);
		ns >>= next_random(&seed) % 64; /* each order of magnitude alike */
		want = slot_by_logarithm(ns);
		got = sn_hist_slot(ns);
		assert_in_range(got - want + 1, 0, 2);
		off += got != want;
	}
	assert_in_range(off, 0, 10);
}

/* Below 2^-9 s a power of two is no whole number of nanoseconds: the last one below it counts. */
static void powers_of_two_are_exact(void **state)
{
	uint64_t ns;

	(void)state;
	for (int exp = SN_HIST_MIN_EXP; exp <= SN_HIST_MAX_EXP; exp++) {
		ns = (uint64_t)floorl(ldexpl(1e9L, exp));
		assert_int_equal(sn_hist_slot(ns), (exp - SN_HIST_MIN_EXP) * 8 - 1);
		if (exp <= 6)
			assert_int_equal(sn_hist_slot(ns + 1), (exp - SN_HIST_MIN_EXP) * 8);
	}
}

static void bounds_of_the_range(void **state)
{
	struct hist h = {};

	(void)state;
	assert_int_equal(sn_hist_slot(0), -1);
	assert_int_equal(sn_hist_slot(953), -1);
	assert_int_equal(sn_hist_slot(954), 0);
	assert_int_equal(sn_hist_slot(UINT64_MAX), SN_HIST_BUCKETS - 1);
	hist_observe(&h, SN_HIST_MAX_NS);
	assert_int_equal(h.clamped, 0);
	hist_observe(&h, SN_HIST_MAX_NS + 1);
	assert_int_equal(h.clamped, 1);
	assert_int_equal(h.bucket[SN_HIST_BUCKETS - 1], 2);
	assert_true(hist_upper_bound(SN_HIST_BUCKETS - 1) == 256);
	assert_true(hist_upper_bound(7) == ldexp(1, SN_HIST_MIN_EXP + 1));
}

static void deltas_are_modulo_2_to_32(void **state)
{
	struct sn_hist before = { .zero = UINT32_MAX, .bucket = { [80] = UINT32_MAX - 4 } };
	struct sn_hist now = { .zero = 1,
			       .sum_ns = 3000,
			       .min_inv_ns = ~70ULL,
			       .max_ns = 5000,
			       .bucket = { [80] = 5, [81] = 1 } };
	struct hist h = {};

	(void)state;
	before.sum_ns = UINT64_MAX - 999;
	assert_int_equal(hist_add_delta(&h, &before, &now), 13);
	assert_int_equal(h.zero, 2);
	assert_int_equal(h.bucket[80], 10);
	assert_int_equal(h.bucket[81], 1);
	assert_int_equal(h.sum_ns, 4000);
	assert_int_equal(h.min_ns, 70);
	assert_int_equal(h.max_ns, 5000);
	assert_int_equal(hist_add_delta(&h, &now, &now), 0);
	assert_int_equal(hist_count(&h), 13);
}

static void a_late_minimum_stays_open(void **state)
{
	static const struct sn_hist none;
	struct sn_hist torn = { .bucket = { [80] = 1 } };
	struct sn_hist whole = { .bucket = { [80] = 1 }, .min_inv_ns = ~900ULL, .max_ns = 900 };
	struct hist h = {};

	(void)state;
	assert_int_equal(hist_add_delta(&h, &none, &torn), 1);
	assert_true(h.min_ns > h.max_ns);
	assert_true(hist_quantile(&h, 0.5) > 0);
	assert_int_equal(hist_add_delta(&h, &torn, &whole), 0);
	assert_int_equal(h.min_ns, 900);
	assert_int_equal(h.max_ns, 900);
}

static void merging_is_observing_both(void **state)
{
	struct hist a = {}, b = {}, both = {}, empty = {};
	uint64_t seed = 1, ns;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		ns = next_random(&seed) >> 30;
		hist_observe(i % 3 ? &a : &b, ns);
		hist_observe(&both, ns);
	}
	hist_merge(&a, &b);
	hist_merge(&a, &empty);
	assert_memory_equal(&a, &both, sizeof(a));
	hist_merge(&empty, &both);
	assert_memory_equal(&empty, &both, sizeof(empty));
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void quantiles_are_one_bucket_off_at_most(void **state)
{
	static const double qs[] = { 0.01, 0.25, 0.5, 0.9, 0.99, 0.999 };
	static uint64_t v[100000];
	struct hist h = {};
	uint64_t seed = 7;
	double exact, got;

	(void)state;
	for (size_t i = 0; i < 100000; i++) {
		v[i] = 2000 + (next_random(&seed) >> (28 + i % 20));
		hist_observe(&h, v[i]);
	}
	qsort(v, 100000, sizeof(v[0]), compare_u64);
	for (size_t i = 0; i < sizeof(qs) / sizeof(qs[0]); i++) {
		exact = (double)v[(size_t)(qs[i] * 100000)] / 1e9;
		got = hist_quantile(&h, qs[i]);
		assert_true(got / exact < exp2(0.126) && exact / got < exp2(0.126));
	}
	assert_true(hist_quantile(&h, 0) == (double)v[0] / 1e9);
	assert_true(hist_quantile(&h, 1) == (double)v[99999] / 1e9);
}

static void quantiles_at_the_edges(void **state)
{
	struct hist h = {};

	(void)state;
	assert_true(isnan(hist_quantile(&h, 0.5)));
	hist_observe(&h, 0);
	assert_true(hist_quantile(&h, 0.5) == 0);
	h = (struct hist){};
	hist_observe(&h, 123456);
	assert_true(hist_quantile(&h, 0) == 123456e-9);
	assert_true(hist_quantile(&h, 0.999) == 123456e-9);
	h = (struct hist){};
	for (int i = 0; i < 10; i++)
		hist_observe(&h, 2 * SN_HIST_MAX_NS);
	hist_observe(&h, SN_HIST_MAX_NS + 1);
	assert_true(hist_quantile(&h, 0.9) > 256 && hist_quantile(&h, 0.9) <= 512);
	assert_true(hist_quantile(&h, 1) == 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_agree_with_the_logarithm),
		cmocka_unit_test(powers_of_two_are_exact),
		cmocka_unit_test(bounds_of_the_range),
		cmocka_unit_test(deltas_are_modulo_2_to_32),
		cmocka_unit_test(a_late_minimum_stays_open),
		cmocka_unit_test(merging_is_observing_both),
		cmocka_unit_test(quantiles_are_one_bucket_off_at_most),
		cmocka_unit_test(quantiles_at_the_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
