/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/strbuf.h"
#include "export/export.h"

/*
 * The requests of one OTLP signal, one at a time: what the specification says about answers, retries
 * and partial success, the account of requests, and the sentences for people. What is sent, when, and
 * what becomes of it then is the signal's own.
 */
struct otlp_sender;

struct otlp_signal {
	const char *exporter;  /* sonde.exporter in the account of requests */
	const char *what;      /* "metrics", for sentences */
	const char *items;     /* what a receiver can refuse some of: "data points" */
	const char *path;      /* what is appended to the base endpoint: "v1/metrics" */
	const char *endpoint;  /* of the signal, used as it is; "" when there is none */
	const char *headers;   /* k=v,k=v */
	uint64_t max_delay_ns; /* from one try to the next, unless the receiver says more */
};

enum otlp_outcome {
	OTLP_DELIVERED,
	OTLP_REFUSED, /* not to be sent again */
	OTLP_RETRY,   /* to be sent again, or something newer */
};

struct otlp_result {
	enum otlp_outcome outcome;
	uint64_t rejected; /* OTLP_DELIVERED: so many items that the receiver did not want */
	uint64_t delay_ns; /* OTLP_RETRY: not before so long */
};

/* May be called from within otlp_send(): a callback that sends again does it by a timer. */
typedef void otlp_sent(void *arg, const struct otlp_result *result);

/*
 * @signal is borrowed. 0 with *@ret NULL if there is no endpoint; else what http_client_new() and
 * otlp_headers() say.
 */
int otlp_sender_new(const struct export_env *env, const struct otlp_signal *signal, otlp_sent *sent,
		    void *arg, struct otlp_sender **ret, struct err *e);
void otlp_sender_free(struct otlp_sender *s);

bool otlp_sender_is_busy(const struct otlp_sender *s);

/* Forgets the request in flight, without a callback. */
void otlp_sender_cancel(struct otlp_sender *s);

/* Sends @body, unless @encoded is a negative errno: that is then why it could not be made. */
void otlp_send(struct otlp_sender *s, int encoded, const struct strbuf *body, uint64_t timeout_ns);
