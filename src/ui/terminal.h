/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/strbuf.h"
#include "model/snapshot.h"
#include "ui/table.h"

/*
 * The live summary of `sonde run`, drawn again and again over itself. Pure: snapshots in, text out;
 * the caller owns the terminal. The normal screen is used, not the alternate one, so that the last
 * table stays in view when sonde ends.
 */
#define TERMINAL_OPEN  "\x1b[?25l\x1b[2J\x1b[H" /* hides the cursor, empties the screen */
#define TERMINAL_CLOSE "\x1b[?25h"		/* also fit for a signal handler */

/*
 * Adds one screen: at most height - 1 lines, each of at most width columns and ended by a newline.
 * Rates and quantiles are those of the time between @before and @now; of all the time with @before
 * NULL. Conversations come by rate, then by name. Losses, when there are any, are told above the
 * tables. Without memory @out is failed.
 */
void terminal_render(const struct snapshot *now, const struct snapshot *before,
		     const struct terminal_style *style, struct strbuf *out);

/* Adds what draws @screen, as terminal_render made it, over the one before; needs no clearing. */
void terminal_redraw(const struct strbuf *screen, struct strbuf *out);

/* A promise: what is not in the figures is told above them. Adds a line if there is anything. */
bool terminal_losses(const struct snapshot *now, const struct terminal_style *style,
		     struct strbuf *out);

/* The number of such events; "12 tcp no_series, 3 http unreadable" is added to @parts. */
uint64_t terminal_lost(const struct snapshot *now, struct strbuf *parts);
