// SPDX-License-Identifier: Apache-2.0
#include "agent/list.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "agent/help.h"

static const char *const kinds[] = {
	[METRIC_COUNTER] = "counter",
	[METRIC_TIME] = "counter",
	[METRIC_GAUGE] = "gauge",
	[METRIC_HISTOGRAM] = "histogram",
};

static void metric_text(const struct metric *m, struct strbuf *out)
{
	strbuf_printf(out, "\n  %s  (%s, %s)\n      ", m->name, kinds[m->kind], m->unit);
	help_wrap(out, m->description, "      ", 6, 80);
	strbuf_putc(out, '\n');
	if (!m->attributes || !m->attributes[0])
		return;
	strbuf_puts(out, "      by ");
	for (const char *const *a = m->attributes; *a; a++)
		strbuf_printf(out, "%s%s", a == m->attributes ? "" : ", ", *a);
	strbuf_putc(out, '\n');
}

static int list_text(const struct list_entry *entries, size_t n_entries, struct strbuf *out)
{
	for (size_t i = 0; i < n_entries; i++) {
		if (i)
			strbuf_putc(out, '\n');
		strbuf_printf(out, "%s: ", entries[i].name);
		help_wrap(out, entries[i].summary, "  ", strlen(entries[i].name) + 2, 80);
		strbuf_putc(out, '\n');
		for (const struct metric *m = entries[i].metrics; m && m->name; m++)
			metric_text(m, out);
	}
	return strbuf_failed(out) ? -ENOMEM : 0;
}

static json_t *metric_json(const struct metric *m)
{
	json_t *attributes = json_array();

	for (const char *const *a = m->attributes; a && *a; a++)
		json_array_append_new(attributes, json_string(*a));
	return json_pack("{s:s, s:s, s:s, s:s, s:o}", "name", m->name, "unit", m->unit, "kind",
			 kinds[m->kind], "description", m->description, "attributes", attributes);
}

static json_t *entry_json(const struct list_entry *entry)
{
	json_t *metrics = json_array();

	for (const struct metric *m = entry->metrics; m && m->name; m++)
		if (json_array_append_new(metrics, metric_json(m)) < 0) {
			json_decref(metrics);
			return NULL;
		}
	return json_pack("{s:s, s:s, s:o}", "name", entry->name, "summary", entry->summary,
			 "metrics", metrics);
}

static int add_bytes(const char *data, size_t len, void *arg)
{
	strbuf_add(arg, data, len);
	return 0;
}

static int list_json(const struct list_entry *entries, size_t n_entries, struct strbuf *out)
{
	json_t *probes = json_array(), *root;
	int r = 0;

	for (size_t i = 0; i < n_entries && r >= 0; i++)
		r = json_array_append_new(probes, entry_json(&entries[i]));
	root = json_pack("{s:o}", "probes", probes);
	if (r >= 0)
		r = json_dump_callback(root, add_bytes, out, JSON_INDENT(2));
	json_decref(root);
	strbuf_putc(out, '\n');
	return r < 0 || strbuf_failed(out) ? -ENOMEM : 0;
}

int list_print(const struct list_entry *entries, size_t n_entries, bool json, struct strbuf *out)
{
	return json ? list_json(entries, n_entries, out) : list_text(entries, n_entries, out);
}
