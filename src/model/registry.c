// SPDX-License-Identifier: Apache-2.0
#include "model/registry.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "model/utf8.h"

/*
 * A series and its histogram, if it has one, and its key are one piece of memory. The key is the
 * service and then, for each attribute, name, type and value; all strings end in NUL, and those of
 * the series point into it.
 */
struct series {
	const struct metric *metric;
	UT_hash_handle hh;
	const char *service;
	struct attr attrs[MAX_ATTRS];
	size_t n_attrs;
	size_t key_len;
	bool is_set; /* of a gauge */
	char *key;
	union {
		uint64_t counter;
		double gauge;
		struct hist *hist;
	};
};

/* The series of one metric. */
struct family {
	const struct metric *metric;
	UT_hash_handle hh;
	struct series *series;
	size_t n_series; /* without the overflow series */
	struct series *overflow;
};

struct registry {
	size_t max_series;
	uint64_t start_ns;
	struct family *families; /* a hash by metric, which keeps the order of registration */
	struct strbuf key;	 /* of the series that is looked up */
	/* Hashes of the keys that were refused: each counts once, as long as there is room. */
	uint64_t *refused;
	size_t n_refused;
};

struct registry *registry_new(size_t max_series)
{
	struct registry *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->max_series = max_series;
	r->start_ns = clock_boot_ns();
	return r;
}

static void family_free(struct family *f)
{
	struct series *s, *next;

	HASH_ITER (hh, f->series, s, next) {
		HASH_DEL(f->series, s);
		free(s);
	}
	free(f->overflow);
	free(f);
}

void registry_free(struct registry *r)
{
	struct family *f, *next;

	if (!r)
		return;
	HASH_ITER (hh, r->families, f, next) {
		HASH_DEL(r->families, f);
		family_free(f);
	}
	strbuf_done(&r->key);
	free(r->refused);
	free(r);
}

static struct family *family_find(const struct registry *r, const struct metric *m)
{
	struct family *f;

	HASH_FIND_PTR(r->families, &m, f);
	return f;
}

int registry_register(struct registry *r, const struct metric *table)
{
	struct family *f;

	for (const struct metric *m = table; m->name; m++) {
		for (f = r->families; f; f = f->hh.next) {
			if (f->metric != m && !strcmp(f->metric->name, m->name))
				return -EEXIST;
		}
		if (family_find(r, m))
			continue;
		f = calloc(1, sizeof(*f));
		if (!f)
			return -ENOMEM;
		f->metric = m;
		HASH_ADD_PTR(r->families, metric, f);
		if (!family_find(r, m)) {
			free(f);
			return -ENOMEM;
		}
	}
	return 0;
}

/* ---- keys ---- */

static void key_build(struct strbuf *key, const char *service, const struct attr *attrs,
		      size_t n_attrs)
{
	strbuf_clear(key);
	utf8_scrub(key, service, UTF8_STRING_MAX);
	strbuf_putc(key, '\0');
	for (size_t i = 0; i < n_attrs; i++) {
		strbuf_add(key, attrs[i].key, strlen(attrs[i].key) + 1);
		strbuf_putc(key, (char)attrs[i].type);
		if (attrs[i].type == ATTR_INT) {
			strbuf_add(key, &attrs[i].num, sizeof(attrs[i].num));
		} else {
			utf8_scrub(key, attrs[i].str, UTF8_STRING_MAX);
			strbuf_putc(key, '\0');
		}
	}
}

/* Sets @service and @attrs to what the key at @p says; strings point into it. */
static void key_read(const char *p, size_t n_attrs, const char **service, struct attr *attrs)
{
	*service = p;
	p += strlen(p) + 1;
	for (size_t i = 0; i < n_attrs; i++) {
		attrs[i].key = p;
		p += strlen(p) + 1;
		attrs[i].type = (enum attr_type) * p++;
		if (attrs[i].type == ATTR_INT) {
			memcpy(&attrs[i].num, p, sizeof(attrs[i].num));
			p += sizeof(attrs[i].num);
		} else {
			attrs[i].str = p;
			p += strlen(p) + 1;
		}
	}
}

/* ---- series ---- */

