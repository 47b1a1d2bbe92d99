// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <event2/event.h>
#include <linux/membarrier.h>

#include "agent/privileges.h"
#include "agent/tracker.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/worker.h"
#include "kern/btf.h"
#include "probe/run.h"
#include "probe/tcp_filter.h"
#include "world/inspector.h"

#define MAX_PROBES 16

/* Single events wait in the kernel for so long at most, but for those that find it half full. */
#define DRAIN_MS 20

struct agent {
	const struct config *config;
	struct event_base *base;
	struct inspector *inspector;
	struct worker *worker;
	struct tracker *tracker;
	struct registry *registry;
	struct processes *processes;
	struct probe_singles singles;
	struct connections *connections;
	struct selection selection;
	struct probe_env env;
	struct probe_run *runs[MAX_PROBES + 1];
	struct event *ring_events[MAX_PROBES];
	size_t n_runs;
	bool collect_failed;
	uint64_t hooked_ns;
	struct event *signals[3];
	struct event *worker_event, *drain_timer;
	char host_name[256];
};

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;

	/* The first asks for an end in good order; a second one is not made to wait for it. */
	signal((int)fd, SIG_DFL);
	agent_stop(a);
}

static void on_worker(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;

	worker_finish(a->worker);
}

static void on_drain(evutil_socket_t fd, short what, void *arg)
{
	agent_drain(arg);
}

static int add_event(struct agent *a, evutil_socket_t fd, short what, event_callback_fn fn,
		     struct event **ret)
{
	*ret = event_new(a->base, fd, what | EV_PERSIST, fn, a);
	return *ret && event_add(*ret, NULL) == 0 ? 0 : -ENOMEM;
}

static void remove_event(struct event **ev)
{
	if (*ev)
		event_free(*ev);
	*ev = NULL;
}

/* Woken by whoever finds the ring half full; by the clock otherwise. */
static int open_drain(struct agent *a)
{
	const struct timeval every = { .tv_usec = DRAIN_MS * 1000 };
	int r = 0;

	if (!probe_wants_singles(&a->env))
		return 0;
	a->drain_timer = event_new(a->base, -1, EV_PERSIST, on_drain, a);
	if (!a->drain_timer || event_add(a->drain_timer, &every) < 0)
		return -ENOMEM;
	for (size_t i = 0; !r && i < a->n_runs; i++)
		if (probe_run_ring_fd(a->runs[i]) >= 0)
			r = add_event(a, probe_run_ring_fd(a->runs[i]), EV_READ, on_drain,
				      &a->ring_events[i]);
	return r;
}

/* The event goes with the worker: its descriptor is soon another file's. */
static void end_worker(struct agent *a)
{
	remove_event(&a->worker_event);
	worker_free(a->worker);
	a->worker = NULL;
}

static int open_loop(struct agent *a, struct err *e)
{
	a->base = event_base_new();
	if (!a->base || add_event(a, SIGINT, EV_SIGNAL, on_signal, &a->signals[0]) < 0 ||
	    add_event(a, SIGTERM, EV_SIGNAL, on_signal, &a->signals[1]) < 0 ||
	    add_event(a, SIGHUP, EV_SIGNAL, on_signal, &a->signals[2]) < 0)
		return err_set(e, -ENOMEM, "cannot make an event loop: out of memory");
	return 0;
}

/* Figures that this kernel cannot give, or not in the tier that was asked for, are named. */
static void tell_missing(const struct probe_run *run)
{
	const struct probe *p = probe_run_probe(run);
	size_t n;
	const struct kern_hook_state *states = probe_run_hooks(run, &n);
	bool had = false;

	for (size_t i = 0; i < n; i++) {
		bool last = i + 1 == n || strcmp(p->hooks[i].figure, p->hooks[i + 1].figure) != 0;

		had = had || states[i].attached || p->hooks[i].optional;
		if (last && !had)
			log_warn("probe %s lacks its hook for \"%s\": %s; see `sonde doctor`",
				 p->name, p->hooks[i].figure, states[i].why);
		had = had && !last;
	}
}

static int open_probes(struct agent *a, struct err *e)
{
	const struct config *c = a->config;
	int r = 0;

	for (size_t i = 0; probes[i] && a->n_runs < MAX_PROBES; i++) {
		if (!config_wants_probe(c, probes[i]->name))
			continue;
		r = registry_register(a->registry, probes[i]->metrics);
		if (!r)
			r = probe_run_open(probes[i], &a->env, &a->runs[a->n_runs], e);
		if (!r)
			tell_missing(a->runs[a->n_runs++]);
		else if (r == -EPERM || r == -ENOMEM)
			return r;
		else
			log_warn("%s", e->msg);
	}
	return a->n_runs ? 0
			 : err_set(e, -ENOTSUP,
				   "no probe that was asked for works on this "
				   "kernel: see `sonde doctor`");
}

/* Where the kernel lets nobody use such a file, it gives what it gives without. */
static int use_types(const char *path, struct err *e)
{
	int r = kern_types_use_file(path, e);

	if (r != -EOPNOTSUPP)
		return r;
	log_warn("%s", e->msg);
	*e = (struct err){};
	return 0;
}

/* ---- what is measured ---- */

static void collect_probes(struct agent *a)
{
	struct err e = {};
	bool failed = false;

	for (size_t i = 0; i < a->n_runs; i++)
		if (probe_run_collect(a->runs[i], &e) < 0)
			failed = true;
	if (failed && !a->collect_failed)
		log_error("%s", e.msg);
	a->collect_failed = failed;
}

static void on_turn(void *arg)
{
	collect_probes(arg);
}

