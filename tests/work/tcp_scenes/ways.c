// SPDX-License-Identifier: Apache-2.0
/* The ways in which programs send, wait and read; every call that moves bytes is noted. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "scene.h"

char buffer[MAX_MESSAGE];

const struct way *way_of(const struct end *e)
{
	return e->server ? &e->scene->server : &e->scene->client;
}

void send_message(struct end *e, size_t len)
{
	(way_of(e)->send ? way_of(e)->send : send_plain)(e, len);
	e->ledger->tx++;
}

void read_message(struct end *e, size_t len)
{
	const struct way *way = way_of(e);

	for (size_t done = 0; done < len;) {
		if (way->wait)
			way->wait(e);
		done += (way->read ? way->read : read_plain)(e, len - done);
	}
	e->ledger->rx++;
}

/* ---- sending ---- */

static void send_flagged(struct end *e, size_t len, int flags)
{
	for (size_t done = 0; done < len;) {
		uint64_t began = now_ns();
		ssize_t n = send(e->fd, buffer, len - done, flags | MSG_NOSIGNAL);

		if (n < 0)
			die("send: %s", strerror(errno));
		note_sent(e, began, n, 1);
		done += n;
	}
}

void send_plain(struct end *e, size_t len)
{
	send_flagged(e, len, 0);
}

void send_vector(struct end *e, size_t len)
{
	struct iovec parts[3] = { { buffer, len / 2 },
				  { buffer, 1 },
				  { buffer, len - len / 2 - 1 } };
	uint64_t began = now_ns();

	if (writev(e->fd, parts, 3) != (ssize_t)len)
		die("writev: %s", strerror(errno));
	note_sent(e, began, len, 1);
}

void send_many(struct end *e, size_t len)
{
	struct iovec part = { buffer, len / 4 };
	struct mmsghdr messages[4];
	uint64_t began;

	for (int i = 0; i < 4; i++)
		messages[i] = (struct mmsghdr){ { .msg_iov = &part, .msg_iovlen = 1 }, 0 };
	began = now_ns();
	if (sendmmsg(e->fd, messages, 4, MSG_NOSIGNAL) != 4)
		die("sendmmsg: %s", strerror(errno));
	note_sent(e, began, len, 4);
}

void send_more(struct end *e, size_t len)
{
	send_flagged(e, 10, MSG_MORE);
	send_flagged(e, len - 10, 0);
}

void send_corked(struct end *e, size_t len)
{
	setsockopt(e->fd, IPPROTO_TCP, TCP_CORK, &(int){ 1 }, sizeof(int));
	send_flagged(e, 10, 0);
	send_flagged(e, len - 10, 0);
	setsockopt(e->fd, IPPROTO_TCP, TCP_CORK, &(int){ 0 }, sizeof(int));
}

void send_file(struct end *e, size_t len)
{
	if (e->file < 0)
		e->file = memfd_create("answer", MFD_CLOEXEC);
	if (e->file < 0 || ftruncate(e->file, (off_t)len) < 0)
		die("no file to send: %s", strerror(errno));
	for (size_t done = 0; done < len;) {
		uint64_t began = now_ns();
		ssize_t n = sendfile(e->fd, e->file, &(off_t){ (off_t)done }, len - done);

		if (n < 0)
			die("sendfile: %s", strerror(errno));
		note_sent(e, began, n, 1);
		done += n;
	}
}

static void open_pipe(struct end *e)
{
	int fds[2];

	if (e->pipe_in >= 0)
		return;
	if (pipe(fds) < 0)
		die("pipe: %s", strerror(errno));
	e->pipe_out = fds[0];
	e->pipe_in = fds[1];
}

void send_spliced(struct end *e, size_t len)
{
	uint64_t began;

	open_pipe(e);
	if (write(e->pipe_in, buffer, len) != (ssize_t)len)
		die("write to a pipe: %s", strerror(errno));
	began = now_ns();
	if (splice(e->pipe_out, NULL, e->fd, NULL, len, 0) != (ssize_t)len)
		die("splice: %s", strerror(errno));
	note_sent(e, began, len, 1);
}

void send_zerocopy(struct end *e, size_t len)
{
	char control[128];
	struct msghdr done = { .msg_control = control, .msg_controllen = sizeof(control) };
	struct pollfd wait = { .fd = e->fd };

	setsockopt(e->fd, SOL_SOCKET, SO_ZEROCOPY, &(int){ 1 }, sizeof(int));
	send_flagged(e, len, MSG_ZEROCOPY);
	/* The kernel says when the memory is ours again: a message that is none of the peer's. */
	if (poll(&wait, 1, 10000) != 1 || recvmsg(e->fd, &done, MSG_ERRQUEUE) < 0)
		die("no word of MSG_ZEROCOPY: %s", strerror(errno));
}

/* Its middle byte is urgent. */
void send_urgent(struct end *e, size_t len)
{
	send_flagged(e, len / 2, 0);
	send_flagged(e, 1, MSG_OOB);
	send_flagged(e, len - len / 2 - 1, 0);
}

void send_urgent_last(struct end *e, size_t len)
{
	send_flagged(e, len - 1, 0);
	send_flagged(e, 1, MSG_OOB);
}

/* ---- waiting ---- */

void wait_poll(struct end *e)
{
	struct pollfd wait = { .fd = e->fd, .events = POLLIN };

	if (poll(&wait, 1, 10000) != 1)
		die("poll: %s", strerror(errno));
	note_seen(e);
}

void wait_select(struct end *e)
{
	fd_set wait;

	FD_ZERO(&wait);
	FD_SET(e->fd, &wait);
	if (select(e->fd + 1, &wait, NULL, NULL, NULL) != 1)
		die("select: %s", strerror(errno));
	note_seen(e);
}

