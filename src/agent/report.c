// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include <event2/event.h>

#include "agent/agent.h"
#include "agent/commands.h"
#include "agent/output.h"
#include "agent/privileges.h"
#include "agent/progress.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "export/export.h"
#include "model/exchanges.h"
#include "probe/tcp_filter.h"
#include "ui/findings.h"
#include "ui/report_summary.h"

/* Single connections that are told of; docs/report.md. */
#define MAX_CONNECTIONS 10000

/* Of a summary that is not read on a terminal. */
#define SUMMARY_WIDTH 100

struct measurement {
	const struct config *config;
	struct agent *agent;
	struct connections *connections; /* NULL: TCP is not measured */
	struct findings findings;
	struct output output; /* closed if there is no document */
	bool summary;	      /* on standard output */
	struct event *timer;
	struct progress progress;
	uint64_t end_ns;	 /* 0: until interrupted */
	uint64_t from_ns, to_ns; /* what the figures cover */
};

/* Read once a second, as `run` does: what a process leaves behind is taken in time. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct measurement *m = arg;

	progress_tick(&m->progress, agent_snapshot(m->agent));
	if (m->end_ns && clock_boot_ns() >= m->end_ns)
		agent_stop(m->agent);
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	struct measurement *m = arg;

	agent_stop(m->agent);
}

/* The time that was asked for begins when everything is in place. */
static void on_ready(void *arg)
{
	const struct timeval second = { .tv_sec = 1 };
	struct measurement *m = arg;
	uint64_t ns = m->config->duration_ns;
	const struct timeval duration = { .tv_sec = (time_t)(ns / NSEC_PER_SEC),
					  .tv_usec = (suseconds_t)(ns % NSEC_PER_SEC / 1000) };

	if (ns)
		m->end_ns = clock_boot_ns() + ns;
	progress_begin(&m->progress, use_color_on(m->config, STDERR_FILENO), m->end_ns);
	if (event_add(m->timer, &second) < 0 ||
	    (ns &&
	     event_base_once(agent_base(m->agent), -1, EV_TIMEOUT, on_end, m, &duration) < 0)) {
		log_error("out of memory");
		agent_stop(m->agent);
	}
	log_info("measuring%s", ns ? "" : " until Ctrl-C");
}

static int measure(struct measurement *m, struct err *e)
{
	m->timer = event_new(agent_base(m->agent), -1, EV_PERSIST, on_tick, m);
	if (!m->timer)
		return err_set(e, -ENOMEM, "out of memory");
	m->from_ns = agent_hooked_ns(m->agent);
	agent_on_ready(m->agent, on_ready, m);
	agent_loop(m->agent);
	m->to_ns = clock_boot_ns();
	event_free(m->timer);
	progress_end(&m->progress);
	return 0;
}

static int write_document(struct measurement *m, const struct snapshot *s, struct err *e)
{
	const struct report r = {
		.snapshot = s,
		.duration_ns = m->to_ns - m->from_ns,
		.wall_ns = clock_wall_ns(m->to_ns),
		.sampling_rate = (double)m->config->sample / TCP_SHARE_ALL,
		.connections = m->connections,
		.findings = m->connections ? &m->findings : NULL,
	};
	cleanup(strbuf_done) struct strbuf doc = {};

	if (json_encode(&r, &doc) < 0)
		return err_set(e, -ENOMEM, "cannot write the report: out of memory");
	return output_write(&m->output, strbuf_str(&doc), doc.len, e);
}

static bool chooses_processes(const struct config *c)
{
	return *c->pids || *c->commands || *c->services || *c->containers || *c->cgroups;
}

static bool chooses(const struct config *c)
{
	return chooses_processes(c) || *c->ports || *c->peers || c->role;
}

static int print_summary(struct measurement *m, const struct snapshot *s, struct err *e)
{
	struct winsize size = { .ws_col = SUMMARY_WIDTH };
	bool terminal = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
	const struct terminal_style style = {
		.width = size.ws_col ? size.ws_col : SUMMARY_WIDTH,
		.color = use_color(m->config),
		.utf8 = terminal,
		.host_name = agent_host_name(m->agent),
	};
	const struct report_summary r = {
		.snapshot = s,
		.seconds = (double)(m->to_ns - m->from_ns) / NSEC_PER_SEC,
		.connections = m->connections,
		.findings = &m->findings,
		.chosen = chooses(m->config),
		.detail = m->config->tcp_detail,
	};
	cleanup(strbuf_done) struct strbuf text = {};

	report_summary_render(&r, &style, &text);
	if (strbuf_failed(&text))
		return err_set(e, -ENOMEM, "cannot print the summary: out of memory");
	if (fwrite(strbuf_str(&text), 1, text.len, stdout) != text.len || fflush(stdout) != 0)
		return err_set(e, -errno, "cannot write to standard output: %s", strerror(errno));
	return 0;
}

/* The series of @metric whose @key is @value, added up. */
static uint64_t count_of(const struct snapshot *s, const char *metric, const char *key,
			 const char *value)
{
	const struct snap_metric *m = snapshot_find(s, metric);
	uint64_t n = 0;

	for (size_t i = 0; m && i < m->n_series; i++)
		if (strcmp(snap_text(&m->series[i], key), value) == 0)
			n += m->series[i].counter;
	return n;
}

