/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "http/request.h"

struct event_base;
struct http_server;

/*
 * A server for readers of figures, on one thread, meant to be left open to hostile clients: GET and
 * HEAD of exact paths, nothing read from files, no request bodies. Everything is bounded: 64
 * connections, heads of 8 KiB, 10 s for a head to arrive and 30 s for an answer to be taken, as a
 * whole and not per read, and 32 MiB of answers on their way. When all connections are taken, a new
 * one replaces the one that has kept us waiting for its request the longest.
 *
 * Bound to a loopback address, it answers only to hosts that are addresses or "localhost": a web
 * page that resolves its own name to 127.0.0.1 learns nothing.
 *
 * SIGPIPE is ignored from http_server_new() on, in the whole process: libevent writes without
 * MSG_NOSIGNAL.
 */

/* What a handler fills; it starts out as an empty 200 of text/plain. */
struct http_response {
	int status;
	const char *content_type; /* static */
	struct strbuf body;
};

typedef void http_handler(void *arg, const struct http_request *req, struct http_response *res);

/*
 * Listens on @address_port ("127.0.0.1:9477", "[::1]:9477"; port 0 lets the kernel choose one). The
 * base must outlive the server. On failure the sentence in @e says what to do.
 */
int http_server_new(struct event_base *base, const char *address_port, struct http_server **ret,
		    struct err *e);

/* Closes all connections. NULL is fine. */
void http_server_free(struct http_server *s);

/*
 * Answers requests for exactly @path (static) by @handler, in place of the one before; NULL takes the
 * route away. -ENOMEM.
 */
int http_server_route(struct http_server *s, const char *path, http_handler *handler, void *arg);

/* The port listened on, in host order. */
uint16_t http_server_port(const struct http_server *s);