static void wait_event(struct end *e, uint32_t events)
{
	struct epoll_event event = { .events = events };

	if (e->epoll_fd < 0)
		e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!e->armed && epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, e->fd, &event) < 0)
		die("epoll_ctl: %s", strerror(errno));
	e->armed = true;
	if (epoll_wait(e->epoll_fd, &event, 1, 10000) != 1)
		die("epoll_wait: %s", strerror(errno));
}

void wait_epoll(struct end *e)
{
	wait_event(e, EPOLLIN);
	note_seen(e);
}

/* ---- reading ---- */

static size_t took(struct end *e, const char *call, uint64_t began, uint64_t seen, ssize_t n)
{
	if (n < 0)
		die("%s: %s", call, strerror(errno));
	if (n == 0)
		die("%s: the other end has closed", call);
	note_read(e, began, seen, n);
	return n;
}

static size_t read_flagged(struct end *e, size_t most, int flags)
{
	uint64_t began = now_ns();

	return took(e, "recv", began, 0, recv(e->fd, buffer, most, flags));
}

size_t read_plain(struct end *e, size_t most)
{
	return read_flagged(e, most, 0);
}

size_t read_all(struct end *e, size_t most)
{
	return read_flagged(e, most, MSG_WAITALL);
}

size_t read_byte(struct end *e, size_t most)
{
	return read_flagged(e, most ? 1 : 0, 0);
}

size_t read_truncated(struct end *e, size_t most)
{
	return read_flagged(e, most, MSG_TRUNC);
}

/* First looks, then takes, some time later: the read is what takes. */
size_t read_peeked(struct end *e, size_t most)
{
	ssize_t n = recv(e->fd, buffer, most, MSG_PEEK);

	if (n <= 0)
		die("recv: %s", strerror(errno));
	note_seen(e);
	sleep_us(1000);
	return read_flagged(e, n, 0);
}

/* Edge-triggered: reads until there is nothing, and only then waits. */
size_t read_edge(struct end *e, size_t most)
{
	uint64_t began, seen = 0;
	ssize_t n;

	for (;;) {
		began = now_ns();
		n = recv(e->fd, buffer, most, MSG_DONTWAIT);
		if (n >= 0 || errno != EAGAIN)
			return took(e, "recv", began, seen, n);
		wait_event(e, EPOLLIN | EPOLLET);
		seen = now_ns();
	}
}

size_t read_vector(struct end *e, size_t most)
{
	struct iovec parts[2] = { { buffer, 1 }, { buffer, most - 1 } };
	uint64_t began = now_ns();

	return took(e, "readv", began, 0, readv(e->fd, parts, 2));
}

size_t read_many(struct end *e, size_t most)
{
	struct iovec parts[2] = { { buffer, most / 2 }, { buffer, most - most / 2 } };
	struct mmsghdr messages[2];
	uint64_t began = now_ns();
	int n;

	for (int i = 0; i < 2; i++)
		messages[i] = (struct mmsghdr){ { .msg_iov = &parts[i], .msg_iovlen = 1 }, 0 };
	n = recvmmsg(e->fd, messages, 2, MSG_WAITFORONE, NULL);
	if (n == 2)
		messages[0].msg_len += messages[1].msg_len;
	return took(e, "recvmmsg", began, 0, n <= 0 ? n : (ssize_t)messages[0].msg_len);
}

/* Out of the socket into a pipe, as proxies do. */
size_t read_spliced(struct end *e, size_t most)
{
	uint64_t began = now_ns();
	ssize_t n;

	open_pipe(e);
	n = splice(e->fd, NULL, e->pipe_in, NULL, most, 0);
	took(e, "splice", began, 0, n);
	if (read(e->pipe_out, buffer, n) != n)
		die("read from a pipe: %s", strerror(errno));
	return n;
}

/* Every other message by splice. */
size_t read_in_turns(struct end *e, size_t most)
{
	return e->ledger->rx % 2 ? read_plain(e, most) : read_spliced(e, most);
}

/* As the kernel has it; the C library's is older. */
struct zerocopy {
	uint64_t address;
	uint32_t length, recv_skip_hint, inq;
	int32_t err;
	uint64_t copybuf_address;
	int32_t copybuf_len;
	uint32_t flags;
	uint64_t msg_control, msg_controllen;
	uint32_t msg_flags, reserved;
};

/* Whole pages are mapped, what is less is copied by the same call. */
size_t read_zerocopy(struct end *e, size_t most)
{
	struct zerocopy zc = { .length = 65536, .copybuf_address = (uint64_t)buffer };
	socklen_t len = sizeof(zc);
	uint64_t began = now_ns();

	if (!e->window)
		e->window = mmap(NULL, 65536, PROT_READ, MAP_SHARED, e->fd, 0);
	if (e->window == MAP_FAILED)
		die("mmap of a socket: %s", strerror(errno));
	zc.address = (uint64_t)e->window;
	zc.copybuf_len = most < 65536 ? (int)most : 65536;
	if (getsockopt(e->fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &len) < 0)
		die("TCP_ZEROCOPY_RECEIVE: %s", strerror(errno));
	return took(e, "TCP_ZEROCOPY_RECEIVE", began, 0, zc.length + zc.copybuf_len);
}

/* Up to the urgent byte; that; and what is behind it. */
size_t read_urgent(struct end *e, size_t most)
{
	uint64_t began = now_ns();

	if (most == e->scene->request || sockatmark(e->fd) != 1)
		return read_flagged(e, most, 0);
	if (recv(e->fd, buffer, 1, MSG_OOB) != 1)
		die("recv of the urgent byte: %s", strerror(errno));
	note_read(e, began, 0, 1);
	return 1 + (most > 1 ? read_flagged(e, most - 1, 0) : 0);
}