static void on_ignore(uint32_t tgid, bool ignore, void *arg)
{
	struct agent *a = arg;

	for (size_t i = 0; i < a->n_runs; i++)
		probe_run_ignore(a->runs[i], tgid, ignore);
}

/* What the settings say was checked when they were read. */
static void choose(struct agent *a)
{
	const struct processes_listener listener = { on_turn, on_ignore, a };
	const struct config *c = a->config;

	a->selection =
		(struct selection){ c->pids, c->commands, c->services, c->containers, c->cgroups };
	a->env.by_process = !selection_is_empty(&a->selection);
	if (a->env.by_process)
		processes_select(a->processes, &a->selection, &listener);
	tcp_filter_ports(c->ports, &a->env.tcp_filter);
	tcp_filter_peers(c->peers, &a->env.tcp_filter);
	tcp_filter_finish(c->sample, c->role, &a->env.tcp_filter);
}

static int agent_open(struct agent *a, struct err *e)
{
	int r;

	/* Before there are threads, files or secrets. */
	a->inspector = inspector_new(e);
	if (!a->inspector)
		return -EAGAIN;
	if (gethostname(a->host_name, sizeof(a->host_name) - 1) < 0)
		a->host_name[0] = '\0';
	a->registry = registry_new(a->config->max_series);
	a->processes = processes_new("/proc");
	if (!a->registry || !a->processes)
		return err_set(e, -ENOMEM, "out of memory");
	a->env = (struct probe_env){
		.registry = a->registry,
		.processes = a->processes,
		.proc = "/proc",
		.tier = (enum kern_tier)a->config->tier,
		.detail = a->config->tcp_detail,
		.singles = a->singles,
		.connections = a->connections,
	};
	choose(a);
	r = open_loop(a, e);
	if (!r && *a->config->btf)
		r = use_types(a->config->btf, e);
	if (!r)
		r = registry_register(a->registry, probe_run_metrics);
	if (!r)
		r = open_probes(a, e);
	a->hooked_ns = clock_boot_ns();
	/* What loading took, types of the kernel above all, is not needed any more. */
	malloc_trim(0);
	/* The hooks are on; from here on bytes of other programs are read. */
	if (!r)
		r = privileges_reduce(e);
	if (!r)
		r = worker_new(&a->worker, e);
	if (!r)
		r = add_event(a, worker_fd(a->worker), EV_READ, on_worker, &a->worker_event);
	if (!r)
		r = tracker_new(a->base, a->worker, a->inspector, a->processes, a->runs,
				&a->tracker, e);
	if (!r)
		r = open_drain(a);
	/* Who becomes another program from now on is told of, and judged anew. */
	if (!r)
		r = processes_survey(a->processes, e);
	return r;
}

int agent_new_with(const struct config *c, const struct probe_singles *singles,
		   struct connections *connections, struct agent **ret, struct err *e)
{
	struct agent *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return err_set(e, -ENOMEM, "out of memory");
	a->config = c;
	a->connections = connections;
	if (singles)
		a->singles = *singles;
	r = agent_open(a, e);
	if (r < 0) {
		agent_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

int agent_new(const struct config *c, struct agent **ret, struct err *e)
{
	return agent_new_with(c, NULL, NULL, ret, e);
}

void agent_free(struct agent *a)
{
	if (!a)
		return;
	tracker_stop(a->tracker);
	end_worker(a);
	tracker_free(a->tracker);
	remove_event(&a->drain_timer);
	for (size_t i = 0; i < a->n_runs; i++) {
		remove_event(&a->ring_events[i]);
		probe_run_close(a->runs[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(a->signals); i++)
		remove_event(&a->signals[i]);
	if (a->base)
		event_base_free(a->base);
	processes_free(a->processes);
	registry_free(a->registry);
	inspector_free(a->inspector);
	free(a);
}

struct event_base *agent_base(struct agent *a)
{
	return a->base;
}

struct registry *agent_registry(struct agent *a)
{
	return a->registry;
}

const char *agent_host_name(const struct agent *a)
{
	return a->host_name;
}

uint64_t agent_hooked_ns(const struct agent *a)
{
	return a->hooked_ns;
}

struct probe_run *const *agent_runs(const struct agent *a)
{
	return a->runs;
}

void agent_drain(struct agent *a)
{
	tracker_drain(a->tracker);
	for (size_t i = 0; i < a->n_runs; i++)
		probe_run_drain(a->runs[i]);
}

static void collect(struct agent *a)
{
	agent_drain(a);
	collect_probes(a);
}

struct snapshot *agent_snapshot(struct agent *a)
{
	struct snapshot *s = NULL;

	collect(a);
	if (registry_snapshot(a->registry, &s) < 0)
		log_error("out of memory: a snapshot could not be taken");
	return s;
}

void agent_on_ready(struct agent *a, void (*ready)(void *arg), void *arg)
{
	tracker_on_ready(a->tracker, ready, arg);
}

void agent_loop(struct agent *a)
{
	event_base_dispatch(a->base);
}

void agent_stop(struct agent *a)
{
	event_base_loopbreak(a->base);
}

uint64_t agent_finish(struct agent *a)
{
	uint64_t unaccounted = 0;
	struct err e = {};

	/* The kernel's hooks first: nobody takes anything out of a ring while programs are let go of. */
	for (size_t i = 0; i < a->n_runs; i++)
		if (probe_run_detach(a->runs[i], &e) < 0)
			log_error("%s", e.msg);
	tracker_stop(a->tracker);
	end_worker(a);
	/* A program that is still at work on another CPU is over when this returns. */
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	collect(a);
	for (size_t i = 0; i < a->n_runs; i++)
		unaccounted += (uint64_t)llabs(probe_run_account(a->runs[i])->unaccounted);
	return unaccounted;
}
