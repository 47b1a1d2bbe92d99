// SPDX-License-Identifier: Apache-2.0
#include "http/client.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/util.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define MAX_REPLY_HEAD_BYTES (16 << 10)
#define MAX_REPLY_BYTES	     (4 << 20)
#define KEPT_REPLY_BYTES     (64 << 10)

struct http_client {
	struct event_base *base;
	struct evdns_base *dns;
	struct evhttp_uri *uri;
	char *host_header, *target;
	struct evkeyvalq headers;
	struct evhttp_connection *connection;
	struct event *deadline; /* of the request in flight, as a whole */
	struct event *finish;	/* reports its end from the loop, outside of evhttp */
	bool is_busy, is_broken;
	http_done *done;
	void *arg;
	/* What is known of the answer so far. */
	int status;
	char error[128];
	char retry_after[64];
	struct evbuffer *body;
	size_t max_bytes, kept_bytes; /* of an answer */
	size_t body_len;	      /* with what was not kept */
};

DEFINE_CLEANUP(struct http_client, http_client_free)

/* ---- the end of a request ---- */

static struct evdns_base *read_resolv_conf(struct event_base *base)
{
	return evdns_base_new(base,
			      EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
}

static void drop_connection(struct http_client *c)
{
	if (c->connection)
		evhttp_connection_free(c->connection);
	c->connection = NULL;
	c->is_broken = false;
}

/* @status 0, or that of a complete answer. An error that is known already is the better one. */
static void finish(struct http_client *c, int status, const char *error)
{
	c->status = status;
	if (!*c->error)
		snprintf(c->error, sizeof(c->error), "%s", error);
	c->is_broken = !status;
	event_del(c->deadline);
	event_active(c->finish, EV_TIMEOUT, 0);
}

static void on_finish(evutil_socket_t fd, short what, void *arg)
{
	struct http_client *c = arg;
	size_t len = evbuffer_get_length(c->body);
	struct http_reply reply = {
		.status = c->status,
		.error = *c->error ? c->error : NULL,
		.retry_after = *c->retry_after ? c->retry_after : NULL,
		.body = evbuffer_pullup(c->body, -1),
		.body_len = len,
	};
	struct evdns_base *fresh;

	(void)fd;
	(void)what;
	if (c->is_broken) {
		drop_connection(c);
		fresh = read_resolv_conf(c->base);
		if (fresh) {
			evdns_base_free(c->dns, 0);
			c->dns = fresh;
		}
	}
	c->is_busy = false;
	/* May post again, or free the client. */
	c->done(c->arg, &reply);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct http_client *c = arg;

	(void)fd;
	(void)what;
	drop_connection(c);
	finish(c, 0, "no complete answer in time");
}

/* ---- evhttp's callbacks ---- */

static void on_body(struct evhttp_request *req, void *arg)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(req);
	size_t len = evbuffer_get_length(in), kept, room;
	struct http_client *c = arg;

	c->body_len += len;
	kept = evbuffer_get_length(c->body);
	room = c->kept_bytes - kept;
	evbuffer_remove_buffer(in, c->body, len < room ? len : room);
	evbuffer_drain(in, evbuffer_get_length(in));
}

static void too_long(struct http_client *c)
{
	snprintf(c->error, sizeof(c->error), "the answer is longer than %zu MiB",
		 c->max_bytes >> 20);
}

static void on_error(enum evhttp_request_error error, void *arg)
{
	static const char *const phrases[] = {
		[EVREQ_HTTP_TIMEOUT] = "no complete answer in time",
		[EVREQ_HTTP_EOF] = "the connection was closed without an answer",
		[EVREQ_HTTP_INVALID_HEADER] = "the answer is not HTTP",
		[EVREQ_HTTP_BUFFER_ERROR] = "the connection broke",
		[EVREQ_HTTP_REQUEST_CANCEL] = "the request was cancelled",
	};
	struct http_client *c = arg;

	if (error == EVREQ_HTTP_DATA_TOO_LONG)
		too_long(c);
	else if (error < ARRAY_SIZE(phrases) && phrases[error])
		snprintf(c->error, sizeof(c->error), "%s", phrases[error]);
}

