// SPDX-License-Identifier: Apache-2.0
/* The BPF programs and maps that the kernel holds, whoever made them. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/cleanup.h"
#include "inside.h"

union info {
	struct bpf_prog_info program;
	struct bpf_map_info map;
};

static const struct kind {
	int (*next)(uint32_t id, uint32_t *ret);
	int (*open)(uint32_t id);
	size_t name, size; /* in the info, and of it */
} kinds[] = {
	[INSIDE_PROGRAM] = { bpf_prog_get_next_id, bpf_prog_get_fd_by_id,
			     offsetof(struct bpf_prog_info, name), sizeof(struct bpf_prog_info) },
	[INSIDE_MAP] = { bpf_map_get_next_id, bpf_map_get_fd_by_id,
			 offsetof(struct bpf_map_info, name), sizeof(struct bpf_map_info) },
};

int inside_next_object(enum inside_kind kind, uint32_t *id, const char *prefix)
{
	const struct kind *k = &kinds[kind];

	while (k->next(*id, id) == 0) {
		cleanup(cleanup_fd) int fd = k->open(*id);
		uint32_t len = (uint32_t)k->size;
		union info info = {};

		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
		    strncmp((const char *)&info + k->name, prefix, strlen(prefix)) == 0)
			return take_fd(&fd);
	}
	return -1;
}

/* Entries of a hash that nobody changes meanwhile; negative if it cannot be read. */
static long entries(int fd)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);
	long n = 0;

	if (bpf_map_get_info_by_fd(fd, &info, &len) < 0)
		return -1;
	cleanup(cleanup_free) char *key = calloc(2, info.key_size);
	char *next = key + info.key_size;

	if (!key)
		return -1;
	for (char *from = NULL; bpf_map_get_next_key(fd, from, next) == 0; from = key, n++) {
		if (n > info.max_entries)
			return -1;
		memcpy(key, next, info.key_size);
	}
	return n;
}

int inside_entries(int argc, char **argv)
{
	bool found = false;
	uint32_t id = 0;
	long n = 0;

	for (;;) {
		cleanup(cleanup_fd) int fd =
			argc == 1 ? inside_next_object(INSIDE_MAP, &id, argv[0]) : -1;
		long more;

		if (fd < 0)
			break;
		more = entries(fd);
		if (more < 0) {
			fprintf(stderr, "entries: %s cannot be read\n", argv[0]);
			return 1;
		}
		found = true;
		n += more;
	}
	if (found)
		printf("%ld\n", n);
	else
		printf("none\n");
	return argc != 1;
}
