/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "model/metric.h"

/* What the figures say in plain words, and the figures that say it. */
#define FINDING_MAX_EVIDENCE 8

/* The worst so many of a kind are told, or a machine with many dead peers would fill a book. */
#define FINDINGS_OF_A_KIND 125

struct finding {
	const char *kind; /* static: "nagle", "zero_window", "retransmission", ... */
	char *service;	  /* "" if it is the machine's */
	char *peer;	  /* "" if it is not of one */
	long port;	  /* 0: of none */
	char *text;	  /* sentences: what, how much, what to do */
	struct attr evidence[FINDING_MAX_EVIDENCE]; /* numbers; keys are static */
	size_t n_evidence;
};

/* Those of a kind stand together, the worst first. */
struct findings {
	struct finding *list;
	size_t n, room;
	size_t omitted; /* found beyond FINDINGS_OF_A_KIND */
};

/* Adds one with its texts copied from @f. -ENOMEM. */
int findings_add(struct findings *all, const struct finding *f);
void findings_done(struct findings *all);