/* evhttp does not say why there is no connection, and errno is lost when it cleans up. */
static const char *connect_error(struct http_client *c)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(c->connection);

	return bufferevent_socket_get_dns_error(bev) ? "the name of the host cannot be resolved"
						     : "nothing accepts connections there";
}

static void on_reply(struct evhttp_request *req, void *arg)
{
	struct http_client *c = arg;
	const char *value;
	int status = req ? evhttp_request_get_response_code(req) : 0;

	if (!status || *c->error) {
		finish(c, 0, connect_error(c));
		return;
	}
	if (c->body_len + evbuffer_get_length(evhttp_request_get_input_buffer(req)) >
	    c->max_bytes) {
		too_long(c);
		finish(c, 0, "");
		return;
	}
	on_body(req, c);
	value = evhttp_find_header(evhttp_request_get_input_headers(req), "Retry-After");
	if (value)
		snprintf(c->retry_after, sizeof(c->retry_after), "%s", value);
	finish(c, status, "");
}

/* ---- requests ---- */

static int connect_client(struct http_client *c)
{
	const char *host = evhttp_uri_get_host(c->uri);
	int port = evhttp_uri_get_port(c->uri);
	bool is_ipv6 = *host == '[';
	char bare[256]; /* the brackets belong to the URL, not to the address */

	if (c->connection)
		return 0;
	snprintf(bare, sizeof(bare), "%.*s", (int)strlen(host) - 2 * is_ipv6, host + is_ipv6);
	c->connection = evhttp_connection_base_bufferevent_new(
		c->base, c->dns, NULL, bare, (unsigned short)(port < 0 ? 80 : port));
	if (!c->connection)
		return -ENOMEM;
	evhttp_connection_set_max_headers_size(c->connection, MAX_REPLY_HEAD_BYTES);
	evhttp_connection_set_max_body_size(c->connection, (ev_ssize_t)c->max_bytes);
	return 0;
}

static struct evhttp_request *new_request(struct http_client *c, const void *body, size_t len)
{
	struct evhttp_request *req = evhttp_request_new(on_reply, c);
	struct evkeyvalq *headers;
	struct evkeyval *h;
	int bad;

	if (!req)
		return NULL;
	evhttp_request_set_chunked_cb(req, on_body);
	evhttp_request_set_error_cb(req, on_error);
	headers = evhttp_request_get_output_headers(req);
	bad = evhttp_add_header(headers, "Host", c->host_header);
	for (h = TAILQ_FIRST(&c->headers); h; h = TAILQ_NEXT(h, next))
		bad |= evhttp_add_header(headers, h->key, h->value);
	bad |= evbuffer_add(evhttp_request_get_output_buffer(req), body, len);
	if (bad) {
		evhttp_request_free(req);
		return NULL;
	}
	return req;
}

int http_post(struct http_client *c, const void *body, size_t len, uint64_t timeout_ns,
	      http_done *done, void *arg)
{
	struct timeval limit = {
		.tv_sec = (time_t)(timeout_ns / NSEC_PER_SEC),
		.tv_usec = (suseconds_t)(timeout_ns % NSEC_PER_SEC / NSEC_PER_USEC),
	};
	struct evhttp_request *req;

	if (c->is_busy)
		return -EBUSY;
	if (connect_client(c) < 0)
		return -ENOMEM;
	req = new_request(c, body, len);
	if (!req)
		return -ENOMEM;
	c->is_busy = true;
	c->done = done;
	c->arg = arg;
	c->status = 0;
	c->error[0] = c->retry_after[0] = '\0';
	c->body_len = 0;
	evbuffer_drain(c->body, evbuffer_get_length(c->body));
	event_add(c->deadline, &limit);
	/* evhttp's own limits are for each read and write; ours comes first. */
	evhttp_connection_set_timeout(c->connection, (int)limit.tv_sec + 5);
	/* Fails at once where there is no way to connect; the request is freed either way. */
	if (evhttp_make_request(c->connection, req, EVHTTP_REQ_POST, c->target) < 0)
		finish(c, 0, connect_error(c));
	return 0;
}

/* ---- the client ---- */

