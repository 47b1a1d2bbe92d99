// SPDX-License-Identifier: Apache-2.0
#include "kern/iter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/cleanup.h"

#define READ_BYTES (64 * 1024)

struct kern_iter {
	int link_fd;
};

int kern_iter_open(struct kern_program *p, int map_fd, struct kern_iter **ret, struct err *e)
{
	union bpf_iter_link_info info = { .map.map_fd = (uint32_t)map_fd };
	LIBBPF_OPTS(bpf_link_create_opts, opts, .iter_info = &info, .iter_info_len = sizeof(info));
	struct kern_iter *it = calloc(1, sizeof(*it));
	int r;

	if (!it)
		return err_set(e, -ENOMEM, "out of memory");
	it->link_fd = bpf_link_create(kern_program_fd(p), 0, BPF_TRACE_ITER, &opts);
	if (it->link_fd < 0) {
		r = it->link_fd;
		free(it);
		return err_set(e, r, "sockets cannot be walked over: %s", strerror(-r));
	}
	*ret = it;
	return 0;
}

/* Hands out the whole records in @buf; the number of bytes that are left of another. */
static size_t hand_out(char *buf, size_t n, size_t size,
		       void (*each)(const void *record, void *arg), void *arg)
{
	size_t used = 0;

	for (; n - used >= size; used += size)
		each(buf + used, arg);
	memmove(buf, buf + used, n - used);
	return n - used;
}

int kern_iter_read(struct kern_iter *it, size_t size, void (*each)(const void *record, void *arg),
		   void *arg, struct err *e)
{
	cleanup(cleanup_free) char *buf = malloc(READ_BYTES);
	size_t left = 0;
	ssize_t n;
	int fd;

	if (!buf)
		return err_set(e, -ENOMEM, "out of memory");
	fd = bpf_iter_create(it->link_fd);
	if (fd < 0)
		return err_set(e, fd, "sockets cannot be walked over: %s", strerror(-fd));
	do {
		n = read(fd, buf + left, READ_BYTES - left);
		if (n > 0)
			left = hand_out(buf, left + (size_t)n, size, each, arg);
	} while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
	n = n < 0 ? -errno : 0;
	close(fd);
	return n ? err_set(e, (int)n, "sockets cannot be walked over: %s", strerror((int)-n)) : 0;
}

void kern_iter_close(struct kern_iter *it)
{
	if (!it)
		return;
	close(it->link_fd);
	free(it);
}
