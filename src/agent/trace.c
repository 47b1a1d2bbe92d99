// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "agent/agent.h"
#include "agent/commands.h"
#include "agent/privileges.h"
#include "agent/trace_silence.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "export/export.h"
#include "ui/trace_line.h"

/* Lines wait for the end of the batch that they came in, but not more of them than this. */
#define MAX_WAITING (64 << 10)

/* What stands out, where nobody has said what slow is; else ten times that. */
#define SLOW_NS	  (100 * NSEC_PER_MSEC)

#define SILENCE_S 3

struct trace {
	const struct config *config;
	struct agent *agent;
	struct trace_style style;
	struct strbuf waiting; /* lines that are still to be written */
	struct event *flush, *tick, *reader;
	uint64_t shown, end_ns;
	bool stopped; /* --count is reached, or nobody reads any more */
	int error;    /* of the first write that failed, but for EPIPE */
};

/* ---- lines ---- */

/* Whoever reads may be slower than what is watched, and may have made our end non-blocking. */
static int write_all(const char *data, size_t len)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };

	while (len) {
		ssize_t n = write(STDOUT_FILENO, data, len);

		if (n < 0 && errno == EAGAIN)
			poll(&out, 1, -1);
		else if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static void stop(struct trace *t)
{
	t->stopped = true;
	if (t->agent)
		agent_stop(t->agent);
}

static void flush(struct trace *t)
{
	int r = strbuf_failed(&t->waiting) ? -ENOMEM
					   : write_all(strbuf_str(&t->waiting), t->waiting.len);

	strbuf_clear(&t->waiting);
	if (r == 0)
		return;
	/* Nobody reads any more (| head): that is an end like others. */
	if (r != -EPIPE)
		t->error = r;
	stop(t);
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	flush(arg);
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
	if (t->config->json && json_event_encode(ev, wall_ns, &t->waiting) < 0)
		t->waiting.failed = true;
	else if (!t->config->json)
		trace_line(&t->style, ev, wall_ns, utc_offset_s(wall_ns), &t->waiting);
	if (++t->shown == t->config->count)
		stop(t);
	if (t->stopped || t->waiting.len >= MAX_WAITING || strbuf_failed(&t->waiting))
		flush(t);
	else if (t->flush)
		event_active(t->flush, EV_TIMEOUT, 0);
}

/* ---- the clock ---- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct trace *t = arg;

	/* What a process leaves behind is taken in time, as in `report`. */
	snapshot_free(agent_snapshot(t->agent));
	if (t->end_ns && clock_boot_ns() >= t->end_ns)
		agent_stop(t->agent);
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	agent_stop(((struct trace *)arg)->agent);
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
	if (ns)
		t->end_ns = clock_boot_ns() + ns;
	log_info("tracing%s", ns ? "" : " until Ctrl-C");
}

/* ---- from start to end ---- */

static void on_no_reader(evutil_socket_t fd, short what, void *arg)
{
	stop(arg);
}

/* A pipe that nobody reads any more is an error at once; else only the next line would find out. */
static int watch_reader(struct trace *t)
{
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) < 0 || !S_ISFIFO(st.st_mode))
		return 0;
	t->reader = event_new(agent_base(t->agent), STDOUT_FILENO, EV_READ, on_no_reader, t);
	return t->reader && event_add(t->reader, NULL) == 0 ? 0 : -ENOMEM;
}

static int follow(struct trace *t, struct err *e)
{
	const struct timeval second = { .tv_sec = 1 };
	struct event_base *base = agent_base(t->agent);

	t->tick = event_new(base, -1, EV_PERSIST, on_tick, t);
	t->flush = event_new(base, -1, 0, on_flush, t);
	if (!t->tick || !t->flush || event_add(t->tick, &second) < 0 || watch_reader(t) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	agent_on_ready(t->agent, on_ready, t);
	agent_loop(t->agent);
	return 0;
}

static void close_events(struct trace *t)
{
	struct event **all[] = { &t->tick, &t->flush, &t->reader };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (*all[i])
			event_free(*all[i]);
		*all[i] = NULL;
	}
}

static void tell_end(const struct trace *t)
{
	struct probe_run *const *runs = agent_runs(t->agent);
	unsigned long long lost = 0, shown = t->shown;

	for (size_t i = 0; runs[i]; i++)
		lost += probe_run_account(runs[i])->stats[SN_STAT_DROP_RING_FULL];
	if (lost)
		log_warn("%llu shown, %llu lost: they came faster than they were read (ring full)",
			 shown, lost);
	else
		log_info("%llu shown", shown);
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
	/* libevent and a reader that ends: neither is to end us. */
	signal(SIGPIPE, SIG_IGN);
	t->style = (struct trace_style){
		.color = use_color(t->config),
		.utf8 = true,
		.slow_ns = slow_ns ? slow_ns : SLOW_NS,
	};
	if (isatty(STDOUT_FILENO) && !t->config->json)
		trace_header(&t->style, &t->waiting);
	r = agent_new_with(t->config, &singles, NULL, &t->agent, e);
	if (r == 0)
		flush(t);
	return r;
}

enum exit_status command_trace(const struct config *asked)
{
	cleanup(strbuf_done) struct strbuf names = {};
	struct config c = *asked;
	struct trace t = { .config = &c };
	uint64_t unaccounted = 0;
	struct err e = {};
	int err = choose_probes(asked, &names, &e);

	if (err < 0) {
		log_error("%s", e.msg);
		return err == -EINVAL ? STATUS_WRONG_USE : status_of(err);
	}
	c.probes = names.data;
	err = trace_open(&t, &e);
	if (!err)
		err = follow(&t, &e);
	close_events(&t);
	if (!err) {
		/* What happened until now is shown, too. */
		unaccounted = agent_finish(t.agent);
		flush(&t);
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
	agent_free(t.agent);
	strbuf_done(&t.waiting);
	if (err < 0)
		return status_of(err);
	return unaccounted ? STATUS_FAILED : STATUS_OK;
}
