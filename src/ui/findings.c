// SPDX-License-Identifier: Apache-2.0
#include "ui/findings.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "model/hist.h"
#include "ui/text.h"

/* Fewer than so many exchanges or connections are no evidence of a habit. */
#define MIN_EXCHANGES	20
#define MIN_DELAYED	3
#define MIN_RETRANSMITS 3

/* So many conversations are told where their time went. */
#define MAX_TOLD 5

struct finder {
	const struct snapshot *snapshot;
	struct findings *all;
	struct finding now; /* the one that is being put together */
	struct strbuf text;
	int err;
};

static long number_of(const struct snap_series *s, const char *key)
{
	const struct attr *a = snap_attr(s, key);

	return a && a->type == ATTR_INT ? a->num : 0;
}

static bool is(const struct snap_series *s, const char *key, const char *value)
{
	return strcmp(snap_text(s, key), value) == 0;
}

/* The same service, peer and port: the same conversation. */
static bool same(const struct snap_series *a, const struct snap_series *b)
{
	return strcmp(a->service, b->service) == 0 &&
	       strcmp(snap_text(a, "network.peer.address"), snap_text(b, "network.peer.address")) ==
		       0 &&
	       number_of(a, "server.port") == number_of(b, "server.port");
}

static double value_of(const struct snap_metric *m, const struct snap_series *s)
{
	switch (m->metric->kind) {
	case METRIC_COUNTER:
		return (double)s->counter;
	case METRIC_GAUGE:
		return s->gauge;
	case METRIC_HISTOGRAM:
		return (double)hist_count(s->hist);
	default:
		return 0;
	}
}

/*
 * The values of metric @name in the conversation of @like added up: of the series whose attribute
 * @key is @value, or of all with @key NULL. Histograms count their values.
 */
static double sum(const struct finder *f, const char *name, const struct snap_series *like,
		  const char *key, const char *value)
{
	const struct snap_metric *m = snapshot_find(f->snapshot, name);
	double total = 0;

	for (size_t i = 0; m && i < m->n_series; i++)
		if (same(&m->series[i], like) && (!key || is(&m->series[i], key, value)))
			total += value_of(m, &m->series[i]);
	return total;
}

/* Seconds that a stage of the conversation's exchanges took together. */
static double stage_seconds(const struct finder *f, const struct snap_series *like,
			    const char *stage)
{
	const struct snap_metric *m =
		snapshot_find(f->snapshot, "tcp.client.exchange.stage.duration");
	double ns = 0;

	for (size_t i = 0; m && i < m->n_series; i++)
		if (same(&m->series[i], like) && is(&m->series[i], "tcp.stage", stage))
			ns += (double)m->series[i].hist->sum_ns;
	return ns / 1e9;
}

/* ---- putting one together ---- */

static void begin(struct finder *f, const char *kind, const struct snap_series *s)
{
	strbuf_clear(&f->text);
	f->now = (struct finding){
		.kind = kind,
		.service = (char *)(s ? s->service : ""),
		.peer = (char *)(s ? snap_text(s, "network.peer.address") : ""),
		.port = s ? number_of(s, "server.port") : 0,
	};
}

static void evidence(struct finder *f, const char *key, double value)
{
	if (f->now.n_evidence < FINDING_MAX_EVIDENCE)
		f->now.evidence[f->now.n_evidence++] = ATTR_REAL(key, value);
}

static void end(struct finder *f)
{
	f->now.text = (char *)strbuf_str(&f->text);
	if (strbuf_failed(&f->text) || findings_add(f->all, &f->now) < 0)
		f->err = -ENOMEM;
}

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

