// SPDX-License-Identifier: Apache-2.0
/*
 * Connections that come to nothing, and some that are reset, from one network to another, each kind to a
 * port of its own. Prints what their owner saw of them:
 *     {"refused": {"port": P, "time": {"count": N, "sum_ns": ...}}, ...}
 * a time being that from before connect() until its failure was told of; of a reset, until that was.
 * And connections that are left as they are: {"port": P, "established": N, "ended": N}, the latter by
 * their far end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../work/figure.h"
#include "base/cleanup.h"
#include "inside.h"

#define PORT 7020
#define EACH 3

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("inside ends: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputs("\n", stderr);
	exit(1);
}

/* Sockets are of the network in which they are made, whoever uses them. */
static void enter(const char *net)
{
	cleanup(cleanup_fd) int fd = open(net, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die("%s: %s", net, strerror(errno));
}

static struct sockaddr_in address(const char *host, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
		die("%s is no address", host);
	return a;
}

static int begin(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &(int){ 1 }, sizeof(int));
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0 || errno != EINPROGRESS)
		die("connect: %s", strerror(errno));
	return fd;
}

/* Something else than bytes has come to @fd: what. */
static int wait_error(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	socklen_t len = sizeof(int);
	int err = 0;

	if (poll(&wait, 1, 60000) != 1)
		die("a connection did not end within a minute");
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	return err;
}

static void print(const char *kind, int port, const struct figure *f, bool last)
{
	printf("\"%s\": {", kind);
	figure_print(f, stdout);
	printf("\"port\": %d}%s", port, last ? "}\n" : ", ");
}

/* All at the same time: most of these wait for seconds. */
static void fail(void)
{
	static const struct kind {
		const char *name, *host;
		int err;
	} kinds[] = {
		{ "refused", "10.97.0.2", ECONNREFUSED },
		{ "timed_out", "10.97.0.9", ETIMEDOUT },
		{ "host_unreachable", "10.97.0.8", EHOSTUNREACH },
	};
	uint64_t began[ARRAY_SIZE(kinds)][EACH];
	int fds[ARRAY_SIZE(kinds)][EACH], err;
	struct sockaddr_in to;
	struct figure f;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		for (size_t j = 0; j < EACH; j++) {
			to = address(kinds[i].host, PORT + (int)i);
			began[i][j] = now_ns();
			fds[i][j] = begin(&to);
		}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		figure_init(&f, "time", 0);
		for (size_t j = 0; j < EACH; j++) {
			err = wait_error(fds[i][j]);
			if (err != kinds[i].err)
				die("%s: %s", kinds[i].name, strerror(err));
			figure_add(&f, now_ns() - began[i][j]);
			close(fds[i][j]);
		}
		print(kinds[i].name, PORT + (int)i, &f, false);
	}
}

/* The client's own doing: it does not wait. */
static void cancel(int port)
{
	struct sockaddr_in to = address("10.97.0.9", port);
	struct figure f;
	uint64_t began;

	figure_init(&f, "time", 0);
	for (int i = 0; i < EACH; i++) {
		began = now_ns();
		close(begin(&to));
		figure_add(&f, now_ns() - began);
	}
	print("cancelled", port, &f, false);
}

/* Listens at the far end; who is there, is at the near one again. */
static int open_listener(const char *near, const char *far, const struct sockaddr_in *at)
{
	int listener;

	enter(far);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(listener, (const struct sockaddr *)at, sizeof(*at)) < 0 ||
	    listen(listener, EACH) < 0)
		die("port %d: %s", ntohs(at->sin_port), strerror(errno));
	enter(near);
	return listener;
}

/* One that stands and was used; its far end is in *@ret_peer. */
static int open_connection(int listener, const struct sockaddr_in *at, int *ret_peer)
{
	int client = begin(at), peer = accept(listener, NULL, NULL);
	char byte;

	if (peer < 0 || fcntl(client, F_SETFL, 0) < 0 || write(client, "x", 1) != 1 ||
	    read(peer, &byte, 1) != 1 || write(peer, "y", 1) != 1 || read(client, &byte, 1) != 1)
		die("no exchange: %s", strerror(errno));
	*ret_peer = peer;
	return client;
}

static void reset(const char *near, const char *far, int port)
{
	struct sockaddr_in at = address("10.97.0.2", port);
	int client, peer, err, listener = open_listener(near, far, &at);
	uint64_t began;
	struct figure f;

	figure_init(&f, "time", 0);
	for (int i = 0; i < EACH; i++) {
		began = now_ns();
		client = open_connection(listener, &at, &peer);
		setsockopt(peer, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 },
			   sizeof(struct linger));
		close(peer);
		err = wait_error(client);
		if (err != ECONNRESET)
			die("instead of a reset: %s", strerror(err));
		figure_add(&f, now_ns() - began);
		close(client);
	}
	close(listener);
	print("reset", port, &f, true);
}

int inside_ends(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	enter(argv[0]);
	printf("{");
	fail();
	cancel(PORT + 3);
	reset(argv[0], argv[1], PORT + 4);
	return 0;
}

static void wait_state(int fd, int state)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	do {
		usleep(10000);
		if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
			die("TCP_INFO: %s", strerror(errno));
	} while (info.tcpi_state != state);
}

int inside_leave(int argc, char **argv)
{
	struct sockaddr_in at = address("10.97.0.2", PORT + 5);
	int listener, client, peer;

	if (argc != 2)
		return 2;
	listener = open_listener(argv[0], argv[1], &at);
	for (int i = 0; i < EACH; i++) {
		client = open_connection(listener, &at, &peer);
		if (i == 0)
			continue;
		shutdown(peer, SHUT_WR);
		wait_state(client, TCP_CLOSE_WAIT);
		wait_state(peer, TCP_FIN_WAIT2);
	}
	printf("{\"port\": %d, \"established\": 1, \"ended\": %d}\n", PORT + 5, EACH - 1);
	pause();
	return 0;
}