/* Ends of connections that found the ring full; they are counted as dropped, too. */
static uint64_t untold(const struct snapshot *s)
{
	return count_of(s, "sonde.events", "sonde.event.fate", "dropped_ring_full");
}

/* Runs of programs that the kernel left out, and sockets that it had no room for. */
static uint64_t missed(const struct snapshot *s)
{
	return count_of(s, "sonde.events.missed", "sonde.event.reason", "recursion") +
	       count_of(s, "sonde.events.missed", "sonde.event.reason", "state_full");
}

/*
 * The exchanges of connections are counted apart from those of series: they have to be the same, unless
 * it is known why not. Returns by how many they wrongly differ.
 */
static uint64_t check_connections(const struct measurement *m, const struct snapshot *s)
{
	struct exchanges x;
	uint64_t all, listed;

	if (!m->connections)
		return 0;
	exchanges_of(s, &x);
	all = hist_count(&x.all);
	listed = connections_sum(m->connections)->exchanges;
	if (untold(s))
		log_warn(
			"%llu connections ended faster than they could be told: %llu exchanges are "
			"in no connection and not in the histogram",
			(unsigned long long)untold(s), (unsigned long long)(all - listed));
	/*
	 * A socket can be used by a process that was chosen and then by one that was not: it is told as
	 * whose it was last, or not at all.
	 */
	if (all == listed || untold(s) || chooses_processes(m->config))
		return 0;
	if (missed(s)) {
		log_warn(
			"the kernel left hooks out %llu times: %lld exchanges are in no connection",
			(unsigned long long)missed(s), (long long)(all - listed));
		return 0;
	}
	log_error("connections and series differ by %lld exchanges: this is a bug in sonde",
		  (long long)(all - listed));
	return all > listed ? all - listed : listed - all;
}

/* What was measured is shown, whatever becomes of the file; the first error is the one that counts. */
static int tell(struct measurement *m, const struct snapshot *s, struct err *e)
{
	int r = 0, r_summary = 0;

	if (m->output.path)
		r = write_document(m, s, e);
	if (m->summary)
		r_summary = print_summary(m, s, r < 0 ? NULL : e);
	return r < 0 ? r : r_summary;
}

static int finish(struct measurement *m, uint64_t *ret_wrong, struct err *e)
{
	uint64_t unaccounted = agent_finish(m->agent);
	struct snapshot *s = agent_snapshot(m->agent);
	int r = 0;

	if (!s)
		return err_set(e, -ENOMEM, "cannot write the report: out of memory");
	if (m->connections && findings_tcp(s, &m->findings) < 0)
		r = err_set(e, -ENOMEM, "cannot write the report: out of memory");
	if (!r)
		r = tell(m, s, e);
	if (unaccounted)
		log_error("%llu events are in no figure: this is a bug in sonde",
			  (unsigned long long)unaccounted);
	*ret_wrong = unaccounted + check_connections(m, s);
	snapshot_free(s);
	return r;
}

static bool output_is_asked_for(const struct config *c)
{
	return c->layer[opt_find("output") - opts] > LAYER_DEFAULT;
}

/*
 * A terminal shows the summary, unless the document is asked for. What goes to a file leaves standard
 * output to the summary, unless that is the same file.
 */
static int choose_output(struct measurement *m, struct err *e)
{
	const struct config *c = m->config;
	bool to_stdout = strcmp(c->output, "-") == 0;

	if (to_stdout && !c->json && !output_is_asked_for(c) && isatty(STDOUT_FILENO)) {
		m->summary = true;
		return 0;
	}
	if (output_open(c->output, &m->output, e) < 0)
		return -EIO;
	m->summary = !to_stdout && !c->json && !output_is(&m->output, STDOUT_FILENO);
	return 0;
}

static bool measures_tcp(struct agent *a)
{
	for (struct probe_run *const *run = agent_runs(a); *run; run++)
		if (strcmp(probe_run_probe(*run)->name, "tcp") == 0)
			return true;
	return false;
}

static int start(struct measurement *m, struct err *e)
{
	int r = privileges_check(e);

	if (r < 0)
		return r;
	m->connections = connections_new(MAX_CONNECTIONS);
	if (!m->connections)
		return err_set(e, -ENOMEM, "out of memory");
	r = agent_new_with(m->config, NULL, m->connections, &m->agent, e);
	if (r < 0 || measures_tcp(m->agent))
		return r;
	connections_free(m->connections);
	m->connections = NULL;
	return 0;
}

enum exit_status command_report(const struct config *c)
{
	struct measurement m = { .config = c, .output = OUTPUT_NONE };
	uint64_t wrong = 0;
	struct err e = {};
	int r;

	r = choose_output(&m, &e);
	if (!r)
		r = start(&m, &e);
	if (!r)
		r = measure(&m, &e);
	if (!r)
		r = finish(&m, &wrong, &e);
	if (r < 0)
		log_error("%s", e.msg);
	agent_free(m.agent);
	connections_free(m.connections);
	findings_done(&m.findings);
	output_close(&m.output);
	if (r < 0)
		return status_of(r);
	return wrong ? STATUS_FAILED : STATUS_OK;
}