static struct series *series_new(const struct metric *m, const struct strbuf *key, size_t n_attrs)
{
	size_t hist_size = m->kind == METRIC_HISTOGRAM ? sizeof(struct hist) : 0;
	struct series *s = calloc(1, sizeof(*s) + hist_size + key->len);

	if (!s)
		return NULL;
	s->metric = m;
	if (hist_size)
		s->hist = (struct hist *)(s + 1);
	s->key = (char *)(s + 1) + hist_size;
	s->key_len = key->len;
	memcpy(s->key, key->data, key->len);
	s->n_attrs = n_attrs;
	key_read(s->key, n_attrs, &s->service, s->attrs);
	return s;
}

/*
 * Probes ask for the same series at every reading, so refusals are told apart by the hash of the
 * key (FNV-1a). Once max_series different ones are known, no more are counted.
 */
static void count_refused(struct registry *r, const struct metric *m)
{
	uint64_t hash = 0xcbf29ce484222325ULL ^ (uintptr_t)m;
	size_t size = 2 * r->max_series + 2, at;

	if (!r->refused)
		r->refused = calloc(size, sizeof(*r->refused));
	if (!r->refused || r->n_refused > r->max_series)
		return;
	for (size_t i = 0; i < r->key.len; i++)
		hash = (hash ^ (unsigned char)r->key.data[i]) * 0x100000001b3ULL;
	hash |= 1; /* 0 is a free place */
	for (at = (hash >> 1) % size; r->refused[at]; at = (at + 1) % size) {
		if (r->refused[at] == hash)
			return;
	}
	r->refused[at] = hash;
	r->n_refused++;
}

static const char overflow_key[] = "otel.metric.overflow";

static struct series *family_overflow(struct registry *r, struct family *f)
{
	static const struct attr mark[] = { { overflow_key, ATTR_STRING, { "true" } } };

	if (!f->overflow) {
		key_build(&r->key, "", mark, ARRAY_SIZE(mark));
		if (!strbuf_failed(&r->key))
			f->overflow = series_new(f->metric, &r->key, ARRAY_SIZE(mark));
	}
	return f->overflow;
}

struct series *registry_series(struct registry *r, const struct metric *m, const char *service,
			       const struct attr *attrs, size_t n_attrs)
{
	struct family *f = r ? family_find(r, m) : NULL;
	struct series *s, *added = NULL;

	assert(n_attrs <= MAX_ATTRS);
	if (!f)
		return NULL;
	/* What the kernel half could not give a series of its own is in the same one. */
	if (n_attrs == 1 && strcmp(attrs[0].key, overflow_key) == 0)
		return family_overflow(r, f);
	key_build(&r->key, service, attrs, n_attrs);
	if (strbuf_failed(&r->key))
		return NULL;
	HASH_FIND(hh, f->series, r->key.data, r->key.len, s);
	if (s)
		return s;
	if (f->n_series >= r->max_series) {
		count_refused(r, f->metric);
		return family_overflow(r, f);
	}
	s = series_new(m, &r->key, n_attrs);
	if (!s)
		return NULL;
	HASH_ADD_KEYPTR(hh, f->series, s->key, s->key_len, s);
	HASH_FIND(hh, f->series, s->key, s->key_len, added);
	if (!added) {
		free(s);
		return NULL;
	}
	f->n_series++;
	return s;
}

void series_add(struct series *s, uint64_t delta)
{
	if (s)
		s->counter += delta;
}

void series_set(struct series *s, double value)
{
	s->gauge = value;
	s->is_set = true;
}

void series_lower(struct series *s, double value)
{
	if (s && (!s->is_set || value < s->gauge))
		series_set(s, value);
}

/* Never backwards, also where several totals meet in the overflow series. */
void series_set_total(struct series *s, uint64_t total)
{
	if (s && total > s->counter)
		s->counter = total;
}

uint64_t series_add_hist(struct series *s, const struct sn_hist *before, const struct sn_hist *now)
{
	struct hist none = {};

	return hist_add_delta(s ? s->hist : &none, before, now);
}

uint64_t registry_overflowed(const struct registry *r)
{
	return r->n_refused;
}

/* ---- snapshot ---- */

