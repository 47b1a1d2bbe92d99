// SPDX-License-Identifier: Apache-2.0
#include "kern/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

struct kern_ring {
	struct ring_buffer *rb;
	void (*each)(const void *data, size_t size, void *arg);
	void *arg;
};

static int hand_out(void *ctx, void *data, size_t size)
{
	struct kern_ring *r = ctx;

	r->each(data, size, r->arg);
	return 0;
}

int kern_ring_open(int map_fd, void (*each)(const void *data, size_t size, void *arg), void *arg,
		   struct kern_ring **ret, struct err *e)
{
	struct kern_ring *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	r->each = each;
	r->arg = arg;
	r->rb = ring_buffer__new(map_fd, hand_out, r, NULL);
	if (!r->rb) {
		err = -errno;
		free(r);
		return err_set(e, err, "cannot map a ring buffer: %s", strerror(-err));
	}
	*ret = r;
	return 0;
}

void kern_ring_close(struct kern_ring *r)
{
	if (!r)
		return;
	ring_buffer__free(r->rb);
	free(r);
}

int kern_ring_fd(const struct kern_ring *r)
{
	return ring_buffer__epoll_fd(r->rb);
}

int kern_ring_drain(struct kern_ring *r)
{
	return ring_buffer__consume(r->rb);
}