static int parse_url(struct http_client *c, const char *url, struct err *e)
{
	const char *scheme, *host, *path, *query;
	int port;

	c->uri = evhttp_uri_parse(url);
	scheme = c->uri ? evhttp_uri_get_scheme(c->uri) : NULL;
	host = c->uri ? evhttp_uri_get_host(c->uri) : NULL;
	/* Not repeated: it may be a password. */
	if (c->uri && evhttp_uri_get_userinfo(c->uri))
		return err_set(e, -EINVAL,
			       "the URL to send to has a user name in it: use headers for that");
	if (scheme && !strcasecmp(scheme, "https"))
		return err_set(e, -EPROTONOSUPPORT,
			       "%s: TLS is not in this version yet; an OpenTelemetry Collector on "
			       "this machine can take plain http and forward it",
			       url);
	if (!scheme || strcasecmp(scheme, "http") || !host || !*host || strlen(host) > 255)
		return err_set(e, -EINVAL,
			       "'%s' is no URL to send to: say http://HOST:PORT, as in "
			       "http://localhost:4318",
			       url);
	path = evhttp_uri_get_path(c->uri);
	query = evhttp_uri_get_query(c->uri);
	port = evhttp_uri_get_port(c->uri);
	if (asprintf(&c->target, "%s%s%s", path && *path ? path : "/", query ? "?" : "",
		     query ? query : "") < 0)
		c->target = NULL;
	if (port < 0 ? asprintf(&c->host_header, "%s", host) < 0
		     : asprintf(&c->host_header, "%s:%d", host, port) < 0)
		c->host_header = NULL;
	if (!c->target || !c->host_header)
		return err_set(e, -ENOMEM, "out of memory");
	return 0;
}

/* Without a readable resolv.conf, as in a bare container, /etc/hosts still counts. */
static struct evdns_base *new_dns(struct event_base *base)
{
	struct evdns_base *dns = read_resolv_conf(base);

	if (dns)
		return dns;
	dns = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (dns)
		evdns_base_load_hosts(dns, "/etc/hosts");
	return dns;
}

int http_client_new(struct event_base *base, const char *url, struct http_client **ret,
		    struct err *e)
{
	cleanup(http_client_freep) struct http_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->base = base;
	c->max_bytes = MAX_REPLY_BYTES;
	c->kept_bytes = KEPT_REPLY_BYTES;
	TAILQ_INIT(&c->headers);
	r = parse_url(c, url, e);
	if (r < 0)
		return r;
	c->dns = new_dns(base);
	c->body = evbuffer_new();
	c->deadline = evtimer_new(base, on_deadline, c);
	c->finish = evtimer_new(base, on_finish, c);
	if (!c->dns || !c->body || !c->deadline || !c->finish)
		return err_set(e, -ENOMEM, "out of memory");
	signal(SIGPIPE, SIG_IGN); /* libevent writes without MSG_NOSIGNAL */
	*ret = take_ptr(c);
	return 0;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	drop_connection(c);
	if (c->dns)
		evdns_base_free(c->dns, 0);
	if (c->uri)
		evhttp_uri_free(c->uri);
	if (c->body)
		evbuffer_free(c->body);
	if (c->deadline)
		event_free(c->deadline);
	if (c->finish)
		event_free(c->finish);
	evhttp_clear_headers(&c->headers);
	free(c->host_header);
	free(c->target);
	free(c);
}

void http_client_cancel(struct http_client *c)
{
	drop_connection(c);
	event_del(c->deadline);
	event_del(c->finish);
	c->is_busy = false;
}

void http_client_keep(struct http_client *c, size_t max)
{
	c->max_bytes = c->kept_bytes = max;
	if (c->connection)
		evhttp_connection_set_max_body_size(c->connection, (ev_ssize_t)max);
}

int http_client_header(struct http_client *c, const char *name, const char *value)
{
	for (const char *p = name; *p; p++) {
		if (*p <= ' ' || *p > '~' || *p == ':')
			return -EINVAL;
	}
	for (const char *p = value; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return -EINVAL;
	}
	return *name && evhttp_add_header(&c->headers, name, value) == 0 ? 0 : -EINVAL;
}
