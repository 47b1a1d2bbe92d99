// SPDX-License-Identifier: Apache-2.0
#include "export/export.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <event2/event.h>
#include <metrics_service.pb-c.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "export/otlp_policy.h"
#include "http/client.h"

/*
 * OTLP over HTTP in protobuf. Figures are cumulative, so a snapshot that could not be delivered is
 * superseded by the next: nothing is queued, and a receiver that was away has the right totals with
 * the first request that reaches it.
 */
#define MAX_REQUEST_BYTES (64U << 20) /* of the specification */

typedef Opentelemetry__Proto__Collector__Metrics__V1__ExportMetricsServiceResponse pb_response;
#define response_unpack \
	opentelemetry__proto__collector__metrics__v1__export_metrics_service_response__unpack
#define response_free \
	opentelemetry__proto__collector__metrics__v1__export_metrics_service_response__free_unpacked

struct otlp {
	const struct export_env *env;
	char *url;
	struct http_client *client;
	struct event *timer; /* of the next request */
	uint64_t start_offset_ns;
	uint64_t sent_ns;  /* boot time of the last request */
	unsigned n_failed; /* requests since the last answer that was not to try again */
	bool is_busy, is_stopping;
	bool is_failing, is_rejected; /* as far as a person has been told */
};

static void otlp_free(struct otlp *o)
{
	http_client_free(o->client);
	if (o->timer)
		event_free(o->timer);
	free(o->url);
	free(o);
}

DEFINE_CLEANUP(struct otlp, otlp_free)

static void send_in(struct otlp *o, uint64_t delay_ns)
{
	struct timeval tv = {
		.tv_sec = (time_t)(delay_ns / NSEC_PER_SEC),
		.tv_usec = (suseconds_t)(delay_ns % NSEC_PER_SEC / NSEC_PER_USEC),
	};

	if (!o->is_stopping)
		event_add(o->timer, &tv);
}

/* When the interval since the last request is over. */
static void send_next(struct otlp *o)
{
	uint64_t interval = o->env->settings->otlp_interval_ns;
	uint64_t elapsed = clock_boot_ns() - o->sent_ns;

	send_in(o, elapsed < interval ? interval - elapsed : 0);
}

/* ---- the end of a request ---- */

