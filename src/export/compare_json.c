// SPDX-License-Identifier: Apache-2.0
#include "export/compare_json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <jansson.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "model/utf8.h"

/* jansson's *_new() functions take values over and pass NULL on, as do those below. */
static json_t *number(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *count(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static void put(json_t *o, bool *bad, const char *key, json_t *v)
{
	*bad |= json_object_set_new(o, key, v) < 0;
}

static json_t *checked(json_t *o, bool bad)
{
	if (!bad)
		return o;
	json_decref(o);
	return NULL;
}

static const char *key_of(enum figure f, char buf[32])
{
	snprintf(buf, 32, "%s_us", figure_names[f]);
	return buf;
}

/* Names of files and addresses: bytes of any kind. */
static json_t *name(const char *s)
{
	cleanup(strbuf_done) struct strbuf valid = {};

	utf8_scrub(&valid, s, SIZE_MAX);
	return strbuf_failed(&valid) ? NULL : json_string(strbuf_str(&valid));
}

static json_t *about(const struct compared *c)
{
	return json_pack("{s:o, s:s, s:s, s:f}", "file", name(c->name), "sonde", c->version, "time",
			 c->time, "duration_seconds", snapshot_seconds(c->snapshot));
}

static json_t *begin(const char *kind, const struct compared *a)
{
	return json_pack("{s:s, s:s, s:o}", "sonde", SONDE_VERSION, "compare", kind, "a", about(a));
}

static int append(const char *data, size_t len, void *arg)
{
	strbuf_add(arg, data, len);
	return 0;
}

static int finish(json_t *root, struct strbuf *out)
{
	int r = -1;

	if (root)
		r = json_dump_callback(root, append, out, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	json_decref(root);
	strbuf_putc(out, '\n');
	return r < 0 || strbuf_failed(out) ? -ENOMEM : 0;
}

static json_t *attributes(const struct snap_series *s)
{
	json_t *o = json_object();
	bool bad = false;

	for (size_t i = 0; i < s->n_attrs; i++) {
		const struct attr *a = &s->attrs[i];

		put(o, &bad, a->key,
		    a->type == ATTR_INT ? json_integer(a->num) : json_string(a->str));
	}
	return checked(o, bad);
}

/* ---- two reports ---- */

static json_t *change(double a, double b)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "a", number(a), "b", number(b), "difference",
			 number(b - a), "ratio", number(ratio_of(a, b)));
}

static json_t *count_change(uint64_t a, uint64_t b)
{
	return json_pack("{s:o, s:o, s:I, s:o}", "a", count(a), "b", count(b), "difference",
			 (json_int_t)(b - a), "ratio", number(ratio_of((double)a, (double)b)));
}

static void put_hists(json_t *o, bool *bad, const struct pair *p)
{
	struct figures a, b;
	char key[32];

	figures_of(p->a->hist, &a);
	figures_of(p->b->hist, &b);
	put(o, bad, "count", count_change(a.count, b.count));
	for (enum figure f = 0; f < FIGURE_END; f++) {
		json_t *c = change(a.seconds[f] * 1e6, b.seconds[f] * 1e6);

		if (!isnan(figure_quantile(f)))
			put(c, bad, "within_one_bucket",
			    json_boolean(figures_alike(f, a.seconds[f], b.seconds[f])));
		put(o, bad, key_of(f, key), c);
	}
}

static void put_times(json_t *o, bool *bad, double a, double b, double seconds_a, double seconds_b)
{
	put(o, bad, "value", change(a, b));
	put(o, bad, "rate_per_second",
	    change(seconds_a > 0 ? a / seconds_a : NAN, seconds_b > 0 ? b / seconds_b : NAN));
}

static json_t *both(const struct pair *p, double seconds_a, double seconds_b)
{
	json_t *o =
		json_pack("{s:s, s:o}", "service", p->a->service, "attributes", attributes(p->a));
	bool bad = !o;

	switch (p->metric->kind) {
	case METRIC_COUNTER:
		put(o, &bad, "value", count_change(p->a->counter, p->b->counter));
		put(o, &bad, "rate_per_second",
		    change(seconds_a > 0 ? (double)p->a->counter / seconds_a : NAN,
			   seconds_b > 0 ? (double)p->b->counter / seconds_b : NAN));
		break;
	case METRIC_TIME:
		put_times(o, &bad, (double)p->a->counter / NSEC_PER_SEC,
			  (double)p->b->counter / NSEC_PER_SEC, seconds_a, seconds_b);
		break;
	case METRIC_GAUGE:
		put(o, &bad, "value", change(p->a->gauge, p->b->gauge));
		break;
	case METRIC_HISTOGRAM:
		put_hists(o, &bad, p);
		break;
	}
	return checked(o, bad);
}

static json_t *lonely(enum metric_kind kind, const struct snap_series *s)
{
	json_t *o = json_pack("{s:s, s:o}", "service", s->service, "attributes", attributes(s));
	bool bad = !o;

	if (kind == METRIC_HISTOGRAM)
		put(o, &bad, "count", count(hist_count(s->hist)));
	else if (kind == METRIC_COUNTER)
		put(o, &bad, "value", count(s->counter));
	else
		put(o, &bad, "value",
		    number(kind == METRIC_TIME ? (double)s->counter / NSEC_PER_SEC : s->gauge));
	return checked(o, bad);
}

static json_t *metric(const struct metric *m)
{
	static const char *const kinds[] = {
		[METRIC_COUNTER] = "counter",
		[METRIC_TIME] = "counter",
		[METRIC_GAUGE] = "gauge",
		[METRIC_HISTOGRAM] = "histogram",
	};

	return json_pack("{s:s, s:s, s:s, s:[], s:[], s:[]}", "name", m->name, "unit", m->unit,
			 "kind", kinds[m->kind], "series", "only_in_a", "only_in_b");
}

int compare_reports_json(const struct compared *a, const struct compared *b, const struct pairs *p,
			 struct strbuf *out)
{
	double seconds_a = snapshot_seconds(a->snapshot), seconds_b = snapshot_seconds(b->snapshot);
	json_t *root = begin("reports", a), *metrics = json_array(), *m = NULL;
	const struct metric *last = NULL;
	bool bad = !root;

	put(root, &bad, "b", about(b));
	put(root, &bad, "metrics", metrics);
	for (size_t i = 0; i < p->n && !bad; i++) {
		const struct pair *pair = &p->pair[i];
		const char *list = !pair->b ? "only_in_a" : !pair->a ? "only_in_b" : "series";

		if (pair->metric != last) {
			m = metric(pair->metric);
			bad |= json_array_append_new(metrics, m) < 0;
		}
		last = pair->metric;
		bad |= json_array_append_new(
			       json_object_get(m, list),
			       pair->a && pair->b
				       ? both(pair, seconds_a, seconds_b)
				       : lonely(last->kind, pair->a ? pair->a : pair->b)) < 0;
	}
	return finish(checked(root, bad), out);
}

/* ---- proxies ---- */

static json_t *end(const struct proxy_end *e)
{
	json_t *o = json_object();
	struct figures queue;
	bool bad = !o;
	char key[32];

	figures_of(&e->queue, &queue);
	put(o, &bad, "count", count(e->figures.count));
	for (enum figure f = 0; f < FIGURE_END; f++)
		put(o, &bad, key_of(f, key), number(e->figures.seconds[f] * 1e6));
	put(o, &bad, "receive_queue_mean_us", number(queue.seconds[FIGURE_MEAN] * 1e6));
	return checked(o, bad);
}

static json_t *overhead(const struct proxy *p)
{
	bool agree = p->in.figures.count == p->out.figures.count;
	json_t *o = json_pack("{s:b}", "mean_is_exact", agree);
	bool bad = !o;
	char key[32];

	for (enum figure f = 0; f < FIGURE_MAX; f++) {
		double in = p->in.figures.seconds[f], out = p->out.figures.seconds[f];
		json_t *one =
			json_pack("{s:o, s:b}", "difference", number(proxy_overhead(p, f) * 1e6),
				  "within_one_bucket", figures_alike(f, in, out));

		put(o, &bad, key_of(f, key), one);
	}
	return checked(o, bad);
}

static json_t *proxy(const struct proxy *p)
{
	uint64_t in = p->in.figures.count, out = p->out.figures.count;

	return json_pack("{s:s, s:b, s:I, s:o, s:o, s:o}", "service", p->service, "counts_agree",
			 in == out, "count_difference", (json_int_t)(in - out), "inbound",
			 end(&p->in), "outbound", end(&p->out), "overhead", overhead(p));
}

static json_t *doubtful(const struct proxy *p)
{
	static const char *const reasons[] = {
		[PROXY_COUNTS] = "counts_differ",
		[PROXY_LONGER] = "outbound_is_longer",
		[PROXY_ITSELF] = "client_of_itself",
	};

	return json_pack("{s:s, s:s, s:o, s:o}", "service", p->service, "reason", reasons[p->doubt],
			 "inbound_count", count(p->in.figures.count), "outbound_count",
			 count(p->out.figures.count));
}

int compare_proxies_json(const struct compared *a, const struct proxies *p,
			 const struct proxy *only, struct strbuf *out)
{
	json_t *root = begin("proxy", a), *taken = json_array(), *others = json_array();
	bool bad = !root;

	put(root, &bad, "proxies", taken);
	put(root, &bad, "not_taken", others);
	for (size_t i = 0; i < p->n && !bad; i++) {
		const struct proxy *one = &p->proxy[i];

		if (only ? one == only : one->doubt == PROXY_SURE)
			bad |= json_array_append_new(taken, proxy(one)) < 0;
		else if (!only)
			bad |= json_array_append_new(others, doubtful(one)) < 0;
	}
	return finish(checked(root, bad), out);
}

/* ---- a mesh ---- */

static json_t *mesh_change(const struct mesh_row *row, enum figure f)
{
	double theirs = row->theirs.seconds[f] * 1e6, ours = row->ours.seconds[f] * 1e6;
	json_t *o = json_pack("{s:o, s:o, s:o, s:o}", "mesh", number(theirs), "sonde", number(ours),
			      "overhead", number(theirs - ours), "ratio",
			      number(ratio_of(ours, theirs)));
	bool bad = !o;

	if (!isnan(figure_quantile(f))) {
		put(o, &bad, "mesh_from", number(row->lower[f] * 1e6));
		put(o, &bad, "mesh_to", number(row->upper[f] * 1e6));
		put(o, &bad, "within_bounds", json_boolean(mesh_is_open(row, f)));
	}
	return checked(o, bad);
}

static json_t *destination(const struct mesh_figure *f)
{
	json_t *sources = json_array();
	bool bad = !sources;

	for (size_t i = 0; i < f->n_sources; i++)
		bad |= json_array_append_new(sources, json_string(f->sources[i])) < 0;
	return json_pack("{s:s, s:s, s:s, s:o}", "destination_workload", f->workload,
			 "destination_service_name", f->service_name, "reporter", f->reporter,
			 "source_workloads", checked(sources, bad));
}

static json_t *mesh_row(const struct mesh_row *row)
{
	json_t *o = destination(row->mesh);
	uint64_t theirs = row->theirs.count, ours = row->ours.count;
	bool bad = !o;
	char key[32];

	if (!row->service) {
		double n = row->mesh->hist.upto[row->mesh->hist.n - 1];

		put(o, &bad, "count", number(n));
		return checked(o, bad);
	}
	put(o, &bad, "service", json_string(row->service));
	put(o, &bad, "metric", json_string(row->metric->name));
	put(o, &bad, "same_count", json_boolean(theirs == ours));
	put(o, &bad, "count",
	    json_pack("{s:I, s:I}", "mesh", (json_int_t)theirs, "sonde", (json_int_t)ours));
	for (enum figure f = 0; f < FIGURE_MAX; f++)
		put(o, &bad, key_of(f, key), mesh_change(row, f));
	return checked(o, bad);
}

int compare_mesh_json(const struct compared *a, const char *source, const struct mesh *m,
		      const struct mesh_rows *rows, struct strbuf *out)
{
	json_t *root = begin("mesh", a), *compared = json_array(), *others = json_array();
	bool bad = !root;

	put(root, &bad, "mesh", name(source));
	put(root, &bad, "restarted_series", json_integer((json_int_t)m->n_restarted));
	put(root, &bad, "new_series", json_integer((json_int_t)m->n_new));
	put(root, &bad, "comparisons", compared);
	put(root, &bad, "not_compared", others);
	for (size_t i = 0; i < rows->n && !bad; i++) {
		const struct mesh_row *row = &rows->row[i];

		bad |= json_array_append_new(row->service ? compared : others, mesh_row(row)) < 0;
	}
	return finish(checked(root, bad), out);
}
