/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "model/connections.h"
#include "model/event.h"
#include "model/finding.h"
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
	bool otlp_logs;		   /* single events, as log records */
	bool otlp_logs_all_speeds; /* those of exchanges that are not slow, too */
	const char *otlp_logs_endpoint, *otlp_logs_headers;
	uint64_t otlp_logs_timeout_ns;
	uint64_t otlp_logs_delay_ns; /* how long a record waits for others to come */
};

/* What an exporter is given; it outlives the exporter's state. */
struct export_env {
	struct event_base *base;
	struct http_server *server; /* NULL when there is none */
	const struct export_settings *settings;
	const char *service_name; /* sonde's own resource: "sonde" unless OTEL_SERVICE_NAME says */
	const char *host_name;	  /* "" when unknown */
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
	/* A single event has happened; NULL for an exporter that has no use for them. */
	void (*event)(void *state, const struct event *ev);
	/*
	 * Sends what is still to be sent, at most @budget_ns long, and frees the state. Runs the
	 * event loop meanwhile, so it must not be called from within it; before the server goes.
	 */
	void (*stop)(void *state, uint64_t budget_ns);
};

extern const struct exporter *const exporters[]; /* NULL-ended, from exporters.def */

/* Figures that all exporters share, NULL-ended; an exporter's `metrics` may be this table itself. */
extern const struct metric export_metrics[];

/* Rows of export_metrics. */
enum export_metric { EXPORT_REQUESTS, EXPORT_REJECTED, EXPORT_LOG_RECORDS };

/* The series of @exporter's requests that ended in @outcome ("success", "failure"). */
struct series *export_requests(const struct export_env *env, const char *exporter,
			       const char *outcome);

/*
 * Encoders, pure: bytes are appended to @out, whose failure is theirs. Reached by the exporters,
 * `sonde report` and tests. They rely on what the registry sees to: that all strings of a snapshot
 * are valid UTF-8 and bounded.
 */

/* The Prometheus text format 0.0.4. @env is asked for the names of service and host only. */
void prometheus_encode(const struct snapshot *s, const struct export_env *env, struct strbuf *out);

/* What `sonde report` has to say; docs/report.md. */
struct report {
	const struct snapshot *snapshot;
	uint64_t duration_ns; /* what the figures cover */
	uint64_t wall_ns;     /* its end, in nanoseconds since the Unix epoch */
	double sampling_rate; /* the share of connections that was measured */
	/* NULL: TCP was not measured, and the document does not speak of it but in its metrics. */
	struct connections *connections;
	const struct findings *findings; /* NULL: nobody looked */
};

/* One document, in one line. -ENOMEM. */
int json_encode(const struct report *r, struct strbuf *out);

/*
 * One event as an object on a line of its own; @wall_ns is the wall time of its end. Attributes that
 * are seconds get _us behind their key, and are in microseconds as all durations there. Strings may be
 * any bytes. -ENOMEM: @out may hold a part of it.
 */
int json_event_encode(const struct event *ev, uint64_t wall_ns, struct strbuf *out);

/*
 * An ExportMetricsServiceRequest; nothing when there is nothing to send. The offsets lead from boot
 * time to wall time, modulo 2^64: that of start times has to stay the same for the life of the
 * program, since a receiver takes another start time for a restart. -ENOMEM.
 */
int otlp_encode(const struct snapshot *s, const struct export_env *env, uint64_t start_offset_ns,
		uint64_t time_offset_ns, struct strbuf *out);

/* A single event that waits to be sent. */
struct log_record {
	struct event *event; /* event_copy() */
	uint64_t time_unix_ns, observed_unix_ns;
	bool any_speed; /* an exchange, which is not here because it is slow: it is no warning */
};

/* An ExportLogsServiceRequest of the @n records: one resource for each service. -ENOMEM. */
int otlp_encode_logs(const struct log_record *records, size_t n, const struct export_env *env,
		     struct strbuf *out);
