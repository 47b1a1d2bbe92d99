/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/compare.h"

/*
 * What a proxy adds: it is a server to those that ask and a client of those that answer, so the
 * residence of its inbound exchanges less the time to first byte of its outbound ones is its own.
 */

/* One end: the exchanges of a service as a server, or as a client. */
struct proxy_end {
	struct hist hist;	/* of its exchanges, all series together */
	struct figures figures; /* of the same */
	struct hist queue;	/* their wait in its receive queue; empty without that metric */
	const struct snap_metric *metric;
	size_t first, n; /* its series in that metric: a run, borrowed from the snapshot */
};

enum proxy_doubt {
	PROXY_SURE,
	PROXY_COUNTS, /* its exchanges on both sides differ by more than a tenth */
	PROXY_LONGER, /* it waits longer for answers than it takes to give its own, on average */
	PROXY_ITSELF, /* it is a client of its own: one end cannot be told from the other */
};

struct proxy {
	const char *service;
	struct proxy_end in, out;
	enum proxy_doubt doubt;
};

struct proxies {
	struct proxy *proxy; /* in the order of their names */
	size_t n;
};

/*
 * The services of @s, sorted by snap_order() in each metric, that are both a TCP server and a TCP
 * client. Whether one is a proxy is a guess: an application that asks a database once for each
 * request looks the same. The caller calls proxies_done(). -ENOMEM.
 */
int proxies_find(const struct snapshot *s, struct proxies *ret);
void proxies_done(struct proxies *p);

/*
 * What @p adds, in seconds; below 0 if its figures do not belong together. The mean is exact when as
 * many exchanges came in as went out. A quantile is the difference of two quantiles, which is not the
 * quantile of the differences. NAN for the maximum, whose difference says nothing.
 */
double proxy_overhead(const struct proxy *p, enum figure f);
