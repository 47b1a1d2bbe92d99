// SPDX-License-Identifier: Apache-2.0
#include "ui/finder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/hist.h"

/* The series of a metric in the order of their conversations, without what the bound gathered. */
struct finder_view {
	const char *name;
	const struct metric *metric;
	const struct snap_series **series;
	size_t n;
	struct finder_view *next;
};

static long number_of(const struct snap_series *s, const char *key)
{
	const struct attr *a = snap_attr(s, key);

	return a && a->type == ATTR_INT ? a->num : 0;
}

bool finder_is(const struct snap_series *s, const char *key, const char *value)
{
	return strcmp(snap_text(s, key), value) == 0;
}

/* The same service, peer and port are the same conversation: 0. */
static int conversation_order(const struct snap_series *a, const struct snap_series *b)
{
	long port_a = number_of(a, "server.port"), port_b = number_of(b, "server.port");
	int d = strcmp(a->service, b->service);

	if (!d)
		d = strcmp(snap_text(a, "network.peer.address"),
			   snap_text(b, "network.peer.address"));
	return d ? d : (port_a > port_b) - (port_a < port_b);
}

static int view_order(const void *pa, const void *pb)
{
	const struct snap_series *const *a = pa, *const *b = pb;
	int d = conversation_order(*a, *b);

	return d ? d : snap_order(*a, *b);
}

/* ---- views ---- */

static int fill(struct finder_view *v, const struct snap_metric *m)
{
	if (!m || !m->n_series)
		return 0;
	v->metric = m->metric;
	v->series = calloc(m->n_series, sizeof(const struct snap_series *));
	if (!v->series)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_series; i++)
		if (!snap_is_overflow(&m->series[i]))
			v->series[v->n++] = &m->series[i];
	qsort(v->series, v->n, sizeof(const struct snap_series *), view_order);
	return 0;
}

/* NULL: -ENOMEM, in f->err. */
static const struct finder_view *view(struct finder *f, const char *name)
{
	struct finder_view *v;

	for (v = f->views; v; v = v->next)
		if (!strcmp(v->name, name))
			return v;
	v = calloc(1, sizeof(*v));
	if (!v || fill(v, snapshot_find(f->snapshot, name)) < 0) {
		free(v);
		f->err = -ENOMEM;
		return NULL;
	}
	v->name = name;
	v->next = f->views;
	f->views = v;
	return v;
}

void finder_done(struct finder *f)
{
	while (f->views) {
		struct finder_view *v = f->views;

		f->views = v->next;
		free(v->series);
		free(v);
	}
	strbuf_done(&f->text);
}

/* ---- sums ---- */

static double value_of(const struct metric *m, const struct snap_series *s)
{
	switch (m->kind) {
	case METRIC_COUNTER:
		return (double)s->counter;
	case METRIC_GAUGE:
		return s->gauge;
	case METRIC_HISTOGRAM:
		return (double)hist_count(s->hist);
	default:
		return 0;
	}
}

static double seconds_of(const struct metric *m, const struct snap_series *s)
{
	return m->kind == METRIC_HISTOGRAM ? (double)s->hist->sum_ns / 1e9 : 0;
}

static double add_up(struct finder *f, const char *name, const struct snap_series *like,
		     const char *key, const char *value,
		     double (*of)(const struct metric *m, const struct snap_series *s))
{
	const struct finder_view *v = view(f, name);
	size_t at = 0, end = v ? v->n : 0;
	double total = 0;

	while (at < end) {
		size_t middle = at + (end - at) / 2;

		if (conversation_order(v->series[middle], like) < 0)
			at = middle + 1;
		else
			end = middle;
	}
	for (; v && at < v->n && !conversation_order(v->series[at], like); at++)
		if (!key || finder_is(v->series[at], key, value))
			total += of(v->metric, v->series[at]);
	return total;
}

double finder_sum(struct finder *f, const char *name, const struct snap_series *like,
		  const char *key, const char *value)
{
	return add_up(f, name, like, key, value, value_of);
}

double finder_seconds(struct finder *f, const char *name, const struct snap_series *like,
		      const char *key, const char *value)
{
	return add_up(f, name, like, key, value, seconds_of);
}

/* ---- rules ---- */

void finder_evidence(struct finder *f, const char *key, double value)
{
	if (f->now.n_evidence < FINDING_MAX_EVIDENCE)
		f->now.evidence[f->now.n_evidence++] = ATTR_REAL(key, value);
}

static void tell(struct finder *f, const struct rule *rule, const struct snap_series *s)
{
	strbuf_clear(&f->text);
	f->now = (struct finding){
		.kind = rule->kind,
		.service = (char *)s->service,
		.peer = (char *)snap_text(s, "network.peer.address"),
		.port = number_of(s, "server.port"),
	};
	rule->tell(f, s);
	f->now.text = (char *)strbuf_str(&f->text);
	if (strbuf_failed(&f->text) || findings_add(f->all, &f->now) < 0)
		f->err = -ENOMEM;
}

struct candidate {
	const struct snap_series *series;
	double weight;
};

static int worst_first(const void *pa, const void *pb)
{
	const struct candidate *a = pa, *b = pb;

	if (a->weight != b->weight)
		return a->weight < b->weight ? 1 : -1;
	return view_order(&a->series, &b->series);
}

void finder_run(struct finder *f, const struct rule *rule)
{
	const struct finder_view *v = view(f, rule->metric);
	size_t n = 0, most = rule->most ? rule->most : FINDINGS_OF_A_KIND;
	cleanup(cleanup_free) struct candidate *found = NULL;

	if (!v || !v->n)
		return;
	found = calloc(v->n, sizeof(*found));
	if (!found) {
		f->err = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < v->n; i++) {
		if (rule->once && i && !conversation_order(v->series[i - 1], v->series[i]))
			continue;
		found[n] = (struct candidate){ v->series[i], rule->weigh(f, v->series[i]) };
		n += found[n].weight > 0;
	}
	qsort(found, n, sizeof(*found), worst_first);
	for (size_t i = 0; i < n && i < most; i++)
		tell(f, rule, found[i].series);
	if (!rule->most && n > most)
		f->all->omitted += n - most;
}
