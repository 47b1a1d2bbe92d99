// SPDX-License-Identifier: Apache-2.0
#include "ui/trace_line.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ui/text.h"

#define NSEC   1000000000ULL

#define YELLOW "\x1b[1;33m"

/* "[ffff:...:ffff]:65535" is 47; a line of IPv4 conversations fits 120 columns as a rule. */
#define SERVICE_MIN 16
#define SERVICE_MAX 32
#define ADDRESS_MIN 15
#define ADDRESS_MAX 47
#define ROLE	    6
#define DURATION    7

/* ---- attributes ---- */

static const char *text_of(const struct event *ev, const char *key)
{
	const struct attr *a = event_attr(ev, key);

	return a && a->type == ATTR_STRING ? a->str : "";
}

/* -1: it has none. */
static int64_t number_of(const struct event *ev, const char *key)
{
	const struct attr *a = event_attr(ev, key);

	return a && a->type == ATTR_INT ? a->num : -1;
}

/* NAN: it has none. */
static double seconds_of(const struct event *ev, const char *key)
{
	const struct attr *a = event_attr(ev, key);

	return a && a->type == ATTR_DOUBLE ? a->real : NAN;
}

static bool is(const struct event *ev, const char *name)
{
	return strcmp(ev->name, name) == 0;
}

/* ---- columns ---- */

static void color(const struct trace_style *style, const char *escape, struct strbuf *out)
{
	if (style->color)
		strbuf_puts(out, escape);
}

static void widen(unsigned *width, size_t needed, unsigned least, unsigned most)
{
	if (*width < least)
		*width = least;
	if (needed > *width)
		*width = needed < most ? (unsigned)needed : most;
}

static void clock_cell(uint64_t wall_ns, long utc_offset_s, struct strbuf *out)
{
	unsigned long long s = wall_ns / NSEC + (unsigned long long)(utc_offset_s + 86400);

	strbuf_printf(out, "%02llu:%02llu:%02llu.%06llu  ", s / 3600 % 24, s / 60 % 60, s % 60,
		      (unsigned long long)(wall_ns % NSEC / 1000));
}

/* A name that is too long is cut before its pid. */
static void service_cell(struct trace_style *style, const struct event *ev, struct strbuf *out)
{
	const char *name = *ev->service ? ev->service : text_of(ev, "process.command");
	int64_t n = number_of(ev, "process.pid");
	char pid[32] = "";
	size_t len, used;

	if (!*name)
		name = "(unknown)";
	if (n > 0)
		snprintf(pid, sizeof(pid), "[%lld]", (long long)n);
	len = strlen(pid);
	widen(&style->service, text_width(name, style->utf8) + len, SERVICE_MIN, SERVICE_MAX);
	used = text_add(out, name, style->service - len, style->utf8);
	strbuf_puts(out, pid);
	strbuf_printf(out, "%*s", (int)(style->service - used - len) + 2, "");
}

/* "10.0.3.9:8080", "[::1]:80"; "-" if the event does not say. */
static void address(const struct event *ev, const char *end, char *buf, size_t size)
{
	char key[64];
	const char *host;
	int64_t port;
	int n;

	snprintf(key, sizeof(key), "network.%s.address", end);
	host = text_of(ev, key);
	snprintf(key, sizeof(key), "network.%s.port", end);
	port = number_of(ev, key);
	if (!*host) {
		snprintf(buf, size, "-");
		return;
	}
	n = snprintf(buf, size, strchr(host, ':') ? "[%s]" : "%s", host);
	if (port >= 0 && n > 0 && (size_t)n < size)
		snprintf(buf + n, size - (size_t)n, ":%lld", (long long)port);
}

static void conversation_cells(struct trace_style *style, const struct event *ev,
			       struct strbuf *out)
{
	const char *role = text_of(ev, "tcp.role");
	const char *arrow = strcmp(role, "client") == 0	  ? " -> "
			    : strcmp(role, "server") == 0 ? " <- "
							  : " -- ";
	char local[96], peer[96];

	address(ev, "local", local, sizeof(local));
	address(ev, "peer", peer, sizeof(peer));
	widen(&style->local, text_width(local, style->utf8), ADDRESS_MIN, ADDRESS_MAX);
	widen(&style->peer, text_width(peer, style->utf8), ADDRESS_MIN, ADDRESS_MAX);
	text_cell(out, *role ? role : "-", ROLE, false, style->utf8);
	strbuf_puts(out, "  ");
	text_cell(out, local, style->local, true, style->utf8);
	strbuf_puts(out, arrow);
	text_cell(out, peer, style->peer, false, style->utf8);
	strbuf_puts(out, "  ");
}

static void duration_cell(const struct trace_style *style, const struct event *ev,
			  struct strbuf *out)
{
	bool slow = is(ev, "tcp.exchange") && ev->duration_ns >= style->slow_ns;
	char buf[UNIT_TEXT_MAX];

