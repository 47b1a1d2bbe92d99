// SPDX-License-Identifier: Apache-2.0
#include "ui/findings.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/hist.h"
#include "ui/finder.h"
#include "ui/text.h"

/* Fewer than so many exchanges or connections are no evidence of a habit. */
#define MIN_EXCHANGES	20
#define MIN_DELAYED	3
#define MIN_WINDOWS	3
#define MIN_RETRANSMITS 3

/* So many conversations are told where their time went. */
#define MAX_TOLD    5

#define EXCHANGES   "tcp.client.exchange.duration"
#define STAGES	    "tcp.client.exchange.stage.duration"
#define RETRANSMITS "system.network.tcp.retransmits"
#define HANDSHAKES  "system.network.tcp.handshake.duration"
#define ENDED	    "tcp.pool.ended"

/* "shop with 10.0.0.7:5432" */
static void say_who(struct finder *f)
{
	bool v6 = strchr(f->now.peer, ':');

	text_add(&f->text, f->now.service, 40, false);
	strbuf_printf(&f->text, " with %s%s%s:%ld", v6 ? "[" : "", f->now.peer, v6 ? "]" : "",
		      f->now.port);
}

static void say_seconds(struct finder *f, double s)
{
	char buf[UNIT_TEXT_MAX];

	strbuf_puts(&f->text, unit_seconds(s, false, buf));
}

/* ---- the rules ---- */

static double weigh_parts(struct finder *f, const struct snap_series *s)
{
	if (hist_count(s->hist) < MIN_EXCHANGES)
		return 0;
	/* Without details there is the queue alone, which says nothing of the rest. */
	if (finder_seconds(f, STAGES, s, "tcp.stage", "network") +
		    finder_seconds(f, STAGES, s, "tcp.stage", "remote") <=
	    0)
		return 0;
	return (double)s->hist->sum_ns;
}

static void tell_parts(struct finder *f, const struct snap_series *s)
{
	static const struct {
		const char *stage, *key, *words;
	} parts[] = {
		{ "network", "network_share", "the network" },
		{ "remote", "remote_share", "the other end" },
		{ "receive_queue", "receive_queue_share", "waiting to be read" },
	};
	double seconds[ARRAY_SIZE(parts)], told = 0, took = (double)s->hist->sum_ns / 1e9, whole,
					   rest;
	double n = (double)hist_count(s->hist);

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		seconds[i] = finder_seconds(f, STAGES, s, "tcp.stage", parts[i].stage);
		told += seconds[i];
	}
	/* What nobody asked for waits to be read too, and is of no exchange. */
	whole = fmax(took, told);
	finder_evidence(f, "exchanges", n);
	finder_evidence(f, "mean_seconds", took / n);
	say_who(f);
	strbuf_printf(&f->text, ": %.0f exchanges, ", n);
	say_seconds(f, took / n);
	strbuf_puts(&f->text, " on average, of which");
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		finder_evidence(f, parts[i].key, seconds[i] / whole);
		strbuf_printf(&f->text, "%s %s %.0f %%", i ? "," : "", parts[i].words,
			      100 * seconds[i] / whole);
	}
	/* Exchanges of several sends: which of them was answered cannot be said. */
	rest = fmax(1 - told / whole, 0);
	finder_evidence(f, "not_told_share", rest);
	if (rest >= 0.005)
		strbuf_printf(&f->text, ", and %.0f %% that cannot be told apart (several sends)",
			      100 * rest);
	strbuf_puts(&f->text, ".");
}

static double weigh_nagle(struct finder *f, const struct snap_series *s)
{
	double n = (double)s->counter;

	return n < MIN_DELAYED || n < finder_sum(f, EXCHANGES, s, NULL, NULL) / 100 ? 0 : n;
}

static void tell_nagle(struct finder *f, const struct snap_series *s)
{
	double n = (double)s->counter, of = finder_sum(f, EXCHANGES, s, NULL, NULL);

	finder_evidence(f, "exchanges", n);
	finder_evidence(f, "exchanges_in_all", of);
	say_who(f);
	strbuf_printf(
		&f->text,
		": %.0f of %.0f exchanges waited some 40 ms, because the last of several small "
		"writes was held back (Nagle's algorithm) until the other end acknowledged those "
		"before it. Write a request in one piece, or set TCP_NODELAY.",
		n, of);
}

static double weigh_zero_window(struct finder *f, const struct snap_series *s)
{
	return s->counter < MIN_WINDOWS ? 0 : (double)s->counter;
}

static void tell_zero_window(struct finder *f, const struct snap_series *s)
{
	bool ours = finder_is(s, "network.io.direction", "receive");

	finder_evidence(f, "times", (double)s->counter);
	finder_evidence(f, "by_us", ours);
	say_who(f);
	strbuf_printf(&f->text,
		      ": %s receive window was used up %llu times, so the sender had to stop. %s",
		      ours ? "its" : "the other end's", (unsigned long long)s->counter,
		      ours ? "It reads more slowly than data comes."
			   : "The other end reads more slowly than data is sent.");
}

static double weigh_retransmits(struct finder *f, const struct snap_series *s)
{
	double n = finder_sum(f, RETRANSMITS, s, NULL, NULL);

	return n < MIN_RETRANSMITS ? 0 : n;
}

