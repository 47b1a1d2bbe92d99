// SPDX-License-Identifier: Apache-2.0
#include "agent/tracker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <event2/event.h>

#include "abi/abi.h"
#include "agent/discovery.h"
#include "agent/reader.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/worker.h"
#include "kern/map.h"
#include "kern/object.h"
#include "kern/ring.h"
#include "kern/tiers.h"
#include "probe/run.h"
#include "world/processes.h"

KERN_IMAGE_DECLARE(process);

/* So many new programs are looked at one by one; when there are more, all of /proc is. */
#define MAX_PIDS 256

/* Names outlive their process for so long; its series are let go of much earlier. */
#define KEEP_NAMES_NS (60 * NSEC_PER_SEC)

/* Where ends are not told, the next walk over /proc finds them. */
static const struct kern_hook hooks[] = {
	{ "exec", KERN_TIER_RAW, "sn_proc_exec", "sched_process_exec", .untyped = true },
	{ "exit", KERN_TIER_BTF, "sn_proc_exit", "sched_process_exit", .optional = true },
	{ "exit", KERN_TIER_RAW, "sn_proc_exit_rt", "sched_process_exit", .optional = true },
};

struct pids {
	pid_t pid[MAX_PIDS];
	size_t n;
	bool all;
};

struct tracker {
	struct worker *worker;
	struct processes *processes;
	struct discovery *discovery; /* the worker's */
	struct kern_object *object;
	struct kern_hook_state states[ARRAY_SIZE(hooks)];
	struct kern_ring *ring;
	struct event *ring_event, *pause_timer, *scan_timer;
	uint64_t lost;
	struct pids waiting; /* for the next job */
	struct pids job;     /* the worker's while busy */
	void (*ready)(void *arg);
	void *ready_arg;
	struct plan_verdict *told; /* what a person was told of last */
	size_t n_told;
	unsigned int n_restarts; /* of the reader, that a person was told of */
	bool away;		 /* the same */
	bool busy, stopped;
};

static void look(void *arg)
{
	struct tracker *t = arg;
	struct err e = {};

	if (t->job.all)
		discovery_scan(t->discovery, &e);
	else
		discovery_look(t->discovery, t->job.pid, t->job.n);
	discovery_apply(t->discovery);
}

static void submit(struct tracker *t);

static bool was_told(const struct tracker *t, const struct plan_verdict *v)
{
	for (size_t i = 0; i < t->n_told; i++)
		if (file_id_equal(&t->told[i].file, &v->file) && t->told[i].probe == v->probe &&
		    t->told[i].attached == v->attached)
			return true;
	return false;
}

/* Says once of each program that it is probed, or why it is not. */
static void tell(struct tracker *t)
{
	const struct plan *p = discovery_plan(t->discovery);
	struct plan_verdict *copy;

	for (size_t i = 0; i < p->n_verdicts; i++) {
		const struct plan_verdict *v = &p->verdicts[i];

		if (was_told(t, v))
			continue;
		if (v->attached)
			log_debug("%s: probing %s (pid %d, %s)", v->probe, v->path, v->pid,
				  v->version);
		else
			log_warn("%s: %s (pid %d) is not probed: %s", v->probe, v->path, v->pid,
				 v->why);
	}
	copy = malloc((p->n_verdicts + 1) * sizeof(*copy));
	if (!copy)
		return;
	memcpy(copy, p->verdicts, p->n_verdicts * sizeof(*copy));
	free(t->told);
	t->told = copy;
	t->n_told = p->n_verdicts;
}

static void tell_reader(struct tracker *t)
{
	const struct reader *r = discovery_reader(t->discovery);

	if (r->n_restarts != t->n_restarts)
		log_warn("%s: it was started again", r->why);
	if (r->is_away && !t->away)
		log_warn("%s, and is not started again for a minute at most: programs that start "
			 "meanwhile are probed later",
			 r->why);
	t->n_restarts = r->n_restarts;
	t->away = r->is_away;
}

static void name_process(pid_t pid, void *arg)
{
	struct tracker *t = arg;

	processes_service(t->processes, (uint32_t)pid, NULL);
}

static void looked(void *arg)
{
	struct tracker *t = arg;

	/* The worker is between two jobs: what is its own can be read. */
	t->busy = false;
	discovery_take_looked(t->discovery, name_process, t);
	tell(t);
	tell_reader(t);
	if (t->ready) {
		t->ready(t->ready_arg);
		t->ready = NULL;
	}
	submit(t);
}

/* Hands what is waiting to the worker, unless it is still at the last. */
static void submit(struct tracker *t)
{
	if (t->busy || t->stopped || (!t->waiting.n && !t->waiting.all))
		return;
	t->job = t->waiting;
	t->waiting = (struct pids){};
	t->busy = worker_submit(t->worker, look, looked, t) == 0;
}

static void add_pid(struct pids *p, pid_t pid)
{
	if (p->n == MAX_PIDS)
		p->all = true;
	else
		p->pid[p->n++] = pid;
}

static void on_process_event(const void *data, size_t size, void *arg)
{
	const struct sn_process_event *event = data;
	struct tracker *t = arg;

	if (size < sizeof(*event))
		return;
	if (event->type == SN_PROCESS_EXEC) {
		processes_execed(t->processes, event->tgid);
		add_pid(&t->waiting, (pid_t)event->tgid);
	} else if (event->type == SN_PROCESS_EXIT) {
		processes_exited(t->processes, event->tgid);
	}
}

