// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/commands.h"
#include "agent/discovery.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "probe/run.h"
#include "world/inspector.h"

static const char *how_found(const struct plan_verdict *v)
{
	if (v->source == GOBIN_SYMTAB)
		return "symbol table";
	return v->stripped ? "Go's own table (stripped)" : "Go's own table";
}

/* Paths come from targets: nothing but printable ASCII reaches the terminal. */
static void put_text(struct strbuf *out, const char *s)
{
	for (; *s; s++)
		strbuf_putc(out, *s >= ' ' && *s < 0x7f ? *s : '?');
}

static bool site_of(const struct plan_site *s, const struct plan_verdict *v)
{
	return file_id_equal(&s->file, &v->file) && strcmp(s->probe, v->probe) == 0;
}

static void print_verdict(const struct plan *p, const struct plan_verdict *v, struct strbuf *out)
{
	strbuf_printf(out, "%s  ", v->probe);
	put_text(out, v->path);
	strbuf_printf(out, "  (pid %d", v->pid);
	if (v->version[0])
		strbuf_printf(out, ", %s, functions from its %s", v->version, how_found(v));
	strbuf_puts(out, ")\n");
	if (!v->attached) {
		strbuf_puts(out, "      not probed: ");
		put_text(out, v->why);
		strbuf_putc(out, '\n');
	}
	for (size_t i = 0; i < p->n_sites; i++) {
		const struct plan_site *s = &p->sites[i];

		if (site_of(s, v))
			strbuf_printf(out, "      %-16s %s+%u  %s  (%s, emulated: cheap)\n",
				      s->program, s->symbol, s->function_offset, s->insn,
				      site_kind_name((enum site_kind)s->kind));
	}
}

/* Root too can be refused: by a sandbox, or by lack of capabilities in a container. */
static void print_unreadable(size_t n, bool is_root, struct strbuf *out)
{
	strbuf_printf(out, "%zu %s could not be looked at: ", n, n == 1 ? "process" : "processes");
	strbuf_puts(out, is_root ? "the system refused it.\n" : "run it as root to see all.\n");
}

static void print_text(const struct config *c, const struct plan *p, size_t unreadable,
		       struct strbuf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_verdicts; i++) {
		const struct plan_verdict *v = &p->verdicts[i];

		if (!config_wants_probe(c, v->probe))
			continue;
		print_verdict(p, v, out);
		n++;
	}
	if (!n && !unreadable)
		strbuf_puts(out, "No program that a probe could be attached to runs now; sonde run "
				 "also finds those that start later.\n");
	if (unreadable)
		print_unreadable(unreadable, geteuid() == 0, out);
}

static json_t *site_json(const struct plan_site *s)
{
	return json_pack("{s:s, s:s, s:I, s:i, s:s, s:s}", "program", s->program, "symbol",
			 s->symbol, "file_offset", (json_int_t)s->file_offset, "function_offset",
			 (int)s->function_offset, "instruction", s->insn, "kind",
			 site_kind_name((enum site_kind)s->kind));
}

static json_t *verdict_json(const struct plan *p, const struct plan_verdict *v)
{
	struct strbuf path = {}, why = {};
	json_t *sites = json_array(), *o;

	for (size_t i = 0; i < p->n_sites; i++)
		if (site_of(&p->sites[i], v))
			json_array_append_new(sites, site_json(&p->sites[i]));
	put_text(&path, v->path);
	put_text(&why, v->why);
	o = json_pack("{s:s, s:s, s:i, s:s, s:b, s:b, s:s, s:o}", "probe", v->probe, "path",
		      strbuf_str(&path), "pid", v->pid, "version", v->version, "stripped",
		      v->stripped, "attach", v->attached, "why", strbuf_str(&why), "sites", sites);
	strbuf_done(&path);
	strbuf_done(&why);
	return o;
}

static void print_json(const struct config *c, const struct plan *p, size_t unreadable,
		       struct strbuf *out)
{
	json_t *list = json_array(),
	       *root = json_pack("{s:o, s:I}", "plan", list, "unreadable", (json_int_t)unreadable);
	char *text;

	for (size_t i = 0; i < p->n_verdicts; i++)
		if (config_wants_probe(c, p->verdicts[i].probe))
			json_array_append_new(list, verdict_json(p, &p->verdicts[i]));
	text = json_dumps(root, JSON_INDENT(2));
	if (text)
		strbuf_printf(out, "%s\n", text);
	free(text);
	json_decref(root);
}

static int look_at(struct discovery *d, const char *pids, struct err *e)
{
	for (const char *p = pids; *p; p += strcspn(p, ","), p += *p == ',') {
		pid_t pid = (pid_t)strtol(p, NULL, 10);

		if (!process_alive("/proc", pid))
			return err_set(e, -ESRCH, "there is no process %d", pid);
		discovery_look(d, &pid, 1);
	}
	return 0;
}

enum exit_status command_plan(const struct config *c)
{
	cleanup(inspector_freep) struct inspector *inspector = NULL;
	struct discovery *d;
	struct strbuf out = {};
	struct err e = {};
	int r = 0;

	inspector = inspector_new(&e);
	d = inspector ? discovery_new("/proc", inspector, NULL) : NULL;
	if (!d) {
		log_error("%s", inspector ? "out of memory" : e.msg);
		return STATUS_FAILED;
	}
	r = *c->pids ? look_at(d, c->pids, &e) : discovery_scan(d, &e);
	if (r < 0) {
		log_error("%s", e.msg);
	} else {
		discovery_apply(d);
		if (c->json)
			print_json(c, discovery_plan(d), discovery_unreadable(d), &out);
		else
			print_text(c, discovery_plan(d), discovery_unreadable(d), &out);
		fputs(strbuf_str(&out), stdout);
	}
	strbuf_done(&out);
	discovery_free(d);
	return r < 0 ? STATUS_FAILED : STATUS_OK;
}
