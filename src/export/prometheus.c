// SPDX-License-Identifier: Apache-2.0
#include "export/export.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "http/server.h"

/*
 * Bucket bounds are the powers of two of the histogram's range, where the explicit counts are
 * exact; all of them each time, since a bucket that appears later has lost its first values.
 */
#define N_BOUNDS (SN_HIST_MAX_EXP - SN_HIST_MIN_EXP + 1)

struct encoder {
	struct strbuf *out;
	struct strbuf name;   /* of the metric, as Prometheus has it */
	struct strbuf labels; /* of the series, without braces */
	char bounds[N_BOUNDS][32];
};

/* ---- numbers and strings ---- */

/* The shortest decimal that reads back as the same double. */
static void format_double(char *buf, size_t size, double v)
{
	if (isnan(v)) {
		snprintf(buf, size, "NaN");
		return;
	}
	if (isinf(v)) {
		snprintf(buf, size, v > 0 ? "+Inf" : "-Inf");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(buf, size, "%.*g", digits, v);
		if (strtod(buf, NULL) == v)
			return;
	}
}

static void put_double(struct strbuf *out, double v)
{
	char buf[32];

	format_double(buf, sizeof(buf), v);
	strbuf_puts(out, buf);
}

/* A page has a hundred thousand of these: printf would be most of its cost. */
static void put_u64(struct strbuf *out, uint64_t v)
{
	char buf[20], *p = buf + sizeof(buf);

	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	strbuf_add(out, p, (size_t)(buf + sizeof(buf) - p));
}

static void put_escaped(struct strbuf *out, const char *s, const char *special)
{
	for (size_t n; *s; s += n) {
		n = strcspn(s, special);
		strbuf_add(out, s, n);
		if (!s[n])
			return;
		strbuf_putc(out, '\\');
		strbuf_putc(out, s[n] == '\n' ? 'n' : s[n]);
		n++;
	}
}

/* Dots and whatever else is no letter or digit become single underscores. */
static void put_name(struct strbuf *out, const char *name)
{
	char c, last = '\0';

	if (isdigit((unsigned char)*name))
		strbuf_putc(out, '_');
	for (; *name; name++) {
		c = isalnum((unsigned char)*name) ? *name : '_';
		if (c != '_' || last != '_')
			strbuf_putc(out, c);
		last = c;
	}
}

static void put_suffix(struct strbuf *name, const char *suffix)
{
	size_t len = strlen(suffix);

	if (name->len < len || strcmp(name->data + name->len - len, suffix))
		strbuf_puts(name, suffix);
}

/* The name by the rules of OpenTelemetry's page on Prometheus compatibility. */
static void put_metric_name(struct strbuf *name, const struct metric *m)
{
	static const struct {
		const char *unit, *suffix;
	} units[] = {
		{ "s", "_seconds" },
		{ "By", "_bytes" },
		{ "Hz", "_hertz" },
	};

	put_name(name, m->name);
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (!strcmp(m->unit, units[i].unit))
			put_suffix(name, units[i].suffix);
	}
	if (m->kind == METRIC_GAUGE && !strcmp(m->unit, "1"))
		put_suffix(name, "_ratio");
	if (m->kind == METRIC_COUNTER || m->kind == METRIC_TIME)
		put_suffix(name, "_total");
}

/* ---- series ---- */

static void put_label(struct strbuf *labels, const char *key, const char *value)
{
	if (labels->len)
		strbuf_putc(labels, ',');
	put_name(labels, key);
	strbuf_puts(labels, "=\"");
	put_escaped(labels, value, "\\\"\n");
	strbuf_putc(labels, '"');
}

static void put_labels(struct strbuf *labels, const struct snap_series *s)
{
	char number[32];

	strbuf_clear(labels);
	if (*s->service)
		put_label(labels, "service_name", s->service);
	for (size_t i = 0; i < s->n_attrs; i++) {
		snprintf(number, sizeof(number), "%lld", (long long)s->attrs[i].num);
		put_label(labels, s->attrs[i].key,
			  s->attrs[i].type == ATTR_INT ? number : s->attrs[i].str);
	}
}

/* Everything of a line but the value. @bound is that of a bucket, or NULL. */
static void put_sample(const struct encoder *e, const char *suffix, const char *bound)
{
	strbuf_add(e->out, strbuf_str(&e->name), e->name.len);
	strbuf_puts(e->out, suffix);
	if (e->labels.len || bound) {
		strbuf_putc(e->out, '{');
		strbuf_add(e->out, strbuf_str(&e->labels), e->labels.len);
		if (bound) {
			strbuf_puts(e->out, e->labels.len ? ",le=\"" : "le=\"");
			strbuf_puts(e->out, bound);
			strbuf_putc(e->out, '"');
		}
		strbuf_putc(e->out, '}');
	}
	strbuf_putc(e->out, ' ');
}

