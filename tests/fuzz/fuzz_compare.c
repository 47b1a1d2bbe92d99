// SPDX-License-Identifier: Apache-2.0

/* What `sonde compare` reads, on any bytes at all: as a report, as a mesh's figures; and compared. */
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "export/compare_json.h"
#include "export/json_read.h"
#include "export/mesh_read.h"
#include "ui/compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct compare_style style = { .color = true, .utf8 = true };

static void proxies(const struct compared *c)
{
	cleanup(strbuf_done) struct strbuf text = {}, json = {};
	cleanup(proxies_done) struct proxies p = {};

	if (proxies_find(c->snapshot, &p) < 0 || compare_proxies_json(c, &p, NULL, &json) < 0)
		abort();
	for (size_t i = 0; i < p.n; i++)
		compare_proxies_text(c, &p, &p.proxy[i], &style, &text);
}

static void report(const char *data, size_t size)
{
	cleanup(document_freep) struct document *d = NULL;
	cleanup(strbuf_done) struct strbuf text = {}, json = {};
	cleanup(pairs_done) struct pairs p = {};
	struct compared c = { .name = "x" };
	struct err e = {};
	int r = document_read(data, size, &d, &e);

	if ((r == 0) != (e.msg[0] == '\0'))
		abort();
	if (r < 0)
		return;
	c = (struct compared){ "x", d->version, d->time, &d->snapshot };
	if (pairs_make(&d->snapshot, &d->snapshot, &p) < 0 ||
	    compare_reports_json(&c, &c, &p, &json) < 0)
		abort();
	compare_reports_text(&c, &c, &p, &style, &text);
	proxies(&c);
}

static void mesh(const char *data, size_t size)
{
	static const struct snapshot nothing;
	const struct compared c = { "x", "1", "now", &nothing };
	cleanup(mesh_samples_done) struct mesh_samples now = {}, before = {};
	cleanup(mesh_rows_done) struct mesh_rows rows = {};
	cleanup(strbuf_done) struct strbuf text = {}, json = {};
	cleanup(mesh_freep) struct mesh *m = NULL;
	/* Two parts of it are an interval, when something stands between them. */
	const char *cut = memmem(data, size, "\n---\n", 5);
	struct err e = {};
	int r = mesh_samples_read(data, cut ? (size_t)(cut - data) : size, &now, &e);

	if (r >= 0 && cut)
		r = mesh_samples_read(cut + 5, size - (size_t)(cut + 5 - data), &before, &e);
	if (r >= 0)
		r = mesh_make(&now, cut ? &before : NULL, &m, &e);
	if ((r == 0) != (e.msg[0] == '\0'))
		abort();
	if (r < 0)
		return;
	for (size_t i = 0; i < m->n; i++) {
		double low, high, v = classic_quantile(&m->figure[i].hist, 0.9, &low, &high);

		if (!(v >= low && v <= high))
			abort();
	}
	if (mesh_compare(m, &nothing, NULL, &rows) < 0 ||
	    compare_mesh_json(&c, "x", m, &rows, &json) < 0)
		abort();
	compare_mesh_text(&c, "x", m, &rows, &style, &text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	report((const char *)data, size);
	mesh((const char *)data, size);
	return 0;
}
