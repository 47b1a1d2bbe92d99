// SPDX-License-Identifier: Apache-2.0
#include "model/hist.h"

#include <math.h>
#include <stdbool.h>

#define NSEC_PER_SEC 1e9

uint64_t hist_count(const struct hist *h)
{
	uint64_t n = h->zero;

	for (int i = 0; i < SN_HIST_BUCKETS; i++)
		n += h->bucket[i];
	return n;
}

static bool hist_is_empty(const struct hist *h)
{
	if (h->zero)
		return false;
	for (int i = 0; i < SN_HIST_BUCKETS; i++) {
		if (h->bucket[i])
			return false;
	}
	return true;
}

/* An empty histogram is all zero, so its minimum has to be opened before the first value counts. */
static void hist_open(struct hist *h)
{
	if (hist_is_empty(h)) {
		h->min_ns = UINT64_MAX;
		h->max_ns = 0;
	}
}

static void hist_widen(struct hist *h, uint64_t min_ns, uint64_t max_ns)
{
	if (min_ns < h->min_ns)
		h->min_ns = min_ns;
	if (max_ns > h->max_ns)
		h->max_ns = max_ns;
}

void hist_observe(struct hist *h, uint64_t ns)
{
	int slot = sn_hist_slot(ns);

	hist_open(h);
	hist_widen(h, ns, ns);
	h->sum_ns += ns;
	if (slot < 0)
		h->zero++;
	else
		h->bucket[slot]++;
	if (ns > SN_HIST_MAX_NS)
		h->clamped++;
}

uint64_t hist_add_delta(struct hist *h, const struct sn_hist *before, const struct sn_hist *now)
{
	uint64_t n;
	uint32_t d;

	hist_open(h);
	n = (uint32_t)(now->zero - before->zero);
	h->zero += n;
	for (int i = 0; i < SN_HIST_BUCKETS; i++) {
		d = now->bucket[i] - before->bucket[i];
		h->bucket[i] += d;
		n += d;
	}
	h->clamped += (uint32_t)(now->clamped - before->clamped);
	h->sum_ns += now->sum_ns - before->sum_ns;
	/*
	 * The kernel goes on counting while it is read: a minimum may lag behind its bucket. Then
	 * it stays open (minimum above maximum) until the next reading brings it.
	 */
	if (now->min_inv_ns)
		hist_widen(h, ~now->min_inv_ns, now->max_ns);
	return n;
}

void hist_merge(struct hist *h, const struct hist *other)
{
	if (hist_is_empty(other))
		return;
	hist_open(h);
	hist_widen(h, other->min_ns, other->max_ns);
	h->zero += other->zero;
	h->clamped += other->clamped;
	h->sum_ns += other->sum_ns;
	for (int i = 0; i < SN_HIST_BUCKETS; i++)
		h->bucket[i] += other->bucket[i];
}

double hist_upper_bound(int slot)
{
	return exp2(SN_HIST_MIN_EXP + (slot + 1) / (double)(1 << SN_HIST_SCALE));
}

/* The value at @rank of the sorted values, before it is held to [minimum, maximum]. */
static double hist_value_at(const struct hist *h, double rank)
{
	double seen = (double)h->zero, lower = exp2(SN_HIST_MIN_EXP), upper, n;

	if (h->zero && rank <= seen)
		return lower * rank / seen;
	for (int i = 0; i < SN_HIST_BUCKETS; i++) {
		n = (double)h->bucket[i];
		if (i == SN_HIST_BUCKETS - 1)
			n = fmax(n - (double)h->clamped, 0);
		upper = hist_upper_bound(i);
		if (n > 0 && rank <= seen + n)
			return lower * pow(upper / lower, (rank - seen) / n);
		seen += n;
		lower = upper;
	}
	/* Clamped values lie anywhere between the end of the range and the maximum. */
	n = (double)h->clamped;
	upper = fmax((double)h->max_ns / NSEC_PER_SEC, lower);
	return n > 0 ? lower * pow(upper / lower, fmin((rank - seen) / n, 1)) : upper;
}

double hist_quantile(const struct hist *h, double q)
{
	uint64_t count = hist_count(h);
	double v;

	if (!count)
		return NAN;
	v = hist_value_at(h, fmin(fmax(q, 0), 1) * (double)count);
	if (h->min_ns > h->max_ns)
		return v;
	return fmin(fmax(v, (double)h->min_ns / NSEC_PER_SEC), (double)h->max_ns / NSEC_PER_SEC);
}
