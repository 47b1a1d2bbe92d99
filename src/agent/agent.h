/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/options.h"
#include "base/err.h"
#include "model/snapshot.h"
#include "plan/plan.h"
#include "probe/run.h"

struct event_base;

/*
 * The wiring of everything: probes, discovery, registry, one event loop and one worker. `run` and
 * `report` are this with different faces; `doctor` opens it and looks.
 */
struct agent;

/*
 * Opens the probes that @c asks for and starts looking for programs. A probe that this kernel
 * cannot have is left out, with a warning; -ENOTSUP when none is left, -EPERM without the rights.
 */
int agent_new(const struct config *c, struct agent **ret, struct err *e);

/*
 * The same, with single events (for `trace`, and for logs) and with the account of each connection
 * (for `report`), either of which costs more: NULL for none. Both outlive the agent.
 */
int agent_new_with(const struct config *c, const struct probe_singles *singles,
		   struct connections *connections, struct agent **ret, struct err *e);

/* Detaches everything and frees. NULL is fine. */
void agent_free(struct agent *a);

struct event_base *agent_base(struct agent *a);
struct registry *agent_registry(struct agent *a);
const char *agent_host_name(const struct agent *a);

/* Boot time from which on all kernel hooks were in place. */
uint64_t agent_hooked_ns(const struct agent *a);

/* The probes that are open, NULL-ended. */
struct probe_run *const *agent_runs(const struct agent *a);

/* Hands waiting single events to their sink; the agent does it itself fifty times a second. */
void agent_drain(struct agent *a);

/* A fresh snapshot, all maps read for it: the caller's. NULL without memory. */
struct snapshot *agent_snapshot(struct agent *a);

/* Calls @ready from the loop, once all hooks and the programs that ran at the start are probed. */
void agent_on_ready(struct agent *a, void (*ready)(void *arg), void *arg);

/* Runs the loop until agent_stop(), SIGINT, SIGTERM or SIGHUP. */
void agent_loop(struct agent *a);
void agent_stop(struct agent *a);

/*
 * Takes all hooks and probes off, waits until that is done, and reads the maps a last time: what
 * agent_snapshot() then gives is final, and every event is accounted for. 0, or the number of events
 * that are not (a bug of sonde's).
 */
uint64_t agent_finish(struct agent *a);
