// SPDX-License-Identifier: Apache-2.0
#include "export/mesh_read.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "export/mesh_sample.h"

#define MAX_BUCKETS 512
#define MS_PER_S    1000
#define N_GROUP	    3 /* of the strings that a key begins with: what figures are added up for */

/* ---- from samples to series ---- */

static int key_order(const struct mesh_sample *a, const struct mesh_sample *b)
{
	size_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
	int d = memcmp(a->key, b->key, len);

	return d ? d : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

static int sample_order(const void *pa, const void *pb)
{
	const struct mesh_sample *a = pa, *b = pb;
	int d = key_order(a, b);

	if (!d)
		d = (int)a->kind - (int)b->kind;
	return d ? d : (a->le > b->le) - (a->le < b->le);
}

/* The samples of one series: @n of them, buckets first, then count and sum. */
struct run {
	struct mesh_sample *sample;
	size_t n;
};

static struct run next_run(struct mesh_samples *s, size_t *at)
{
	struct run run = { &s->sample[*at] };

	while (*at < s->n && !key_order(&s->sample[*at], run.sample)) {
		++*at;
		run.n++;
	}
	return run;
}

/* @before's samples of the series @run, or none. */
static struct run find_run(struct mesh_samples *before, const struct run *run, size_t *at)
{
	while (before && *at < before->n && key_order(&before->sample[*at], run->sample) < 0)
		++*at;
	if (!before || *at == before->n || key_order(&before->sample[*at], run->sample))
		return (struct run){};
	return next_run(before, at);
}

/* Takes @before off; false when the series began anew meanwhile, with lower counts or others. */
static bool subtract(struct run *run, const struct run *before)
{
	if (run->n != before->n)
		return false;
	for (size_t i = 0; i < run->n; i++)
		if (sample_order(&run->sample[i], &before->sample[i]) ||
		    run->sample[i].value < before->sample[i].value)
			return false;
	for (size_t i = 0; i < run->n; i++)
		run->sample[i].value -= before->sample[i].value;
	return true;
}

static int check_run(const struct run *run, struct err *e)
{
	const struct mesh_sample *s = run->sample;
	size_t n = run->n - 2;

	if (run->n < 3 || s[n].kind != MESH_COUNT || s[n + 1].kind != MESH_SUM ||
	    s[n - 1].kind != MESH_BUCKET || !isinf(s[n - 1].le))
		return err_set(e, -EINVAL,
			       "a series of %s is not whole: it takes _bucket up to +Inf, one "
			       "_count and one _sum",
			       MESH_METRIC);
	if (n > MAX_BUCKETS)
		return err_set(e, -EINVAL, "a series of %s has more than %d buckets", MESH_METRIC,
			       MAX_BUCKETS);
	for (size_t i = 1; i < n; i++) {
		if (s[i].le == s[i - 1].le)
			return err_set(e, -EINVAL, "a series of %s is there twice", MESH_METRIC);
		if (s[i].value < s[i - 1].value)
			return err_set(e, -EINVAL, "a series of %s has a bucket below zero",
				       MESH_METRIC);
	}
	if (s[n].value != s[n - 1].value)
		return err_set(e, -EINVAL, "a series of %s counts %.0f, but its buckets hold %.0f",
			       MESH_METRIC, s[n].value, s[n - 1].value);
	return 0;
}

/* ---- from series to figures ---- */

static size_t group_len(const struct mesh_sample *s)
{
	size_t len = 0;

	for (int i = 0; i < N_GROUP; i++)
		len += strlen(s->key + len) + 1;
	return len;
}

static bool same_group(const struct mesh_sample *a, const struct mesh_sample *b)
{
	size_t len = group_len(a);

	return len == group_len(b) && !memcmp(a->key, b->key, len);
}

/* A figure's strings are copies in one block, which starts with service_name. */
static int begin_figure(struct mesh_figure *f, const struct run *run)
{
	size_t len = group_len(run->sample), n = run->n - 2;
	char *text = malloc(len);

	*f = (struct mesh_figure){
		.service_name = text,
		.hist = { .n = n,
			  .bound = calloc(n, sizeof(double)),
			  .upto = calloc(n, sizeof(double)) },
	};
	if (!text || !f->hist.bound || !f->hist.upto)
		return -ENOMEM;
	memcpy(text, run->sample->key, len);
	f->workload = f->service_name + strlen(f->service_name) + 1;
	f->reporter = f->workload + strlen(f->workload) + 1;
	for (size_t i = 0; i < n; i++)
		f->hist.bound[i] = run->sample[i].le / MS_PER_S;
	return 0;
}

/* The sources of one figure come sorted. */
static int add_source(struct mesh_figure *f, const char *source)
{
	const char **grown;

	if (f->n_sources && !strcmp(f->sources[f->n_sources - 1], source))
		return 0;
	grown = reallocarray(f->sources, f->n_sources + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	f->sources = grown;
	f->sources[f->n_sources] = strdup(source);
	return f->sources[f->n_sources] ? (f->n_sources++, 0) : -ENOMEM;
}

static bool same_bounds(const struct classic *h, const struct run *run)
{
	if (h->n != run->n - 2)
		return false;
	for (size_t i = 0; i < h->n; i++)
		if (h->bound[i] != run->sample[i].le / MS_PER_S)
			return false;
	return true;
}

static int add_run(struct mesh *m, const struct run *run, bool is_new, struct err *e)
{
	struct mesh_figure *f = &m->figure[m->n - !is_new];
	size_t n = run->n - 2;

	if (is_new) {
		m->n++;
		if (begin_figure(f, run) < 0)
			return err_set(e, -ENOMEM, "out of memory");
	}
	if (!same_bounds(&f->hist, run))
		return err_set(e, -EINVAL,
			       "series of %s to '%.60s' have different buckets, so they cannot be "
			       "added up",
			       MESH_METRIC, f->workload);
	for (size_t i = 0; i < n; i++)
		f->hist.upto[i] += run->sample[i].value;
	if (f->hist.upto[n - 1] > MESH_MAX_VALUE)
		return err_set(e, -EINVAL, "%s counts more than can be", MESH_METRIC);
	f->hist.sum += run->sample[n + 1].value / MS_PER_S;
	if (add_source(f, run->sample->key + group_len(run->sample)) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	return 0;
}

static int add_all(struct mesh *m, struct mesh_samples *now, struct mesh_samples *before,
		   struct err *e)
{
	const struct mesh_sample *last = NULL;
	size_t at = 0, at_before = 0;
	int r = 0;

	while (at < now->n && r >= 0) {
		struct run run = next_run(now, &at);
		struct run old = find_run(before, &run, &at_before);
		bool restarted = old.n && !subtract(&run, &old);

		r = check_run(&run, e);
		if (r < 0)
			return r;
		m->n_restarted += restarted;
		m->n_new += before && !old.n;
		/* What gained nothing in the interval says nothing of it. */
		if (!(run.sample[run.n - 2].value > 0))
			continue;
		r = add_run(m, &run, !last || !same_group(last, run.sample), e);
		last = run.sample;
	}
	return r;
}

void mesh_free(struct mesh *m)
{
	for (size_t i = 0; m && i < m->n; i++) {
		struct mesh_figure *f = &m->figure[i];

		for (size_t k = 0; k < f->n_sources; k++)
			free((char *)f->sources[k]);
		free(f->sources);
		free((char *)f->service_name);
		free(f->hist.bound);
		free(f->hist.upto);
	}
	if (m)
		free(m->figure);
	free(m);
}

static void sort(struct mesh_samples *s)
{
	if (s && s->n)
		qsort(s->sample, s->n, sizeof(*s->sample), sample_order);
}

int mesh_make(struct mesh_samples *now, struct mesh_samples *before, struct mesh **ret,
	      struct err *e)
{
	cleanup(mesh_freep) struct mesh *m = calloc(1, sizeof(*m));
	int r;

	/* A whole series has three samples at least. */
	if (m)
		m->figure = calloc(now->n / 3 + 1, sizeof(*m->figure));
	if (!m || !m->figure)
		return err_set(e, -ENOMEM, "out of memory");
	sort(now);
	sort(before);
	r = add_all(m, now, before, e);
	if (r < 0)
		return r;
	if (!m->n)
		return err_set(e, -ENOENT, "no requests in %s%s", MESH_METRIC,
			       now->n ? "" : ", which is not there");
	*ret = take_ptr(m);
	return 0;
}