static int by_time(const void *pa, const void *pb)
{
	const struct snap_series *const *a = pa, *const *b = pb;
	uint64_t x = (*a)->hist->sum_ns, y = (*b)->hist->sum_ns;

	return (x < y) - (x > y);
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
	double seconds[ARRAY_SIZE(parts)], told = 0, whole = (double)s->hist->sum_ns / 1e9;
	double n = (double)hist_count(s->hist), rest;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		seconds[i] = stage_seconds(f, s, parts[i].stage);
		told += seconds[i];
	}
	/* Without details there is the queue alone, which says nothing of the rest. */
	if (whole <= 0 || seconds[0] + seconds[1] <= 0)
		return;
	rest = fmax(1 - told / whole, 0);
	begin(f, "where_time_goes", s);
	evidence(f, "exchanges", n);
	evidence(f, "mean_seconds", whole / n);
	say_who(f);
	strbuf_printf(&f->text, ": %.0f exchanges, ", n);
	say_seconds(f, whole / n);
	strbuf_puts(&f->text, " on average, of which");
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		evidence(f, parts[i].key, seconds[i] / whole);
		strbuf_printf(&f->text, "%s %s %.0f %%", i ? "," : "", parts[i].words,
			      100 * seconds[i] / whole);
	}
	/* Exchanges of several sends: which of them was answered cannot be said. */
	evidence(f, "not_told_share", rest);
	if (rest >= 0.005)
		strbuf_printf(&f->text, ", and %.0f %% that cannot be told apart (several sends)",
			      100 * rest);
	strbuf_puts(&f->text, ".");
	end(f);
}

static void find_parts(struct finder *f)
{
	const struct snap_metric *m = snapshot_find(f->snapshot, "tcp.client.exchange.duration");
	cleanup(cleanup_free) const struct snap_series **list = NULL;
	size_t n = 0;

	if (!m || !m->n_series)
		return;
	list = calloc(m->n_series, sizeof(*list));
	if (!list) {
		f->err = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < m->n_series; i++)
		if (!snap_is_overflow(&m->series[i]) &&
		    hist_count(m->series[i].hist) >= MIN_EXCHANGES)
			list[n++] = &m->series[i];
	qsort(list, n, sizeof(*list), by_time);
	for (size_t i = 0; i < n && i < MAX_TOLD; i++)
		tell_parts(f, list[i]);
}

static void find_nagle(struct finder *f, const struct snap_series *s)
{
	double n = (double)s->counter, of = sum(f, "tcp.client.exchange.duration", s, NULL, NULL);

	if (n < MIN_DELAYED || n < of / 100)
		return;
	begin(f, "nagle", s);
	evidence(f, "exchanges", n);
	evidence(f, "exchanges_in_all", of);
	say_who(f);
	strbuf_printf(
		&f->text,
		": %.0f of %.0f exchanges waited some 40 ms, because the last of several small "
		"writes was held back (Nagle's algorithm) until the other end acknowledged those "
		"before it. Write a request in one piece, or set TCP_NODELAY.",
		n, of);
	end(f);
}

static void find_zero_window(struct finder *f, const struct snap_series *s)
{
	bool ours = is(s, "network.io.direction", "receive");

	begin(f, "zero_window", s);
	evidence(f, "times", (double)s->counter);
	evidence(f, "by_us", ours);
	say_who(f);
	strbuf_printf(&f->text,
		      ": %s receive window was used up %llu times, so the sender had to stop. %s",
		      ours ? "its" : "the other end's", (unsigned long long)s->counter,
		      ours ? "It reads more slowly than data comes."
			   : "The other end reads more slowly than data is sent.");
	end(f);
}

static void find_retransmits(struct finder *f, const struct snap_series *s)
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
	double n = sum(f, "system.network.tcp.retransmits", s, NULL, NULL), one;
	bool first = true;

	if (n < MIN_RETRANSMITS)
		return;
	begin(f, "retransmission", s);
	evidence(f, "segments", n);
	say_who(f);
	strbuf_printf(&f->text, ": %.0f segments were sent again:", n);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		one = sum(f, "system.network.tcp.retransmits", s, "network.tcp.retransmit.type",
			  kinds[i].type);
		if (one > 0) {
			evidence(f, kinds[i].key, one);
			strbuf_printf(&f->text, "%s %.0f %s", first ? "" : ",", one,
				      kinds[i].words);
			first = false;
		}
	}
	strbuf_puts(&f->text, ".");
	end(f);
}

