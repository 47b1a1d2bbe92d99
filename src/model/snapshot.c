// SPDX-License-Identifier: Apache-2.0
#include "model/snapshot.h"

#include <stdlib.h>
#include <string.h>

/* registry_snapshot() lays a snapshot out in one piece of memory. */
void snapshot_free(struct snapshot *s)
{
	free(s);
}

const struct snap_metric *snapshot_find(const struct snapshot *s, const char *name)
{
	for (size_t i = 0; i < s->n_metrics; i++) {
		if (!strcmp(s->metrics[i].metric->name, name))
			return &s->metrics[i];
	}
	return NULL;
}

const struct attr *snap_attr(const struct snap_series *s, const char *key)
{
	for (size_t i = 0; i < s->n_attrs; i++) {
		if (!strcmp(s->attrs[i].key, key))
			return &s->attrs[i];
	}
	return NULL;
}

bool snap_is_overflow(const struct snap_series *s)
{
	return s->n_attrs == 1 && !strcmp(s->attrs[0].key, "otel.metric.overflow");
}
