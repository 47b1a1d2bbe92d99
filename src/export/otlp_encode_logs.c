// SPDX-License-Identifier: Apache-2.0
#include "export/export.h"

#include <errno.h>
#include <string.h>
#include <logs_service.pb-c.h>

#include "base/cleanup.h"
#include "export/otlp_message.h"

typedef Opentelemetry__Proto__Collector__Logs__V1__ExportLogsServiceRequest pb_request;
typedef Opentelemetry__Proto__Logs__V1__ResourceLogs pb_resource_logs;
typedef Opentelemetry__Proto__Logs__V1__ScopeLogs pb_scope_logs;
typedef Opentelemetry__Proto__Logs__V1__LogRecord pb_record;

#define RESOURCE_LOGS opentelemetry__proto__logs__v1__resource_logs__descriptor
#define SCOPE_LOGS    opentelemetry__proto__logs__v1__scope_logs__descriptor
#define RECORD	      opentelemetry__proto__logs__v1__log_record__descriptor

#define INFO	      OPENTELEMETRY__PROTO__LOGS__V1__SEVERITY_NUMBER__SEVERITY_NUMBER_INFO
#define WARN	      OPENTELEMETRY__PROTO__LOGS__V1__SEVERITY_NUMBER__SEVERITY_NUMBER_WARN

/* As the TCP figures call what belongs to nobody that is known. */
#define UNKNOWN_SERVICE "unknown"

struct encoder {
	const struct log_record *records;
	size_t n;
	const struct export_env *env;
	struct otlp_pool pool;
	bool *done; /* of each record */
};

/* ---- words ---- */

enum { EXCHANGE };

static const struct kind {
	const char *event;
	const char *duration; /* the attribute that holds it */
	const char *verb;     /* before the other end's name */
	const char *behind;   /* before the error or the duration */
	int severity;
} kinds[] = {
	[EXCHANGE] = { "tcp.exchange", "tcp.exchange.duration", "exchange with", "took", WARN },
	{ "tcp.connect.failed", "tcp.connect.duration", "connecting to", "failed after", WARN },
	{ "tcp.connection", "tcp.connection.duration", "connection with", "ended after", INFO },
}, unknown = { "", "event.duration", "event with", "took", INFO };

static const struct kind *kind_of(const struct event *ev)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].event, ev->name) == 0)
			return &kinds[i];
	return &unknown;
}

/* One short sentence, for those who read a list of records and nothing else. */
static const char *sentence(struct encoder *e, const struct event *ev)
{
	const struct attr *host = event_attr(ev, "network.peer.address");
	const struct attr *port = event_attr(ev, "network.peer.port");
	const struct attr *error = event_attr(ev, "error.type");
	const struct kind *kind = kind_of(ev);
	struct strbuf text = {};
	char *copy;

	strbuf_printf(&text, "%s ", kind->verb);
	if (host)
		strbuf_printf(&text, strchr(host->str, ':') ? "[%s]" : "%s", host->str);
	else
		strbuf_puts(&text, "an unknown address");
	if (host && port)
		strbuf_printf(&text, ":%lld", (long long)port->num);
	strbuf_printf(&text, " %s %.6f s", kind->behind, (double)ev->duration_ns / 1e9);
	if (error)
		strbuf_printf(&text, ": %s", error->str);
	copy = strbuf_failed(&text) ? NULL : otlp_allot(&e->pool, text.len + 1);
	if (copy)
		memcpy(copy, text.data, text.len + 1);
	strbuf_done(&text);
	return copy;
}

/* ---- records ---- */

static int attributes(struct encoder *e, const struct event *ev, pb_record *r)
{
	const struct attr duration =
		ATTR_REAL(kind_of(ev)->duration, (double)ev->duration_ns / 1e9);

	r->attributes = otlp_allot(&e->pool, (ev->n_attrs + 1) * sizeof(*r->attributes));
	if (!r->attributes)
		return -ENOMEM;
	for (size_t i = 0; i <= ev->n_attrs; i++) {
		r->attributes[i] = otlp_attribute(&e->pool, i ? &ev->attrs[i - 1] : &duration);
		if (!r->attributes[i])
			return -ENOMEM;
		r->n_attributes++;
	}
	return 0;
}

static int severity(const struct log_record *r)
{
	const struct kind *kind = kind_of(r->event);

	return kind == &kinds[EXCHANGE] && r->any_speed ? INFO : kind->severity;
}

static pb_record *record(struct encoder *e, const struct log_record *from)
{
	pb_record *r = otlp_message(&e->pool, &RECORD);
	const char *text = sentence(e, from->event);

	if (!r || !text || attributes(e, from->event, r) < 0)
		return NULL;
	r->time_unix_nano = from->time_unix_ns;
	r->observed_time_unix_nano = from->observed_unix_ns;
	r->severity_number = severity(from);
	r->severity_text = OTLP_BORROW(r->severity_number == WARN ? "WARN" : "INFO");
	r->event_name = OTLP_BORROW(from->event->name);
	r->body = otlp_string(&e->pool, text);
	return r->body ? r : NULL;
}

/* ---- resources ---- */

/* All records of the service of the one at @first, in their order. */
static pb_resource_logs *resource_logs(struct encoder *e, size_t first)
{
	const char *service = e->records[first].event->service;
	pb_resource_logs *rl = otlp_message(&e->pool, &RESOURCE_LOGS);
	pb_scope_logs *sl = otlp_message(&e->pool, &SCOPE_LOGS);

	if (!rl || !sl)
		return NULL;
	rl->resource = otlp_resource(&e->pool, e->env, *service ? service : UNKNOWN_SERVICE);
	rl->scope_logs = otlp_allot(&e->pool, sizeof(*rl->scope_logs));
	sl->scope = otlp_scope(&e->pool);
	sl->log_records = otlp_allot(&e->pool, (e->n - first) * sizeof(*sl->log_records));
	if (!rl->resource || !rl->scope_logs || !sl->scope || !sl->log_records)
		return NULL;
	rl->scope_logs[rl->n_scope_logs++] = sl;
	for (size_t i = first; i < e->n; i++) {
		if (e->done[i] || strcmp(e->records[i].event->service, service) != 0)
			continue;
		sl->log_records[sl->n_log_records] = record(e, &e->records[i]);
		if (!sl->log_records[sl->n_log_records++])
			return NULL;
		e->done[i] = true;
	}
	return rl;
}

static int build_request(struct encoder *e, pb_request *request)
{
	e->done = otlp_allot(&e->pool, e->n * sizeof(*e->done));
	request->resource_logs = otlp_allot(&e->pool, e->n * sizeof(*request->resource_logs));
	if (!e->done || !request->resource_logs)
		return -ENOMEM;
	for (size_t i = 0; i < e->n; i++) {
		if (e->done[i])
			continue;
		request->resource_logs[request->n_resource_logs] = resource_logs(e, i);
		if (!request->resource_logs[request->n_resource_logs++])
			return -ENOMEM;
	}
	return 0;
}

int otlp_encode_logs(const struct log_record *records, size_t n, const struct export_env *env,
		     struct strbuf *out)
{
	pb_request request =
		OPENTELEMETRY__PROTO__COLLECTOR__LOGS__V1__EXPORT_LOGS_SERVICE_REQUEST__INIT;
	struct encoder e = { .records = records, .n = n, .env = env };
	int r = build_request(&e, &request);

	if (r == 0)
		otlp_pack(&request.base, out);
	otlp_pool_done(&e.pool);
	return strbuf_failed(out) ? -ENOMEM : r;
}
