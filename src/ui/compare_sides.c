// SPDX-License-Identifier: Apache-2.0
#include "ui/compare.h"

#include <math.h>
#include <string.h>

#include "base/cleanup.h"
#include "ui/compare_table.h"
#include "ui/text.h"

/* ---- proxies ---- */

#define SHOWN_SERIES 4

static void end_line(struct compare_table *t, const struct proxy_end *end, const char *words)
{
	strbuf_printf(t->out, "  %llu %s ", (unsigned long long)end->figures.count, words);
	for (size_t i = 0; i < end->n && i < SHOWN_SERIES; i++) {
		const struct snap_series *s = &end->metric->series[end->first + i];

		strbuf_puts(t->out, i ? "; " : "");
		compare_attrs(t, s);
		if (end->n > 1)
			strbuf_printf(t->out, " (%llu)", (unsigned long long)hist_count(s->hist));
	}
	if (end->n > SHOWN_SERIES)
		strbuf_printf(t->out, "; and %zu more", end->n - SHOWN_SERIES);
	strbuf_putc(t->out, '\n');
}

static void queue_line(struct compare_table *t, const struct proxy *p)
{
	struct figures in, out;
	char a[UNIT_TEXT_MAX], b[UNIT_TEXT_MAX];

	figures_of(&p->in.queue, &in);
	figures_of(&p->out.queue, &out);
	if (!in.count && !out.count)
		return;
	strbuf_printf(t->out,
		      "  Mean wait in its receive queues: %s for requests, which is part of the "
		      "overhead; %s for\n  answers, which is not: what it waits to read, its "
		      "upstream seems to take.\n",
		      unit_seconds(in.seconds[FIGURE_MEAN], t->style->utf8, a),
		      unit_seconds(out.seconds[FIGURE_MEAN], t->style->utf8, b));
}

static void proxy_table(struct compare_table *t, const struct proxy *p)
{
	const struct figures *in = &p->in.figures, *out = &p->out.figures;

	compare_title(t, "%s: what it adds", p->service);
	end_line(t, &p->in, "exchanges in:");
	end_line(t, &p->out, "exchanges out:");
	compare_titles(t, FIGURE_END);
	compare_figures(t, "in", in, FIGURE_END);
	compare_figures(t, "out", out, FIGURE_END);
	compare_count_difference(t, out->count, in->count);
	for (enum figure f = 0; f < FIGURE_END; f++)
		compare_seconds_difference(t, proxy_overhead(p, f),
					   figures_alike(f, in->seconds[f], out->seconds[f]));
	compare_row(t, "adds");
	queue_line(t, p);
	if (in->count == out->count)
		strbuf_puts(t->out, "  As many came in as went out: the mean is exact.");
	else
		strbuf_printf(t->out,
			      "  %llu came in, %llu went out: the mean is a difference between "
			      "different exchanges.",
			      (unsigned long long)in->count, (unsigned long long)out->count);
	strbuf_puts(t->out, "\n  A percentile is the difference of two percentiles, not the "
			    "percentile of the differences.\n");
}

static void doubtful(struct compare_table *t, const struct proxy *p)
{
	strbuf_putc(t->out, '\n');
	text_add(t->out, p->service, COMPARE_NAME_WIDTH, t->style->utf8);
	if (p->doubt == PROXY_ITSELF)
		strbuf_puts(t->out, " is a client of its own: its ends cannot be told apart");
	else if (p->doubt == PROXY_LONGER)
		strbuf_puts(t->out, " is hardly a proxy: it waits longer for answers than it takes "
				    "to give its own");
	else
		strbuf_printf(t->out, " is hardly a proxy: %llu exchanges came in, %llu went out",
			      (unsigned long long)p->in.figures.count,
			      (unsigned long long)p->out.figures.count);
	strbuf_puts(t->out, " (--proxy NAME takes it for one)\n");
}

void compare_proxies_text(const struct compared *a, const struct proxies *p,
			  const struct proxy *only, const struct compare_style *style,
			  struct strbuf *out)
{
	struct compare_table t = { .out = out, .style = style, .label_width = 10, .cell_width = 9 };

	compare_about(&t, "A", a);
	for (size_t i = 0; i < p->n; i++)
		if (only ? &p->proxy[i] == only : p->proxy[i].doubt == PROXY_SURE)
			proxy_table(&t, &p->proxy[i]);
	for (size_t i = 0; i < p->n && !only; i++)
		if (p->proxy[i].doubt != PROXY_SURE)
			doubtful(&t, &p->proxy[i]);
	compare_legend(&t);
}

