// SPDX-License-Identifier: Apache-2.0
#include "model/mesh.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

double classic_quantile(const struct classic *h, double q, double *ret_lower, double *ret_upper)
{
	double rank = q * h->upto[h->n - 1], below, inside;
	size_t i = 0;

	*ret_lower = *ret_upper = NAN;
	if (!(h->upto[h->n - 1] > 0))
		return NAN;
	while (i < h->n - 1 && !(h->upto[i] > 0 && h->upto[i] >= rank))
		i++;
	*ret_upper = h->bound[i];
	*ret_lower = i ? h->bound[i - 1] : fmin(0, h->bound[0]);
	if (isinf(*ret_upper))
		return *ret_lower;
	below = i ? h->upto[i - 1] : 0;
	inside = h->upto[i] - below;
	return *ret_lower + (*ret_upper - *ret_lower) * (inside > 0 ? (rank - below) / inside : 1);
}

/* ---- which of ours ---- */

static const char *const server_metrics[] = {
	"tcp.server.exchange.duration",
	"http.server.request.duration",
};

/* Merges what @s has of @service as a server into *@ret; the metric, or NULL. */
static const struct metric *find_ours(const struct snapshot *s, const char *service,
				      struct hist *ret)
{
	*ret = (struct hist){};
	for (size_t i = 0; i < sizeof(server_metrics) / sizeof(server_metrics[0]); i++) {
		const struct snap_metric *m = snapshot_find(s, server_metrics[i]);
		size_t first, n;

		if (!*service || !m || m->metric->kind != METRIC_HISTOGRAM)
			continue;
		n = snap_run(m, service, &first);
		for (size_t k = first; k < first + n; k++)
			hist_merge(ret, m->series[k].hist);
		if (n)
			return m->metric;
	}
	return NULL;
}

static bool is_called(const struct mesh_figure *f, const char *name)
{
	return !strcmp(f->workload, name) || !strcmp(f->service_name, name);
}

static bool same_destination(const struct mesh_figure *a, const struct mesh_figure *b)
{
	return !strcmp(a->workload, b->workload) && !strcmp(a->service_name, b->service_name);
}

/*
 * Which destinations a user means who says that one is @service: those of that name, or the only one
 * there is, or none.
 */
enum meant { MEANT_NONE, MEANT_NAMED, MEANT_ALL };

static enum meant what_is_meant(const struct mesh *m, const char *service)
{
	enum meant meant = MEANT_ALL;

	for (size_t i = 0; i < m->n; i++) {
		if (is_called(&m->figure[i], service))
			return MEANT_NAMED;
		if (!same_destination(&m->figure[i], &m->figure[0]))
			meant = MEANT_NONE;
	}
	return meant;
}

/* ---- rows ---- */

static void fill(struct mesh_row *row, const char *service, const struct metric *metric,
		 const struct hist *ours)
{
	const struct classic *h = &row->mesh->hist;
	double n = h->upto[h->n - 1];

	row->service = service;
	row->metric = metric;
	figures_of(ours, &row->ours);
	row->theirs.count = (uint64_t)llround(n);
	for (enum figure f = 0; f < FIGURE_END; f++) {
		double q = figure_quantile(f);

		row->theirs.seconds[f] = row->lower[f] = row->upper[f] = NAN;
		if (!isnan(q))
			row->theirs.seconds[f] =
				classic_quantile(h, q, &row->lower[f], &row->upper[f]);
	}
	row->theirs.seconds[FIGURE_MEAN] = n > 0 ? h->sum / n : NAN;
}

static void compare_row(struct mesh_row *row, const struct snapshot *s, const char *service)
{
	const char *names[] = { service ? service : row->mesh->workload,
				service ? service : row->mesh->service_name };
	const struct metric *metric = NULL;
	struct hist ours;

	for (size_t k = 0; k < 2 && !metric; k++) {
		metric = find_ours(s, names[k], &ours);
		if (metric)
			fill(row, names[k], metric, &ours);
	}
}

int mesh_compare(const struct mesh *m, const struct snapshot *s, const char *service,
		 struct mesh_rows *ret)
{
	struct mesh_rows rows = { .row = calloc(m->n + 1, sizeof(*rows.row)), .n = m->n };
	enum meant meant = service ? what_is_meant(m, service) : MEANT_ALL;

	if (!rows.row)
		return -ENOMEM;
	for (size_t i = 0; i < m->n; i++) {
		rows.row[i].mesh = &m->figure[i];
		if (meant == MEANT_ALL ||
		    (meant == MEANT_NAMED && is_called(&m->figure[i], service)))
			compare_row(&rows.row[i], s, service);
		rows.n_compared += rows.row[i].service != NULL;
	}
	*ret = rows;
	return 0;
}

void mesh_rows_done(struct mesh_rows *rows)
{
	free(rows->row);
	*rows = (struct mesh_rows){};
}

bool mesh_is_open(const struct mesh_row *row, enum figure f)
{
	double ours = row->ours.seconds[f], width = exp2(1. / (1 << SN_HIST_SCALE));

	if (isnan(figure_quantile(f)) || isnan(ours) || isnan(row->lower[f]))
		return false;
	return ours * width > row->lower[f] && ours / width < row->upper[f];
}
