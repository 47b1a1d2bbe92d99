/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/strbuf.h"
#include "model/finding.h"
#include "model/snapshot.h"

/*
 * Runs rules over a snapshot and gathers what they find: findings.c has the rules. A conversation is
 * what one service has with one peer at one port.
 */
struct finder {
	const struct snapshot *snapshot;
	struct findings *all;
	struct finding now;	   /* the one that is being put together */
	struct strbuf text;	   /* its text */
	struct finder_view *views; /* metrics by conversation, made when they are asked for */
	int err;
};

struct rule {
	const char *metric; /* it looks at the series of this one */
	const char *kind;   /* and finds this */
	bool once;	    /* one series of a conversation stands for all of them */
	size_t most; /* so many are told, the worst; 0: FINDINGS_OF_A_KIND, and the rest counted */
	/* How bad it is; 0: nothing to tell. */
	double (*weigh)(struct finder *f, const struct snap_series *s);
	/* Adds to f->text and, by finder_evidence(), to what it rests on. */
	void (*tell)(struct finder *f, const struct snap_series *s);
};

/* Adds what @rule finds to f->all, worst first. What fails is in f->err. */
void finder_run(struct finder *f, const struct rule *rule);
void finder_done(struct finder *f);

/* Keeps at most FINDING_MAX_EVIDENCE; @key is static. */
void finder_evidence(struct finder *f, const char *key, double value);

/*
 * The values of metric @name in the conversation of @like added up: of the series whose attribute
 * @key is @value, or of all with @key NULL. Histograms count their values. O(log n) but for the
 * series of that conversation.
 */
double finder_sum(struct finder *f, const char *name, const struct snap_series *like,
		  const char *key, const char *value);

/* The same of histograms: their sums, in seconds. */
double finder_seconds(struct finder *f, const char *name, const struct snap_series *like,
		      const char *key, const char *value);

bool finder_is(const struct snap_series *s, const char *key, const char *value);
