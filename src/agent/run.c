// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <event2/event.h>

#include "agent/agent.h"
#include "agent/commands.h"
#include "agent/privileges.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "export/export.h"
#include "http/server.h"
#include "ui/terminal.h"

#define MAX_EXPORTERS 8
#define STOP_NS	      (2 * NSEC_PER_SEC)
#define LOG_LINES     4

struct run {
	const struct config *config;
	struct agent *agent;
	struct http_server *server;
	struct export_settings settings;
	struct export_env env;
	void *states[MAX_EXPORTERS];
	struct event *timer;
	struct snapshot *before;    /* of the last screen */
	bool screen;		    /* a terminal shows the live summary */
	char lines[LOG_LINES][256]; /* the newest log lines, shown below it */
	size_t n_lines;
};

static struct snapshot *take(void *arg)
{
	return agent_snapshot(arg);
}

static void notice(void *arg, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_atv(LOG_WARN, fmt, ap);
	va_end(ap);
}

/* Log lines would tear the screen: they are kept and drawn with it. */
static void keep_line(enum log_level level, const char *line, void *arg)
{
	struct run *r = arg;

	snprintf(r->lines[r->n_lines++ % LOG_LINES], sizeof(r->lines[0]), "%s%s",
		 level <= LOG_WARN ? "! " : "", line);
}

/* Cut to the width: a line that wraps would push the head of the screen out of view. */
static void add_lines(const struct run *r, unsigned width, struct strbuf *screen)
{
	size_t first = r->n_lines > LOG_LINES ? r->n_lines - LOG_LINES : 0;

	for (size_t i = first; i < r->n_lines; i++)
		strbuf_printf(screen, "%.*s\n", (int)width - 1, r->lines[i % LOG_LINES]);
}

static void draw(struct run *r, const struct snapshot *now)
{
	struct winsize size = { .ws_col = 80, .ws_row = 24 };
	struct strbuf screen = {}, out = {};
	struct terminal_style style;

	size_t lines = r->n_lines < LOG_LINES ? r->n_lines : LOG_LINES;

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	style = (struct terminal_style){
		.width = size.ws_col,
		.height = size.ws_row > lines ? size.ws_row - (unsigned)lines : 1,
		.color = use_color(r->config),
		.utf8 = true,
		.host_name = agent_host_name(r->agent),
	};
	terminal_render(now, r->before, &style, &screen);
	add_lines(r, size.ws_col, &screen);
	terminal_redraw(&screen, &out);
	if (!strbuf_failed(&out) && write(STDOUT_FILENO, out.data, out.len) < 0)
		agent_stop(r->agent);
	strbuf_done(&screen);
	strbuf_done(&out);
}

/* Also with nobody reading: losses are to be noticed, and ended processes to be let go of. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;
	struct snapshot *now = agent_snapshot(r->agent);

	if (!now || !r->screen) {
		snapshot_free(now);
		return;
	}
	draw(r, now);
	snapshot_free(r->before);
	r->before = now;
}

static void on_event(const struct event *ev, void *arg)
{
	struct run *r = arg;

	for (size_t i = 0; exporters[i] && i < MAX_EXPORTERS; i++)
		if (r->states[i] && exporters[i]->event)
			exporters[i]->event(r->states[i], ev);
}

static bool wants_logs(const struct config *c)
{
	return c->otlp_logs && !c->otlp_disabled && (*c->otlp_endpoint || *c->otlp_logs_endpoint);
}

/* It was given, and nothing asks for it. */
static bool slowness_is_idle(const struct config *c)
{
	return c->layer[opt_find("otlp.logs_slower_than") - opts] > LAYER_DEFAULT &&
	       !(c->otlp_logs & EVENTS_EXCHANGES);
}

/* Nothing that costs is asked of the kernel without somebody to send it to. */
static struct probe_singles wanted_singles(struct run *r)
{
	const struct config *c = r->config;

	if (!wants_logs(c))
		return (struct probe_singles){};
	return (struct probe_singles){
		.exchanges = c->otlp_logs & EVENTS_EXCHANGES,
		.failures = c->otlp_logs & EVENTS_FAILURES,
		.ends = c->otlp_logs & EVENTS_ENDS,
		.slower_than_ns = c->otlp_logs_slower_than_ns,
		.sink = { on_event, r },
	};
}

static int start_exporters(struct run *r, struct err *e)
{
	int err;

	for (size_t i = 0; exporters[i] && i < MAX_EXPORTERS; i++) {
		if (exporters[i]->metrics) {
			err = registry_register(agent_registry(r->agent), exporters[i]->metrics);
			if (err < 0)
				return err;
		}
		err = exporters[i]->start(&r->env, &r->states[i], e);
		if (err < 0)
			return err;
	}
	return 0;
}

