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

const char *snap_text(const struct snap_series *s, const char *key)
{
	const struct attr *a = snap_attr(s, key);

	return a && a->type == ATTR_STRING ? a->str : "";
}

static int attr_order(const struct attr *a, const struct attr *b)
{
	int d = strcmp(a->key, b->key);

	if (d || a->type != b->type)
		return d ? d : (int)a->type - (int)b->type;
	if (a->type == ATTR_STRING)
		return strcmp(a->str, b->str);
	return (a->num > b->num) - (a->num < b->num);
}

int snap_order(const struct snap_series *a, const struct snap_series *b)
{
	int d = strcmp(a->service, b->service);

	for (size_t i = 0; !d && i < a->n_attrs && i < b->n_attrs; i++)
		d = attr_order(&a->attrs[i], &b->attrs[i]);
	return d ? d : (a->n_attrs > b->n_attrs) - (a->n_attrs < b->n_attrs);
}

size_t snap_run(const struct snap_metric *m, const char *service, size_t *ret_first)
{
	size_t first = 0, end = m ? m->n_series : 0, n = 0;

	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (strcmp(m->series[middle].service, service) < 0)
			first = middle + 1;
		else
			end = middle;
	}
	while (m && first + n < m->n_series && !strcmp(m->series[first + n].service, service))
		n++;
	*ret_first = first;
	return n;
}

bool snap_is_overflow(const struct snap_series *s)
{
	return s->n_attrs == 1 && !strcmp(s->attrs[0].key, "otel.metric.overflow");
}
