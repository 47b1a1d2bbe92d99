/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

/*
 * OpenTelemetry's base-2 exponential histogram at scale 3: bucket i holds (b^i, b^(i+1)] seconds
 * with b = 2^(1/8), so a quantile is known to 4.4 %. The range is fixed: up to 2^-20 s (0.95 us) a
 * value is in the zero bucket, whose threshold is exported; above 2^8 s (256 s) it is put in the
 * last bucket and counted as clamped. There is no count field: the count is the sum of the buckets,
 * so that it can never disagree with them.
 */
#define SN_HIST_SCALE	3
#define SN_HIST_MIN_EXP (-20)
#define SN_HIST_MAX_EXP 8
#define SN_HIST_BUCKETS ((SN_HIST_MAX_EXP - SN_HIST_MIN_EXP) << SN_HIST_SCALE)
/* The OTLP index of bucket[0]. */
#define SN_HIST_OFFSET (SN_HIST_MIN_EXP * (1 << SN_HIST_SCALE))
/* 2^8 s in nanoseconds: the first value that is clamped is one more. */
#define SN_HIST_MAX_NS 256000000000ULL

/*
 * The bucket counts are 32 bits wide in the kernel; readers take differences modulo 2^32, which is
 * right as long as they look once in four thousand million events.
 */
struct sn_hist {
	__u64 sum_ns;
	__u64 min_inv_ns; /* ~minimum, so that a zeroed histogram is an empty one */
	__u64 max_ns;
	__u32 zero;
	__u32 clamped; /* of those in the last bucket: were above the range */
	__u32 bucket[SN_HIST_BUCKETS];
};

_Static_assert(sizeof(struct sn_hist) == 32 + 4 * SN_HIST_BUCKETS, "abi: sn_hist");

/*
 * The slot of a duration: -1 for the zero bucket, otherwise an index into bucket[]. Durations are
 * rebased from nanoseconds to units of 2^-40 s, 1099.511627776 to the nanosecond, with two
 * multiplications; they are limited to the range first, below the 537 s at which the second one would
 * overflow. The fraction is rounded down, so that powers of two (bounds that exporters promise to be
 * exact) are met to the nanosecond up to 64 s, and to 3 ns above.
 */
static inline __attribute__((always_inline)) int sn_hist_slot(__u64 ns)
{
	/* 2^63 * 2^((k+1)/8), rounded up: where the eighth k of an octave ends, normalised. */
	static const __u64 ends[8] = {
		0x8b95c1e3ea8bd6e7ULL, 0x9837f0518db8a970ULL, 0xa5fed6a9b15138ebULL,
		0xb504f333f9de6485ULL, 0xc5672a115506dadeULL, 0xd744fccad69d6af5ULL,
		0xeac0c6e7dd24392fULL, 0xffffffffffffffffULL,
	};
	__u64 units, norm;
	int msb, eighth, slot;

	if (ns >= SN_HIST_MAX_NS)
		return SN_HIST_BUCKETS - 1;
	units = ns * 1099 + ((ns * 34334758) >> 26);
	if (units <= 1ULL << (40 + SN_HIST_MIN_EXP))
		return -1;
	msb = 63 - __builtin_clzll(units);
	norm = units << (63 - msb);
	/* A linear guess, from the three bits below the top one, is right or one too low. */
	eighth = (norm >> 60) & 7;
	if (norm >= ends[eighth])
		eighth++;
	/* Upper bounds belong to their bucket; only powers of two can meet theirs exactly. */
	slot = (msb << SN_HIST_SCALE) + eighth - !(units & (units - 1)) -
	       ((40 + SN_HIST_MIN_EXP) << SN_HIST_SCALE);
	return slot < SN_HIST_BUCKETS ? slot : SN_HIST_BUCKETS - 1;
}
