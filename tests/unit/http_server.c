// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <event2/event.h>
#include <zlib.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "http/server.h"

#define LONG_BODY 20000

/* One loop, the server on it, and clients that are plain sockets turned by the test itself. */
struct world {
	struct event_base *base;
	struct http_server *server;
	unsigned n_handled;
};

static void short_page(void *arg, const struct http_request *req, struct http_response *res)
{
	struct world *w = arg;

	w->n_handled++;
	strbuf_printf(&res->body, "query=%s\n", req->query);
}

static void long_page(void *arg, const struct http_request *req, struct http_response *res)
{
	(void)req;
	((struct world *)arg)->n_handled++;
	for (int i = 0; i < LONG_BODY; i++)
		strbuf_putc(&res->body, (char)('a' + i % 7));
}

static void huge_page(void *arg, const struct http_request *req, struct http_response *res)
{
	static char block[1 << 20];

	(void)arg;
	(void)req;
	for (int i = 0; i < 8; i++)
		strbuf_add(&res->body, block, sizeof(block));
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->base = event_base_new();
	assert_int_equal(http_server_new(w->base, "127.0.0.1:0", &w->server, NULL), 0);
	assert_int_equal(http_server_route(w->server, "/short", short_page, w), 0);
	assert_int_equal(http_server_route(w->server, "/long", long_page, w), 0);
	assert_int_equal(http_server_route(w->server, "/huge", huge_page, w), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	http_server_free(w->server);
	event_base_free(w->base);
	free(w);
	return 0;
}

static int client(const struct world *w)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons(http_server_port(w->server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void turn(const struct world *w)
{
	struct timeval tick = { .tv_usec = 2000 };

	event_base_loopexit(w->base, &tick);
	event_base_dispatch(w->base);
}

/* What the server says until it closes, or is silent for a while; NUL-terminated, on the heap. */
static char *drain(const struct world *w, int fd, bool *ret_closed)
{
	char *all = calloc(1, 1 << 16);
	size_t len = 0;
	ssize_t n;

	*ret_closed = false;
	for (int silent = 0; silent < 10 && len < (1 << 16) - 1;) {
		turn(w);
		n = recv(fd, all + len, (1 << 16) - 1 - len, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			*ret_closed = true;
			break;
		}
		silent = n < 0 ? silent + 1 : 0;
		len += n < 0 ? 0 : (size_t)n;
	}
	return all;
}

static char *ask(const struct world *w, const char *request, bool *ret_closed)
{
	cleanup(cleanup_fd) int fd = client(w);

	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	return drain(w, fd, ret_closed);
}

static void answers(void **state)
{
#define HOST "Host: localhost:1\r\n"
	static const struct {
		const char *request, *status, *contains;
		bool closed;
	} cases[] = {
		{ "GET /short?x=1 HTTP/1.1\r\n" HOST "\r\n", "200 OK", "\r\n\r\nquery=x=1\n",
		  false },
		{ "GET /short HTTP/1.0\r\n\r\n", "200 OK", "Connection: close", true },
		{ "HEAD /long HTTP/1.1\r\n" HOST "\r\n", "200 OK", "Content-Length: 20000", false },
		{ "GET /short HTTP/1.1\r\n" HOST "\r\n", "200 OK",
		  "X-Content-Type-Options: nosniff", false },
		{ "GET / HTTP/1.1\r\n" HOST "\r\n", "404 Not Found", "no such page\n", false },
		{ "GET /short/../../etc/passwd HTTP/1.1\r\n" HOST "\r\n", "404 Not Found", "",
		  false },
		{ "GET /short%00 HTTP/1.1\r\n" HOST "\r\n", "404 Not Found", "", false },
		{ "PUT /short HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", "405 Method",
		  "Allow: GET, HEAD", true },
		{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 HTTP Version", "", true },
		{ "GET /short HTTP/1.1\r\n\r\n", "400 Bad Request", "", true },
		{ "GET /short HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421 Misdirected", "",
		  false },
		{ "GET /short HTTP/1.1\r\nHost: [::1]:9477\r\n\r\n", "200 OK", "", false },
	};
	struct world *w = *state;
	bool closed;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(cleanup_free) char *text = ask(w, cases[i].request, &closed);

		if (strncmp(text, "HTTP/1.1 ", 9) ||
		    strncmp(text + 9, cases[i].status, strlen(cases[i].status)))
			print_error("%s -> %s\n", cases[i].request, text);
		assert_memory_equal(text + 9, cases[i].status, strlen(cases[i].status));
		assert_non_null(strstr(text, cases[i].contains));
		assert_int_equal(closed, cases[i].closed);
	}
}

static void head_has_no_body(void **state)
{
	cleanup(cleanup_free) char *text = NULL;
	bool closed;

	text = ask(*state, "HEAD /short HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", &closed);
	assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
}

static void long_bodies_are_packed_when_asked(void **state)
{
	struct world *w = *state;
	cleanup(cleanup_fd) int fd = client(w);
	cleanup(cleanup_free) char *text = NULL;
	static const char request[] = "GET /long HTTP/1.1\r\nHost: localhost\r\n"
				      "Accept-Encoding: gzip\r\n\r\n";
	static unsigned char plain[LONG_BODY + 1];
	z_stream z = { .next_out = plain, .avail_out = sizeof(plain) };
	char *body;
	bool closed;

	send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL);
	text = drain(w, fd, &closed);
	assert_non_null(strstr(text, "Content-Encoding: gzip\r\n"));
	body = strstr(text, "\r\n\r\n") + 4;
	z.next_in = (unsigned char *)body;
	z.avail_in = (unsigned)strtoul(strstr(text, "Content-Length: ") + 16, NULL, 10);
	assert_true(z.avail_in < LONG_BODY / 10);
	assert_int_equal(inflateInit2(&z, MAX_WBITS + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.total_out, LONG_BODY);
	assert_int_equal(plain[8], 'b');
	inflateEnd(&z);
}

static void requests_sent_ahead_are_answered_in_order(void **state)
{
	struct world *w = *state;
	cleanup(cleanup_free) char *text = NULL;
	const char *p;
	bool closed;

	text = ask(w,
		   "GET /short?1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
		   "GET /short?2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
		   "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
		   "GET /short?3 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
		   "GET /short?4 HTTP/1.1\r\nHost: localhost\r\n\r\n",
		   &closed);
	p = strstr(text, "query=1\n");
	assert_non_null(p);
	p = strstr(p, "query=2\n");
	assert_non_null(p);
	p = strstr(p, "404 Not Found");
	assert_non_null(p);
	assert_non_null(strstr(p, "query=3\n"));
	assert_null(strstr(p, "query=4\n"));
	assert_true(closed);
	assert_int_equal(w->n_handled, 3);
}

static void a_request_may_come_byte_by_byte(void **state)
{
	static const char request[] = "GET /short?slow HTTP/1.1\r\nHost: localhost\r\n\r\n";
	struct world *w = *state;
	cleanup(cleanup_fd) int fd = client(w);
	cleanup(cleanup_free) char *text = NULL;
	bool closed;

	for (size_t i = 0; i < sizeof(request) - 1; i++) {
		send(fd, &request[i], 1, MSG_NOSIGNAL);
		event_base_loop(w->base, EVLOOP_NONBLOCK);
	}
	text = drain(w, fd, &closed);
	assert_non_null(strstr(text, "query=slow\n"));
}

static void a_huge_head_is_refused_with_a_word(void **state)
{
	static char junk[1 << 20];
	struct world *w = *state;
	cleanup(cleanup_fd) int fd = client(w);
	cleanup(cleanup_free) char *text = NULL;
	ssize_t sent = 0, n;
	bool closed;

	memset(junk, 'a', sizeof(junk));
	memcpy(junk, "GET / HTTP/1.1\r\nX: ", 19);
	for (int i = 0; i < 50 && sent < (ssize_t)sizeof(junk); i++) {
		n = send(fd, junk + sent, sizeof(junk) - (size_t)sent, MSG_NOSIGNAL);
		sent += n > 0 ? n : 0;
		event_base_loop(w->base, EVLOOP_NONBLOCK);
	}
	text = drain(w, fd, &closed);
	assert_true(closed);
	/* Far more than is read while lingering may reset the connection before we look. */
	assert_true(!*text || !strncmp(text, "HTTP/1.1 431 ", 13));
	free(take_ptr(text));
	text = ask(w, "GET /short HTTP/1.1\r\nHost: localhost\r\n\r\n", &closed);
	assert_non_null(strstr(text, "200 OK"));
}

static void a_head_just_too_long(void **state)
{
	cleanup(cleanup_free) char *text = NULL;
	char request[9000];
	bool closed;

	snprintf(request, sizeof(request), "GET /short HTTP/1.1\r\nX: %08200d\r\n\r\n", 0);
	text = ask(*state, request, &closed);
	assert_memory_equal(text, "HTTP/1.1 431 ", 13);
	assert_true(closed);
	free(take_ptr(text));
	snprintf(request, sizeof(request),
		 "GET /short HTTP/1.1\r\nHost: localhost\r\nX: %08100d\r\n\r\n", 0);
	text = ask(*state, request, &closed);
	assert_memory_equal(text, "HTTP/1.1 200 ", 13);
}

/* A thousand connections that never ask for anything do not keep out one that does. */
static void slow_clients_make_room(void **state)
{
	struct world *w = *state;
	int fds[300];
	size_t open = 0;
	bool closed;
	char byte;

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = client(w);
		send(fds[i], "GET /sh", i % 2 ? 7 : 0, MSG_NOSIGNAL);
		turn(w);
	}
	cleanup(cleanup_free) char *text =
		ask(w, "GET /short HTTP/1.1\r\nHost: localhost\r\n\r\n", &closed);
	assert_non_null(strstr(text, "200 OK"));
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		open += recv(fds[i], &byte, 1, 0) < 0 && errno == EAGAIN;
		close(fds[i]);
	}
	assert_in_range(open, 1, 64);
}

/* Real time: the whole head has ten seconds, however busily it trickles. */
static void a_trickling_head_is_cut_off(void **state)
{
	struct world *w = *state;
	cleanup(cleanup_fd) int fd = client(w);
	uint64_t start = clock_boot_ns(), took;
	struct timeval tick = { .tv_usec = 100000 };
	char byte;

	do {
		send(fd, "x", 1, MSG_NOSIGNAL);
		event_base_loopexit(w->base, &tick);
		event_base_dispatch(w->base);
		took = clock_boot_ns() - start;
	} while (recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN && took < 15 * NSEC_PER_SEC);
	assert_in_range(took, 9 * NSEC_PER_SEC, 11 * NSEC_PER_SEC);
}

/* Readers that do not read: memory stays bounded, and others are told to come back. */
static void readers_that_do_not_read(void **state)
{
	struct world *w = *state;
	cleanup(cleanup_free) char *text = NULL;
	const int small = 4096;
	int fds[16];
	bool closed;

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = client(w);
		/* Or the kernel takes what the server is to hold. */
		setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
		send(fds[i], "GET /huge HTTP/1.0\r\n\r\n", 22, MSG_NOSIGNAL);
		turn(w);
	}
	/* Until the server has seen them ask: a busy machine carries bytes over loopback later. */
	text = ask(w, "GET /short HTTP/1.1\r\nHost: localhost\r\n\r\n", &closed);
	for (int i = 0; i < 100 && strncmp(text, "HTTP/1.1 503 ", 13); i++) {
		free(take_ptr(text));
		text = ask(w, "GET /short HTTP/1.1\r\nHost: localhost\r\n\r\n", &closed);
	}
	assert_memory_equal(text, "HTTP/1.1 503 ", 13);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	/* Until the server has seen them go. */
	for (int i = 0; i < 100 && strncmp(text, "HTTP/1.1 200 ", 13); i++) {
		free(take_ptr(text));
		text = ask(w, "GET /short HTTP/1.1\r\nHost: localhost\r\n\r\n", &closed);
	}
	assert_memory_equal(text, "HTTP/1.1 200 ", 13);
}