	if (slow)
		color(style, YELLOW, out);
	text_cell(out, unit_seconds((double)ev->duration_ns / 1e9, style->utf8, buf), DURATION,
		  true, style->utf8);
	if (slow)
		color(style, PLAIN, out);
}

/* ---- the words behind them ---- */

struct words {
	const struct trace_style *style;
	const struct event *ev;
	struct strbuf *out;
	bool any;
};

static void next(struct words *w)
{
	strbuf_puts(w->out, w->any ? ", " : "  ");
	w->any = true;
}

static void add_seconds(struct words *w, const char *what, const char *key, const char *behind)
{
	double s = seconds_of(w->ev, key);
	char buf[UNIT_TEXT_MAX];

	if (isnan(s))
		return;
	next(w);
	strbuf_printf(w->out, "%s%s%s", what, unit_seconds(s, w->style->utf8, buf), behind);
}

static void add_bytes(struct words *w, const char *what, const char *key)
{
	int64_t n = number_of(w->ev, key);
	char buf[UNIT_TEXT_MAX];

	if (n < 0)
		return;
	next(w);
	strbuf_printf(w->out, "%s%s", what, unit_bytes((double)n, buf));
}

static void add_count(struct words *w, const char *one, const char *many, const char *key,
		      int64_t from)
{
	int64_t n = number_of(w->ev, key);

	if (n < from)
		return;
	next(w);
	strbuf_printf(w->out, "%lld %s", (long long)n, n == 1 ? one : many);
}

static void add_error(struct words *w, const char *before)
{
	const char *error = text_of(w->ev, "error.type");

	if (!*error && !*before)
		return;
	next(w);
	color(w->style, RED, w->out);
	strbuf_puts(w->out, before);
	if (*error)
		text_add(w->out, error, 64, w->style->utf8);
	color(w->style, PLAIN, w->out);
}

static void exchange_words(struct words *w)
{
	bool rtt_min = strcmp(text_of(w->ev, "tcp.stage.method"), "rtt_min") == 0;

	add_seconds(w, "queue ", "tcp.receive_queue.duration", "");
	add_seconds(w, "network ", "tcp.network.duration", rtt_min ? " (least rtt)" : "");
	add_seconds(w, "remote ", "tcp.remote.duration", "");
	add_seconds(w, "application ", "tcp.application.duration", "");
	if (number_of(w->ev, "tcp.exchange.sends") > 1) {
		add_count(w, "send", "sends", "tcp.exchange.sends", 2);
		add_seconds(w, "", "tcp.exchange.total.duration", " from the first");
	}
	add_bytes(w, "request ", "tcp.request.size");
	add_error(w, "");
}

static void end_words(struct words *w)
{
	const char *by = text_of(w->ev, "tcp.close.initiator");

	next(w);
	strbuf_puts(w->out, strcmp(by, "local") == 0	? "closed here"
			    : strcmp(by, "remote") == 0 ? "closed by the other end"
							: "closed");
	add_error(w, "");
	add_count(w, "exchange", "exchanges", "tcp.exchanges", 0);
	add_bytes(w, "sent ", "tcp.sent.size");
	add_bytes(w, "received ", "tcp.received.size");
	add_count(w, "segment sent again", "segments sent again", "tcp.retransmits", 1);
	add_seconds(w, "rtt ", "tcp.rtt", "");
	add_seconds(w, "least rtt ", "tcp.rtt.min", "");
}

/* ---- lines ---- */

void trace_header(struct trace_style *style, struct strbuf *out)
{
	widen(&style->service, 0, SERVICE_MIN, SERVICE_MAX);
	widen(&style->local, 0, ADDRESS_MIN, ADDRESS_MAX);
	widen(&style->peer, 0, ADDRESS_MIN, ADDRESS_MAX);
	color(style, BOLD, out);
	strbuf_printf(out, "%-15s  %-*s  %-*s  %*s    %-*s  %*s  %s", "TIME", (int)style->service,
		      "SERVICE[PID]", ROLE, "ROLE", (int)style->local, "LOCAL", (int)style->peer,
		      "PEER", DURATION, "TOOK", "OF THAT");
	color(style, PLAIN, out);
	strbuf_putc(out, '\n');
}

void trace_line(struct trace_style *style, const struct event *ev, uint64_t wall_ns,
		long utc_offset_s, struct strbuf *out)
{
	struct words w = { .style = style, .ev = ev, .out = out };

	clock_cell(wall_ns, utc_offset_s, out);
	service_cell(style, ev, out);
	conversation_cells(style, ev, out);
	duration_cell(style, ev, out);
	if (is(ev, "tcp.exchange"))
		exchange_words(&w);
	else if (is(ev, "tcp.connect.failed"))
		add_error(&w, *text_of(ev, "error.type") ? "failed: " : "failed");
	else
		end_words(&w);
	strbuf_putc(out, '\n');
}
