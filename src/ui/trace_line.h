/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/strbuf.h"
#include "model/event.h"

/*
 * Single events as lines for people: when, who, with whom, how long, and where the time went. Pure:
 * events in, text out. Nothing is cut but names of services: a line is as long as what it says.
 */
struct trace_style {
	bool color, utf8;
	uint64_t slow_ns; /* exchanges from here on stand out */
	/* Widths of columns, which grow with what they hold; zeroed, they begin with what is usual. */
	unsigned service, local, peer;
};

/* Adds the titles of the columns. */
void trace_header(struct trace_style *style, struct strbuf *out);

/*
 * Adds the line of @ev, which ended at @wall_ns since the epoch; its clock is @utc_offset_s seconds
 * before UTC's. The arrow between local and peer address points at the server.
 */
void trace_line(struct trace_style *style, const struct event *ev, uint64_t wall_ns,
		long utc_offset_s, struct strbuf *out);
