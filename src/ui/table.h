/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/strbuf.h"
#include "ui/rows.h"

/* Lines of words and tables for a terminal of some width. */
struct terminal_style {
	unsigned width, height; /* of the terminal; at least 40 and 10 are assumed */
	bool color, utf8;
	const char *host_name;
};

/* A line of words, cut to the width of the terminal; @escape where there are colours. */
void style_line(const struct terminal_style *style, const char *escape, const char *text,
		struct strbuf *out);

/* What of a row is in a column; the first are text, on the left. */
enum figure {
	COLUMN_SERVICE,
	COLUMN_KIND,
	COLUMN_PEER,
	COLUMN_NUMBER,
	COLUMN_RATE,
	COLUMN_P50,
	COLUMN_P99,
	COLUMN_QUEUE,
	COLUMN_SENT,
	COLUMN_RECEIVED,
	COLUMN_COUNT,
	COLUMN_P75,
	COLUMN_P90,
	COLUMN_P95,
	COLUMN_P999,
	COLUMN_MEAN,
	COLUMN_MAX,
};

struct column {
	const char *title;
	enum figure figure;
	unsigned width; /* 0: a share of what the others leave, for two columns at most */
	unsigned from;	/* shown on terminals at least that wide */
	unsigned most;	/* of a share; 0: 40 */
};

/*
 * A blank line, the titles of @columns (ended by one without a title), and at most @lines lines; what
 * is left out is told in the last one.
 */
void table_draw(const struct column *columns, const struct rows *rows, size_t lines,
		const struct terminal_style *style, struct strbuf *out);