/* Where the next piece of each kind goes in the memory of a snapshot that is being filled. */
struct layout {
	struct snap_metric *metrics;
	struct snap_series *series;
	struct hist *hists;
	struct attr *attrs;
	char *keys;
};

static int layout_new(const struct registry *r, struct snapshot **ret, struct layout *l)
{
	size_t n_series = 0, n_hists = 0, n_attrs = 0, key_bytes = 0, n;
	struct snapshot *snap;
	struct series *s;

	for (struct family *f = r->families; f; f = f->hh.next) {
		n = f->n_series + !!f->overflow;
		n_series += n;
		n_hists += f->metric->kind == METRIC_HISTOGRAM ? n : 0;
		for (s = f->series; s; s = s->hh.next) {
			n_attrs += s->n_attrs;
			key_bytes += s->key_len;
		}
		if (f->overflow) {
			n_attrs += f->overflow->n_attrs;
			key_bytes += f->overflow->key_len;
		}
	}
	n = HASH_COUNT(r->families);
	snap = malloc(sizeof(*snap) + n * sizeof(*l->metrics) + n_series * sizeof(*l->series) +
		      n_hists * sizeof(*l->hists) + n_attrs * sizeof(*l->attrs) + key_bytes);
	if (!snap)
		return -ENOMEM;
	l->metrics = (struct snap_metric *)(snap + 1);
	l->series = (struct snap_series *)(l->metrics + n);
	l->hists = (struct hist *)(l->series + n_series);
	l->attrs = (struct attr *)(l->hists + n_hists);
	l->keys = (char *)(l->attrs + n_attrs);
	*snap = (struct snapshot){
		.start_ns = r->start_ns,
		.metrics = l->metrics,
		.n_metrics = n,
	};
	*ret = snap;
	return 0;
}

static void copy_series(struct layout *l, const struct series *s, uint64_t start_ns)
{
	struct snap_series *copy = l->series++;

	*copy = (struct snap_series){
		.attrs = l->attrs,
		.n_attrs = s->n_attrs,
		.start_ns = start_ns,
	};
	memcpy(l->keys, s->key, s->key_len);
	key_read(l->keys, s->n_attrs, &copy->service, l->attrs);
	l->keys += s->key_len;
	l->attrs += s->n_attrs;
	switch (s->metric->kind) {
	case METRIC_COUNTER:
	case METRIC_TIME:
		copy->counter = s->counter;
		break;
	case METRIC_GAUGE:
		copy->gauge = s->gauge;
		break;
	case METRIC_HISTOGRAM:
		*l->hists = *s->hist;
		copy->hist = l->hists++;
		break;
	}
}

static int compare_attrs(const struct attr *a, const struct attr *b)
{
	int c = strcmp(a->key, b->key);

	if (c)
		return c;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	if (a->type == ATTR_STRING)
		return strcmp(a->str, b->str);
	return (a->num > b->num) - (a->num < b->num);
}

static int compare_series(const void *pa, const void *pb)
{
	const struct snap_series *a = pa, *b = pb;
	int c = strcmp(a->service, b->service);

	for (size_t i = 0; !c && i < a->n_attrs && i < b->n_attrs; i++)
		c = compare_attrs(&a->attrs[i], &b->attrs[i]);
	return c ? c : (a->n_attrs > b->n_attrs) - (a->n_attrs < b->n_attrs);
}

int registry_snapshot(const struct registry *r, struct snapshot **ret)
{
	struct snapshot *snap;
	struct snap_series *first;
	struct layout l;
	int err;

	err = layout_new(r, &snap, &l);
	if (err < 0)
		return err;
	for (struct family *f = r->families; f; f = f->hh.next) {
		first = l.series;
		for (struct series *s = f->series; s; s = s->hh.next)
			copy_series(&l, s, r->start_ns);
		if (f->overflow)
			copy_series(&l, f->overflow, r->start_ns);
		*l.metrics = (struct snap_metric){
			.metric = f->metric,
			.series = first,
			.n_series = (size_t)(l.series - first),
		};
		qsort(first, l.metrics->n_series, sizeof(*first), compare_series);
		l.metrics++;
	}
	snap->time_ns = clock_boot_ns();
	*ret = snap;
	return 0;
}
