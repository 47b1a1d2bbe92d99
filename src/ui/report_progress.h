/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "model/snapshot.h"

/*
 * Adds "1m10s: 12.3 k exchanges, 205 /s, p50 1.2 ms, p99 3.4 ms", without a newline: the time since
 * @began_ns, the rate since @before (NULL: since then), and the rest of all the time. The same of
 * requests behind it, if there were any, and losses.
 */
void report_progress_render(const struct snapshot *now, const struct snapshot *before,
			    uint64_t began_ns, bool utf8, struct strbuf *out);
