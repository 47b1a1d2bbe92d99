/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/connections.h"
#include "model/finding.h"
#include "ui/table.h"

/* What a person reads of a report: a page at its end. Pure: figures in, text out. */
struct report_summary {
	const struct snapshot *snapshot;
	double seconds;			 /* that the figures cover */
	struct connections *connections; /* NULL: TCP was not measured */
	const struct findings *findings; /* NULL: nobody looked */
	bool chosen;			 /* not everything was asked for */
	bool detail;			 /* failures, repetitions and resets were looked for */
};

/*
 * Adds the page. Lines have at most style->width columns, its height means nothing: services and
 * connections are bounded by themselves. Without memory @out is failed.
 */
void report_summary_render(const struct report_summary *r, const struct terminal_style *style,
			   struct strbuf *out);
