// SPDX-License-Identifier: Apache-2.0
#include "world/processes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "base/clock.h"
#include "world/process.h"

/* Enough for a dozen hierarchies with paths of containers. */
#define CGROUP_MAX (16 * 1024)

struct entry {
	uint32_t tgid;
	uint64_t ended_ns;    /* boot time at which the end was noticed; 0: it runs */
	unsigned int misfits; /* 0: it is wanted */
	char comm[PROCESS_COMM_MAX];
	char service[SERVICE_NAME_MAX];
	UT_hash_handle hh;
};

struct processes {
	struct entry *entries;
	const struct selection *selection; /* NULL: all are wanted */
	struct processes_listener listener;
	const char *proc;
};

struct processes *processes_new(const char *proc)
{
	struct processes *p = calloc(1, sizeof(*p));

	if (p)
		p->proc = proc;
	return p;
}

void processes_free(struct processes *p)
{
	struct entry *e, *next;

	if (!p)
		return;
	HASH_ITER (hh, p->entries, e, next) {
		HASH_DEL(p->entries, e);
		free(e);
	}
	free(p);
}

static struct entry *find(const struct processes *p, uint32_t tgid)
{
	struct entry *e;

	HASH_FIND(hh, p->entries, &tgid, sizeof(tgid), e);
	return e;
}

static void note_end(const struct processes *p, struct entry *e, bool certain)
{
	if (e->ended_ns || (!certain && process_alive(p->proc, (pid_t)e->tgid)))
		return;
	e->ended_ns = clock_boot_ns();
	/* The number may soon be another's. */
	if (e->misfits)
		p->listener.ignore(e->tgid, false, p->listener.arg);
}

/* What there is to know of a process when it is looked at. */
struct look {
	bool lives; /* or is a kernel thread */
	char comm[PROCESS_COMM_MAX], exe[SELECTION_VALUE_MAX], service[SERVICE_NAME_MAX];
	const struct entry *parent, *twin; /* a parent that it is like; NULL: not known */
};

/* @comm and @parent are what the kernel half remembered, if anything. */
static void look_at(const struct processes *p, const struct entry *e, const char *comm,
		    uint32_t parent, struct look *l)
{
	pid_t pid = (pid_t)e->tgid;

	l->lives = process_exe_name(p->proc, pid, l->exe, sizeof(l->exe)) == 0;
	if (process_comm(p->proc, pid, l->comm) < 0)
		snprintf(l->comm, sizeof(l->comm), "%s", comm ? comm : "");
	l->parent = parent && !l->lives ? find(p, parent) : NULL;
	l->twin = l->parent && strcmp(l->parent->comm, l->comm) == 0 ? l->parent : NULL;
	if (process_service_name(p->proc, pid, l->service) == 0 && l->service[0])
		return;
	if (e->service[0] || l->twin)
		memcpy(l->service, e->service[0] ? e->service : l->twin->service, SERVICE_NAME_MAX);
	else if (comm && comm[0])
		snprintf(l->service, sizeof(l->service), "%s", comm);
	else
		snprintf(l->service, sizeof(l->service), "pid %u", e->tgid);
}

static unsigned int misfits_of(const struct processes *p, const struct entry *e,
			       const struct look *l)
{
	struct process_facts facts = { .pid = e->tgid, .comm = l->comm, .service = l->service };
	const unsigned int inherited = MISFIT_PLACE | (l->twin ? MISFIT_COMMAND : 0);
	char cgroup[CGROUP_MAX];
	unsigned int misfits;

	if (l->lives)
		facts.exe = l->exe;
	/* What has ended and was not yet waited for may be shown at the root. */
	if (l->lives && process_cgroup(p->proc, (pid_t)e->tgid, cgroup, sizeof(cgroup)) == 0)
		facts.cgroup = cgroup;
	misfits = selection_misfits(p->selection, &facts);
	if (l->parent)
		misfits = (misfits & ~inherited) | (l->parent->misfits & inherited);
	return misfits;
}

static void judge(const struct processes *p, struct entry *e, unsigned int misfits, bool is_new)
{
	const struct processes_listener *l = &p->listener;

	/* What it is from now on is kept out of what is taken for what it was. */
	if (misfits)
		l->ignore(e->tgid, true, l->arg);
	if (misfits && !e->misfits && !is_new)
		l->turns(l->arg);
	if (!misfits && e->misfits)
		l->ignore(e->tgid, false, l->arg);
	e->misfits = misfits;
}

