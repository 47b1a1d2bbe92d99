// SPDX-License-Identifier: Apache-2.0
#include "agent/line_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/strbuf.h"

/* More than a full ring of events comes to as lines, which are 600 bytes in JSON. */
#define WAITING_MAX (8 << 20)

/* Between two tries of a terminal that has room, but not for the next character. */
#define RETRY_MS 10

/* Not kept until the end of the turn, if there is room. */
#define BATCH (64 << 10)

struct line_writer {
	int fd;
	void (*gone)(void *arg, int error);
	void *arg;
	struct event *soon, *room, *reader;
	struct strbuf waiting;
	size_t written; /* of what waits */
	bool is_full;	/* room or soon will tell */
	bool is_gone;
};

static void give_up(struct line_writer *w, int error)
{
	if (w->is_gone)
		return;
	w->is_gone = true;
	w->gone(w->arg, error);
}

int line_writer_descriptor(int fd)
{
	char path[32];
	int own = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (isatty(fd))
		own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return own >= 0 ? own : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* A pipe that poll() says is writable takes PIPE_BUF without blocking. */
static bool has_room(const struct line_writer *w, int patience_ms)
{
	struct pollfd fd = { .fd = w->fd, .events = POLLOUT };

	return poll(&fd, 1, patience_ms) > 0;
}

/* One piece: 1, 0 if there is no room, or a negative errno. */
static int write_some(struct line_writer *w)
{
	size_t len = w->waiting.len - w->written;
	ssize_t n = write(w->fd, w->waiting.data + w->written, len < PIPE_BUF ? len : PIPE_BUF);

	if (n < 0)
		return errno == EINTR ? 1 : errno == EAGAIN ? 0 : -errno;
	w->written += (size_t)n;
	return 1;
}

static void flush(struct line_writer *w)
{
	const struct timeval retry = { .tv_usec = RETRY_MS * 1000 };

	w->is_full = false;
	while (!w->is_gone && w->written < w->waiting.len) {
		bool room = has_room(w, 0);
		int r = room ? write_some(w) : 0;

		if (r == 0) {
			w->is_full = true;
			event_add(room ? w->soon : w->room, room ? &retry : NULL);
			return;
		}
		if (r < 0)
			give_up(w, r);
	}
	strbuf_clear(&w->waiting);
	w->written = 0;
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	flush(arg);
}

static void on_no_reader(evutil_socket_t fd, short what, void *arg)
{
	give_up(arg, -EPIPE);
}

int line_writer_new(struct event_base *base, int fd, void (*gone)(void *arg, int error), void *arg,
		    struct line_writer **ret)
{
	struct line_writer *w = calloc(1, sizeof(*w));
	struct stat st;

	if (!w)
		return -ENOMEM;
	*w = (struct line_writer){ .fd = fd, .gone = gone, .arg = arg };
	w->soon = event_new(base, -1, 0, on_flush, w);
	w->room = event_new(base, fd, EV_WRITE, on_flush, w);
	/* Our end of a pipe is never readable: what the loop tells of is that nobody reads. */
	if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
		w->reader = event_new(base, fd, EV_READ, on_no_reader, w);
	if (!w->soon || !w->room || (w->reader && event_add(w->reader, NULL) < 0)) {
		line_writer_free(w);
		return -ENOMEM;
	}
	*ret = w;
	return 0;
}

bool line_writer_add(struct line_writer *w, const char *lines, size_t len)
{
	if (w->is_gone || w->waiting.len - w->written + len > WAITING_MAX)
		return false;
	if (w->written) {
		memmove(w->waiting.data, w->waiting.data + w->written, w->waiting.len - w->written);
		w->waiting.len -= w->written;
		w->written = 0;
	}
	strbuf_add(&w->waiting, lines, len);
	if (strbuf_failed(&w->waiting)) {
		give_up(w, -ENOMEM);
		return false;
	}
	if (w->is_full)
		return true;
	if (w->waiting.len - w->written >= BATCH)
		flush(w);
	else
		event_active(w->soon, EV_TIMEOUT, 0);
	return true;
}

uint64_t line_writer_end(struct line_writer *w, int patience_ms)
{
	uint64_t until_ns = clock_boot_ns() + (uint64_t)patience_ms * NSEC_PER_MSEC, n = 0;

	while (!w->is_gone && w->written < w->waiting.len) {
		uint64_t now_ns = clock_boot_ns();
		int left_ms = patience_ms < 0	   ? -1
			      : now_ns >= until_ns ? 0
						   : (int)((until_ns - now_ns) / NSEC_PER_MSEC);
		int r;

		if (!has_room(w, left_ms))
			break;
		r = write_some(w);
		if (r < 0)
			give_up(w, r);
		else if (r == 0)
			poll(NULL, 0, RETRY_MS);
	}
	for (size_t i = w->written; i < w->waiting.len; i++)
		n += w->waiting.data[i] == '\n';
	return n;
}

void line_writer_free(struct line_writer *w)
{
	if (!w)
		return;
	if (w->soon)
		event_free(w->soon);
	if (w->room)
		event_free(w->room);
	if (w->reader)
		event_free(w->reader);
	strbuf_done(&w->waiting);
	free(w);
}
