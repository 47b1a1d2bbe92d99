/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

#include "lib/stats.bpf.h"

/*
 * Raises *p to @v, exactly, whoever else is at it. On kernels before 5.12 kern/ replaces the
 * compare-and-exchange by a plain store (kern/rewrite.c): two CPUs that set a new extreme of one
 * series within the same nanoseconds can then keep the lesser one.
 */
static __always_inline void sn_raise(__u64 *p, __u64 v)
{
	__u64 seen;

#pragma unroll
	for (int i = 0; i < 4; i++) {
		seen = *(volatile __u64 *)p;
		if (v <= seen || __sync_val_compare_and_swap(p, seen, v) == seen)
			return;
	}
}

/*
 * Adds a duration to a histogram that all CPUs share. The caller counts SN_STAT_PRODUCED behind it,
 * never before: a reader who takes that count first then never sees more than it can find.
 */
static __always_inline void sn_hist_record(struct sn_hist *h, __u64 ns)
{
	int slot = sn_hist_slot(ns);

	if (slot < 0)
		__sync_fetch_and_add(&h->zero, 1);
	else if (slot < SN_HIST_BUCKETS)
		__sync_fetch_and_add(&h->bucket[slot], 1);
	if (ns > SN_HIST_MAX_NS)
		__sync_fetch_and_add(&h->clamped, 1);
	__sync_fetch_and_add(&h->sum_ns, ns);
	sn_raise(&h->max_ns, ns);
	sn_raise(&h->min_inv_ns, ~ns);
}

/*
 * The value of @key in @map: looked up first, inserted once from @zero if it was not there (*is_new
 * is set), and beyond the map's bound that of @overflow, which user space put there before the
 * programs ran (*is_overflow is set). NULL only if even that one is missing.
 */
static __always_inline void *sn_series(void *map, const void *key, const void *zero,
				       const void *overflow, bool *is_new, bool *is_overflow)
{
	void *value = bpf_map_lookup_elem(map, key);
	long err;

	if (value)
		return value;
	err = bpf_map_update_elem(map, key, zero, BPF_NOEXIST);
	if (!err || err == -EEXIST) {
		*is_new = true;
		return bpf_map_lookup_elem(map, key);
	}
	*is_overflow = true;
	return bpf_map_lookup_elem(map, overflow);
}

/* Counts @n events that were recorded, or lost for want of a series. */
static __always_inline void sn_count_recorded(bool recorded, bool overflow, __u64 n)
{
	sn_count_by(SN_STAT_PRODUCED, n);
	if (!recorded)
		sn_count_by(SN_STAT_DROP_NO_SERIES, n);
	else if (overflow)
		sn_count_by(SN_STAT_OVERFLOW, n);
}
