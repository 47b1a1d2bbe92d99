// SPDX-License-Identifier: Apache-2.0
#include "export/otlp_sender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <metrics_service.pb-c.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "export/otlp_policy.h"
#include "http/client.h"

#define MAX_REQUEST_BYTES (64U << 20) /* of the specification */

/* The answers of all signals have the same fields with the same numbers: this reads any of them. */
typedef Opentelemetry__Proto__Collector__Metrics__V1__ExportMetricsServiceResponse pb_response;
#define response_unpack \
	opentelemetry__proto__collector__metrics__v1__export_metrics_service_response__unpack
#define response_free \
	opentelemetry__proto__collector__metrics__v1__export_metrics_service_response__free_unpacked

struct otlp_sender {
	const struct export_env *env;
	const struct otlp_signal *signal;
	otlp_sent *sent;
	void *arg;
	char *url;
	struct http_client *client;
	unsigned n_failed; /* requests since the last answer that was not to try again */
	bool is_busy;
	bool is_failing, is_rejected; /* as far as a person has been told */
};

void otlp_sender_free(struct otlp_sender *s)
{
	if (!s)
		return;
	http_client_free(s->client);
	free(s->url);
	free(s);
}

DEFINE_CLEANUP(struct otlp_sender, otlp_sender_free)

/* ---- the end of a request ---- */

static void count(struct otlp_sender *s, const char *outcome)
{
	struct series *series = export_requests(s->env, s->signal->exporter, outcome);

	if (series)
		series_add(series, 1);
}

/* @cure is what a person can do about it. */
static void failed(struct otlp_sender *s, const struct http_reply *reply, const char *cure)
{
	struct otlp_result result = { .outcome = OTLP_REFUSED };
	uint32_t random = 0;
	char cause[128];

	count(s, "failure");
	if (reply->status)
		snprintf(cause, sizeof(cause), "HTTP status %d", reply->status);
	else
		snprintf(cause, sizeof(cause), "%s", reply->error);
	if (!s->is_failing)
		s->env->notice(s->env->notice_arg, "cannot send %s to %s: %s; %s", s->signal->what,
			       s->url, cause, cure);
	s->is_failing = true;
	if (otlp_is_retryable(reply->status)) {
		/* Not yet seeded, early in the life of a machine: any moment is as good. */
		if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
			random = (uint32_t)clock_boot_ns() << 8;
		result.outcome = OTLP_RETRY;
		result.delay_ns = otlp_retry_delay_ns(++s->n_failed, reply->retry_after,
						      clock_wall_ns(clock_boot_ns()),
						      s->signal->max_delay_ns, random);
	} else {
		s->n_failed = 0;
	}
	s->sent(s->arg, &result);
}

/* A receiver's words, fit for a log: its control characters are not ours to pass on. */
static void quote(char *buf, size_t size, const char *s)
{
	size_t i;

	for (i = 0; s[i] && i + 1 < size; i++)
		buf[i] = (unsigned char)s[i] < ' ' || s[i] == 0x7f ? '?' : s[i];
	buf[i] = '\0';
}

/* Delivered, perhaps but for some items; those are not sent again either. */
static void partly_rejected(struct otlp_sender *s, int64_t n, const char *message)
{
	char words[200];

	quote(words, sizeof(words), message);
	if (!s->is_rejected)
		s->env->notice(s->env->notice_arg, "%s refused %lld %s: %s", s->url, (long long)n,
			       s->signal->items, *words ? words : "it does not say why");
	s->is_rejected = true;
}

static void succeeded(struct otlp_sender *s, const struct http_reply *reply)
{
	pb_response *r = response_unpack(NULL, reply->body_len, reply->body);
	struct otlp_result result = { .outcome = OTLP_DELIVERED };

	count(s, "success");
	s->n_failed = 0;
	if (s->is_failing)
		s->env->notice(s->env->notice_arg, "%s reach %s again", s->signal->what, s->url);
	s->is_failing = false;
	/* An empty message inside is what some receivers send for complete success. */
	if (r && r->partial_success &&
	    (r->partial_success->rejected_data_points > 0 || *r->partial_success->error_message)) {
		if (r->partial_success->rejected_data_points > 0)
			result.rejected = (uint64_t)r->partial_success->rejected_data_points;
		partly_rejected(s, r->partial_success->rejected_data_points,
				r->partial_success->error_message);
	} else {
		s->is_rejected = false;
	}
	if (r)
		response_free(r, NULL);
	s->sent(s->arg, &result);
}

static void on_reply(void *arg, const struct http_reply *reply)
{
	struct otlp_sender *s = arg;

	s->is_busy = false;
	if (reply->status >= 200 && reply->status < 300)
		succeeded(s, reply);
	else
		failed(s, reply, otlp_cure(reply->status, s->signal->path));
}

/* ---- requests ---- */

void otlp_send(struct otlp_sender *s, int encoded, const struct strbuf *body, uint64_t timeout_ns)
{
	int r = encoded;

	if (r == 0 && body->len > MAX_REQUEST_BYTES) {
		failed(s, &(struct http_reply){ .error = "there are more than 64 MiB of them" },
		       "lower the bound on series");
		return;
	}
	if (r == 0)
		r = http_post(s->client, body->data, body->len, timeout_ns, on_reply, s);
	if (r < 0)
		failed(s, &(struct http_reply){ .error = strerror(-r) },
		       "see what else runs on this machine");
	else
		s->is_busy = true;
}

bool otlp_sender_is_busy(const struct otlp_sender *s)
{
	return s->is_busy;
}

void otlp_sender_cancel(struct otlp_sender *s)
{
	http_client_cancel(s->client);
	s->is_busy = false;
}

/* ---- start ---- */

static int add_header(void *arg, const char *key, const char *value)
{
	return http_client_header(arg, key, value);
}

static int make_client(struct otlp_sender *s, struct err *e)
{
	int r = http_client_new(s->env->base, s->url, &s->client, e);

	if (r < 0)
		return r;
	if (http_client_header(s->client, "Content-Type", "application/x-protobuf") < 0 ||
	    http_client_header(s->client, "User-Agent", "sonde/" SONDE_VERSION) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	return otlp_headers(s->signal->headers, add_header, s->client, e);
}

int otlp_sender_new(const struct export_env *env, const struct otlp_signal *signal, otlp_sent *sent,
		    void *arg, struct otlp_sender **ret, struct err *e)
{
	cleanup(otlp_sender_freep) struct otlp_sender *s = calloc(1, sizeof(*s));
	int r;

	*ret = NULL;
	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	s->env = env;
	s->signal = signal;
	s->sent = sent;
	s->arg = arg;
	r = otlp_url(env->settings->otlp_endpoint, signal->endpoint, signal->path, &s->url);
	if (r < 0)
		return err_set(e, r, "out of memory");
	if (!s->url)
		return 0;
	r = make_client(s, e);
	if (r < 0)
		return r;
	*ret = take_ptr(s);
	return 0;
}
