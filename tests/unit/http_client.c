// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strbuf.h"
#include "http/client.h"

/* A receiver that reads a request up to its body and says what its script has, whatever that is. */
struct world {
	struct event_base *base;
	struct evconnlistener *listener;
	struct bufferevent *bev;
	struct event *trickle;
	char url[64];
	const char *script;
	bool closes, trickles, floods, has_answered;
	unsigned n_accepted;
	struct strbuf heard;
	/* What the client reported. */
	unsigned n_done;
	int status;
	char error[128], retry_after[64], body[128];
	size_t body_len;
};

static void on_trickle(evutil_socket_t fd, short what, void *arg)
{
	struct world *w = arg;

	(void)fd;
	(void)what;
	if (w->bev && *w->script)
		bufferevent_write(w->bev, w->script++, 1);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	static char junk[65536];
	struct world *w = arg;

	/* libevent also calls at the very start, when there is nothing to write yet. */
	if (!w->has_answered)
		return;
	if (w->floods)
		bufferevent_write(bev, junk, sizeof(junk));
	else if (w->closes)
		shutdown(bufferevent_getfd(bev), SHUT_RDWR);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct timeval tick = { .tv_usec = 20000 };
	struct world *w = arg;

	strbuf_add(&w->heard, evbuffer_pullup(in, -1), evbuffer_get_length(in));
	evbuffer_drain(in, evbuffer_get_length(in));
	if (!strstr(strbuf_str(&w->heard), "body-of-request"))
		return;
	if (w->trickles) {
		event_add(w->trickle, &tick);
		return;
	}
	w->has_answered = true;
	if (w->script)
		bufferevent_write(bev, w->script, strlen(w->script));
	if (w->script && !*w->script)
		shutdown(bufferevent_getfd(bev), SHUT_RDWR);
}

static void on_end(struct bufferevent *bev, short what, void *arg)
{
	struct world *w = arg;

	(void)what;
	bufferevent_free(bev);
	if (w->bev == bev)
		w->bev = NULL;
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *peer, int len,
		      void *arg)
{
	struct world *w = arg;

	(void)l;
	(void)peer;
	(void)len;
	w->n_accepted++;
	if (w->bev)
		bufferevent_free(w->bev);
	w->bev = bufferevent_socket_new(w->base, fd, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(w->bev, on_read, on_written, on_end, w);
	bufferevent_enable(w->bev, EV_READ | EV_WRITE);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);

	w->base = event_base_new();
	w->listener = evconnlistener_new_bind(w->base, on_accept, w, LEV_OPT_CLOSE_ON_FREE, -1,
					      (struct sockaddr *)&sin, sizeof(sin));
	w->trickle = event_new(w->base, -1, EV_PERSIST, on_trickle, w);
	getsockname(evconnlistener_get_fd(w->listener), (struct sockaddr *)&sin, &len);
	snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u/v1/metrics", ntohs(sin.sin_port));
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	if (w->bev)
		bufferevent_free(w->bev);
	evconnlistener_free(w->listener);
	event_free(w->trickle);
	event_base_free(w->base);
	strbuf_done(&w->heard);
	free(w);
	return 0;
}

static void on_done(void *arg, const struct http_reply *reply)
{
	struct world *w = arg;

	w->n_done++;
	w->status = reply->status;
	snprintf(w->error, sizeof(w->error), "%s", reply->error ? reply->error : "");
	snprintf(w->retry_after, sizeof(w->retry_after), "%s",
		 reply->retry_after ? reply->retry_after : "");
	w->body_len = reply->body_len;
	snprintf(w->body, sizeof(w->body), "%.*s",
		 (int)(reply->body_len < 100 ? reply->body_len : 100),
		 reply->body_len ? (const char *)reply->body : "");
}

/* Posts and runs the loop until there is an answer. */
static void post(struct world *w, struct http_client *c, uint64_t timeout_ns)
{
	unsigned before = w->n_done;

	strbuf_clear(&w->heard);
	w->has_answered = false;
	assert_int_equal(http_post(c, "body-of-request", 15, timeout_ns, on_done, w), 0);
	assert_int_equal(w->n_done, before);
	assert_int_equal(http_post(c, "", 0, timeout_ns, on_done, w), -EBUSY);
	while (w->n_done == before)
		assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
	assert_int_equal(w->n_done, before + 1);
}

