// SPDX-License-Identifier: Apache-2.0
#include "ui/interval.h"

#include "base/clock.h"

double interval_seconds(const struct snapshot *now, const struct snapshot *before)
{
	uint64_t from = before ? before->time_ns : now->start_ns;

	return now->time_ns > from ? (double)(now->time_ns - from) / NSEC_PER_SEC : 0;
}

const struct snap_series *interval_match(const struct snap_metric *before,
					 const struct snap_series *s, size_t *cursor)
{
	for (size_t i = 0; before && i < before->n_series; i++) {
		size_t at = (*cursor + i) % before->n_series;

		if (snap_order(&before->series[at], s))
			continue;
		*cursor = at + 1;
		return before->series[at].start_ns == s->start_ns ? &before->series[at] : NULL;
	}
	return NULL;
}

uint64_t interval_counter(const struct snap_series *now, const struct snap_series *before)
{
	uint64_t base = before ? before->counter : 0;

	return now->counter > base ? now->counter - base : 0;
}

static uint64_t bound_ns(int slot)
{
	return (uint64_t)(hist_upper_bound(slot) * NSEC_PER_SEC);
}

void interval_hist(const struct snap_series *now, const struct snap_series *before,
		   struct hist *ret)
{
	int first = SN_HIST_BUCKETS, last = -1;

	*ret = *now->hist;
	if (!before)
		return;
	ret->zero -= before->hist->zero;
	ret->clamped -= before->hist->clamped;
	ret->sum_ns -= before->hist->sum_ns;
	for (int i = 0; i < SN_HIST_BUCKETS; i++) {
		ret->bucket[i] -= before->hist->bucket[i];
		if (!ret->bucket[i])
			continue;
		last = i;
		if (first == SN_HIST_BUCKETS)
			first = i;
	}
	/* The last bucket also holds what is above its bound. */
	if (last < SN_HIST_BUCKETS - 1 && bound_ns(last) < ret->max_ns)
		ret->max_ns = bound_ns(last);
	if (!ret->zero && first < SN_HIST_BUCKETS && bound_ns(first - 1) > ret->min_ns)
		ret->min_ns = bound_ns(first - 1);
}