static void tell_retransmits(struct finder *f, const struct snap_series *s)
{
	static const struct {
		const char *type, *key, *words;
	} kinds[] = {
		{ "fast", "fast", "lost on the way (the other end said so)" },
		{ "timeout", "timeout", "after a timeout" },
		{ "tail_probe", "tail_probe", "at the end of what was sent" },
		{ "syn", "syn", "to make a connection" },
		{ "syn_ack", "syn_ack", "to answer one" },
	};
	double n = finder_sum(f, RETRANSMITS, s, NULL, NULL), one;
	bool first = true;

	finder_evidence(f, "segments", n);
	say_who(f);
	strbuf_printf(&f->text, ": %.0f segments were sent again:", n);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		one = finder_sum(f, RETRANSMITS, s, "network.tcp.retransmit.type", kinds[i].type);
		if (one > 0) {
			finder_evidence(f, kinds[i].key, one);
			strbuf_printf(&f->text, "%s %.0f %s", first ? "" : ",", one,
				      kinds[i].words);
			first = false;
		}
	}
	strbuf_puts(&f->text, ".");
}

static double weigh_failures(struct finder *f, const struct snap_series *s)
{
	return *snap_text(s, "error.type") ? (double)hist_count(s->hist) : 0;
}

static void tell_failures(struct finder *f, const struct snap_series *s)
{
	double n = (double)hist_count(s->hist);
	double of = finder_sum(f, HANDSHAKES, s, "network.tcp.handshake.role", "client");

	finder_evidence(f, "connections", n);
	finder_evidence(f, "connections_in_all", of);
	say_who(f);
	if (n > 1 || of > 1)
		strbuf_printf(&f->text, ": %.0f of %.0f connections", n, of);
	else
		strbuf_puts(&f->text, ": the only connection");
	strbuf_printf(&f->text, " came to nothing (%s), after ", snap_text(s, "error.type"));
	say_seconds(f, (double)s->hist->sum_ns / 1e9 / n);
	strbuf_puts(&f->text, n > 1 ? " on average." : ".");
}

static double weigh_churn(struct finder *f, const struct snap_series *s)
{
	double all = finder_sum(f, ENDED, s, NULL, NULL);
	double few = all - finder_sum(f, ENDED, s, "tcp.pool.use", "reused");

	return few < MIN_EXCHANGES || few < 0.8 * all ? 0 : few;
}

static void tell_churn(struct finder *f, const struct snap_series *s)
{
	double all = finder_sum(f, ENDED, s, NULL, NULL);
	double few = all - finder_sum(f, ENDED, s, "tcp.pool.use", "reused");

	finder_evidence(f, "connections", few);
	finder_evidence(f, "connections_in_all", all);
	say_who(f);
	strbuf_printf(
		&f->text,
		": %.0f of %.0f connections that ended had been used once at most, and each cost "
		"a handshake. Keep connections open (keep-alive), or let the pool hold more.",
		few, all);
}

static double weigh_forgotten(struct finder *f, const struct snap_series *s)
{
	return s->gauge < 1 ? 0 : s->gauge;
}

static void tell_forgotten(struct finder *f, const struct snap_series *s)
{
	finder_evidence(f, "connections", s->gauge);
	say_who(f);
	strbuf_printf(
		&f->text,
		": the other end of %.0f connection%s has closed, and for ten seconds or more the "
		"program has not: it loses sockets.",
		s->gauge, s->gauge > 1 ? "s" : "");
}

static double weigh_overflow(struct finder *f, const struct snap_series *s)
{
	return (double)s->counter;
}

static void tell_overflow(struct finder *f, const struct snap_series *s)
{
	finder_evidence(f, "connections", (double)s->counter);
	strbuf_puts(&f->text, "A listener's accept queue was full ");
	if (s->counter > 1)
		strbuf_printf(&f->text, "%llu times, and clients", (unsigned long long)s->counter);
	else
		strbuf_puts(&f->text, "once, and a client");
	strbuf_puts(&f->text,
		    " had to try again. `ss -ltn` shows which (Recv-Q above Send-Q): it accepts "
		    "too slowly, or its backlog or net.core.somaxconn is too small.");
}

/* clang-format off */
static const struct rule rules[] = {
	{ EXCHANGES, "where_time_goes", false, MAX_TOLD, weigh_parts, tell_parts },
	{ "tcp.exchange.delayed", "nagle", false, 0, weigh_nagle, tell_nagle },
	{ "system.network.tcp.zero_windows", "zero_window", false, 0, weigh_zero_window,
	  tell_zero_window },
	{ RETRANSMITS, "retransmission", true, 0, weigh_retransmits, tell_retransmits },
	{ HANDSHAKES, "connect_failed", false, 0, weigh_failures, tell_failures },
	{ "system.network.tcp.accept_queue.overflows", "accept_queue", false, 0, weigh_overflow,
	  tell_overflow },
	{ ENDED, "pool_churn", true, 0, weigh_churn, tell_churn },
	{ "tcp.pool.forgotten", "close_wait", false, 0, weigh_forgotten, tell_forgotten },
};
/* clang-format on */

int findings_tcp(const struct snapshot *s, struct findings *all)
{
	struct finder f = { .snapshot = s, .all = all };

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		finder_run(&f, &rules[i]);
	finder_done(&f);
	return f.err;
}
