// SPDX-License-Identifier: Apache-2.0
#include "world/processes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "base/clock.h"
#include "world/process.h"

struct entry {
	uint32_t tgid;
	uint64_t ended_ns; /* boot time at which the end was noticed; 0: it runs */
	char service[SERVICE_NAME_MAX];
	UT_hash_handle hh;
};

struct processes {
	struct entry *entries;
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

static void name_entry(const struct processes *p, struct entry *e, const char *comm)
{
	char service[SERVICE_NAME_MAX];

	if (process_service_name(p->proc, (pid_t)e->tgid, service) == 0 && service[0]) {
		memcpy(e->service, service, sizeof(e->service));
	} else if (!e->service[0]) {
		if (comm && comm[0])
			snprintf(e->service, sizeof(e->service), "%s", comm);
		else
			snprintf(e->service, sizeof(e->service), "pid %u", e->tgid);
	}
}

static void note_end(const struct processes *p, struct entry *e, bool certain)
{
	if (!e->ended_ns && (certain || !process_alive(p->proc, (pid_t)e->tgid)))
		e->ended_ns = clock_boot_ns();
}

const char *processes_service(struct processes *p, uint32_t tgid, const char *comm)
{
	struct entry *e = find(p, tgid);

	if (e)
		return e->service;
	e = calloc(1, sizeof(*e));
	if (!e)
		return "unknown";
	e->tgid = tgid;
	name_entry(p, e, comm);
	note_end(p, e, false);
	HASH_ADD(hh, p->entries, tgid, sizeof(e->tgid), e);
	return e->service;
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

void processes_execed(struct processes *p, uint32_t tgid)
{
	struct entry *e = find(p, tgid);

	if (!e)
		return;
	e->ended_ns = 0;
	name_entry(p, e, NULL);
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
