// SPDX-License-Identifier: Apache-2.0
#include "base/loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/cleanup.h"

static int set_up(int fd)
{
	const struct timeval second = { .tv_sec = 1 };
	const int one = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)) < 0)
		return -errno;
	return 0;
}

static int new_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int connect_both(struct loopback *l)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int r;

	l->listener = new_socket();
	if (l->listener < 0)
		return -errno;
	/* What is accepted has its listener's options. */
	r = set_up(l->listener);
	if (r < 0)
		return r;
	if (bind(l->listener, (struct sockaddr *)&addr, len) < 0 || listen(l->listener, 1) < 0 ||
	    getsockname(l->listener, (struct sockaddr *)&addr, &len) < 0)
		return -errno;
	l->client = new_socket();
	if (l->client < 0)
		return -errno;
	r = set_up(l->client);
	if (r < 0)
		return r;
	if (connect(l->client, (struct sockaddr *)&addr, len) < 0)
		return -errno;
	l->server = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC);
	return l->server < 0 ? -errno : 0;
}

int loopback_open(struct loopback *l)
{
	int r;

	*l = (struct loopback){ -1, -1, -1 };
	r = connect_both(l);
	if (r < 0)
		loopback_close(l);
	return r;
}

void loopback_close(struct loopback *l)
{
	cleanup_fd(&l->client);
	cleanup_fd(&l->server);
	cleanup_fd(&l->listener);
	*l = (struct loopback){ -1, -1, -1 };
}

static bool pass(int from, int to)
{
	char buf[64] = {};

	return send(from, buf, sizeof(buf), MSG_NOSIGNAL) == (ssize_t)sizeof(buf) &&
	       recv(to, buf, sizeof(buf), MSG_WAITALL) == (ssize_t)sizeof(buf);
}

bool loopback_exchange(const struct loopback *l)
{
	return pass(l->client, l->server) && pass(l->server, l->client);
}
