/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * The head of an HTTP/1.x request. Pure: bytes in, values out. Only what a reader of figures needs
 * is accepted: GET and HEAD of a plain path, without a body. The path is not decoded: routes are
 * compared byte for byte, so "..", "%2e" and "%00" are merely paths that nobody serves.
 */
struct http_request {
	const char *path;  /* begins with '/' */
	const char *query; /* what follows the first '?', or "" */
	const char *host;  /* value of Host, or "" */
	bool head;	   /* HEAD: the answer has no body */
	bool keep_alive;
	bool gzip; /* the client accepts it */
};

/*
 * Parses @head: @len bytes up to and with the empty line, followed by a NUL. Writes into it; the
 * strings of *@ret point into it. Returns 0, or the status to refuse the request with (400, 405,
 * 413, 505), after which the connection must be closed: where the next request begins is unknown.
 */
int http_request_parse(char *head, size_t len, struct http_request *ret);
