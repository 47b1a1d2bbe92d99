// SPDX-License-Identifier: Apache-2.0
/*
 * Makes types that are wrong: those of a kernel that was built with one more field of eight bytes in
 * one of its structures, as another configuration or the next patch makes them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/btf.h>

#include "base/cleanup.h"
#include "inside.h"

#define SHIFT_BITS 64

/* Where the member is, in bits; negative if there is none. */
static long place_of(const struct btf *btf, const struct btf_type *t, const char *name)
{
	for (uint32_t i = 0; i < btf_vlen(t); i++)
		if (strcmp(btf__name_by_offset(btf, btf_members(t)[i].name_off), name) == 0)
			return btf_member_bit_offset(t, i);
	return -1;
}

/* The types that libbpf hands out are const, and stand in the very bytes that it gives back. */
static int shift(struct btf *btf, const char *name, const char *member)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT);
	struct btf_type *t = id < 0 ? NULL : (struct btf_type *)(uintptr_t)btf__type_by_id(btf, id);
	long from = t ? place_of(btf, t, member) : -1;

	if (from < 0)
		return -ENOENT;
	for (uint32_t i = 0; i < btf_vlen(t); i++)
		if (btf_member_bit_offset(t, i) >= (uint32_t)from)
			btf_members(t)[i].offset += SHIFT_BITS;
	t->size += SHIFT_BITS / 8;
	return 0;
}

static int write_file(const struct btf *btf, const char *path)
{
	cleanup(cleanup_fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint32_t size, done = 0;
	const char *data = btf__raw_data(btf, &size);

	if (fd < 0 || !data)
		return -1;
	while (done < size) {
		ssize_t n = write(fd, data + done, size - done);

		if (n <= 0)
			return -1;
		done += (uint32_t)n;
	}
	return 0;
}

int inside_shift(int argc, char **argv)
{
	struct btf *btf = argc == 4 ? btf__parse_raw(argv[0]) : NULL;
	int r = btf ? shift(btf, argv[2], argv[3]) : -EINVAL;

	if (!r)
		r = write_file(btf, argv[1]);
	if (r)
		fprintf(stderr, "btf-shift: the types cannot be made: %s\n", strerror(errno));
	btf__free(btf);
	return r != 0;
}
