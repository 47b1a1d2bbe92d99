// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "export/json_load.h"
#include "export/mesh_read.h"

#define MAX_LABELS 64

/* { "metric": { "__name__": ..., label: value, ... }, "value": [ time, "value" ] } */
static int read_sample(const json_t *o, struct mesh_samples *s, struct err *e)
{
	const json_t *metric = json_object_get(o, "metric"), *v;
	const char *name = json_string_value(json_object_get(metric, "__name__"));
	const char *value = json_string_value(json_array_get(json_object_get(o, "value"), 1));
	struct mesh_label labels[MAX_LABELS];
	const char *key;
	size_t n = 0;

	if (!name || !value)
		return err_set(e, -EINVAL,
			       "a sample without a name or a value; the query has to be one of "
			       "plain series, not of what a function made of them");
	json_object_foreach((json_t *)metric, key, v)
	{
		if (n == MAX_LABELS || !json_is_string(v))
			return err_set(e, -EINVAL, "a sample with odd labels, or more than %d",
				       MAX_LABELS);
		labels[n++] = (struct mesh_label){ key, json_string_value(v) };
	}
	return mesh_sample_add(s, name, labels, n, value, e);
}

static int read_answer(const json_t *root, struct mesh_samples *s, struct err *e)
{
	const json_t *data = json_object_get(root, "data"), *o;
	const char *status = json_string_value(json_object_get(root, "status"));
	const char *error = json_string_value(json_object_get(root, "error"));
	const char *type = json_string_value(json_object_get(data, "resultType"));
	const json_t *result = json_object_get(data, "result");
	size_t i;
	int r = 0;

	if (status && strcmp(status, "success"))
		return err_set(e, -EINVAL, "Prometheus could not answer the query: %.200s",
			       error ? error : "it does not say why");
	if (!status || !type || !json_is_array(result))
		return err_set(e, -EINVAL, "no answer of Prometheus to a query");
	if (strcmp(type, "vector"))
		return err_set(e, -EINVAL, "a %.20s of Prometheus: ask for an instant vector",
			       type);
	json_array_foreach(result, i, o)
	{
		r = read_sample(o, s, e);
		if (r < 0)
			break;
	}
	return r;
}

int mesh_json_read(const char *data, size_t len, struct mesh_samples *s, struct err *e)
{
	json_t *root = NULL;
	int r = json_load_bounded(data, len, &root, e);

	if (r >= 0)
		r = read_answer(root, s, e);
	json_decref(root);
	return r;
}