static void put_histogram(const struct encoder *e, const struct hist *h)
{
	uint64_t n = h->zero;
	int slot = 0;

	for (int i = 0; i < N_BOUNDS; i++) {
		for (; slot < i << SN_HIST_SCALE; slot++)
			n += h->bucket[slot];
		put_sample(e, "_bucket", e->bounds[i]);
		/* Clamped values are in the last bucket and above its bound. */
		put_u64(e->out, i == N_BOUNDS - 1 && n >= h->clamped ? n - h->clamped : n);
		strbuf_putc(e->out, '\n');
	}
	put_sample(e, "_bucket", "+Inf");
	put_u64(e->out, n);
	strbuf_putc(e->out, '\n');
	put_sample(e, "_sum", NULL);
	put_double(e->out, (double)h->sum_ns / 1e9);
	strbuf_putc(e->out, '\n');
	put_sample(e, "_count", NULL);
	put_u64(e->out, n);
	strbuf_putc(e->out, '\n');
}

static void put_metric(struct encoder *e, const struct snap_metric *m)
{
	static const char *const types[] = {
		[METRIC_COUNTER] = "counter",
		[METRIC_TIME] = "counter",
		[METRIC_GAUGE] = "gauge",
		[METRIC_HISTOGRAM] = "histogram",
	};

	strbuf_clear(&e->name);
	put_metric_name(&e->name, m->metric);
	strbuf_printf(e->out, "# HELP %s ", strbuf_str(&e->name));
	put_escaped(e->out, m->metric->description, "\\\n");
	strbuf_printf(e->out, "\n# TYPE %s %s\n", strbuf_str(&e->name), types[m->metric->kind]);
	for (size_t i = 0; i < m->n_series; i++) {
		put_labels(&e->labels, &m->series[i]);
		if (m->metric->kind == METRIC_HISTOGRAM) {
			put_histogram(e, m->series[i].hist);
			continue;
		}
		put_sample(e, "", NULL);
		if (m->metric->kind == METRIC_COUNTER)
			put_u64(e->out, m->series[i].counter);
		else if (m->metric->kind == METRIC_TIME)
			put_double(e->out, (double)m->series[i].counter / 1e9);
		else
			put_double(e->out, m->series[i].gauge);
		strbuf_putc(e->out, '\n');
	}
}

/* The resource of sonde's own figures, in the form that Prometheus joins with. */
static void put_target_info(struct strbuf *out, const struct export_env *env)
{
	cleanup(strbuf_done) struct strbuf labels = {};

	put_label(&labels, "service_name", env->service_name);
	put_label(&labels, "service_version", SONDE_VERSION);
	if (*env->host_name)
		put_label(&labels, "host_name", env->host_name);
	strbuf_puts(out, "# HELP target_info The program that serves this page.\n"
			 "# TYPE target_info gauge\n");
	strbuf_printf(out, "target_info{%s} 1\n", strbuf_str(&labels));
}

void prometheus_encode(const struct snapshot *s, const struct export_env *env, struct strbuf *out)
{
	struct encoder e = { .out = out };

	for (int i = 0; i < N_BOUNDS; i++)
		format_double(e.bounds[i], sizeof(e.bounds[i]), ldexp(1, SN_HIST_MIN_EXP + i));
	put_target_info(out, env);
	for (size_t i = 0; i < s->n_metrics; i++) {
		if (s->metrics[i].n_series)
			put_metric(&e, &s->metrics[i]);
	}
	if (strbuf_failed(&e.name) || strbuf_failed(&e.labels))
		out->failed = true;
	strbuf_done(&e.name);
	strbuf_done(&e.labels);
}

/* ---- the exporter ---- */

static void on_metrics(void *arg, const struct http_request *req, struct http_response *res)
{
	const struct export_env *env = arg;
	struct series *requests;
	struct snapshot *s;

	(void)req;
	s = env->take(env->take_arg);
	if (s) {
		res->content_type = "text/plain; version=0.0.4; charset=utf-8";
		prometheus_encode(s, env, &res->body);
		snapshot_free(s);
	} else {
		res->status = 503;
		strbuf_puts(&res->body, "out of memory\n");
	}
	requests = export_requests(env, "prometheus",
				   s && !strbuf_failed(&res->body) ? "success" : "failure");
	if (requests)
		series_add(requests, 1);
}

static int prometheus_start(const struct export_env *env, void **ret_state, struct err *e)
{
	int r;

	*ret_state = NULL;
	if (!env->server)
		return 0;
	r = http_server_route(env->server, "/metrics", on_metrics, (void *)env);
	if (r < 0)
		return err_set(e, r, "out of memory");
	*ret_state = (void *)env;
	return 0;
}

static void prometheus_stop(void *state, uint64_t budget_ns)
{
	const struct export_env *env = state;

	(void)budget_ns;
	if (env)
		http_server_route(env->server, "/metrics", NULL, NULL);
}

extern const struct exporter exporter_prometheus;
const struct exporter exporter_prometheus = {
	.name = "prometheus",
	.summary = "the page /metrics for Prometheus to read",
	.metrics = export_metrics,
	.start = prometheus_start,
	.stop = prometheus_stop,
};
