// SPDX-License-Identifier: Apache-2.0
/* The scenes: which ways each end goes, and the turns that are not a request and its answer. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"

#define BURST 4 /* requests or messages that nobody waits between */

/* ---- conversations ---- */

static void ask_burst(struct end *e)
{
	for (int i = 0; i < BURST; i++)
		send_message(e, e->scene->request);
	step_done(e, 1);
	for (int i = 0; i < BURST; i++)
		read_message(e, e->scene->response);
}

/* One by one, when all are there. */
static void answer_burst(struct end *e)
{
	step_wait(e, 1);
	for (int i = 0; i < BURST; i++)
		usual_answer(e);
}

/* Its urgent byte is there before anybody reads, or it would be passed over. */
static void ask_urgently(struct end *e)
{
	send_message(e, e->scene->request);
	step_done(e, 1);
	read_message(e, e->scene->response);
}

static void answer_when_all_is_there(struct end *e)
{
	step_wait(e, 1);
	usual_answer(e);
}

static void ask_and_close_half(struct end *e)
{
	send_message(e, e->scene->request);
	if (shutdown(e->fd, SHUT_WR) < 0)
		die("shutdown: %s", strerror(errno));
	read_message(e, e->scene->response);
}

static void ask_when_greeted(struct end *e)
{
	read_message(e, e->scene->response);
	usual_ask(e);
}

static void greet_and_answer(struct end *e)
{
	send_message(e, e->scene->response);
	usual_answer(e);
}

/* One request, and then news of which the client reads each as it comes. */
static void ask_for_news(struct end *e)
{
	send_message(e, e->scene->request);
	for (int i = 0; i < BURST; i++) {
		read_message(e, e->scene->response);
		step_done(e, i + 1);
	}
}

static void answer_with_news(struct end *e)
{
	read_message(e, e->scene->request);
	for (int i = 0; i < BURST; i++) {
		sleep_us(delay_us);
		send_message(e, e->scene->response);
		step_wait(e, i + 1);
	}
}

/* ---- ends that do not wait for each other ---- */

static void close_by_reset(struct end *e)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(e->fd);
	e->fd = -1;
}

static void wait_for_reset(struct end *e)
{
	struct pollfd wait = { .fd = e->fd };

	if (poll(&wait, 1, 10000) != 1 || !(wait.revents & POLLERR))
		die("no reset has come");
}

static void ask_and_abort(struct end *e)
{
	send_message(e, e->scene->request);
	step_wait(e, 1);
	close_by_reset(e);
}

/* The answer goes nowhere: that is no send. */
static void answer_too_late(struct end *e)
{
	read_message(e, e->scene->request);
	step_done(e, 1);
	wait_for_reset(e);
	if (send(e->fd, buffer, e->scene->response, MSG_NOSIGNAL) >= 0)
		die("a send behind a reset has gone well");
}

static void answer_and_abort(struct end *e)
{
	usual_answer(e);
	close_by_reset(e);
}

/* What came before a reset can be read behind it. */
static void ask_and_read_late(struct end *e)
{
	send_message(e, e->scene->request);
	wait_for_reset(e);
	read_message(e, e->scene->response);
}

/* It says that it will not read, and reads: bytes come all the same, and before the end of them. */
static void ask_with_reads_shut(struct end *e)
{
	if (shutdown(e->fd, SHUT_RD) < 0)
		die("shutdown: %s", strerror(errno));
	send_message(e, e->scene->request);
	step_wait(e, 1);
	read_message(e, e->scene->response);
	step_done(e, 2);
}

static void answer_and_stay(struct end *e)
{
	usual_answer(e);
	step_done(e, 1);
	step_wait(e, 2);
}

/* A part of the request comes, some time nothing, then the rest. */
static void ask_in_parts(struct end *e)
{
	send_plain(e, e->scene->request / 2);
	sleep_us(2000);
	send_plain(e, e->scene->request - e->scene->request / 2);
	e->ledger->tx++;
	read_message(e, e->scene->response);
}

/* A message is heard of when all of it is there. */
static void want_all(struct end *e)
{
	int most = (int)(e->server ? e->scene->request : e->scene->response);

	if (setsockopt(e->fd, SOL_SOCKET, SO_RCVLOWAT, &most, sizeof(most)) < 0)
		die("SO_RCVLOWAT: %s", strerror(errno));
}

/* ---- connections ---- */

static int connect_later(int port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error;
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(error);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 ||
	    (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno != EINPROGRESS))
		die("connect: %s", strerror(errno));
	if (poll(&wait, 1, 10000) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ||
	    error)
		die("connect without waiting has failed");
	return fd;
}

static int connect_mapped(int port)
{
	struct sockaddr_in6 addr = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET6, "::ffff:127.0.0.1", &addr.sin6_addr);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die("connect over IPv6: %s", strerror(errno));
	return fd;
}

/* Returns at once; the SYN goes with the first send, and with its bytes if there is a cookie. */
static int connect_fast(int port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){ 1 }, sizeof(int)) < 0 ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die("connect by Fast Open: %s", strerror(errno));
	return fd;
}

static void ask_twice(struct end *e)
{
	usual_ask(e);
	usual_ask(e);
}

static void answer_twice(struct end *e)
{
	usual_answer(e);
	usual_answer(e);
}

/* ---- processes ---- */

static void child_done(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) < 0 || status)
		die("a child has failed");
}

