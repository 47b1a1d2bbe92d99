// SPDX-License-Identifier: Apache-2.0
#include "http/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/util.h>

#include "base/cleanup.h"
#include "http/gzip.h"

#define MAX_CONNECTIONS	  64
#define MAX_HEAD_BYTES	  8192
#define MAX_PENDING_BYTES (32 << 20)
#define MAX_LINGER_BYTES  (256 << 10)
#define MIN_GZIP_BYTES	  1024
/* Packing takes 10 ms for each MiB, and the loop has rings to drain: more goes out as it is. */
#define MAX_GZIP_BYTES (4 << 20)

static const struct timeval head_time = { .tv_sec = 10 };
static const struct timeval answer_time = { .tv_sec = 30 };
static const struct timeval idle_time = { .tv_sec = 90 }; /* between two requests */
static const struct timeval linger_time = { .tv_sec = 1 };

/*
 * IDLE -> HEAD with the first byte of a request -> ANSWER -> IDLE, or LINGER: what the client still
 * sends after a refusal is read and dropped for a moment, since closing at once would reset the
 * connection before the client has read why.
 */
enum conn_state { CONN_IDLE, CONN_HEAD, CONN_ANSWER, CONN_LINGER };

struct conn {
	TAILQ_ENTRY(conn) entry; /* in the order of their last request */
	struct conn_set *set;
	struct bufferevent *bev;
	struct event *deadline;
	enum conn_state state;
	bool keep_alive;
	size_t scanned; /* bytes of the input known not to hold the end of a head */
	size_t dropped; /* bytes read while lingering */
};

struct conn_set {
	struct event_base *base;
	http_handler *serve;
	void *arg;
	size_t n;
	TAILQ_HEAD(, conn) list;
};

static void conn_free(struct conn *c)
{
	TAILQ_REMOVE(&c->set->list, c, entry);
	c->set->n--;
	if (c->deadline)
		event_free(c->deadline);
	if (c->bev)
		bufferevent_free(c->bev);
	free(c);
}

static void conn_enter(struct conn *c, enum conn_state state, const struct timeval *limit)
{
	c->state = state;
	event_add(c->deadline, limit);
}

/* ---- answers ---- */

static const char *reason_phrase(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} phrases[] = {
		{ 200, "OK" },
		{ 400, "Bad Request" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 413, "Content Too Large" },
		{ 421, "Misdirected Request" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(phrases); i++) {
		if (phrases[i].status == status)
			return phrases[i].phrase;
	}
	return "Unknown";
}

static void conn_answer(struct conn *c, const struct http_request *req,
			const struct http_response *res)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	cleanup(strbuf_done) struct strbuf packed = {};
	const struct strbuf *body = &res->body;
	bool is_packed = req->gzip && body->len > MIN_GZIP_BYTES && body->len <= MAX_GZIP_BYTES &&
			 gzip_compress(body->data, body->len, &packed) == 0;

	if (is_packed)
		body = &packed;
	bufferevent_disable(c->bev, EV_READ);
	conn_enter(c, CONN_ANSWER, &answer_time);
	c->keep_alive = req->keep_alive;
	evbuffer_add_printf(
		out,
		"HTTP/1.1 %d %s\r\n"
		"Content-Type: %s\r\n"
		"Content-Length: %zu\r\n"
		"Connection: %s\r\n"
		"Vary: Accept-Encoding\r\n"
		"Cache-Control: no-store\r\n"
		"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
		"Cross-Origin-Resource-Policy: same-origin\r\n"
		"Referrer-Policy: no-referrer\r\n"
		"X-Content-Type-Options: nosniff\r\n"
		"%s%s\r\n",
		res->status, reason_phrase(res->status), res->content_type, body->len,
		req->keep_alive ? "keep-alive" : "close",
		is_packed ? "Content-Encoding: gzip\r\n" : "",
		res->status == 405 ? "Allow: GET, HEAD\r\n" : "");
	if (!req->head)
		evbuffer_add(out, body->data, body->len);
}

static void conn_refuse(struct conn *c, const struct http_request *req, int status,
			const char *sentence)
{
	cleanup(strbuf_done) struct strbuf body = {};
	struct http_response res = { .status = status, .content_type = "text/plain" };

	strbuf_printf(&body, "%s\n", sentence);
	res.body = body;
	conn_answer(c, req, &res);
}

static size_t pending_bytes(const struct conn_set *set)
{
	size_t n = 0;
	struct conn *c;

	for (c = TAILQ_FIRST(&set->list); c; c = TAILQ_NEXT(c, entry))
		n += evbuffer_get_length(bufferevent_get_output(c->bev));
	return n;
}

