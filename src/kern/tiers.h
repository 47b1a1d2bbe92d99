/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "kern/object.h"

/*
 * A figure can be had from different hooks on different kernels. A probe lists them, best first, as
 * rows of one table; the first that loads and attaches is taken, the others say why not, and `sonde
 * doctor` shows both.
 */
enum kern_tier {
	KERN_TIER_AUTO,
	KERN_TIER_BTF,	  /* tracepoint with typed arguments */
	KERN_TIER_FENTRY, /* function with typed arguments */
	KERN_TIER_KPROBE, /* function */
	KERN_TIER_RAW,	  /* tracepoint, for kernels without BTF; cannot be forced */
};

struct kern_hook {
	const char *figure; /* rows of one figure stand together */
	enum kern_tier tier;
	const char *program; /* in the BPF object */
	const char *target;  /* tracepoint or function */
	bool optional;	     /* a figure that kernels may lack without loss */
	bool untyped;	     /* reads no kernel types: works where nothing describes them */
	bool hot;	     /* runs once in each exchange, for each side */
};

#define KERN_MAX_HOOKS 32

struct kern_hook_state {
	bool attached;
	bool failed;   /* it seemed possible, and was refused */
	char why[256]; /* why not, one sentence; "" when attached or not tried */
	struct kern_link *link;
};

const char *kern_tier_name(enum kern_tier t); /* "tp_btf", "fentry", "kprobe", "raw_tp" */

/* From "auto", "btf", "fentry", "kprobe"; -EINVAL. */
int kern_tier_parse(const char *s, enum kern_tier *ret);

/*
 * Attaches one hook for every figure of @hooks, or of the hot ones only. With @forced other than AUTO, a
 * figure with a row of that tier takes only that row. @states has @n entries and is filled for all
 * rows; links are released by kern_hooks_detach(). Returns the number of non-optional figures that
 * could not be had, 0 when all is well; -errno when nothing could be tried at all.
 */
int kern_hooks_attach(struct kern_object *o, const struct kern_hook *hooks, size_t n,
		      enum kern_tier forced, bool hot_only, struct kern_hook_state *states,
		      struct err *e);
void kern_hooks_detach(struct kern_hook_state *states, size_t n);
