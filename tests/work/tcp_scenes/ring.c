// SPDX-License-Identifier: Apache-2.0
/* Sending and reading by io_uring: calls that others make, in the kernel or in a thread of it. */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "scene.h"

#define BUFFERS	    16
#define BUFFER_SIZE 65536

struct ring {
	struct io_uring uring;
	char memory[BUFFERS][BUFFER_SIZE];
	struct io_uring_cqe *cqe;
};

static void provide(struct ring *r, int first, int n)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);

	io_uring_prep_provide_buffers(sqe, r->memory[first], BUFFER_SIZE, n, 1, first);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

static void prepare(struct end *e, unsigned int flags)
{
	int r;

	if (e->ring)
		return;
	e->ring = calloc(1, sizeof(*e->ring));
	if (!e->ring)
		die("no memory");
	r = io_uring_queue_init(8, &e->ring->uring, flags);
	if (r < 0)
		die("io_uring: %s", strerror(-r));
	provide(e->ring, 0, BUFFERS);
	io_uring_submit(&e->ring->uring);
}

void ring_prepare(struct end *e)
{
	prepare(e, 0);
}

/* A thread of the kernel looks for what is to be done, and does it. */
void ring_prepare_polled(struct end *e)
{
	prepare(e, IORING_SETUP_SQPOLL);
}

/* What the next that is done has done; *@ret_flags say what comes of it. */
static int next_done(struct ring *r, unsigned int *ret_flags)
{
	struct io_uring_cqe *cqe;
	int result = io_uring_wait_cqe(&r->uring, &cqe);

	if (result < 0)
		die("io_uring_wait_cqe: %s", strerror(-result));
	result = cqe->res;
	*ret_flags = cqe->flags;
	io_uring_cqe_seen(&r->uring, cqe);
	return result;
}

static void submit(struct ring *r)
{
	int n = io_uring_submit(&r->uring);

	if (n < 0)
		die("io_uring_submit: %s", strerror(-n));
}

/* A ring is taken down behind the back of its process, and its sockets are closed as late as that. */
void ring_done(struct end *e)
{
	struct io_uring_sync_cancel_reg all = {
		.fd = e->fd,
		.flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL,
		.timeout = { -1, -1 },
	};

	if (e->ring && e->armed)
		io_uring_register_sync_cancel(&e->ring->uring, &all);
}

void ring_send(struct end *e, size_t len)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&e->ring->uring);
	uint64_t began = now_ns();
	unsigned int flags;
	int n;

	io_uring_prep_send(sqe, e->fd, buffer, len, MSG_NOSIGNAL | MSG_WAITALL);
	submit(e->ring);
	n = next_done(e->ring, &flags);
	if (n != (int)len)
		die("IORING_OP_SEND: %s", n < 0 ? strerror(-n) : "in part");
	note_sent(e, began, n, 1);
}

void ring_send_zc(struct end *e, size_t len)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&e->ring->uring);
	uint64_t began = now_ns();
	unsigned int flags;
	int n;

	io_uring_prep_send_zc(sqe, e->fd, buffer, len, MSG_NOSIGNAL | MSG_WAITALL, 0);
	submit(e->ring);
	n = next_done(e->ring, &flags);
	if (n != (int)len)
		die("IORING_OP_SEND_ZC: %s", n < 0 ? strerror(-n) : "in part");
	note_sent(e, began, n, 1);
	if (flags & IORING_CQE_F_MORE)
		next_done(e->ring, &flags); /* the memory is ours again */
}

size_t ring_read(struct end *e, size_t most)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&e->ring->uring);
	uint64_t began = now_ns();
	unsigned int flags;
	int n;

	io_uring_prep_recv(sqe, e->fd, buffer, most, 0);
	submit(e->ring);
	n = next_done(e->ring, &flags);
	if (n <= 0)
		die("IORING_OP_RECV: %s", n < 0 ? strerror(-n) : "the other end has closed");
	note_read(e, began, 0, n);
	return n;
}

/* Asked for once: the kernel reads whatever comes, when it comes, into memory that it chooses. */
size_t ring_read_multi(struct end *e, size_t most)
{
	struct io_uring_sqe *sqe;
	unsigned int flags;
	int n;

	(void)most;
	if (!e->armed) {
		sqe = io_uring_get_sqe(&e->ring->uring);
		io_uring_prep_recv_multishot(sqe, e->fd, NULL, 0, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = 1;
		submit(e->ring);
	}
	n = next_done(e->ring, &flags);
	if (n <= 0)
		die("multishot recv: %s", n < 0 ? strerror(-n) : "the other end has closed");
	e->armed = flags & IORING_CQE_F_MORE;
	note_read(e, 0, 0, n);
	provide(e->ring, flags >> IORING_CQE_BUFFER_SHIFT, 1);
	submit(e->ring);
	return n;
}
