/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

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

/* The service of @tgid if it is known and runs, as it is called now; else NULL. Reads nothing. */
const char *processes_current(const struct processes *p, uint32_t tgid);

/* An exit was seen; or: some may have been missed, look at all of them. */
void processes_exited(struct processes *p, uint32_t tgid);
void processes_check_all(struct processes *p);

/* A new program runs under this tgid: its name is read again. */
void processes_execed(struct processes *p, uint32_t tgid);

/* Whether @tgid has ended. */
bool processes_ended(const struct processes *p, uint32_t tgid);

/* Forgets those that ended before @before_ns, boot time. */
void processes_forget(struct processes *p, uint64_t before_ns);
