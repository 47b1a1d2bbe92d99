/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/compare.h"

/*
 * A mesh's own figures of requests, and ours of the same service beside them. Its histograms are
 * classic: cumulative counts at bounds, so that a quantile is known to lie between two of them, and
 * where between is a guess.
 */
struct classic {
	size_t n;      /* buckets, at least one */
	double *bound; /* their upper bounds in seconds, rising; the last is INFINITY */
	double *upto;  /* how many values are at most that, so that upto[n - 1] is the count */
	double sum;    /* in seconds */
};

/*
 * The quantile @q by linear interpolation inside its bucket, as Prometheus computes it, and the
 * bounds of that bucket. Beyond the last finite bound it is that bound, and *@ret_upper INFINITY. All
 * NAN if @h is empty.
 */
double classic_quantile(const struct classic *h, double q, double *ret_lower, double *ret_upper);

/* What a mesh says of the requests to one destination. */
struct mesh_figure {
	const char *reporter;		     /* "source" or "destination": the side that measured */
	const char *workload, *service_name; /* the destination's; "" when not known */
	const char **sources;		     /* the workloads that asked */
	size_t n_sources;
	struct classic hist;
};

struct mesh {
	struct mesh_figure *figure; /* sorted by service_name, workload, reporter */
	size_t n;
	/* Of an interval: series that began anew in it, counted from there; that began in it. */
	size_t n_restarted, n_new;
};

/* A destination of the mesh, and the service of ours that it is compared with. */
struct mesh_row {
	const struct mesh_figure *mesh;
	const char *service;	     /* NULL: none of ours is called so; nothing below holds then */
	const struct metric *metric; /* that ours are of */
	struct figures ours;
	struct figures theirs;			     /* count is rounded; no maximum */
	double lower[FIGURE_END], upper[FIGURE_END]; /* where their quantiles lie */
};

struct mesh_rows {
	struct mesh_row *row; /* one for each of the mesh's figures, in their order */
	size_t n, n_compared;
};

/*
 * Puts @m beside the servers' side of @s, sorted by snap_order() in each metric: TCP residence, or
 * the requests of HTTP servers where there is none. With @service NULL a destination is compared with
 * the service of its own name. Else @service is compared with the destination of that name, or
 * with the only destination there is; n_compared is 0 when that is not clear, or without such a
 * service. -ENOMEM. The caller calls mesh_rows_done(); all is borrowed.
 */
int mesh_compare(const struct mesh *m, const struct snapshot *s, const char *service,
		 struct mesh_rows *ret);
void mesh_rows_done(struct mesh_rows *rows);

/* Whether the bounds of theirs and the bucket of ours leave open which of both is the larger. */
bool mesh_is_open(const struct mesh_row *row, enum figure f);