/* ---- a mesh ---- */

static void destination(struct compare_table *t, const struct mesh_figure *f, const char *more)
{
	cleanup(strbuf_done) struct strbuf name = {};

	strbuf_puts(&name, *f->workload ? f->workload : *f->service_name ? f->service_name : "?");
	if (*f->workload && *f->service_name && strcmp(f->workload, f->service_name))
		strbuf_printf(&name, " (%s)", f->service_name);
	strbuf_printf(&name, ", reporter %s", *f->reporter ? f->reporter : "?");
	for (size_t i = 0; i < f->n_sources && i < SHOWN_SERIES; i++)
		strbuf_printf(&name, "%s%s", i ? ", " : ", from ",
			      *f->sources[i] ? f->sources[i] : "?");
	if (f->n_sources > SHOWN_SERIES)
		strbuf_printf(&name, " and %zu more", f->n_sources - SHOWN_SERIES);
	compare_title(t, "%s%s", strbuf_str(&name), more);
}

static void bounds_rows(struct compare_table *t, const struct mesh_row *row)
{
	for (int k = 0; k < 2; k++) {
		const double *bound = k ? row->upper : row->lower;

		compare_cell(t, " ");
		compare_cell(t, " ");
		for (enum figure f = FIGURE_P50; f < FIGURE_MAX; f++) {
			if (isinf(bound[f]))
				compare_cell(t, "no end");
			else
				compare_seconds(t, bound[f], false);
		}
		compare_row(t, k ? "  to" : "  from");
	}
}

static void mesh_table(struct compare_table *t, const struct mesh_row *row)
{
	const struct figures *ours = &row->ours, *theirs = &row->theirs;

	destination(t, row->mesh, "");
	strbuf_puts(t->out, "  beside ");
	text_add(t->out, row->metric->name, COMPARE_NAME_WIDTH, t->style->utf8);
	strbuf_puts(t->out, " of ");
	text_add(t->out, row->service, COMPARE_NAME_WIDTH, t->style->utf8);
	strbuf_putc(t->out, '\n');
	compare_titles(t, FIGURE_MAX);
	compare_figures(t, "mesh", theirs, FIGURE_MAX);
	bounds_rows(t, row);
	compare_figures(t, "sonde", ours, FIGURE_MAX);
	compare_count_difference(t, ours->count, theirs->count);
	for (enum figure f = 0; f < FIGURE_MAX; f++)
		compare_seconds_difference(t, theirs->seconds[f] - ours->seconds[f],
					   mesh_is_open(row, f));
	compare_row(t, "mesh - sonde");
	compare_ratio(t, ratio_of((double)ours->count, (double)theirs->count));
	for (enum figure f = 0; f < FIGURE_MAX; f++)
		compare_ratio(t, ratio_of(ours->seconds[f], theirs->seconds[f]));
	compare_row(t, "mesh / sonde");
	if (theirs->count != ours->count)
		strbuf_printf(t->out,
			      "  Not the same population: the mesh counted %llu requests, sonde "
			      "%llu.\n",
			      (unsigned long long)theirs->count, (unsigned long long)ours->count);
}

void compare_mesh_text(const struct compared *a, const char *source, const struct mesh *m,
		       const struct mesh_rows *rows, const struct compare_style *style,
		       struct strbuf *out)
{
	struct compare_table t = { .out = out, .style = style, .label_width = 17, .cell_width = 9 };

	compare_about(&t, "A", a);
	strbuf_puts(out, "mesh: ");
	text_add(out, source, COMPARE_NAME_WIDTH, style->utf8);
	strbuf_putc(out, '\n');
	if (m->n_restarted)
		strbuf_printf(
			out,
			"%zu of its series began anew meanwhile: what they had counted before "
			"is not in.\n",
			m->n_restarted);
	if (m->n_new)
		strbuf_printf(out,
			      "%zu of its series were not there when A began: what they counted is "
			      "all in.\n",
			      m->n_new);
	for (size_t i = 0; i < rows->n; i++)
		if (rows->row[i].service)
			mesh_table(&t, &rows->row[i]);
	for (size_t i = 0; i < rows->n; i++)
		if (!rows->row[i].service)
			destination(&t, rows->row[i].mesh, ": not compared with any service");
	strbuf_puts(out,
		    "\nA mesh's percentile lies somewhere from-to; where is a guess, and without "
		    "an end the least.\n~ these bounds leave open which of the two is larger.\n"
		    "A mesh times a request up to the end of its answer; sonde's TCP figures "
		    "end with its first byte.\n");
}
