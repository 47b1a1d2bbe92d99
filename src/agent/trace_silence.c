// SPDX-License-Identifier: Apache-2.0
#include "agent/trace_silence.h"

#include "agent/options_value.h"
#include "base/cleanup.h"
#include "ui/text.h"

struct seen {
	uint64_t n, max_ns;
};

static void add_seen(struct seen *seen, const struct snapshot *s, const char *name)
{
	const struct snap_metric *m = snapshot_find(s, name);

	for (size_t i = 0; m && i < m->n_series; i++) {
		const struct hist *h = m->series[i].hist;
		uint64_t n = hist_count(h);

		seen->n += n;
		if (n && h->max_ns > seen->max_ns)
			seen->max_ns = h->max_ns;
	}
}

void trace_silence(const struct config *c, const struct snapshot *s, struct strbuf *out)
{
	char bound[DURATION_TEXT_MAX], slowest[UNIT_TEXT_MAX];
	struct seen seen = {};

	add_seen(&seen, s, "tcp.client.exchange.duration");
	add_seen(&seen, s, "tcp.server.exchange.duration");
	strbuf_puts(out, "nothing to show so far: ");
	if (!seen.n) {
		strbuf_puts(out, "no exchange has ended since the start; 'sonde doctor' says "
				 "whether all hooks work");
		return;
	}
	strbuf_printf(out, "%llu exchange%s ended since the start, ", (unsigned long long)seen.n,
		      seen.n == 1 ? " has" : "s have");
	unit_seconds((double)seen.max_ns / 1e9, true, slowest);
	if (c->events && !(c->events & EVENTS_EXCHANGES))
		strbuf_puts(out, "which --events leaves out");
	else if (c->slower_than_ns && seen.max_ns < c->slower_than_ns)
		strbuf_printf(out, "the slowest in %s: none took %s (--slower-than)", slowest,
			      duration_text(c->slower_than_ns, bound));
	else
		strbuf_puts(out, "and none of them was told singly yet");
}
