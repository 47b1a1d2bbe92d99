// SPDX-License-Identifier: Apache-2.0
#include "kern/tiers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "kern/btf.h"
#include "kern/features.h"

static const char *const names[] = {
	[KERN_TIER_AUTO] = "auto",     [KERN_TIER_BTF] = "tp_btf", [KERN_TIER_FENTRY] = "fentry",
	[KERN_TIER_KPROBE] = "kprobe", [KERN_TIER_RAW] = "raw_tp",
};

const char *kern_tier_name(enum kern_tier t)
{
	return names[t];
}

int kern_tier_parse(const char *s, enum kern_tier *ret)
{
	if (strcmp(s, "btf") == 0)
		s = names[KERN_TIER_BTF];
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(s, names[i]) == 0) {
			*ret = (enum kern_tier)i;
			return 0;
		}
	}
	return -EINVAL;
}

static bool figure_has_tier(const struct kern_hook *hooks, size_t n, const char *figure,
			    enum kern_tier tier)
{
	for (size_t i = 0; i < n; i++)
		if (hooks[i].tier == tier && strcmp(hooks[i].figure, figure) == 0)
			return true;
	return false;
}

static bool is_function(const struct kern_hook *h)
{
	return h->tier == KERN_TIER_FENTRY || h->tier == KERN_TIER_KPROBE;
}

static bool needs_btf(const struct kern_hook *h)
{
	return h->tier == KERN_TIER_BTF || h->tier == KERN_TIER_FENTRY;
}

/* Whether the kernel seems to have hook @i, without loading anything; fills @why if not. */
static bool possible(const struct kern_hook *hooks, size_t n, size_t i, enum kern_tier forced,
		     bool in_btf, char *why, size_t size)
{
	const struct kern_hook *h = &hooks[i];
	bool reads = (h->tier == KERN_TIER_KPROBE || h->tier == KERN_TIER_RAW) && !h->untyped;

	if (forced != KERN_TIER_AUTO && h->tier != forced &&
	    figure_has_tier(hooks, n, h->figure, forced))
		snprintf(why, size, "the tier %s was asked for", names[forced]);
	else if (h->tier == KERN_TIER_KPROBE && !kern_has(KERN_KPROBE))
		snprintf(why, size, "this kernel does not let kprobes attach");
	else if (needs_btf(h) && !kern_has(KERN_BTF))
		snprintf(why, size, "this kernel has no BTF");
	else if (h->tier == KERN_TIER_FENTRY && !kern_has(KERN_FENTRY))
		snprintf(why, size, "this kernel does not let fentry programs attach");
	else if (reads && !kern_has(KERN_READ_KERNEL))
		snprintf(why, size, "lockdown=confidentiality forbids to read kernel memory");
	else if (reads && kern_types() == KERN_TYPES_NONE)
		snprintf(why, size, "this kernel has no BTF: give a file with it, --btf FILE");
	else if (!in_btf && (needs_btf(h) || (h->optional && kern_has(KERN_BTF))))
		snprintf(why, size, "this kernel has no %s %s",
			 is_function(h) ? "function" : "tracepoint", h->target);
	else
		return true;
	return false;
}

/* Whether the kernel's BTF names the target of each hook. */
static void find_targets(const struct kern_hook *hooks, size_t n, bool *in_btf)
{
	struct kern_type_query queries[KERN_MAX_HOOKS] = {};

	for (size_t i = 0; i < n; i++) {
		queries[i].kind =
			hooks[i].tier == KERN_TIER_BTF ? KERN_TYPE_TRACEPOINT : KERN_TYPE_FUNCTION;
		queries[i].name = hooks[i].target;
	}
	if (kern_types() == KERN_TYPES_KERNEL)
		kern_types_find(queries, n);
	for (size_t i = 0; i < n; i++)
		in_btf[i] = queries[i].found;
}

static int attach_hook(struct kern_object *o, const struct kern_hook *h, struct kern_hook_state *st)
{
	struct kern_program *p;
	struct err e = {};
	bool loaded;
	int r;

	r = kern_program_load(o, h->program, &p, &e);
	loaded = !r;
	if (loaded)
		r = kern_program_attach(p, &st->link, &e);
	if (r == -ENOENT && loaded)
		snprintf(st->why, sizeof(st->why), "this kernel has no %s %s",
			 is_function(h) ? "function" : "tracepoint", h->target);
	else if (r < 0)
		snprintf(st->why, sizeof(st->why), "%.*s", (int)sizeof(st->why) - 1, e.msg);
	st->attached = !r;
	st->failed = r < 0;
	return r;
}

int kern_hooks_attach(struct kern_object *o, const struct kern_hook *hooks, size_t n,
		      enum kern_tier forced, bool hot_only, struct kern_hook_state *states,
		      struct err *e)
{
	bool had = false, in_btf[KERN_MAX_HOOKS];
	int missing = 0;

	if (n > KERN_MAX_HOOKS)
		return err_set(e, -E2BIG, "a probe has more than %d hooks", KERN_MAX_HOOKS);
	find_targets(hooks, n, in_btf);
	memset(states, 0, n * sizeof(*states));
	for (size_t i = 0; i < n; i++) {
		const char *figure = hooks[i].figure;
		bool first = i == 0 || strcmp(hooks[i - 1].figure, figure) != 0;
		bool last = i + 1 == n || strcmp(hooks[i + 1].figure, figure) != 0;

		if (hot_only && !hooks[i].hot)
			continue;
		if (first)
			had = false;
		if (!had &&
		    possible(hooks, n, i, forced, in_btf[i], states[i].why, sizeof(states[i].why)))
			had = attach_hook(o, &hooks[i], &states[i]) == 0;
		if (last && !had && !hooks[i].optional) {
			missing++;
			err_set(e, -ENOTSUP, "%s: %s", figure, states[i].why);
		}
	}
	return missing;
}

void kern_hooks_detach(struct kern_hook_state *states, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		kern_link_free(states[i].link);
		states[i].link = NULL;
		states[i].attached = false;
	}
}
