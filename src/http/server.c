// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>

#include "base/cleanup.h"
#include "http/conn.h"

static const struct timeval accept_pause = { .tv_sec = 1 };

struct route {
	SLIST_ENTRY(route) entry;
	const char *path;
	http_handler *handler;
	void *arg;
};

struct http_server {
	struct evconnlistener *listener;
	struct event *resume; /* accepting, after it failed for want of descriptors */
	struct conn_set *conns;
	bool is_loopback;
	uint16_t port;
	SLIST_HEAD(, route) routes;
};

DEFINE_CLEANUP(struct http_server, http_server_free)

/* "localhost" or an address, with or without a port; nothing is what HTTP/1.0 may say. */
static bool is_local_name(const char *host)
{
	struct sockaddr_storage address;
	int len = sizeof(address);

	if (!*host || !strcasecmp(host, "localhost") || !strncasecmp(host, "localhost:", 10))
		return true;
	return evutil_parse_sockaddr_port(host, (struct sockaddr *)&address, &len) == 0;
}

static struct route *find_route(const struct http_server *s, const char *path)
{
	struct route *route;

	for (route = SLIST_FIRST(&s->routes); route; route = SLIST_NEXT(route, entry)) {
		if (!strcmp(route->path, path))
			return route;
	}
	return NULL;
}

static void refuse(struct http_response *res, int status, const char *sentence)
{
	res->status = status;
	strbuf_printf(&res->body, "%s\n", sentence);
}

static void serve(void *arg, const struct http_request *req, struct http_response *res)
{
	struct http_server *s = arg;
	struct route *route = find_route(s, req->path);

	if (s->is_loopback && !is_local_name(req->host)) {
		refuse(res, 421, "ask for this server by its address");
		return;
	}
	if (route && route->handler)
		route->handler(route->arg, req, res);
	else
		refuse(res, 404, "no such page");
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
		      int peer_len, void *arg)
{
	struct http_server *s = arg;

	(void)listener;
	(void)peer;
	(void)peer_len;
	conn_set_accept(s->conns, fd);
}

/* Out of descriptors, most likely; the listener would be ready again at once, and spin. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct http_server *s = arg;

	evconnlistener_disable(listener);
	event_add(s->resume, &accept_pause);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *s = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(s->listener);
}

/* ADDRESS:PORT, [ADDRESS]:PORT or localhost:PORT; libevent's own parser takes no port 0. */
static bool parse_address(const char *text, struct sockaddr_storage *ret, int *ret_len)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	bool is_ipv6 = len > 2 && *text == '[' && colon[-1] == ']';
	char host[64], *end;
	unsigned long port;

	if (!len || len >= sizeof(host) || colon[1] < '0' || colon[1] > '9')
		return false;
	port = strtoul(colon + 1, &end, 10);
	if (*end || port > UINT16_MAX)
		return false;
	snprintf(host, sizeof(host), "%.*s", (int)len - 2 * is_ipv6, text + is_ipv6);
	memset(ret, 0, sizeof(*ret));
	if (is_ipv6) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		*ret_len = sizeof(*in6);
		return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1;
	}
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)port);
	*ret_len = sizeof(*in);
	return inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1", &in->sin_addr) ==
	       1;
}

static bool is_loopback(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
	return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 ==
	       IN_LOOPBACKNET;
}

static int listen_error(struct err *e, int code, const char *address_port)
{
	switch (code) {
	case EADDRINUSE:
		return err_set(e, -code,
			       "%s is taken by another program: choose another with --listen "
			       "ADDRESS:PORT",
			       address_port);
	case EADDRNOTAVAIL:
		return err_set(e, -code,
			       "%s is no address of this machine: choose another with --listen "
			       "ADDRESS:PORT",
			       address_port);
	case EACCES:
		return err_set(e, -code,
			       "ports below 1024 are for root alone: choose another than %s with "
			       "--listen ADDRESS:PORT",
			       address_port);
	default:
		return err_set(e, -code, "cannot listen on %s: %s", address_port, strerror(code));
	}
}

int http_server_new(struct event_base *base, const char *address_port, struct http_server **ret,
		    struct err *e)
{
	cleanup(http_server_freep) struct http_server *s = calloc(1, sizeof(*s));
	struct sockaddr_storage address;
	struct sockaddr_in6 bound;
	socklen_t bound_len = sizeof(bound);
	int len;

	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	SLIST_INIT(&s->routes);
	if (!parse_address(address_port, &address, &len))
		return err_set(e, -EINVAL,
			       "cannot listen on '%s': say an address and a port, as in "
			       "127.0.0.1:9477 or [::1]:9477",
			       address_port);
	s->is_loopback = is_loopback(&address);
	s->resume = evtimer_new(base, on_resume, s);
	s->conns = conn_set_new(base, serve, s);
	if (!s->resume || !s->conns)
		return err_set(e, -ENOMEM, "out of memory");
	signal(SIGPIPE, SIG_IGN);
	s->listener = evconnlistener_new_bind(base, on_accept, s,
					      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC |
						      LEV_OPT_REUSEABLE,
					      -1, (struct sockaddr *)&address, len);
	if (!s->listener)
		return listen_error(e, errno, address_port);
	evconnlistener_set_error_cb(s->listener, on_accept_error);
	/* The port is at the same place in both families. */
	getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&bound, &bound_len);
	s->port = ntohs(bound.sin6_port);
	*ret = take_ptr(s);
	return 0;
}

void http_server_free(struct http_server *s)
{
	struct route *route;

	if (!s)
		return;
	conn_set_free(s->conns);
	while (!SLIST_EMPTY(&s->routes)) {
		route = SLIST_FIRST(&s->routes);
		SLIST_REMOVE_HEAD(&s->routes, entry);
		free(route);
	}
	if (s->listener)
		evconnlistener_free(s->listener);
	if (s->resume)
		event_free(s->resume);
	free(s);
}

int http_server_route(struct http_server *s, const char *path, http_handler *handler, void *arg)
{
	struct route *route = find_route(s, path);

	if (!route) {
		route = calloc(1, sizeof(*route));
		if (!route)
			return -ENOMEM;
		route->path = path;
		SLIST_INSERT_HEAD(&s->routes, route, entry);
	}
	route->handler = handler;
	route->arg = arg;
	return 0;
}

uint16_t http_server_port(const struct http_server *s)
{
	return s->port;
}
