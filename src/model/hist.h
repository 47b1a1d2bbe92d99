/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "abi/abi.h"

/*
 * Histogram algebra on the layout of abi/hist.h, widened to 64-bit counts: what user space adds up
 * over the life of the agent. Durations in nanoseconds inside, seconds at the exporters.
 */
struct hist {
	uint64_t zero;	  /* values of at most 2^SN_HIST_MIN_EXP s */
	uint64_t clamped; /* values above 2^SN_HIST_MAX_EXP s; they are in the last bucket */
	uint64_t sum_ns;
	uint64_t min_ns, max_ns; /* meaningless while the histogram is empty */
	uint64_t bucket[SN_HIST_BUCKETS];
};

/* The number of values: zero bucket and all others. O(SN_HIST_BUCKETS). */
uint64_t hist_count(const struct hist *h);

/* Adds one duration, by the same slot rule as the kernel half. */
void hist_observe(struct hist *h, uint64_t ns);

/*
 * Adds to @h what a kernel histogram gained between two readings of it, @before and @now. Counts
 * are taken modulo 2^32; minimum and maximum come from @now alone. A zeroed @before means all of
 * @now. Returns the number of values added.
 */
uint64_t hist_add_delta(struct hist *h, const struct sn_hist *before, const struct sn_hist *now);

/* Adds @other to @h, bucket by bucket. */
void hist_merge(struct hist *h, const struct hist *other);

/*
 * The duration in seconds below which the fraction @q in [0, 1] of the values lies, by logarithmic
 * interpolation inside the bucket and never outside [minimum, maximum]; NAN if @h is empty. Off by
 * at most one bucket, 9 % wide. Values in the zero bucket are taken to be linear up to its bound.
 */
double hist_quantile(const struct hist *h, double q);

/* Upper bound of bucket[slot] in seconds: 2^(SN_HIST_MIN_EXP + (slot + 1) / 8). */
double hist_upper_bound(int slot);