static void addresses_that_cannot_be_had(void **state)
{
	static const struct {
		const char *address;
		int error;
	} cases[] = {
		{ "", -EINVAL },
		{ "9477", -EINVAL },
		{ "127.0.0.1", -EINVAL },
		{ "127.0.0.1:", -EINVAL },
		{ "127.0.0.1:99999", -EINVAL },
		{ "[::1]", -EINVAL },
		{ "example.org:80", -EINVAL },
		{ "203.0.113.1:9477", -EADDRNOTAVAIL },
	};
	struct world *w = *state;
	struct http_server *server = NULL;
	char taken[32];
	struct err e = {};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		e.msg[0] = '\0';
		assert_int_equal(http_server_new(w->base, cases[i].address, &server, &e),
				 cases[i].error);
		assert_null(server);
		assert_true(*e.msg);
	}
	snprintf(taken, sizeof(taken), "127.0.0.1:%u", http_server_port(w->server));
	assert_int_equal(http_server_new(w->base, taken, &server, &e), -EADDRINUSE);
	assert_non_null(strstr(e.msg, "is taken by another program: choose another with --listen"));
}

static void ipv6_and_localhost(void **state)
{
	static const char *const addresses[] = { "[::1]:0", "localhost:0", "0.0.0.0:0" };
	struct world *w = *state;
	struct http_server *server = NULL;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		r = http_server_new(w->base, addresses[i], &server, NULL);
		if (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT)
			continue; /* a machine without IPv6 */
		assert_int_equal(r, 0);
		assert_true(http_server_port(server) != 0);
		http_server_free(server);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers),
		TEST(head_has_no_body),
		TEST(long_bodies_are_packed_when_asked),
		TEST(requests_sent_ahead_are_answered_in_order),
		TEST(a_request_may_come_byte_by_byte),
		TEST(a_huge_head_is_refused_with_a_word),
		TEST(a_head_just_too_long),
		TEST(slow_clients_make_room),
		TEST(a_trickling_head_is_cut_off),
		TEST(readers_that_do_not_read),
		TEST(addresses_that_cannot_be_had),
		TEST(ipv6_and_localhost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