/* As servers do that fork for each connection. */
static void play_in_child(struct end *e, long turns)
{
	pid_t child = fork();

	if (child) {
		close(e->fd);
		e->fd = -1;
		child_done(child);
		return;
	}
	for (long i = 0; i < turns; i++)
		usual_answer(e);
	exit(0);
}

/* Every other turn by another process. */
static void play_by_turns(struct end *e, long turns)
{
	for (long i = 0; i < turns; i++) {
		pid_t child = i % 2 ? fork() : 0;

		if (child) {
			child_done(child);
			continue;
		}
		usual_answer(e);
		if (i % 2)
			exit(0);
	}
}

/* ---- all of them ---- */

#define BOTH(...) .client = { __VA_ARGS__ }, .server = { __VA_ARGS__ }
#define SMALL	  .request = 100, .response = 1000
#define LARGE	  (4 << 20)

/* clang-format off */
const struct scene scenes[] = {
	{ "blocking",       SMALL },
	{ "poll",           SMALL, BOTH(.wait = wait_poll) },
	{ "select",         SMALL, BOTH(.wait = wait_select) },
	{ "epoll",          SMALL, BOTH(.wait = wait_epoll) },
	{ "epoll-edge",     SMALL, BOTH(.read = read_edge) },
	{ "uring",          SMALL, BOTH(.send = ring_send, .read = ring_read), .prepare = ring_prepare },
	{ "uring-polled",   SMALL, BOTH(.send = ring_send, .read = ring_read),
	  .prepare = ring_prepare_polled },
	{ "uring-zerocopy", SMALL, BOTH(.send = ring_send_zc, .read = ring_read),
	  .prepare = ring_prepare },
	{ "uring-multi",    SMALL, BOTH(.send = ring_send, .read = ring_read_multi),
	  .prepare = ring_prepare },
	{ "pipelined",      .request = 10, .response = 10, .ask = ask_burst, .answer = answer_burst },
	{ "half-close",     SMALL, .ask = ask_and_close_half, .each = true },
	{ "server-first",   SMALL, .ask = ask_when_greeted, .answer = greet_and_answer, .each = true },
	{ "upload",         .request = LARGE, .response = 10 },
	{ "download",       .request = 100, .response = LARGE },
	{ "push",           SMALL, .ask = ask_for_news, .answer = answer_with_news },
	{ "sendfile",       SMALL, .server = { .send = send_file } },
	{ "sendfile-large", .request = 100, .response = LARGE, .server = { .send = send_file } },
	{ "sendfile-upload", .request = LARGE, .response = 10, .client = { .send = send_file } },
	{ "splice-in",      SMALL, BOTH(.send = send_spliced) },
	{ "splice-out",     SMALL, .client = { .read = read_spliced } },
	{ "splice-some",    SMALL, .client = { .read = read_in_turns } },
	{ "splice-out-server", SMALL, .server = { .read = read_spliced } },
	{ "mmsg",           SMALL, BOTH(.send = send_many, .read = read_many) },
	{ "vectors",        SMALL, BOTH(.send = send_vector, .read = read_vector) },
	{ "peek",           SMALL, BOTH(.read = read_peeked) },
	{ "trunc",          SMALL, BOTH(.read = read_truncated) },
	{ "zerocopy-send",  .request = 100, .response = 100000, BOTH(.send = send_zerocopy) },
	{ "more",           SMALL, BOTH(.send = send_more), .whole = true },
	{ "cork",           SMALL, BOTH(.send = send_corked), .whole = true },
	{ "zerocopy-read",  .request = 100, .response = 10000, 
	  .client = { .wait = wait_poll, .read = read_zerocopy } },
	{ "waitall",        .request = 100000, .response = 100000, BOTH(.read = read_all) },
	{ "lowat",          SMALL, .prepare = want_all, .ask = ask_in_parts, .whole = true,
	  BOTH(.wait = wait_poll) },
	{ "bytes",          SMALL, BOTH(.read = read_byte) },
	{ "connect-later",  SMALL, .client = { .read = read_edge }, .connect = connect_later,
	  .each = true },
	{ "handed-over",    SMALL, .play = play_in_child, .each = true },
	{ "shared",         SMALL, .play = play_by_turns },
	{ "mapped",         SMALL, .connect = connect_mapped, .mapped = true },
	{ "fast-open",      SMALL, .connect = connect_fast, .apart = true, .each = true,
	  .ask = ask_twice, .answer = answer_twice },
	{ "urgent",         SMALL, .ask = ask_urgently, .answer = answer_when_all_is_there,
	  .client = { .send = send_urgent }, .server = { .read = read_urgent } },
	{ "urgent-last",    SMALL, .ask = ask_urgently, .answer = answer_when_all_is_there,
	  .client = { .send = send_urgent_last }, .server = { .read = read_urgent } },
	{ "abort",          SMALL, .ask = ask_and_abort, .answer = answer_too_late, .each = true },
	{ "read-behind-reset", SMALL, .ask = ask_and_read_late, .answer = answer_and_abort,
	  .each = true },
	{ "reads-shut",     .request = 100, .response = 2, .client = { .read = read_byte },
	  .ask = ask_with_reads_shut, .answer = answer_and_stay, .each = true },
};
/* clang-format on */

const size_t n_scenes = sizeof(scenes) / sizeof(*scenes);