static void find_failures(struct finder *f, const struct snap_series *s)
{
	const char *error = snap_text(s, "error.type");
	double n = (double)hist_count(s->hist);

	if (!*error)
		return;
	begin(f, "connect_failed", s);
	evidence(f, "connections", n);
	evidence(f, "connections_in_all",
		 sum(f, "system.network.tcp.handshake.duration", s, "network.tcp.handshake.role",
		     "client"));
	say_who(f);
	strbuf_printf(&f->text, ": %.0f of %.0f connections came to nothing (%s), after ", n,
		      f->now.evidence[1].real, error);
	say_seconds(f, (double)s->hist->sum_ns / 1e9 / n);
	strbuf_puts(&f->text, " on average.");
	end(f);
}

static void find_churn(struct finder *f, const struct snap_series *s)
{
	double all = sum(f, "tcp.pool.ended", s, NULL, NULL), few;

	few = all - sum(f, "tcp.pool.ended", s, "tcp.pool.use", "reused");
	if (few < MIN_EXCHANGES || few < 0.8 * all)
		return;
	begin(f, "pool_churn", s);
	evidence(f, "connections", few);
	evidence(f, "connections_in_all", all);
	say_who(f);
	strbuf_printf(
		&f->text,
		": %.0f of %.0f connections that ended had been used once at most, and each cost "
		"a handshake. Keep connections open (keep-alive), or let the pool hold more.",
		few, all);
	end(f);
}

static void find_forgotten(struct finder *f, const struct snap_series *s)
{
	if (s->gauge < 1)
		return;
	begin(f, "close_wait", s);
	evidence(f, "connections", s->gauge);
	say_who(f);
	strbuf_printf(
		&f->text,
		": the other end of %.0f connections has closed, and for ten seconds or more the "
		"program has not: it loses sockets.",
		s->gauge);
	end(f);
}

static void find_overflow(struct finder *f, const struct snap_series *s)
{
	if (!s->counter)
		return;
	begin(f, "accept_queue", NULL);
	evidence(f, "connections", (double)s->counter);
	strbuf_printf(
		&f->text,
		"A listener's accept queue was full %llu times, and clients had to try again. "
		"`ss -ltn` shows which (Recv-Q above Send-Q): it accepts too slowly, or its "
		"backlog or net.core.somaxconn is too small.",
		(unsigned long long)s->counter);
	end(f);
}

/* Calls @rule for every series of metric @name; with @once only for one of each conversation. */
static void each(struct finder *f, const char *name, bool once,
		 void (*rule)(struct finder *f, const struct snap_series *s))
{
	const struct snap_metric *m = snapshot_find(f->snapshot, name);

	for (size_t i = 0; m && i < m->n_series; i++) {
		const struct snap_series *s = &m->series[i];
		bool seen = false;

		for (size_t j = 0; once && j < i && !seen; j++)
			seen = same(&m->series[j], s);
		if (!seen && !snap_is_overflow(s))
			rule(f, s);
	}
}

int findings_tcp(const struct snapshot *s, struct findings *all)
{
	struct finder f = { .snapshot = s, .all = all };

	find_parts(&f);
	each(&f, "tcp.exchange.delayed", false, find_nagle);
	each(&f, "system.network.tcp.zero_windows", false, find_zero_window);
	each(&f, "system.network.tcp.retransmits", true, find_retransmits);
	each(&f, "system.network.tcp.handshake.duration", false, find_failures);
	each(&f, "system.network.tcp.accept_queue.overflows", false, find_overflow);
	each(&f, "tcp.pool.ended", true, find_churn);
	each(&f, "tcp.pool.forgotten", false, find_forgotten);
	strbuf_done(&f.text);
	return f.err;
}
