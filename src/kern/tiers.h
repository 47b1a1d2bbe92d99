/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "kern/object.h"

/*
 * A figure can be had from different hooks on different kernels. A probe lists them, best first, as
 * rows of one table; the first that loads and attaches is taken, the others say why not, and `sonde
 * doctor` shows both.
 */
enum kern_tier { KERN_TIER_AUTO, KERN_TIER_BTF, KERN_TIER_FENTRY, KERN_TIER_KPROBE };

struct kern_hook {
	const char *figure; /* rows of one figure stand together */
	enum kern_tier tier;
	const char *program; /* in the BPF object */
	const char *target;  /* tracepoint or function */
	bool optional;	     /* a figure that kernels may lack without loss */
};

struct kern_hook_state {
	bool attached;
	char why[256]; /* why not, one sentence; "" when attached or not tried */
	struct kern_link *link;
};

const char *kern_tier_name(enum kern_tier t); /* "tp_btf", "fentry", "kprobe" */

/* From "auto", "btf", "fentry", "kprobe"; -EINVAL. */
int kern_tier_parse(const char *s, enum kern_tier *ret);

/*
 * Whether the kernel seems to have the hook, without loading anything; fills @why if not. With @forced
 * other than AUTO, a figure with a row of that tier takes only that row.
 */
bool kern_hook_possible(const struct kern_hook *hooks, size_t n, size_t i, enum kern_tier forced,
			char *why, size_t size);

/*
 * Attaches one hook for every figure of @hooks. @states has @n entries and is filled for all rows;
 * links are released by kern_hooks_detach(). Returns the number of non-optional figures that could
 * not be had, 0 when all is well; -errno when nothing could be tried at all.
 */
int kern_hooks_attach(struct kern_object *o, const struct kern_hook *hooks, size_t n,
		      enum kern_tier forced, struct kern_hook_state *states, struct err *e);
void kern_hooks_detach(struct kern_hook_state *states, size_t n);
