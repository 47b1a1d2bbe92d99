// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/commands.h"
#include "agent/mesh_source.h"
#include "agent/suggest.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "export/compare_json.h"
#include "export/json_read.h"
#include "ui/compare.h"

static int load(const char *path, struct document **ret, struct compared *c, struct err *e)
{
	cleanup(strbuf_done) struct strbuf bytes = {};
	int r = source_read(path, &bytes, e);

	if (r < 0)
		return r;
	r = document_read(strbuf_str(&bytes), bytes.len, ret, e);
	if (r < 0)
		return err_wrap(e, r, "%s", path);
	*c = (struct compared){ path, (*ret)->version, (*ret)->time, &(*ret)->snapshot };
	return 0;
}

static struct compare_style style_of(const struct config *c)
{
	return (struct compare_style){ .color = use_color(c), .utf8 = true };
}

static int no_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "out of memory");
}

/* ---- two reports ---- */

static int reports(const struct config *c, const struct compared *a, struct strbuf *out,
		   struct err *e)
{
	cleanup(document_freep) struct document *d = NULL;
	cleanup(pairs_done) struct pairs pairs = {};
	struct compare_style style = style_of(c);
	struct compared b;
	int r = load(c->files[1], &d, &b, e);

	if (r < 0)
		return r;
	if (pairs_make(a->snapshot, b.snapshot, &pairs) < 0)
		return no_memory(e);
	if (!c->json)
		compare_reports_text(a, &b, &pairs, &style, out);
	else if (compare_reports_json(a, &b, &pairs, out) < 0)
		return no_memory(e);
	return 0;
}

/* ---- proxies ---- */

static int find_proxy(const struct config *c, const struct proxies *p, const struct proxy **ret,
		      struct err *e)
{
	struct suggest s = { .word = c->proxy };
	*ret = NULL;
	for (size_t i = 0; i < p->n; i++) {
		suggest_offer(&s, p->proxy[i].service);
		if (!strcmp(p->proxy[i].service, c->proxy))
			*ret = &p->proxy[i];
	}
	if (*ret || (!*c->proxy && p->n))
		return 0;
	if (*c->proxy)
		return err_set(e, -ENOENT,
			       "%s: service '%.60s' did not both answer exchanges and ask for some"
			       "%s%.60s%s",
			       c->files[0], c->proxy, s.best ? ": did you mean '" : "",
			       s.best ? s.best : "", s.best ? "'?" : "");
	if (!p->n)
		return err_set(
			e, -ENOENT,
			"%s holds no proxy: no service in it both answered TCP exchanges and "
			"asked for some",
			c->files[0]);
	return 0;
}

static int proxies(const struct config *c, const struct compared *a, struct strbuf *out,
		   struct err *e)
{
	cleanup(proxies_done) struct proxies p = {};
	struct compare_style style = style_of(c);
	const struct proxy *only;
	int r;

	if (proxies_find(a->snapshot, &p) < 0)
		return no_memory(e);
	r = find_proxy(c, &p, &only, e);
	if (r < 0)
		return r;
	if (!c->json)
		compare_proxies_text(a, &p, only, &style, out);
	else if (compare_proxies_json(a, &p, only, out) < 0)
		return no_memory(e);
	return 0;
}

/* ---- a mesh ---- */

/* The one that is asked for here; a file or a variable says what other commands measure. "": none. */
static const char *service_of(const struct config *c)
{
	return c->layer[opt_find("service") - opts] == LAYER_FLAG ? c->services : "";
}

static int nothing_to_compare(const struct config *c, const struct mesh *m, struct err *e)
{
	cleanup(strbuf_done) struct strbuf names = {};
	const char *last = NULL;

	for (size_t i = 0; i < m->n && names.len < 200; i++) {
		const struct mesh_figure *f = &m->figure[i];
		const char *name = *f->workload ? f->workload : f->service_name;

		if (!last || strcmp(last, name))
			strbuf_printf(&names, "%s%s", last ? ", " : "", name);
		last = name;
	}
	if (*service_of(c))
		return err_set(e, -ENOENT,
			       "service '%.60s' is not a server in %s, or it is not clear which of "
			       "the mesh's destinations it is: %.220s",
			       service_of(c), c->files[0], strbuf_str(&names));
	return err_set(e, -ENOENT,
		       "%s has no service that is called like a destination of the mesh (%.220s): "
		       "say which one is meant by --service NAME",
		       c->files[0], strbuf_str(&names));
}

static int mesh(const struct config *c, const struct document *d, const struct compared *a,
		struct strbuf *out, struct err *e)
{
	uint64_t length = d->snapshot.time_ns < d->wall_ns ? d->snapshot.time_ns : d->wall_ns;
	cleanup(mesh_freep) struct mesh *m = NULL;
	cleanup(mesh_rows_done) struct mesh_rows rows = {};
	cleanup(strbuf_done) struct strbuf said = {};
	struct compare_style style = style_of(c);
	int r = mesh_source(c->mesh, d->wall_ns - length, d->wall_ns, &m, &said, e);

	if (r < 0)
		return r;
	if (mesh_compare(m, a->snapshot, *service_of(c) ? service_of(c) : NULL, &rows) < 0)
		return no_memory(e);
	if (!rows.n_compared)
		return nothing_to_compare(c, m, e);
	if (!c->json)
		compare_mesh_text(a, strbuf_str(&said), m, &rows, &style, out);
	else if (compare_mesh_json(a, strbuf_str(&said), m, &rows, out) < 0)
		return no_memory(e);
	return 0;
}

/* ---- the command ---- */

/* What does not go together, as a sentence; NULL if all does. */
static const char *wrong_use(const struct config *c)
{
	if (!c->files[0])
		return "compare wants one or two documents of 'sonde report'. See 'sonde compare "
		       "--help'";
	if (c->files[1] && (*c->proxy || *c->mesh || *service_of(c)))
		return "--proxy, --mesh and --service are about one document, not two";
	if (*c->proxy && *c->mesh)
		return "--proxy and --mesh are two comparisons: ask for one";
	if (*service_of(c) && !*c->mesh)
		return "--service goes with --mesh; a proxy is picked by --proxy";
	return NULL;
}

static int compare(const struct config *c, struct strbuf *out, struct err *e)
{
	cleanup(document_freep) struct document *d = NULL;
	struct compared a;
	int r = load(c->files[0], &d, &a, e);

	if (r < 0)
		return r;
	if (c->files[1])
		r = reports(c, &a, out, e);
	else if (*c->mesh)
		r = mesh(c, d, &a, out, e);
	else
		r = proxies(c, &a, out, e);
	return r >= 0 && strbuf_failed(out) ? no_memory(e) : r;
}

enum exit_status command_compare(const struct config *c)
{
	cleanup(strbuf_done) struct strbuf out = {};
	const char *wrong = wrong_use(c);
	struct err e = {};

	if (wrong) {
		fprintf(stderr, "sonde: %s\n", wrong);
		return STATUS_WRONG_USE;
	}
	if (compare(c, &out, &e) < 0) {
		log_error("%s", e.msg);
		return STATUS_FAILED;
	}
	if (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout) != 0) {
		log_error("cannot write to standard output: %s", strerror(errno));
		return STATUS_FAILED;
	}
	return STATUS_OK;
}
