/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct event_base;
struct http_client;

/*
 * A client for one destination, on the loop: one request at a time, on a connection that is kept
 * between them. Names are resolved by evdns, which blocks nobody; /etc/resolv.conf and /etc/hosts are
 * read at the start and again after each failure, since a robot may boot before its network. Plain
 * HTTP only.
 */
struct http_reply {
	int status;		 /* 0: no answer, and error says why */
	const char *error;	 /* a phrase ("connection refused"), or NULL */
	const char *retry_after; /* value of that header, or NULL */
	const void *body;	 /* its first 64 KiB, or all of it: http_client_keep() */
	size_t body_len;
};

/* Called once for each request, never from within http_post(). @reply is gone when it returns. */
typedef void http_done(void *arg, const struct http_reply *reply);

/*
* @url is copied: http://HOST[:PORT][/PATH]. -EPROTONOSUPPORT for
 * https, -EINVAL, -ENOMEM, each with its sentence.
 */
int http_client_new(struct event_base *base, const char *url, struct http_client **ret,
		    struct err *e);

/* Drops a request in flight without calling back. NULL is fine. */
void http_client_free(struct http_client *c);

/* Drops a request in flight without calling back; the client is ready for the next. */
void http_client_cancel(struct http_client *c);

/* A header of all requests to come; both are copied. -ENOMEM, -EINVAL if one has control characters. */
int http_client_header(struct http_client *c, const char *name, const char *value);

/* From now on an answer is taken up to @max bytes, and kept whole. */
void http_client_keep(struct http_client *c, size_t max);

/*
 * POSTs @body (copied) and calls @done with the answer or, after @timeout_ns in all, without one.
 * An answer of more than 4 MiB is an error, unless http_client_keep() says otherwise. -EBUSY while another request is in flight, -ENOMEM.
 */
int http_post(struct http_client *c, const void *body, size_t len, uint64_t timeout_ns,
	      http_done *done, void *arg);
