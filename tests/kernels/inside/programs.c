// SPDX-License-Identifier: Apache-2.0
/*
 * Loads, and where possible attaches, every program of the kernel half by itself, and says how that
 * went:
 *     PROGRAM object.program ok INSTRUCTIONS WALKED
 *     PROGRAM object.program no WHY
 * Instructions are those of the program as the kernel runs it, WALKED those that its verifier went
 * through.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "inside.h"
#include "kern/features.h"
#include "kern/tiers.h"
#include "probe/probe.h"
#include "probe/tcp_filter.h"

KERN_IMAGE_DECLARE(process);
KERN_IMAGE_DECLARE(types);

/*
 * Those of no probe: the agent's own. The programs of features.bpf.c are not here, because that some
 * of them do not load is what they are for; doctor says which.
 */
static const struct kern_image others[] = { KERN_IMAGE(process), KERN_IMAGE(types) };

/* Whether the row of its probe says that a program reads no kernel types. */
static bool is_untyped(const char *name)
{
	for (size_t i = 0; probes[i]; i++)
		for (size_t j = 0; j < probes[i]->n_hooks; j++)
			if (strcmp(probes[i]->hooks[j].program, name) == 0)
				return probes[i]->hooks[j].untyped;
	/* The one program of those of no probe; its row is the agent's and not to be seen here. */
	return strcmp(name, "sn_proc_exec") == 0;
}

/* The hook that a section's name stands for; false if it is none on a kernel event. */
static bool hook_of(const struct bpf_program *p, struct kern_hook *ret)
{
	static const struct {
		const char *prefix;
		enum kern_tier tier;
	} prefixes[] = {
		{ "tp_btf/", KERN_TIER_BTF },	  { "fentry/", KERN_TIER_FENTRY },
		{ "fexit/", KERN_TIER_FENTRY },  { "kprobe/", KERN_TIER_KPROBE },
		{ "raw_tp/", KERN_TIER_RAW },
	};
	const char *section = bpf_program__section_name(p);

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t len = strlen(prefixes[i].prefix);

		if (strncmp(section, prefixes[i].prefix, len) == 0) {
			*ret = (struct kern_hook){ "only", prefixes[i].tier, bpf_program__name(p),
						   section + len,
						   .untyped = is_untyped(bpf_program__name(p)) };
			return true;
		}
	}
	return false;
}

static void take_nothing(const struct event *ev, void *arg)
{
}

/* As much as there is room for. */
static void choose(struct sn_tcp_filter *f)
{
	tcp_filter_ports("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16-65535", f);
	tcp_filter_peers("1.0.0.0/8,2.0.0.0/8,3.0.0.0/8,4.0.0.0/8,5.0.0.0/8,6.0.0.0/8,7.0.0.0/8,"
			 "2001::/16,2002::/16,2003::/16,2004::/16,2005::/16,2006::/16,2007::/16,"
			 "0.0.0.0/0,::/0",
			 f);
	tcp_filter_finish(TCP_SHARE_ALL / 2, SN_TCP_SERVER, f);
}

/* As its probe would open it for a hook of that tier, with everything that can be asked of it. */
static int open_object(const struct kern_image *image, enum kern_tier tier,
		       struct kern_object **ret, struct err *e)
{
	const struct probe *probe = probe_find(image->name);
	struct probe_env env = {
		.proc = "/proc",
		.tier = tier,
		.detail = true,
		.by_process = true,
		.singles = { true, true, true, .sink.take = take_nothing },
	};
	bool untyped = tier == KERN_TIER_KPROBE || tier == KERN_TIER_RAW;
	int r = kern_object_open(image, ret, e);

	if (r < 0)
		return r;
	choose(&env.tcp_filter);
	kern_object_count(*ret);
	if (probe && probe->configure)
		r = probe->configure(*ret, &env, untyped, e);
	return r < 0 ? r : kern_object_create(*ret, e);
}

static bool is_combined(const char *name)
{
	for (size_t i = 0; probes[i]; i++)
		if (probes[i]->want && probes[i]->want->combined &&
		    strcmp(probes[i]->want->combined, name) == 0)
			return true;
	return false;
}

static int try_program(struct kern_object *o, const char *name, const struct kern_hook *hook,
		       struct err *e)
{
	struct kern_hook_state state;
	struct kern_program *p;

	if (is_combined(name) && !kern_has(KERN_UPROBE_MULTI))
		return err_set(e, -1, "this kernel has no uprobe_multi links");
	if (!hook)
		return kern_program_load(o, name, &p, e);
	if (kern_hooks_attach(o, hook, 1, KERN_TIER_AUTO, false, &state, e) != 0)
		return err_set(e, -1, "%s", state.why);
	kern_hooks_detach(&state, 1);
	return 0;
}

static void examine(const struct kern_image *image, const struct bpf_program *p)
{
	const char *name = bpf_program__name(p);
	uint32_t insns = 0, walked = 0;
	struct kern_object *o = NULL;
	struct kern_program *loaded;
	struct kern_hook hook;
	bool hooks = hook_of(p, &hook);
	struct err e = {};

	if (open_object(image, hooks ? hook.tier : KERN_TIER_AUTO, &o, &e) < 0 ||
	    try_program(o, name, hooks ? &hook : NULL, &e) != 0) {
		printf("PROGRAM %s.%s no %s\n", image->name, name, e.msg);
	} else if (kern_program_load(o, name, &loaded, &e) < 0 ||
		   kern_program_size(loaded, &insns, &walked) < 0) {
		printf("PROGRAM %s.%s no it loads, and its cost cannot be had: %s\n", image->name,
		       name, e.msg);
	} else {
		printf("PROGRAM %s.%s ok %u %u\n", image->name, name, insns, walked);
	}
	kern_object_close(o);
}

static int examine_image(const struct kern_image *image)
{
	struct bpf_object *o =
		bpf_object__open_mem(image->start, (size_t)(image->end - image->start), NULL);
	struct bpf_program *p;

	if (!o)
		return 1;
	bpf_object__for_each_program(p, o)
	{
		/* Those are for the tests of their functions alone. */
		if (strcmp(bpf_program__section_name(p), "syscall") != 0)
			examine(image, p);
	}
	bpf_object__close(o);
	return 0;
}

int inside_programs(int argc, char **argv)
{
	int r = 0;

	for (size_t i = 0; !r && probes[i]; i++)
		r = examine_image(&probes[i]->image);
	for (size_t i = 0; !r && i < ARRAY_SIZE(others); i++)
		r = examine_image(&others[i]);
	return r;
}