static int open_server(struct run *r, struct err *e)
{
	const struct config *c = r->config;

	if (strcmp(c->listen, "off") == 0)
		return 0;
	return http_server_new(agent_base(r->agent), c->listen, &r->server, e);
}

/* With the port that the kernel chose, if it was left to it. */
static void tell_address(const struct run *r)
{
	const char *colon = strrchr(r->config->listen, ':');

	if (r->server)
		log_info("figures are at http://%.*s:%u/metrics", (int)(colon - r->config->listen),
			 r->config->listen, http_server_port(r->server));
}

static int open_run(struct run *r, struct err *e)
{
	const struct timeval every = { .tv_sec = isatty(STDOUT_FILENO) ? 1 : 5 };
	const struct timeval soon = { .tv_usec = 200000 };
	const struct config *c = r->config;
	int err;

	err = open_server(r, e);
	if (err)
		return err;
	r->settings = (struct export_settings){
		.otlp_endpoint = c->otlp_disabled ? "" : c->otlp_endpoint,
		.otlp_metrics_endpoint = c->otlp_disabled ? "" : c->otlp_metrics_endpoint,
		.otlp_headers = c->otlp_headers,
		.otlp_timeout_ns = c->otlp_timeout_ns,
		.otlp_interval_ns = c->otlp_interval_ns,
		.otlp_logs = wants_logs(c),
		.otlp_logs_all_speeds = !c->otlp_logs_slower_than_ns,
		.otlp_logs_endpoint = c->otlp_disabled ? "" : c->otlp_logs_endpoint,
		.otlp_logs_headers = c->otlp_logs_headers,
		.otlp_logs_timeout_ns = c->otlp_logs_timeout_ns,
		.otlp_logs_delay_ns = c->otlp_logs_delay_ns,
	};
	r->env = (struct export_env){
		.base = agent_base(r->agent),
		.server = r->server,
		.settings = &r->settings,
		.service_name = c->service_name,
		.host_name = agent_host_name(r->agent),
		.take = take,
		.take_arg = r->agent,
		.registry = agent_registry(r->agent),
		.notice = notice,
	};
	err = start_exporters(r, e);
	if (err)
		return err;
	r->timer = event_new(agent_base(r->agent), -1, EV_PERSIST, on_tick, r);
	if (!r->timer || event_add(r->timer, &every) < 0 ||
	    event_base_once(agent_base(r->agent), -1, EV_TIMEOUT, on_tick, r, &soon) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	return 0;
}

static void close_run(struct run *r)
{
	for (size_t i = 0; exporters[i] && i < MAX_EXPORTERS; i++) {
		void *state = r->states[i];

		r->states[i] = NULL;
		if (state)
			exporters[i]->stop(state, STOP_NS);
	}
	if (r->timer)
		event_free(r->timer);
	http_server_free(r->server);
	snapshot_free(r->before);
}

static void loop(struct run *r)
{
	r->screen = isatty(STDOUT_FILENO);
	if (r->screen) {
		log_set_sink(keep_line, r);
		fputs(TERMINAL_OPEN, stdout);
		fflush(stdout);
	}
	tell_address(r);
	agent_loop(r->agent);
	/* Exporters run the loop for their last words: nothing is drawn any more. */
	event_del(r->timer);
	if (r->screen) {
		r->screen = false;
		fputs(TERMINAL_CLOSE, stdout);
		fflush(stdout);
		log_set_sink(NULL, NULL);
	}
}

enum exit_status command_run(const struct config *c)
{
	struct run r = { .config = c };
	const struct probe_singles singles = wanted_singles(&r);
	struct err e = {};
	int err;

	err = privileges_check(&e);
	if (!err && c->otlp_logs && !wants_logs(c) && !c->otlp_disabled)
		log_warn(
			"otlp.logs asks for log records, but there is no endpoint to send them to: "
			"give otlp.endpoint or otlp.logs_endpoint");
	if (!err && slowness_is_idle(c))
		log_warn("otlp.logs_slower_than has no effect: otlp.logs does not ask for "
			 "exchanges");
	if (!err)
		err = agent_new_with(c, &singles, NULL, &r.agent, &e);
	if (!err)
		err = open_run(&r, &e);
	if (err < 0)
		log_error("%s", e.msg);
	else
		loop(&r);
	if (r.agent) {
		uint64_t n = err < 0 ? 0 : agent_finish(r.agent);

		if (n)
			log_error("%llu events are in no figure: this is a bug in sonde",
				  (unsigned long long)n);
		close_run(&r);
	}
	agent_free(r.agent);
	return err < 0 ? status_of(err) : STATUS_OK;
}