/* Without a system call as long as nothing has happened: the ring is shared memory. */
static void drain(struct tracker *t)
{
	if (!t->ring)
		return;
	kern_ring_drain(t->ring);
	submit(t);
}

/* Ends that were missed; where new programs may have been, too, what runs is judged anew. */
static void look_again(struct tracker *t, bool all)
{
	struct err e = {};

	processes_check_all(t->processes);
	if (all && processes_survey(t->processes, &e) < 0)
		log_warn("%s", e.msg);
}

void tracker_drain(struct tracker *t)
{
	uint64_t lost;

	drain(t);
	if (!t->ring || kern_stat_read(kern_object_map(t->object, "sn_stats"),
				       SN_STAT_DROP_RING_FULL, &lost) < 0)
		return;
	if (lost != t->lost) {
		t->lost = lost;
		t->waiting.all = true;
		look_again(t, true);
		submit(t);
	}
}

/* However many programs begin, we wake for them fifty times a second at most. */
static void on_ring(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval pause = { .tv_usec = 20000 };
	struct tracker *t = arg;

	drain(t);
	event_del(t->ring_event);
	event_add(t->pause_timer, &pause);
}

static void on_pause(evutil_socket_t fd, short what, void *arg)
{
	struct tracker *t = arg;

	drain(t);
	event_add(t->ring_event, NULL);
}

static void on_scan(evutil_socket_t fd, short what, void *arg)
{
	struct tracker *t = arg;

	t->waiting.all = true;
	look_again(t, !t->ring);
	processes_forget(t->processes, clock_boot_ns() - KEEP_NAMES_NS);
	submit(t);
}

/* Where a probe leaves processes alone, the kernel takes them out of its map as they turn or end. */
static int share_ignored(struct tracker *t, struct probe_run *const *runs, struct err *e)
{
	const bool yes = true;

	for (; *runs; runs++) {
		int fd = probe_run_ignored(*runs);

		if (fd < 0)
			continue;
		if (kern_object_share(t->object, "sn_ignored", fd) < 0)
			return err_set(e, -EINVAL, "a BPF map cannot be shared");
		return kern_object_set(t->object, "sn_by_process", &yes, sizeof(yes), e);
	}
	kern_object_resize(t->object, "sn_ignored", 1);
	return 0;
}

/* Without its events, the walk over /proc still finds every process, only later. */
static int open_events(struct tracker *t, struct event_base *base, struct probe_run *const *runs,
		       struct err *e)
{
	static const struct kern_image image = KERN_IMAGE(process);
	int r = kern_object_open(&image, &t->object, e);

	if (!r)
		r = share_ignored(t, runs, e);
	if (!r)
		r = kern_object_create(t->object, e);
	if (!r)
		r = kern_ring_open(kern_object_map(t->object, "sn_events"), on_process_event, t,
				   &t->ring, e);
	if (!r) {
		t->ring_event =
			event_new(base, kern_ring_fd(t->ring), EV_READ | EV_PERSIST, on_ring, t);
		t->pause_timer = evtimer_new(base, on_pause, t);
		if (!t->ring_event || !t->pause_timer || event_add(t->ring_event, NULL) < 0)
			r = err_set(e, -ENOMEM, "out of memory");
	}
	if (!r)
		r = kern_hooks_attach(t->object, hooks, ARRAY_SIZE(hooks), KERN_TIER_AUTO, false,
				      t->states, e);
	return r;
}

int tracker_new(struct event_base *base, struct worker *w, struct inspector *inspector,
		struct processes *processes, struct probe_run *const *runs, struct tracker **ret,
		struct err *e)
{
	const struct timeval every = { .tv_sec = 10 };
	struct tracker *t = calloc(1, sizeof(*t));

	if (!t)
		return err_set(e, -ENOMEM, "out of memory");
	t->worker = w;
	t->processes = processes;
	t->discovery = discovery_new("/proc", inspector, runs);
	t->scan_timer = event_new(base, -1, EV_PERSIST, on_scan, t);
	if (!t->discovery || !t->scan_timer || event_add(t->scan_timer, &every) < 0) {
		tracker_free(t);
		return err_set(e, -ENOMEM, "out of memory");
	}
	if (open_events(t, base, runs, e) != 0)
		log_warn("new programs are found by a look at /proc every ten seconds only: %s",
			 e->msg);
	/* The events are on: what starts from now on is not missed by the first walk. */
	on_scan(-1, 0, t);
	*ret = t;
	return 0;
}

void tracker_on_ready(struct tracker *t, void (*ready)(void *arg), void *arg)
{
	t->ready = ready;
	t->ready_arg = arg;
}

static void remove_all(void *arg)
{
	struct tracker *t = arg;

	discovery_stop(t->discovery);
}

void tracker_stop(struct tracker *t)
{
	if (!t || t->stopped)
		return;
	t->stopped = true;
	t->ready = NULL; /* who waits for it may be gone when the worker comes to its end */
	if (worker_submit(t->worker, remove_all, NULL, t) < 0)
		log_warn("out of memory: probes are removed only when sonde ends");
}

void tracker_free(struct tracker *t)
{
	struct event *events[3];

	if (!t)
		return;
	events[0] = t->ring_event;
	events[1] = t->pause_timer;
	events[2] = t->scan_timer;
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		if (events[i])
			event_free(events[i]);
	kern_hooks_detach(t->states, ARRAY_SIZE(hooks));
	kern_ring_close(t->ring);
	kern_object_close(t->object);
	discovery_free(t->discovery);
	free(t->told);
	free(t);
}
