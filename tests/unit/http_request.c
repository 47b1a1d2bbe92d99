// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "http/request.h"

static int parse(const char *text, size_t len, struct http_request *req)
{
	/* Of exactly its size, so that the sanitizer sees each byte too far. */
	char *head = malloc(len + 1);
	int status;

	memcpy(head, text, len);
	head[len] = '\0';
	*req = (struct http_request){};
	status = http_request_parse(head, len, req);
	if (status == 0)
		req->path = strdup(req->path);
	free(head);
	return status;
}

static void what_is_accepted_and_what_is_not(void **state)
{
#define H "Host: localhost\r\n"
	static const struct {
		const char *text;
		int status;
		const char *path;
		bool head, keep_alive, gzip;
	} cases[] = {
		{ "GET / HTTP/1.1\r\n" H "\r\n", 0, "/", false, true, false },
		{ "HEAD /a?b HTTP/1.1\r\n" H "\r\n", 0, "/a", true, true, false },
		{ "GET / HTTP/1.0\r\n\r\n", 0, "/", false, false, false },
		{ "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 0, "/", false, true, false },
		{ "GET / HTTP/1.1\r\n" H "connection: foo , close\r\n\r\n", 0, "/", false, false,
		  false },
		{ "GET / HTTP/1.1\r\n" H "Accept-Encoding: br, gzip;q=0.5\r\n\r\n", 0, "/", false,
		  true, true },
		{ "GET / HTTP/1.1\r\n" H "Accept-Encoding: gzip;q=0\r\n\r\n", 0, "/", false, true,
		  false },
		{ "GET / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 0, "/", false, true, false },
		{ "GET /../%00%2e HTTP/1.1\r\n" H "\r\n", 0, "/../%00%2e", false, true, false },
		{ "POST / HTTP/1.1\r\n" H "\r\n", 405 },
		{ "BREW / HTTP/1.1\r\n" H "\r\n", 405 },
		{ "PRI * HTTP/2.0\r\n\r\n", 505 },
		{ "GET / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n", 413 },
		{ "GET / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 413 },
		{ "GET / HTTP/1.1\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H H "\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H " folded\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H "a b: c\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H "a: \x01\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H "a: b\nc: d\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H ": c\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" H "nothing\r\n\r\n", 400 },
		{ "GET http://x/ HTTP/1.1\r\n" H "\r\n", 400 },
		{ "GET  / HTTP/1.1\r\n" H "\r\n", 400 },
		{ "GET /\xff HTTP/1.1\r\n" H "\r\n", 400 },
		{ "GET /\t HTTP/1.1\r\n" H "\r\n", 400 },
		{ "GET /\r\n\r\n", 400 },
		{ "G\x01T / HTTP/1.1\r\n" H "\r\n", 400 },
		{ "\x16\x03\x01\x02 / HTTP/1.1\r\n\r\n", 400 },
		{ "\r\n\r\n", 400 },
	};
	struct http_request req;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int status = parse(cases[i].text, strlen(cases[i].text), &req);

		if (status != cases[i].status)
			print_error("%s\n", cases[i].text);
		assert_int_equal(status, cases[i].status);
		if (status)
			continue;
		assert_string_equal(req.path, cases[i].path);
		assert_int_equal(req.head, cases[i].head);
		assert_int_equal(req.keep_alive, cases[i].keep_alive);
		assert_int_equal(req.gzip, cases[i].gzip);
		free((char *)req.path);
	}
}

/* One byte of a good request changed, removed, or made the last: never a crash, never a hang. */
static void broken_requests_are_harmless(void **state)
{
	static const char good[] =
		"GET /metrics?a=b HTTP/1.1\r\nHost: [::1]:9477\r\n"
		"Accept-Encoding: deflate;q=1, gzip\r\nConnection: close\r\n\r\n";
	char text[sizeof(good)];
	struct http_request req;
	size_t len = sizeof(good) - 1;

	(void)state;
	for (size_t at = 0; at < len; at++) {
		for (unsigned c = 0; c < 256; c++) {
			memcpy(text, good, sizeof(good));
			text[at] = (char)c;
			if (parse(text, len, &req) == 0)
				free((char *)req.path);
		}
		if (parse(good, at, &req) == 0)
			free((char *)req.path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_accepted_and_what_is_not),
		cmocka_unit_test(broken_requests_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
