// SPDX-License-Identifier: Apache-2.0
#include "export/mesh_read.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "export/mesh_sample.h"
#include "model/utf8.h"

#define MAX_SAMPLES (1 << 20)

/* A key begins with these: mesh_sample.h. */
static const char *const leading[] = { "destination_service_name", "destination_workload",
				       "reporter", "source_workload" };

void mesh_samples_done(struct mesh_samples *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->sample[i].key);
	free(s->sample);
	*s = (struct mesh_samples){};
}

/* ---- one sample ---- */

static int label_order(const void *a, const void *b)
{
	return strcmp(((const struct mesh_label *)a)->name, ((const struct mesh_label *)b)->name);
}

static const char *label(const struct mesh_label *labels, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(labels[i].name, name))
			return labels[i].value;
	return NULL;
}

static bool is_leading(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(leading); i++)
		if (!strcmp(leading[i], name))
			return true;
	return false;
}

static int make_key(struct mesh_sample *sample, const struct mesh_label *labels, size_t n)
{
	struct strbuf key = {};

	for (size_t i = 0; i < ARRAY_SIZE(leading); i++) {
		const char *value = label(labels, n, leading[i]);

		/* These are told to people and put into JSON; the others are only kept apart. */
		utf8_scrub(&key, value ? value : "", SIZE_MAX);
		strbuf_putc(&key, '\0');
	}
	for (size_t i = 0; i < n; i++) {
		if (is_leading(labels[i].name) || !strcmp(labels[i].name, "le") ||
		    !strcmp(labels[i].name, "__name__"))
			continue;
		strbuf_add(&key, labels[i].name, strlen(labels[i].name) + 1);
		strbuf_add(&key, labels[i].value, strlen(labels[i].value) + 1);
	}
	sample->key = key.data;
	sample->key_len = key.len;
	return strbuf_failed(&key) ? -ENOMEM : 0;
}

/* Decimal, without what strtod() takes beyond that. */
static int number(const char *text, double *ret)
{
	char *end;

	if (!*text || text[strspn(text, "+-.0123456789eE")])
		return -EINVAL;
	*ret = strtod(text, &end);
	return *end || !isfinite(*ret) ? -EINVAL : 0;
}

static int read_values(struct mesh_sample *sample, const char *value, const char *le, struct err *e)
{
	if (number(value, &sample->value) < 0 || sample->value < 0 ||
	    sample->value > MESH_MAX_VALUE)
		return err_set(e, -EINVAL,
			       "a sample of %s has the value '%.40s', which is no count",
			       MESH_METRIC, value);
	if (sample->kind != MESH_BUCKET)
		return 0;
	if (!le)
		return err_set(e, -EINVAL, "a bucket of %s has no label le", MESH_METRIC);
	if (!strcmp(le, "+Inf"))
		sample->le = INFINITY;
	else if (number(le, &sample->le) < 0 || sample->le < 0)
		return err_set(e, -EINVAL, "a bucket of %s has the bound '%.40s'", MESH_METRIC, le);
	return 0;
}

static int grow(struct mesh_samples *s, struct err *e)
{
	size_t size = s->size ? 2 * s->size : 256;
	struct mesh_sample *grown;

	if (s->n < s->size)
		return 0;
	if (size > MAX_SAMPLES)
		return err_set(e, -EFBIG, "more than %d samples of %s", MAX_SAMPLES, MESH_METRIC);
	grown = reallocarray(s->sample, size, sizeof(*grown));
	if (!grown)
		return err_set(e, -ENOMEM, "out of memory");
	s->sample = grown;
	s->size = size;
	return 0;
}

int mesh_sample_add(struct mesh_samples *s, const char *name, struct mesh_label *labels,
		    size_t n_labels, const char *value, struct err *e)
{
	static const char *const suffixes[] = {
		[MESH_BUCKET] = "_bucket",
		[MESH_COUNT] = "_count",
		[MESH_SUM] = "_sum",
	};
	size_t len = strlen(MESH_METRIC);
	struct mesh_sample sample = {};
	int r;

	if (strncmp(name, MESH_METRIC, len))
		return 0;
	while (sample.kind <= MESH_SUM && strcmp(name + len, suffixes[sample.kind]))
		sample.kind++;
	if (sample.kind > MESH_SUM)
		return 0;
	if (n_labels)
		qsort(labels, n_labels, sizeof(*labels), label_order);
	for (size_t i = 1; i < n_labels; i++)
		if (!label_order(&labels[i - 1], &labels[i]))
			return err_set(e, -EINVAL, "a sample of %s has a label twice", MESH_METRIC);
	r = read_values(&sample, value, label(labels, n_labels, "le"), e);
	if (r >= 0)
		r = grow(s, e);
	if (r < 0)
		return r;
	if (make_key(&sample, labels, n_labels) < 0) {
		free(sample.key);
		return err_set(e, -ENOMEM, "out of memory");
	}
	s->sample[s->n++] = sample;
	return 0;
}

int mesh_samples_read(const char *data, size_t len, struct mesh_samples *s, struct err *e)
{
	size_t i = 0;

	while (i < len && strchr(" \t\r\n", data[i]) && data[i])
		i++;
	if (i < len && data[i] == '{')
		return mesh_json_read(data, len, s, e);
	return mesh_text_read(data, len, s, e);
}
