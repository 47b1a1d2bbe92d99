// SPDX-License-Identifier: Apache-2.0
#include "ui/report_progress.h"

#include <math.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "model/exchanges.h"
#include "ui/terminal.h"
#include "ui/text.h"

#define REQUESTS "http.server.request.duration"

static void progress_of(const struct hist *now, const struct hist *before, double seconds,
			const char *what, bool utf8, struct strbuf *out)
{
	char count[UNIT_TEXT_MAX], rate[UNIT_TEXT_MAX], p50[UNIT_TEXT_MAX], p99[UNIT_TEXT_MAX];
	uint64_t n = hist_count(now);

	strbuf_printf(
		out, "%s %s%s, %s, p50 %s, p99 %s", unit_count((double)n, count), what,
		n == 1 ? "" : "s",
		unit_rate(seconds > 0 ? (double)(n - hist_count(before)) / seconds : NAN, rate),
		unit_seconds(hist_quantile(now, 0.5), utf8, p50),
		unit_seconds(hist_quantile(now, 0.99), utf8, p99));
}

void report_progress_render(const struct snapshot *now, const struct snapshot *before,
			    uint64_t began_ns, bool utf8, struct strbuf *out)
{
	uint64_t from = before ? before->time_ns : began_ns, lost;
	double seconds = now->time_ns > from ? (double)(now->time_ns - from) / NSEC_PER_SEC : 0;
	char text[UNIT_TEXT_MAX];
	struct hist h = {}, h_before = {};
	struct exchanges x, x_before = {};
	cleanup(strbuf_done) struct strbuf parts = {};

	exchanges_of(now, &x);
	exchanges_add(now, REQUESTS, &h);
	if (before) {
		exchanges_of(before, &x_before);
		exchanges_add(before, REQUESTS, &h_before);
	}
	strbuf_printf(out,
		      "%s: ", unit_elapsed((double)(now->time_ns - began_ns) / NSEC_PER_SEC, text));
	if (snapshot_find(now, "tcp.client.exchange.duration"))
		progress_of(&x.all, &x_before.all, seconds, "exchange", utf8, out);
	if (hist_count(&h)) {
		strbuf_puts(out, snapshot_find(now, "tcp.client.exchange.duration") ? "; " : "");
		progress_of(&h, &h_before, seconds, "request", utf8, out);
	}
	lost = terminal_lost(now, &parts);
	if (lost)
		strbuf_printf(out, "; LOST: %s", unit_count((double)lost, text));
}
