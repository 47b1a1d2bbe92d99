/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "model/registry.h"

struct event_base;
struct http_server;

/*
 * An exporter carries snapshots out of the program. It is a row in exporters.def and a file of its
 * own; it sees nothing but snapshots. Exporters are started once, before any data is there, on the
 * agent's event loop, and stopped once; all of that on one thread. An exporter that its settings
 * leave off returns 0 from start with *ret_state NULL.
 */
struct export_settings {
	const char *otlp_endpoint;	   /* base URL, "" when off */
	const char *otlp_metrics_endpoint; /* full URL of the metrics signal, used as it is; "" */
	const char *otlp_headers;	   /* k=v,k=v, percent-encoded; "" */
	uint64_t otlp_timeout_ns;
	uint64_t otlp_interval_ns;
};

struct export_env {
	struct event_base *base;
	struct http_server *server; /* NULL when there is none */
	const struct export_settings *settings;
	const char *service_name; /* sonde's own resource: "sonde" unless OTEL_SERVICE_NAME says */
	const char *host_name;
	/* A fresh snapshot, with the maps read for it, owned by the caller; NULL without memory. */
	struct snapshot *(*take)(void *arg);
	void *take_arg;
	/* Where the exporter registers and keeps its own figures. */
	struct registry *registry;
	/* Tells the agent something a person should read, once per change of state. */
	void (*notice)(void *arg, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
	void *notice_arg;
};

struct exporter {
	const char *name;
	const char *summary;
	const struct metric *metrics; /* its own figures, NULL-ended, or NULL */
	int (*start)(const struct export_env *env, void **ret_state, struct err *e);
	/* Sends what is still to be sent, at most @budget_ns long, and frees the state. */
	void (*stop)(void *state, uint64_t budget_ns);
};

extern const struct exporter *const exporters[]; /* NULL-ended, from exporters.def */

/* Encoders, pure: bytes are appended to @out. Reached by the exporters, `sonde report` and tests. */
void prometheus_encode(const struct snapshot *s, struct strbuf *out);
int json_encode(const struct snapshot *s, struct strbuf *out);
int otlp_encode(const struct snapshot *s, const struct export_env *env, struct strbuf *out);
