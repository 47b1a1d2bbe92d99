// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "agent/agent.h"
#include "agent/commands.h"
#include "agent/line_writer.h"
#include "agent/privileges.h"
#include "agent/trace_silence.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "export/export.h"
#include "ui/trace_line.h"

/* What stands out, where nobody has said what slow is; else ten times that. */
#define SLOW_NS	  (100 * NSEC_PER_MSEC)

#define SILENCE_S 3

/* How long the last lines may take, when somebody has asked for the end. */
#define PATIENCE_MS 1000

struct trace {
	const struct config *config;
	struct agent *agent;
	int out;
	struct trace_style style;
	struct line_writer *writer;
	struct strbuf line;
	struct event *tick;
	uint64_t shown, unread; /* lines; what their reader was too slow for */
	bool stopped;		/* --count is reached, or nobody reads any more */
	bool deserted;		/* the latter */
	bool over;		/* the time that was asked for */
	int error;		/* of writing, but for EPIPE */
};

/* ---- lines ---- */

static void stop(struct trace *t)
{
	t->stopped = true;
	agent_stop(t->agent);
}

/* Nobody reads any more (| head): that is an end like others. */
static void on_gone(void *arg, int error)
{
	struct trace *t = arg;

	t->deserted = error == -EPIPE;
	t->error = t->deserted ? 0 : error;
	stop(t);
}

/* That of the place, summer time included, at that moment. */
static long utc_offset_s(uint64_t wall_ns)
{
	time_t seconds = (time_t)(wall_ns / NSEC_PER_SEC);
	struct tm tm;

	return localtime_r(&seconds, &tm) ? tm.tm_gmtoff : 0;
}

static void take(const struct event *ev, void *arg)
{
	struct trace *t = arg;
	uint64_t wall_ns = clock_wall_ns(ev->time_ns);

	if (t->stopped)
		return;
	strbuf_clear(&t->line);
	if (!t->config->json)
		trace_line(&t->style, ev, wall_ns, utc_offset_s(wall_ns), &t->line);
	else if (json_event_encode(ev, wall_ns, &t->line) < 0)
		t->line.failed = true;
	if (strbuf_failed(&t->line))
		on_gone(t, -ENOMEM);
	else if (!line_writer_add(t->writer, t->line.data, t->line.len))
		t->unread++;
	else if (++t->shown == t->config->count)
		stop(t);
}

/* ---- the clock ---- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct trace *t = arg;

	/* What a process leaves behind is taken in time, as in `report`. */
	snapshot_free(agent_snapshot(t->agent));
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	struct trace *t = arg;

	t->over = true;
	agent_stop(t->agent);
}

static void on_silence(evutil_socket_t fd, short what, void *arg)
{
	cleanup(strbuf_done) struct strbuf why = {};
	struct trace *t = arg;
	struct snapshot *s = agent_snapshot(t->agent);

	if (s && !t->shown && !t->stopped) {
		trace_silence(t->config, s, &why);
		log_warn("%s", strbuf_str(&why));
	}
	snapshot_free(s);
}

static int call_in(struct trace *t, uint64_t ns, event_callback_fn fn)
{
	const struct timeval tv = { .tv_sec = (time_t)(ns / NSEC_PER_SEC),
				    .tv_usec = (suseconds_t)(ns % NSEC_PER_SEC / 1000) };

	return event_base_once(agent_base(t->agent), -1, EV_TIMEOUT, fn, t, &tv);
}

/* The time that was asked for begins when everything is in place. */
static void on_ready(void *arg)
{
	struct trace *t = arg;
	uint64_t ns = t->config->duration_ns;

	if (call_in(t, SILENCE_S * NSEC_PER_SEC, on_silence) < 0 ||
	    (ns && call_in(t, ns, on_end) < 0)) {
		log_error("out of memory");
		agent_stop(t->agent);
	}
	log_info("tracing%s", ns ? "" : " until Ctrl-C");
}

/* ---- from start to end ---- */

