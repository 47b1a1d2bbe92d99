// SPDX-License-Identifier: Apache-2.0
#include "model/connections.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/utf8.h"

#define MSEC 1000000ULL

const uint64_t connection_bounds_ns[CONNECTION_BUCKETS - 1] = { 1 * MSEC, 5 * MSEC, 10 * MSEC,
								50 * MSEC, 100 * MSEC };

struct connections {
	size_t max, n;
	uint64_t count;
	struct connection sum;
	/* Room for twice as many as are kept: the lesser half goes when it is full. */
	struct connection *list;
};

struct connections *connections_new(size_t max)
{
	struct connections *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->max = max;
	c->list = calloc(2 * max, sizeof(*c->list));
	if (!c->list) {
		free(c);
		return NULL;
	}
	return c;
}

static void drop(struct connections *c, size_t keep)
{
	while (c->n > keep)
		free((char *)c->list[--c->n].service);
}

void connections_free(struct connections *c)
{
	if (!c)
		return;
	drop(c, 0);
	free(c->list);
	free(c);
}

static void widen(struct connection *sum, const struct connection *one)
{
	if (!one->exchanges)
		return;
	if (!sum->exchanges || one->min_ns < sum->min_ns)
		sum->min_ns = one->min_ns;
	if (one->max_ns > sum->max_ns)
		sum->max_ns = one->max_ns;
}

void connection_add(struct connection *sum, const struct connection *one)
{
	widen(sum, one);
	sum->exchanges += one->exchanges;
	sum->sum_ns += one->sum_ns;
	sum->sum_sq_us += one->sum_sq_us;
	sum->sent_bytes += one->sent_bytes;
	sum->received_bytes += one->received_bytes;
	sum->retransmits += one->retransmits;
	for (int i = 0; i < CONNECTION_BUCKETS; i++)
		sum->bucket[i] += one->bucket[i];
}

static int by_exchanges(const void *pa, const void *pb)
{
	const struct connection *a = pa, *b = pb;

	return (a->exchanges < b->exchanges) - (a->exchanges > b->exchanges);
}

static void sort(struct connections *c)
{
	qsort(c->list, c->n, sizeof(*c->list), by_exchanges);
	drop(c, c->max);
}

int connections_add(struct connections *c, const struct connection *one)
{
	cleanup(strbuf_done) struct strbuf valid = {};
	char *service = NULL;

	c->count++;
	connection_add(&c->sum, one);
	utf8_scrub(&valid, one->service, UTF8_STRING_MAX);
	if (!strbuf_failed(&valid))
		service = strdup(strbuf_str(&valid));
	if (!service)
		return -ENOMEM;
	if (c->n == 2 * c->max)
		sort(c);
	c->list[c->n] = *one;
	c->list[c->n++].service = service;
	return 0;
}

const struct connection *connections_list(struct connections *c, size_t *n)
{
	sort(c);
	*n = c->n;
	return c->list;
}

const struct connection *connections_sum(const struct connections *c)
{
	return &c->sum;
}

uint64_t connections_count(const struct connections *c)
{
	return c->count;
}

double connection_std_dev_us(const struct connection *c)
{
	double n = (double)c->exchanges, mean, most;

	/* A socket that is read while it is written may have an exchange, and its extremes not yet. */
	if (!c->exchanges || c->min_ns >= c->max_ns)
		return 0;
	/*
	 * Squares are of rounded times, the mean and the extremes are exact: few or steady exchanges
	 * can come to a little less than nothing, or to more than half of their range, which no
	 * population has.
	 */
	mean = (double)c->sum_ns / 1000 / n;
	most = (double)(c->max_ns - c->min_ns) / 2000;
	return fmin(sqrt(fmax(c->sum_sq_us / n - mean * mean, 0)), most);
}