/* @cure is what a person can do about it. */
static void failed(struct otlp *o, const struct http_reply *reply, const char *cure)
{
	struct series *s = export_requests(o->env, "otlp", "failure");
	uint32_t random = 0;
	char cause[128];

	if (s)
		series_add(s, 1);
	if (reply->status)
		snprintf(cause, sizeof(cause), "HTTP status %d", reply->status);
	else
		snprintf(cause, sizeof(cause), "%s", reply->error);
	if (!o->is_failing)
		o->env->notice(o->env->notice_arg, "cannot send metrics to %s: %s; %s", o->url,
			       cause, cure);
	o->is_failing = true;
	if (!otlp_is_retryable(reply->status)) {
		o->n_failed = 0;
		send_next(o);
		return;
	}
	/* Not yet seeded, early in the life of a machine: any moment is as good. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint32_t)clock_boot_ns() << 8;
	send_in(o, otlp_retry_delay_ns(++o->n_failed, reply->retry_after,
				       clock_wall_ns(clock_boot_ns()),
				       o->env->settings->otlp_interval_ns, random));
}

/* A receiver's words, fit for a log: its control characters are not ours to pass on. */
static void quote(char *buf, size_t size, const char *s)
{
	size_t i;

	for (i = 0; s[i] && i + 1 < size; i++)
		buf[i] = (unsigned char)s[i] < ' ' || s[i] == 0x7f ? '?' : s[i];
	buf[i] = '\0';
}

/* Delivered, perhaps but for some points; those are not sent again either. */
static void partly_rejected(struct otlp *o, int64_t n, const char *message)
{
	const struct attr attr = ATTR_STR("sonde.exporter", "otlp");
	struct series *s;
	char words[200];

	s = registry_series(o->env->registry, &export_metrics[EXPORT_REJECTED], "", &attr, 1);
	if (s && n > 0)
		series_add(s, (uint64_t)n);
	quote(words, sizeof(words), message);
	if (!o->is_rejected)
		o->env->notice(o->env->notice_arg, "%s refused %lld data points: %s", o->url,
			       (long long)n, *words ? words : "it does not say why");
	o->is_rejected = true;
}

static void succeeded(struct otlp *o, const struct http_reply *reply)
{
	struct series *s = export_requests(o->env, "otlp", "success");
	pb_response *r = response_unpack(NULL, reply->body_len, reply->body);

	if (s)
		series_add(s, 1);
	o->n_failed = 0;
	if (o->is_failing)
		o->env->notice(o->env->notice_arg, "metrics reach %s again", o->url);
	o->is_failing = false;
	/* An empty message inside is what some receivers send for complete success. */
	if (r && r->partial_success &&
	    (r->partial_success->rejected_data_points > 0 || *r->partial_success->error_message))
		partly_rejected(o, r->partial_success->rejected_data_points,
				r->partial_success->error_message);
	else
		o->is_rejected = false;
	if (r)
		response_free(r, NULL);
	send_next(o);
}

static void on_reply(void *arg, const struct http_reply *reply)
{
	struct otlp *o = arg;

	o->is_busy = false;
	if (reply->status >= 200 && reply->status < 300)
		succeeded(o, reply);
	else
		failed(o, reply, otlp_cure(reply->status));
}

/* ---- requests ---- */

static void send_snapshot(struct otlp *o, uint64_t timeout_ns)
{
	cleanup(strbuf_done) struct strbuf body = {};
	struct snapshot *s = o->env->take(o->env->take_arg);
	int r = -ENOMEM;

	o->sent_ns = clock_boot_ns();
	if (s)
		r = otlp_encode(s, o->env, o->start_offset_ns, clock_wall_ns(0), &body);
	snapshot_free(s);
	if (r == 0 && !body.len) {
		send_next(o);
		return;
	}
	if (r == 0 && body.len > MAX_REQUEST_BYTES) {
		failed(o, &(struct http_reply){ .error = "there are more than 64 MiB of them" },
		       "lower the bound on series");
		return;
	}
	if (r == 0)
		r = http_post(o->client, body.data, body.len, timeout_ns, on_reply, o);
	if (r < 0)
		failed(o, &(struct http_reply){ .error = strerror(-r) },
		       "see what else runs on this machine");
	else
		o->is_busy = true;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct otlp *o = arg;

	(void)fd;
	(void)what;
	send_snapshot(o, o->env->settings->otlp_timeout_ns);
}

/* ---- start and stop ---- */

static int add_header(void *arg, const char *key, const char *value)
{
	return http_client_header(arg, key, value);
}

static int make_client(struct otlp *o, struct err *e)
{
	int r = http_client_new(o->env->base, o->url, &o->client, e);

	if (r < 0)
		return r;
	if (http_client_header(o->client, "Content-Type", "application/x-protobuf") < 0 ||
	    http_client_header(o->client, "User-Agent", "sonde/" SONDE_VERSION) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	return otlp_headers(o->env->settings->otlp_headers, add_header, o->client, e);
}

static int otlp_start(const struct export_env *env, void **ret_state, struct err *e)
{
	cleanup(otlp_freep) struct otlp *o = calloc(1, sizeof(*o));
	uint64_t first = env->settings->otlp_interval_ns;
	int r;

	*ret_state = NULL;
	if (!o)
		return err_set(e, -ENOMEM, "out of memory");
	o->env = env;
	r = otlp_url(env->settings, &o->url);
	if (r < 0)
		return err_set(e, r, "out of memory");
	if (!o->url)
		return 0;
	r = make_client(o, e);
	if (r < 0)
		return r;
	o->timer = evtimer_new(env->base, on_timer, o);
	if (!o->timer)
		return err_set(e, -ENOMEM, "out of memory");
	o->start_offset_ns = clock_wall_ns(0);
	send_in(o, first < NSEC_PER_SEC ? first : NSEC_PER_SEC);
	*ret_state = take_ptr(o);
	return 0;
}

static void otlp_stop(void *state, uint64_t budget_ns)
{
	struct otlp *o = state;
	uint64_t timeout_ns;

	if (!o)
		return;
	timeout_ns = o->env->settings->otlp_timeout_ns;
	o->is_stopping = true;
	event_del(o->timer);
	/* What is on its way is older than what we are going to send. */
	http_client_cancel(o->client);
	o->is_busy = false;
	if (budget_ns)
		send_snapshot(o, budget_ns < timeout_ns ? budget_ns : timeout_ns);
	while (o->is_busy && event_base_loop(o->env->base, EVLOOP_ONCE) == 0)
		;
	otlp_free(o);
}

extern const struct exporter exporter_otlp;
const struct exporter exporter_otlp = {
	.name = "otlp",
	.summary = "OTLP over HTTP, to an OpenTelemetry Collector",
	.metrics = export_metrics,
	.start = otlp_start,
	.stop = otlp_stop,
};
