// SPDX-License-Identifier: Apache-2.0
#include "world/processes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "world/process.h"

struct entry {
	uint32_t tgid;
	bool ended;
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

static void name_entry(const struct processes *p, struct entry *e, const struct sn_process *known)
{
	char service[SERVICE_NAME_MAX];

	if (process_service_name(p->proc, (pid_t)e->tgid, service) == 0 && service[0]) {
		memcpy(e->service, service, sizeof(e->service));
	} else if (!e->service[0]) {
		if (known && known->comm[0])
			snprintf(e->service, sizeof(e->service), "%.*s", SN_COMM_LEN, known->comm);
		else
			snprintf(e->service, sizeof(e->service), "pid %u", e->tgid);
	}
}

const char *processes_service(struct processes *p, uint32_t tgid, const struct sn_process *known)
{
	struct entry *e = find(p, tgid);

	if (e)
		return e->service;
	e = calloc(1, sizeof(*e));
	if (!e)
		return "unknown";
	e->tgid = tgid;
	name_entry(p, e, known);
	e->ended = !process_alive(p->proc, (pid_t)tgid);
	HASH_ADD(hh, p->entries, tgid, sizeof(e->tgid), e);
	return e->service;
}

void processes_exited(struct processes *p, uint32_t tgid)
{
	struct entry *e = find(p, tgid);

	if (e)
		e->ended = true;
}

void processes_check_all(struct processes *p)
{
	struct entry *e, *next;

	HASH_ITER (hh, p->entries, e, next)
		e->ended = e->ended || !process_alive(p->proc, (pid_t)e->tgid);
}

void processes_execed(struct processes *p, uint32_t tgid)
{
	struct entry *e = find(p, tgid);

	if (!e)
		return;
	e->ended = false;
	name_entry(p, e, NULL);
}

bool processes_ended(const struct processes *p, uint32_t tgid)
{
	const struct entry *e = find(p, tgid);

	return e && e->ended;
}

void processes_forget(struct processes *p, uint32_t tgid)
{
	struct entry *e = find(p, tgid);

	if (!e || !e->ended)
		return;
	HASH_DEL(p->entries, e);
	free(e);
}