static void conn_serve(struct conn *c, const struct http_request *req)
{
	struct http_response res = { .status = 200, .content_type = "text/plain; charset=utf-8" };

	if (pending_bytes(c->set) > MAX_PENDING_BYTES) {
		conn_refuse(c, req, 503, "too many answers are on their way to slow readers");
		return;
	}
	c->set->serve(c->set->arg, req, &res);
	if (strbuf_failed(&res.body))
		conn_refuse(c, req, 503, "out of memory");
	else
		conn_answer(c, req, &res);
	strbuf_done(&res.body);
}

/* ---- requests ---- */

static const char *refusal(int status)
{
	switch (status) {
	case 405:
		return "only GET and HEAD are served";
	case 413:
		return "requests with a body are not served";
	case 505:
		return "only HTTP/1.0 and HTTP/1.1 are served";
	default:
		return "not a valid HTTP request";
	}
}

/* Answers the request at the start of the input, if it is there as a whole. */
static void conn_process(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct http_request req = {};
	struct evbuffer_ptr start, end;
	char head[MAX_HEAD_BYTES + 1];
	size_t len = evbuffer_get_length(in);
	int status;

	if (!len)
		return;
	if (c->state == CONN_IDLE) {
		conn_enter(c, CONN_HEAD, &head_time);
		TAILQ_REMOVE(&c->set->list, c, entry);
		TAILQ_INSERT_TAIL(&c->set->list, c, entry);
	}
	evbuffer_ptr_set(in, &start, c->scanned, EVBUFFER_PTR_SET);
	end = evbuffer_search(in, "\r\n\r\n", 4, &start);
	if (end.pos < 0 || end.pos + 4 > MAX_HEAD_BYTES) {
		c->scanned = len > 3 ? len - 3 : 0;
		if (end.pos >= 0 || len >= MAX_HEAD_BYTES)
			conn_refuse(c, &req, 431, "the head of the request is longer than 8 KiB");
		return;
	}
	c->scanned = 0;
	len = (size_t)end.pos + 4;
	evbuffer_remove(in, head, len);
	head[len] = '\0';
	status = http_request_parse(head, len, &req);
	if (status)
		conn_refuse(c, &req, status, refusal(status));
	else
		conn_serve(c, &req);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct conn *c = arg;

	if (c->state == CONN_LINGER) {
		c->dropped += evbuffer_get_length(in);
		evbuffer_drain(in, evbuffer_get_length(in));
		if (c->dropped > MAX_LINGER_BYTES)
			conn_free(c);
	} else if (c->state != CONN_ANSWER) {
		conn_process(c);
	}
}

/* All of the answer is with the kernel. */
static void on_written(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;

	if (c->state != CONN_ANSWER)
		return;
	bufferevent_enable(bev, EV_READ);
	if (c->keep_alive) {
		conn_enter(c, CONN_IDLE, &idle_time);
		conn_process(c); /* of requests sent ahead, one for each turn of the loop */
	} else {
		shutdown(bufferevent_getfd(bev), SHUT_WR);
		conn_enter(c, CONN_LINGER, &linger_time);
		on_read(bev, c);
	}
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct conn *c = arg;

	(void)bev;
	/* A client may close its half once it has asked. */
	if ((what & BEV_EVENT_EOF) && c->state == CONN_ANSWER)
		return;
	conn_free(c);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conn_free(arg);
}

/* ---- connections ---- */

/* Frees the connection that has made us wait for its request the longest, if there is one. */
static bool evict(struct conn_set *set)
{
	struct conn *c;

	for (c = TAILQ_FIRST(&set->list); c; c = TAILQ_NEXT(c, entry)) {
		if (c->state != CONN_ANSWER) {
			conn_free(c);
			return true;
		}
	}
	return false;
}

void conn_set_accept(struct conn_set *set, int fd)
{
	struct conn *c = NULL;

	if (set->n < MAX_CONNECTIONS || evict(set))
		c = calloc(1, sizeof(*c));
	if (!c) {
		evutil_closesocket(fd);
		return;
	}
	c->set = set;
	TAILQ_INSERT_TAIL(&set->list, c, entry);
	set->n++;
	c->bev = bufferevent_socket_new(set->base, fd, BEV_OPT_CLOSE_ON_FREE);
	c->deadline = evtimer_new(set->base, on_deadline, c);
	if (!c->bev || !c->deadline) {
		if (!c->bev)
			evutil_closesocket(fd);
		conn_free(c);
		return;
	}
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, MAX_HEAD_BYTES);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	conn_enter(c, CONN_IDLE, &head_time);
}

struct conn_set *conn_set_new(struct event_base *base, http_handler *serve, void *arg)
{
	struct conn_set *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	set->base = base;
	set->serve = serve;
	set->arg = arg;
	TAILQ_INIT(&set->list);
	return set;
}

void conn_set_free(struct conn_set *set)
{
	if (!set)
		return;
	while (!TAILQ_EMPTY(&set->list))
		conn_free(TAILQ_FIRST(&set->list));
	free(set);
}