static struct http_client *new_client(struct world *w)
{
	struct http_client *c = NULL;

	assert_int_equal(http_client_new(w->base, w->url, &c, NULL), 0);
	return c;
}

static void answers(void **state)
{
	static const struct {
		const char *script;
		bool closes;
		int status;
		const char *body, *retry_after, *error;
	} cases[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false, 200, "hi", "", "" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, 200, "", "", "" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n",
		  false, 200, "hi!", "", "" },
		{ "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", false, 503,
		  "", "7", "" },
		{ "HTTP/1.0 404 No\r\n\r\nnothing here", true, 404, "nothing here", "", "" },
		{ "", true, 0, "", "", "the connection was closed without an answer" },
		{ "HTTP/1.1 200 OK\r\nContent-Le", true, 0, "", "",
		  "the connection was closed without an answer" },
		{ "SSH-2.0-OpenSSH_9.2p1\r\n\r\n", false, 0, "", "", "the answer is not HTTP" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n", false, 0, "", "",
		  "the answer is longer than 4 MiB" },
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct http_client *c = new_client(w);

		w->script = cases[i].script;
		w->closes = cases[i].closes;
		post(w, c, 5 * NSEC_PER_SEC);
		if (strcmp(w->error, cases[i].error))
			print_error("%s -> %s\n", cases[i].script, w->error);
		assert_string_equal(w->error, cases[i].error);
		assert_int_equal(w->status, cases[i].status);
		assert_string_equal(w->body, cases[i].body);
		assert_string_equal(w->retry_after, cases[i].retry_after);
		http_client_free(c);
	}
}

static void the_connection_is_kept(void **state)
{
	struct world *w = *state;
	struct http_client *c = new_client(w);

	w->script = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
	assert_int_equal(http_client_header(c, "X-Scope-OrgID", "robots"), 0);
	assert_int_equal(http_client_header(c, "A", "b\r\nC: d"), -EINVAL);
	assert_int_equal(http_client_header(c, "A:", "b"), -EINVAL);
	for (int i = 0; i < 3; i++) {
		post(w, c, NSEC_PER_SEC);
		assert_int_equal(w->status, 200);
	}
	assert_int_equal(w->n_accepted, 1);
	assert_non_null(strstr(strbuf_str(&w->heard), "POST /v1/metrics HTTP/1.1\r\n"));
	assert_non_null(strstr(strbuf_str(&w->heard), "Host: 127.0.0.1:"));
	assert_non_null(strstr(strbuf_str(&w->heard), "X-Scope-OrgID: robots\r\n"));
	assert_non_null(strstr(strbuf_str(&w->heard), "Content-Length: 15\r\n"));
	/* The receiver restarts: the next request finds the connection gone, or makes a new one. */
	bufferevent_free(take_ptr(w->bev));
	post(w, c, NSEC_PER_SEC);
	post(w, c, NSEC_PER_SEC);
	assert_int_equal(w->status, 200);
	assert_int_equal(w->n_accepted, 2);
	http_client_free(c);
}

static void silence_and_trickling_end_in_time(void **state)
{
	struct world *w = *state;
	struct http_client *c = new_client(w);
	uint64_t start;

	for (int trickles = 0; trickles < 2; trickles++) {
		w->script = trickles ? "HTTP/1.1 200 OK\r\nX-Header-That-Never-Ends: aaaaaaaaaaaaaa"
				     : NULL;
		w->trickles = trickles;
		start = clock_boot_ns();
		post(w, c, 300 * NSEC_PER_MSEC);
		assert_in_range(clock_boot_ns() - start, 250 * NSEC_PER_MSEC, 600 * NSEC_PER_MSEC);
		assert_int_equal(w->status, 0);
		assert_string_equal(w->error, "no complete answer in time");
	}
	/* And works again afterwards. */
	event_del(w->trickle);
	w->trickles = false;
	w->script = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
	post(w, c, NSEC_PER_SEC);
	assert_int_equal(w->status, 200);
	http_client_free(c);
}

static void an_endless_answer_is_cut_off(void **state)
{
	struct world *w = *state;
	struct http_client *c = new_client(w);

	w->script = "HTTP/1.1 200 OK\r\n\r\n";
	w->floods = true;
	post(w, c, 20 * NSEC_PER_SEC);
	assert_int_equal(w->status, 0);
	assert_string_equal(w->error, "the answer is longer than 4 MiB");
	http_client_free(c);
}