/*
 * The kernel takes who becomes another program out of those that are left alone. If that came between
 * our look and our word it would be undone; the event of it is then still to come.
 */
static void leave_if_turned(const struct processes *p, const struct entry *e, const struct look *l)
{
	char exe[SELECTION_VALUE_MAX];

	if (e->misfits && l->lives &&
	    process_exe_name(p->proc, (pid_t)e->tgid, exe, sizeof(exe)) == 0 &&
	    strcmp(exe, l->exe) != 0)
		p->listener.ignore(e->tgid, false, p->listener.arg);
}

static void take_look(const struct processes *p, struct entry *e, const char *comm, uint32_t parent,
		      bool is_new)
{
	struct look l;

	look_at(p, e, comm, parent, &l);
	if (p->selection) {
		judge(p, e, misfits_of(p, e, &l), is_new);
		leave_if_turned(p, e, &l);
	}
	memcpy(e->comm, l.comm, sizeof(e->comm));
	memcpy(e->service, l.service, sizeof(e->service));
}

static struct entry *add_entry(struct processes *p, uint32_t tgid, const char *comm,
			       uint32_t parent)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->tgid = tgid;
	take_look(p, e, comm, parent, true);
	note_end(p, e, false);
	HASH_ADD(hh, p->entries, tgid, sizeof(e->tgid), e);
	return e;
}

void processes_remember(struct processes *p, uint32_t tgid, const char *comm, uint32_t parent)
{
	if (!find(p, tgid))
		add_entry(p, tgid, comm, parent);
}

const char *processes_service(struct processes *p, uint32_t tgid, const char *comm)
{
	const struct entry *e = find(p, tgid);

	if (!e)
		e = add_entry(p, tgid, comm, 0);
	return e ? e->service : "unknown";
}

void processes_select(struct processes *p, const struct selection *s,
		      const struct processes_listener *l)
{
	p->selection = s;
	p->listener = *l;
}

bool processes_wanted(const struct processes *p, uint32_t tgid)
{
	const struct entry *e = p->selection ? find(p, tgid) : NULL;

	return e ? !e->misfits : !p->selection;
}

const char *processes_current(const struct processes *p, uint32_t tgid)
{
	const struct entry *e = find(p, tgid);

	return e && !e->ended_ns ? e->service : NULL;
}

void processes_exited(struct processes *p, uint32_t tgid)
{
	struct entry *e = find(p, tgid);

	if (e)
		note_end(p, e, true);
}

void processes_check_all(struct processes *p)
{
	struct entry *e, *next;

	HASH_ITER (hh, p->entries, e, next)
		note_end(p, e, false);
}

static void forget(struct processes *p, struct entry *e)
{
	if (!e->misfits)
		p->listener.turns(p->listener.arg);
	else if (!e->ended_ns)
		/* As at its end: the number may soon be another's. */
		p->listener.ignore(e->tgid, false, p->listener.arg);
	HASH_DEL(p->entries, e);
	free(e);
}

void processes_execed(struct processes *p, uint32_t tgid)
{
	struct entry *e = find(p, tgid);
	bool gone = p->selection && !process_alive(p->proc, (pid_t)tgid);

	/* What is gone already is judged by its first figure, if there is one. */
	if (e && gone) {
		forget(p, e);
	} else if (e) {
		e->ended_ns = 0;
		take_look(p, e, NULL, 0, false);
	} else if (p->selection && !gone) {
		add_entry(p, tgid, NULL, 0);
	}
}

static int survey(pid_t pid, void *arg)
{
	processes_execed(arg, (uint32_t)pid);
	return 0;
}

int processes_survey(struct processes *p, struct err *e)
{
	return p->selection ? process_walk(p->proc, survey, p, e) : 0;
}

bool processes_ended(const struct processes *p, uint32_t tgid)
{
	const struct entry *e = find(p, tgid);

	return e ? e->ended_ns != 0 : !process_alive(p->proc, (pid_t)tgid);
}

void processes_forget(struct processes *p, uint64_t before_ns)
{
	struct entry *e, *next;

	HASH_ITER (hh, p->entries, e, next) {
		if (!e->ended_ns || e->ended_ns >= before_ns)
			continue;
		HASH_DEL(p->entries, e);
		free(e);
	}
}
