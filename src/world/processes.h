/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "world/selection.h"

/*
 * The processes that appear in series, by tgid, with the service each belongs to. A name is read
 * from /proc when it is first asked for and kept after the process has ended, until it is forgotten.
 * One thread.
 */
struct processes;

struct processes *processes_new(const char *proc);
void processes_free(struct processes *p);

/*
 * The service of @tgid; @comm (NULL if not known) is what the kernel half remembered and names a
 * process that is already gone. Never NULL nor empty; valid until the next processes_*() call.
 */
const char *processes_service(struct processes *p, uint32_t tgid, const char *comm);

/*
 * Makes @tgid known, if it is not yet. One that is gone is taken for what its @parent is if that is
 * known and called the same: a child that became no other program.
 */
void processes_remember(struct processes *p, uint32_t tgid, const char *comm, uint32_t parent);

/* The service of @tgid if it is known and runs, as it is called now; else NULL. Reads nothing. */
const char *processes_current(const struct processes *p, uint32_t tgid);

/* An exit was seen; or: some may have been missed, look at all of them. */
void processes_exited(struct processes *p, uint32_t tgid);
void processes_check_all(struct processes *p);

/* A new program runs under this tgid: its name is read again. */
void processes_execed(struct processes *p, uint32_t tgid);

/*
 * Which processes are wanted is decided when each is first seen, and again when it becomes another
 * program; one that is gone by then is judged by its number, by @comm, and as its parent: by place in
 * any case, by the rest if it is called the same. Unless processes_select() was called, all are.
 */
struct processes_listener {
	/* A process that was wanted is so no longer when this returns: to be read what it did as such. */
	void (*turns)(void *arg);
	/* To be left alone from now on, or no longer: it has turned, or has ended. May come twice. */
	void (*ignore)(uint32_t tgid, bool ignore, void *arg);
	void *arg;
};

/* Once, before anything else; @s is not copied. What is called may ask for processes, as they were. */
void processes_select(struct processes *p, const struct selection *s,
		      const struct processes_listener *l);

/* Judges all that run, anew: at the start, and when a new program may have been missed. */
int processes_survey(struct processes *p, struct err *e);

/* Whether @tgid is wanted, as it was judged last; of one that is not known, false if not all are. */
bool processes_wanted(const struct processes *p, uint32_t tgid);

/* Whether @tgid has ended. */
bool processes_ended(const struct processes *p, uint32_t tgid);

/* Forgets those that ended before @before_ns, boot time. */
void processes_forget(struct processes *p, uint64_t before_ns);