static void an_answer_is_kept_whole_if_asked(void **state)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n";
	cleanup(strbuf_done) struct strbuf script = {};
	struct world *w = *state;
	struct http_client *c = new_client(w);

	strbuf_puts(&script, head);
	for (int i = 0; i < 5000000; i++)
		strbuf_putc(&script, 'x');
	w->script = strbuf_str(&script);
	post(w, c, 20 * NSEC_PER_SEC);
	assert_string_equal(w->error, "the answer is longer than 4 MiB");
	http_client_keep(c, 5000000);
	post(w, c, 20 * NSEC_PER_SEC);
	assert_int_equal(w->status, 200);
	assert_int_equal(w->body_len, 5000000);
	http_client_keep(c, 4999999);
	post(w, c, 20 * NSEC_PER_SEC);
	assert_int_equal(w->status, 0);
	assert_string_equal(w->error, "the answer is longer than 4 MiB");
	http_client_free(c);
}

static void names_and_closed_ports(void **state)
{
	struct world *w = *state;
	struct http_client *c;
	char *port = strrchr(w->url, ':');
	char url[128];

	snprintf(url, sizeof(url), "http://localhost%s", port);
	assert_int_equal(http_client_new(w->base, url, &c, NULL), 0);
	w->script = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
	post(w, c, 5 * NSEC_PER_SEC);
	assert_string_equal(w->error, "");
	assert_int_equal(w->status, 200);
	http_client_free(c);

	c = new_client(w);
	evconnlistener_free(w->listener);
	w->listener =
		evconnlistener_new(w->base, NULL, NULL, 0, 0, socket(AF_INET, SOCK_STREAM, 0));
	post(w, c, 5 * NSEC_PER_SEC);
	assert_int_equal(w->status, 0);
	assert_string_equal(w->error, "nothing accepts connections there");
	http_client_free(c);
}

static void cancelled_in_flight(void **state)
{
	struct world *w = *state;
	struct http_client *c = new_client(w);

	w->script = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
	for (int turns = 0; turns < 6; turns++) {
		assert_int_equal(http_post(c, "x", 1, NSEC_PER_SEC, on_done, w), 0);
		for (int i = 0; i < turns; i++)
			event_base_loop(w->base, EVLOOP_NONBLOCK);
		http_client_cancel(c);
		http_client_cancel(c);
	}
	assert_int_equal(w->n_done, 0);
	post(w, c, NSEC_PER_SEC);
	assert_int_equal(w->status, 200);
	http_client_free(c);
}

static void freed_in_flight(void **state)
{
	struct world *w = *state;
	struct http_client *c = new_client(w);

	assert_int_equal(http_post(c, "x", 1, NSEC_PER_SEC, on_done, w), 0);
	event_base_loop(w->base, EVLOOP_NONBLOCK);
	http_client_free(c);
	event_base_loop(w->base, EVLOOP_NONBLOCK);
	assert_int_equal(w->n_done, 0);
}

static void urls_that_cannot_be_used(void **state)
{
	static const struct {
		const char *url;
		int error;
		const char *words;
	} cases[] = {
		{ "https://collector:4318", -EPROTONOSUPPORT, "TLS is not in this version yet" },
		{ "localhost:4318", -EINVAL, "say http://HOST:PORT" },
		{ "", -EINVAL, "say http://HOST:PORT" },
		{ "ftp://a", -EINVAL, "say http://HOST:PORT" },
		{ "http://", -EINVAL, "say http://HOST:PORT" },
		{ "http://a:b@c/", -EINVAL, "use headers for that" },
		{ "http://a b/", -EINVAL, "say http://HOST:PORT" },
		{ "http://a:99999/", -EINVAL, "say http://HOST:PORT" },
	};
	struct world *w = *state;
	struct http_client *c = NULL;
	struct err e = {};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(http_client_new(w->base, cases[i].url, &c, &e), cases[i].error);
		assert_null(c);
		assert_non_null(strstr(e.msg, cases[i].words));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers),
		TEST(the_connection_is_kept),
		TEST(silence_and_trickling_end_in_time),
		TEST(an_endless_answer_is_cut_off),
		TEST(an_answer_is_kept_whole_if_asked),
		TEST(names_and_closed_ports),
		TEST(cancelled_in_flight),
		TEST(freed_in_flight),
		TEST(urls_that_cannot_be_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
