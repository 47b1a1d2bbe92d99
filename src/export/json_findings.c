// SPDX-License-Identifier: Apache-2.0
#include "export/json_parts.h"

static json_t *evidence(const struct finding *f)
{
	json_t *o = json_object();
	int bad = 0;

	for (size_t i = 0; o && i < f->n_evidence; i++)
		bad |= json_object_set_new(o, f->evidence[i].key, json_number(f->evidence[i].real));
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *finding(const struct finding *f)
{
	return json_pack("{s:s, s:s, s:s*, s:o*, s:s, s:o}", "kind", f->kind, "service", f->service,
			 "peer", *f->peer ? f->peer : NULL, "port",
			 f->port ? json_integer(f->port) : NULL, "text", f->text, "evidence",
			 evidence(f));
}

json_t *json_findings(const struct findings *all)
{
	json_t *list = json_array();
	int bad = 0;

	for (size_t i = 0; list && i < all->n; i++)
		bad |= json_array_append_new(list, finding(&all->list[i]));
	if (bad) {
		json_decref(list);
		return NULL;
	}
	return list;
}
