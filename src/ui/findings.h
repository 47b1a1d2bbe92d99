/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/finding.h"
#include "model/snapshot.h"
#include "ui/table.h"

/*
 * Adds to @all what the figures of TCP say where their evidence is clear; most of it needs details
 * (--tcp.detail). Of each kind the worst are told, FINDINGS_OF_A_KIND of them at most, and the rest
 * counted. O(n log n) in series. Pure. -ENOMEM.
 *
 *   where_time_goes  the client's exchanges that took most time together: network, other end, itself
 *   nagle            exchanges that waited for a delayed acknowledgement
 *   zero_window      a receive window was used up: who does not read
 *   retransmission   segments that were sent again: by what
 *   connect_failed   connections that came to nothing: by what
 *   accept_queue     connections that a listener had no room for
 *   pool_churn       connections that are made for an exchange each
 *   close_wait       connections that their owner forgets to close
 */
int findings_tcp(const struct snapshot *s, struct findings *all);

/*
 * Adds a paragraph for each of the ten worst, broken into lines of the style's width, and how many
 * there are besides; nothing if there is none. No kind has two before each has one.
 */
void findings_render(const struct findings *all, const struct terminal_style *style,
		     struct strbuf *out);
