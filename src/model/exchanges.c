// SPDX-License-Identifier: Apache-2.0
#include "model/exchanges.h"

void exchanges_add(const struct snapshot *s, const char *metric, struct hist *into)
{
	const struct snap_metric *m = snapshot_find(s, metric);

	for (size_t i = 0; m && m->metric->kind == METRIC_HISTOGRAM && i < m->n_series; i++)
		hist_merge(into, m->series[i].hist);
}

void exchanges_of(const struct snapshot *s, struct exchanges *ret)
{
	*ret = (struct exchanges){};
	exchanges_add(s, "tcp.client.exchange.duration", &ret->client);
	exchanges_add(s, "tcp.server.exchange.duration", &ret->server);
	hist_merge(&ret->all, &ret->client);
	hist_merge(&ret->all, &ret->server);
}
