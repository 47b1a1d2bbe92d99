// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <event2/event.h>

#include "agent/agent.h"
#include "agent/commands.h"
#include "agent/privileges.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "export/export.h"

struct report {
	const struct config *config;
	struct agent *agent;
	struct event *timer;
	uint64_t end_ns; /* 0: until interrupted */
	int output;
};

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct report *r = arg;
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
	struct report *r = arg;

	agent_stop(r->agent);
}

/* The time that was asked for begins when everything is in place. */
static void on_ready(void *arg)
{
	const struct timeval second = { .tv_sec = 1 };
	struct report *r = arg;
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

static int measure(struct report *r, struct err *e)
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

/*
 * Opened before anything is measured: whether there is a place for the result is known then, and the
 * rights to write into other users' folders are not yet given up. What the file held stays until the
 * document is there to take its place. Devices, pipes and links are written to as they are.
 */
static int open_output(struct report *r, struct err *e)
{
	const char *path = r->config->output;

	if (strcmp(path, "-") == 0)
		r->output = dup(STDOUT_FILENO);
	else
		r->output = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
	if (r->output < 0)
		return err_set(e, -errno, "cannot write %s: %s", path, strerror(errno));
	return 0;
}

/* Empties @fd if it is a file that we opened: standard output may hold what is not ours. */
static int make_room(int fd, bool ours)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || (ours && S_ISREG(st.st_mode) && ftruncate(fd, 0) < 0))
		return -errno;
	return 0;
}

static int write_document(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int write_report(struct report *r, struct err *e)
{
	struct snapshot *s = agent_snapshot(r->agent);
	struct strbuf doc = {};
	int err = -ENOMEM;

	if (s)
		err = json_encode(s, clock_wall_ns(s->time_ns), &doc);
	if (!err)
		err = make_room(r->output, strcmp(r->config->output, "-") != 0);
	if (!err)
		err = write_document(r->output, strbuf_str(&doc), doc.len);
	if (err < 0)
		err_set(e, err, "cannot write %s: %s", r->config->output, strerror(-err));
	strbuf_done(&doc);
	snapshot_free(s);
	return err;
}

enum exit_status command_report(const struct config *c)
{
	struct report r = { .config = c, .output = -1 };
	uint64_t unaccounted = 0;
	struct err e = {};
	int err;

	if (open_output(&r, &e) < 0) {
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
	close(r.output);
	if (err < 0)
		return status_of(err);
	return unaccounted ? STATUS_FAILED : STATUS_OK;
}