static int follow(struct trace *t, struct err *e)
{
	const struct timeval second = { .tv_sec = 1 };
	struct event_base *base = agent_base(t->agent);

	t->tick = event_new(base, -1, EV_PERSIST, on_tick, t);
	if (!t->tick || event_add(t->tick, &second) < 0 ||
	    line_writer_new(base, t->out, on_gone, t, &t->writer) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	if (isatty(STDOUT_FILENO) && !t->config->json) {
		trace_header(&t->style, &t->line);
		line_writer_add(t->writer, strbuf_str(&t->line), t->line.len);
	}
	agent_on_ready(t->agent, on_ready, t);
	agent_loop(t->agent);
	return 0;
}

/* What happened until the end is shown, too. */
static uint64_t finish(struct trace *t)
{
	bool asked = !t->stopped && !t->over;
	uint64_t unaccounted = agent_finish(t->agent), unread;

	/* The loop is over; from here on a signal is an end at once. */
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	unread = line_writer_end(t->writer, asked ? PATIENCE_MS : -1);
	t->unread += unread;
	t->shown -= unread < t->shown ? unread : t->shown;
	return unaccounted;
}

static void tell_end(const struct trace *t)
{
	struct probe_run *const *runs = agent_runs(t->agent);
	unsigned long long lost = 0, shown = t->shown, unread = t->unread;

	for (size_t i = 0; runs[i]; i++)
		lost += probe_run_account(runs[i])->stats[SN_STAT_DROP_RING_FULL];
	if (t->deserted || t->error)
		return;
	if (lost)
		log_warn("%llu shown, %llu lost: the ring was full before it was read", shown,
			 lost);
	else
		log_info("%llu shown", shown);
	if (unread)
		log_warn("%llu not shown: whoever reads the output was too slow", unread);
}

/* The names of the probes that have single events, or a sentence about the one that has none. */
static int choose_probes(const struct config *c, struct strbuf *names, struct err *e)
{
	for (size_t i = 0; probes[i]; i++) {
		if (!config_wants_probe(c, probes[i]->name))
			continue;
		if (probes[i]->single)
			strbuf_printf(names, "%s%s", names->len ? "," : "", probes[i]->name);
		else if (*c->probes)
			return err_set(e, -EINVAL,
				       "probe %s has no single events: leave it out, and see "
				       "'sonde report'",
				       probes[i]->name);
	}
	if (strbuf_failed(names))
		return err_set(e, -ENOMEM, "out of memory");
	return names->len ? 0 : err_set(e, -ENOTSUP, "no probe has single events");
}

static struct probe_singles wanted(struct trace *t)
{
	const struct config *c = t->config;
	uint64_t events = c->events;

	if (!events)
		events = EVENTS_EXCHANGES | EVENTS_FAILURES | (c->slower_than_ns ? 0 : EVENTS_ENDS);
	return (struct probe_singles){
		.exchanges = events & EVENTS_EXCHANGES,
		.failures = events & EVENTS_FAILURES,
		.ends = events & EVENTS_ENDS,
		.slower_than_ns = c->slower_than_ns,
		.sink = { take, t },
	};
}

static int trace_open(struct trace *t, struct err *e)
{
	const struct probe_singles singles = wanted(t);
	uint64_t slow_ns = t->config->slower_than_ns * 10;
	int r = privileges_check(e);

	if (r < 0)
		return r;
	t->out = line_writer_descriptor(STDOUT_FILENO);
	if (t->out < 0)
		return err_set(e, -errno, "cannot write to standard output: %s", strerror(errno));
	/* libevent and a reader that ends: neither is to end us. */
	signal(SIGPIPE, SIG_IGN);
	t->style = (struct trace_style){
		.color = use_color(t->config),
		.utf8 = true,
		.slow_ns = slow_ns ? slow_ns : SLOW_NS,
	};
	return agent_new_with(t->config, &singles, NULL, &t->agent, e);
}

enum exit_status command_trace(const struct config *asked)
{
	cleanup(strbuf_done) struct strbuf names = {};
	struct config c = *asked;
	struct trace t = { .config = &c, .out = -1 };
	uint64_t unaccounted = 0;
	struct err e = {};
	int err = choose_probes(asked, &names, &e);

	if (err < 0) {
		log_error("%s", e.msg);
		return err == -EINVAL ? STATUS_WRONG_USE : status_of(err);
	}
	c.probes = names.data;
	if (c.slower_than_ns && c.events && !(c.events & EVENTS_EXCHANGES))
		log_warn("--slower-than has no effect: --events has no exchanges");
	err = trace_open(&t, &e);
	if (!err)
		err = follow(&t, &e);
	if (!err) {
		unaccounted = finish(&t);
		tell_end(&t);
		if (t.error)
			err = err_set(&e, t.error, "cannot write to standard output: %s",
				      strerror(-t.error));
	}
	if (err < 0)
		log_error("%s", e.msg);
	if (unaccounted)
		log_error("%llu events are in no figure: this is a bug in sonde",
			  (unsigned long long)unaccounted);
	if (t.tick)
		event_free(t.tick);
	line_writer_free(t.writer);
	if (t.out >= 0)
		close(t.out);
	agent_free(t.agent);
	strbuf_done(&t.line);
	if (err < 0)
		return status_of(err);
	return unaccounted ? STATUS_FAILED : STATUS_OK;
}
