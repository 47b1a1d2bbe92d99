// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

#include <event2/event.h>

#include "agent/agent.h"
#include "agent/commands.h"
#include "agent/output.h"
#include "agent/privileges.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "export/export.h"

struct measurement {
	const struct config *config;
	struct agent *agent;
	struct event *timer;
	uint64_t end_ns; /* 0: until interrupted */
	struct output output;
};

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct measurement *r = arg;
	uint64_t now = clock_boot_ns();

	/* Read once a second, as `run` does: what a process leaves behind is taken in time. */
	snapshot_free(agent_snapshot(r->agent));
	if (r->end_ns && now >= r->end_ns)
		agent_stop(r->agent);
	else if (isatty(STDERR_FILENO) && r->end_ns)
		fprintf(stderr, "\r\x1b[Ksonde: measuring, %llu s to go (Ctrl-C ends it now)",
			(unsigned long long)((r->end_ns - now) / NSEC_PER_SEC));
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	struct measurement *r = arg;

	agent_stop(r->agent);
}

/* The time that was asked for begins when everything is in place. */
static void on_ready(void *arg)
{
	const struct timeval second = { .tv_sec = 1 };
	struct measurement *r = arg;
	uint64_t ns = r->config->duration_ns;
	const struct timeval duration = { .tv_sec = (time_t)(ns / NSEC_PER_SEC),
					  .tv_usec = (suseconds_t)(ns % NSEC_PER_SEC / 1000) };

	if (ns)
		r->end_ns = clock_boot_ns() + ns;
	if (event_add(r->timer, &second) < 0 ||
	    (ns &&
	     event_base_once(agent_base(r->agent), -1, EV_TIMEOUT, on_end, r, &duration) < 0)) {
		log_error("out of memory");
		agent_stop(r->agent);
	}
	log_info("measuring%s", ns ? "" : " until Ctrl-C");
}

static int measure(struct measurement *r, struct err *e)
{
	r->timer = event_new(agent_base(r->agent), -1, EV_PERSIST, on_tick, r);
	if (!r->timer)
		return err_set(e, -ENOMEM, "out of memory");
	agent_on_ready(r->agent, on_ready, r);
	agent_loop(r->agent);
	event_free(r->timer);
	if (isatty(STDERR_FILENO) && r->end_ns)
		fputs("\r\x1b[K", stderr);
	return 0;
}

static int write_report(struct measurement *r, struct err *e)
{
	struct snapshot *s = agent_snapshot(r->agent);
	struct strbuf doc = {};
	int err = -ENOMEM;

	if (s)
		err = json_encode(&(struct report){ .snapshot = s,
						    .duration_ns = s->time_ns - s->start_ns,
						    .wall_ns = clock_wall_ns(s->time_ns),
						    .connections = NULL },
				  &doc);
	if (!err)
		err = output_write(&r->output, strbuf_str(&doc), doc.len, e);
	else
		err_set(e, err, "cannot write the report: out of memory");
	strbuf_done(&doc);
	snapshot_free(s);
	return err;
}

enum exit_status command_report(const struct config *c)
{
	struct measurement r = { .config = c };
	uint64_t unaccounted = 0;
	struct err e = {};
	int err;

	if (output_open(c->output, &r.output, &e) < 0) {
		log_error("%s", e.msg);
		return STATUS_FAILED;
	}
	err = privileges_check(&e);
	if (!err)
		err = agent_new(c, &r.agent, &e);
	if (!err)
		err = measure(&r, &e);
	if (!err) {
		unaccounted = agent_finish(r.agent);
		err = write_report(&r, &e);
	}
	if (err < 0)
		log_error("%s", e.msg);
	if (unaccounted)
		log_error("%llu events are in no figure: this is a bug in sonde",
			  (unsigned long long)unaccounted);
	agent_free(r.agent);
	output_close(&r.output);
	if (err < 0)
		return status_of(err);
	return unaccounted ? STATUS_FAILED : STATUS_OK;
}
