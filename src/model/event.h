/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "model/metric.h"

/*
 * What is shown or sent singly: an exchange as it ends, a connection that failed or is over. Everything
 * an event points to lives as long as the call that hands it out; who wants it longer copies it.
 */
struct event {
	const char *name; /* static: "tcp.exchange", "tcp.connect.failed", "tcp.connection" */
	uint64_t time_ns; /* boot time of its end */
	uint64_t duration_ns;
	const char *service;	  /* service.name of the watched; "" if unknown */
	const struct attr *attrs; /* n_attrs of them, OpenTelemetry names first to last as shown */
	size_t n_attrs;
};

/* Room enough for the attributes of every event. */
#define EVENT_MAX_ATTRS 24

/* Where events go. Called on the loop's thread, in the order in which events ended on each CPU. */
struct event_sink {
	void (*take)(const struct event *ev, void *arg);
	void *arg;
};

/*
 * A copy of all that @ev points to, in one piece of memory that the caller frees; what comes out of
 * watched programs is bounded and made valid UTF-8, as in the registry. NULL without memory.
 */
struct event *event_copy(const struct event *ev);

/* The attribute of @ev with this key, or NULL. */
const struct attr *event_attr(const struct event *ev, const char *key);
