// SPDX-License-Identifier: Apache-2.0
#include "plan/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf/elf.h"

static void *append(void **list, size_t *n, size_t size)
{
	/* Grown by one: lists are as long as there are programs on the machine. */
	char *more = realloc(*list, (*n + 1) * size);

	if (!more)
		return NULL;
	*list = more;
	more += (*n)++ * size;
	memset(more, 0, size);
	return more;
}

static const struct gobin_function *find_function(const struct gobin *go, const char *name,
						  const char *const *symbols, size_t n_symbols)
{
	for (size_t i = 0; i < n_symbols && i < go->n_functions; i++)
		if (strcmp(symbols[i], name) == 0)
			return &go->functions[i];
	return NULL;
}

static bool version_in(const struct gobin *go, const struct plan_want_site *s)
{
	return go->minor >= s->min_minor && go->minor <= s->max_minor;
}

/* Why @f cannot be probed as a whole; false if it can. */
static bool refuse_file(const struct plan *p, const struct plan_want *want,
			const struct plan_file *f, char *why, size_t size)
{
	const struct gobin *go = f->go;

	if (go->machine != p->machine)
		snprintf(why, size, "it is built for %s, this machine is %s",
			 elf_machine_name(go->machine), elf_machine_name(p->machine));
	else if (!go->major)
		snprintf(why, size, "the binary does not tell its Go version");
	else if (go->major != 1 || go->minor < want->min_minor)
		snprintf(why, size, "%s is older than Go 1.%u: rebuild it with a newer Go",
			 go->version, want->min_minor);
	else
		return false;
	return true;
}

static bool refuse_site(const struct plan_want_site *s, const struct gobin_function *fn, char *why,
			size_t size)
{
	if (!fn || !fn->address)
		snprintf(why, size, "the binary has no function %s", s->symbol);
	else if (!fn->site.file_offset)
		snprintf(why, size, "%s: %s", s->symbol, fn->site.why);
	else
		return false;
	return true;
}

static int add_sites(struct plan *p, const struct plan_want *want, const struct plan_file *f,
		     const char *const *symbols, size_t n_symbols)
{
	for (const struct plan_want_site *s = want->sites; s->symbol; s++) {
		const struct gobin_function *fn;
		struct plan_site *site;

		if (!version_in(f->go, s))
			continue;
		fn = find_function(f->go, s->symbol, symbols, n_symbols);
		site = append((void **)&p->sites, &p->n_sites, sizeof(*site));
		if (!site)
			return -ENOMEM;
		site->file = f->id;
		site->probe = want->probe;
		site->program = s->program;
		site->symbol = s->symbol;
		site->file_offset = fn->site.file_offset;
		site->cookie = s->cookie;
		site->function_offset = fn->site.function_offset;
		site->kind = fn->site.kind;
		memcpy(site->insn, fn->site.insn, sizeof(site->insn));
	}
	return 0;
}

int plan_add(struct plan *p, const struct plan_want *want, const struct plan_file *f,
	     const char *const *symbols, size_t n_symbols)
{
	const struct gobin_function *mark;
	struct plan_verdict *v;

	if (!f->go && !f->error)
		return 0;
	if (f->go) {
		mark = find_function(f->go, want->mark, symbols, n_symbols);
		if (!mark || !mark->address)
			return 0;
	}
	v = append((void **)&p->verdicts, &p->n_verdicts, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->file = f->id;
	v->probe = want->probe;
	v->pid = f->pid;
	snprintf(v->path, sizeof(v->path), "%s", f->path);
	if (!f->go) {
		snprintf(v->why, sizeof(v->why), "%s", f->error);
		return 0;
	}
	memcpy(v->version, f->go->version, sizeof(v->version));
	v->source = f->go->source;
	v->stripped = f->go->stripped;
	if (refuse_file(p, want, f, v->why, sizeof(v->why)))
		return 0;
	for (const struct plan_want_site *s = want->sites; s->symbol; s++)
		if (version_in(f->go, s) &&
		    refuse_site(s, find_function(f->go, s->symbol, symbols, n_symbols), v->why,
				sizeof(v->why)))
			return 0;
	v->attached = true;
	return add_sites(p, want, f, symbols, n_symbols);
}

void plan_done(struct plan *p)
{
	free(p->sites);
	free(p->verdicts);
	*p = (struct plan){};
}

static bool same_group(const struct plan_site *a, const struct plan_site *b)
{
	return file_id_equal(&a->file, &b->file) && strcmp(a->probe, b->probe) == 0;
}

size_t plan_group(const struct plan *p, const struct plan_site *s)
{
	const struct plan_site *end = p->sites + p->n_sites, *next = s + 1;

	if (s > p->sites && same_group(s - 1, s))
		return 0;
	while (next < end && same_group(s, next))
		next++;
	return (size_t)(next - s);
}

static bool same_site(const struct plan_site *a, const struct plan_site *b)
{
	return file_id_equal(&a->file, &b->file) && a->file_offset == b->file_offset &&
	       strcmp(a->program, b->program) == 0 && strcmp(a->probe, b->probe) == 0;
}

static bool has_site(const struct plan *p, const struct plan_site *s)
{
	for (size_t i = 0; i < p->n_sites; i++)
		if (same_site(&p->sites[i], s))
			return true;
	return false;
}

int plan_diff(const struct plan *have, const struct plan *want,
	      int (*detach)(const struct plan_site *s, void *arg),
	      int (*attach)(const struct plan_site *s, void *arg), void *arg)
{
	int r = 0;

	for (size_t i = 0; detach && !r && i < have->n_sites; i++)
		if (!has_site(want, &have->sites[i]))
			r = detach(&have->sites[i], arg);
	for (size_t i = 0; attach && !r && i < want->n_sites; i++)
		if (!has_site(have, &want->sites[i]))
			r = attach(&want->sites[i], arg);
	return r;
}
