// SPDX-License-Identifier: Apache-2.0
#include "model/proxy.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The run of @service's series in @m, if they are histograms. */
static size_t run_of(const struct snap_metric *m, const char *service, size_t *ret_first)
{
	return m && m->metric->kind == METRIC_HISTOGRAM ? snap_run(m, service, ret_first) : 0;
}

static void fill_end(struct proxy_end *end, const struct snapshot *s, const char *service,
		     const char *metric, const char *stages)
{
	const struct snap_metric *stage = snapshot_find(s, stages);
	size_t first = 0, n;

	*end = (struct proxy_end){ .metric = snapshot_find(s, metric) };
	end->n = run_of(end->metric, service, &end->first);
	for (size_t i = 0; i < end->n; i++)
		hist_merge(&end->hist, end->metric->series[end->first + i].hist);
	figures_of(&end->hist, &end->figures);
	n = run_of(stage, service, &first);
	for (size_t i = first; i < first + n; i++)
		if (!strcmp(snap_text(&stage->series[i], "tcp.stage"), "receive_queue"))
			hist_merge(&end->queue, stage->series[i].hist);
}

/*
 * Both ends of a connection within one machine show the same address and the same port of the
 * service: such an exchange is at both ends of this service.
 */
static bool asks_itself(const struct proxy *p)
{
	size_t i = 0, k = 0;

	while (i < p->in.n && k < p->out.n) {
		int d = snap_order(&p->in.metric->series[p->in.first + i],
				   &p->out.metric->series[p->out.first + k]);

		if (!d)
			return true;
		i += d < 0;
		k += d > 0;
	}
	return false;
}

static enum proxy_doubt doubt_of(const struct proxy *p)
{
	double in = (double)p->in.figures.count, out = (double)p->out.figures.count;

	if (asks_itself(p))
		return PROXY_ITSELF;
	if (fabs(in - out) > 0.1 * fmax(in, out))
		return PROXY_COUNTS;
	return proxy_overhead(p, FIGURE_MEAN) < 0 ? PROXY_LONGER : PROXY_SURE;
}

static void consider(struct proxies *found, const struct snapshot *s, const char *service)
{
	struct proxy *p = &found->proxy[found->n];

	p->service = service;
	fill_end(&p->in, s, service, "tcp.server.exchange.duration",
		 "tcp.server.exchange.stage.duration");
	fill_end(&p->out, s, service, "tcp.client.exchange.duration",
		 "tcp.client.exchange.stage.duration");
	if (!p->in.figures.count || !p->out.figures.count)
		return;
	p->doubt = doubt_of(p);
	found->n++;
}

int proxies_find(const struct snapshot *s, struct proxies *ret)
{
	const struct snap_metric *servers = snapshot_find(s, "tcp.server.exchange.duration");
	const struct snap_metric *clients = snapshot_find(s, "tcp.client.exchange.duration");
	size_t services = 1, first;
	struct proxies found = {};

	for (size_t i = 0; servers && i < servers->n_series; i++)
		services +=
			!i || strcmp(servers->series[i - 1].service, servers->series[i].service);
	found.proxy = reallocarray(NULL, services, sizeof(*found.proxy));
	if (!found.proxy)
		return -ENOMEM;
	for (size_t i = 0; servers && i < servers->n_series; i++) {
		const char *service = servers->series[i].service;

		if (i && !strcmp(servers->series[i - 1].service, service))
			continue;
		/* The series of what had no room is no service's, nor is what has no name. */
		if (*service && run_of(clients, service, &first))
			consider(&found, s, service);
	}
	*ret = found;
	return 0;
}

void proxies_done(struct proxies *p)
{
	free(p->proxy);
	*p = (struct proxies){};
}

double proxy_overhead(const struct proxy *p, enum figure f)
{
	return f == FIGURE_MAX ? NAN : p->in.figures.seconds[f] - p->out.figures.seconds[f];
}
