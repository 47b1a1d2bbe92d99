// SPDX-License-Identifier: Apache-2.0
#include "agent/trace_silence.h"

#include <string.h>

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

/* The options that choose what is measured, if any was given: "--port and --peer". */
static bool add_chosen(const struct config *c, struct strbuf *out)
{
	static const char *const keys[] = { "port",    "peer",	  "role",      "sample", "pid",
					    "command", "service", "container", "cgroup" };
	char flag[OPT_NAME_MAX];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct opt *o = opt_find(keys[i]);

		if (c->layer[o - opts] > LAYER_DEFAULT)
			strbuf_printf(out, "%s%s", n++ ? " and " : "", opt_flag_name(o, flag));
	}
	return n;
}

void trace_silence(const struct config *c, const struct snapshot *s, struct strbuf *out)
{
	cleanup(strbuf_done) struct strbuf chosen = {};
	char bound[DURATION_TEXT_MAX], slowest[UNIT_TEXT_MAX];
	struct seen seen = {};

	add_seen(&seen, s, "tcp.client.exchange.duration");
	add_seen(&seen, s, "tcp.server.exchange.duration");
	strbuf_puts(out, "nothing to show so far: ");
	if (!seen.n && add_chosen(c, &chosen)) {
		strbuf_printf(out, "no exchange that %s let%s through has ended since the start",
			      strbuf_str(&chosen), strchr(strbuf_str(&chosen), ' ') ? "" : "s");
		return;
	}
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
