// SPDX-License-Identifier: Apache-2.0
/*
 * Kills a process that has programs attached and looks, again and again, for what the kernel still
 * holds of them:
 *     GONE programs MS maps MS breakpoints MS
 * with the milliseconds after which there was none, or "never" if it was there to the end. Breakpoints
 * are looked for in the code of the TARGET processes, which is compared with their files.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "inside.h"

#define PATIENCE_NS (60 * NSEC_PER_SEC)

static bool any_object(enum inside_kind kind)
{
	uint32_t id = 0;
	cleanup(cleanup_fd) int fd = inside_next_object(kind, &id, "sn_");

	return fd >= 0;
}

static bool any_program(int n, char **pids)
{
	return any_object(INSIDE_PROGRAM);
}

static bool any_map(int n, char **pids)
{
	return any_object(INSIDE_MAP);
}

/* Whether @len bytes at @address of a process differ from those at @offset of its file. */
static bool differs(int mem, int file, uint64_t address, uint64_t offset, uint64_t len)
{
	static char there[65536], here[65536];

	while (len) {
		size_t n = len < sizeof(here) ? (size_t)len : sizeof(here);
		ssize_t got = pread(file, here, n, (off_t)offset);

		/* Behind the end of the file there is nothing to compare. */
		if (got <= 0)
			return false;
		if (pread(mem, there, (size_t)got, (off_t)address) != got ||
		    memcmp(here, there, (size_t)got) != 0)
			return true;
		address += (uint64_t)got;
		offset += (uint64_t)got;
		len -= (uint64_t)got;
	}
	return false;
}

static bool text_differs(const char *pid)
{
	char path[64], line[512];
	FILE *maps;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%s/mem", pid);
	cleanup(cleanup_fd) int mem = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	cleanup(cleanup_fd) int file = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	maps = fopen(path, "re");
	if (mem < 0 || file < 0 || !maps) {
		fprintf(stderr, "kill: process %s cannot be read: %s\n", pid, strerror(errno));
		exit(1);
	}
	while (!found && fgets(line, sizeof(line), maps)) {
		uint64_t from, to, offset, inode;
		char rights[8];

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %" SCNu64, &from, &to,
			   rights, &offset, &inode) == 5 &&
		    rights[2] == 'x' && inode)
			found = differs(mem, file, from, offset, to - from);
	}
	fclose(maps);
	return found;
}

static bool any_text(int n, char **pids)
{
	for (int i = 0; i < n; i++)
		if (text_differs(pids[i]))
			return true;
	return false;
}

/* Looks if it was there at the last look; the moment it is seen to be gone is the time of the answer. */
static void look(uint64_t *gone, uint64_t began, bool (*there)(int n, char **pids), int n, char **pids)
{
	if (!*gone && !there(n, pids))
		*gone = clock_boot_ns() - began;
}

static void print_one(const char *name, uint64_t ns)
{
	if (ns)
		printf(" %s %llu", name, ns / NSEC_PER_MSEC);
	else
		printf(" %s never", name);
}

int inside_kill(int argc, char **argv)
{
	uint64_t began, programs = 0, maps = 0, text = 0;
	pid_t pid = argc ? (pid_t)strtol(argv[0], NULL, 10) : 0;
	int n = argc ? argc - 1 : 0;
	char **targets = argv + 1;

	/* What is not seen now would not be missed then. */
	if (!any_program(n, targets) || !any_map(n, targets) || (n && !any_text(n, targets))) {
		printf("GONE before it was killed\n");
		return 1;
	}
	if (pid <= 0 || kill(pid, SIGKILL) < 0)
		return 1;
	began = clock_boot_ns();
	do {
		look(&text, began, any_text, n, targets);
		look(&programs, began, any_program, n, targets);
		look(&maps, began, any_map, n, targets);
		usleep(1000);
	} while (clock_boot_ns() - began < PATIENCE_NS && (!programs || !maps || !text));
	printf("GONE");
	print_one("programs", programs);
	print_one("maps", maps);
	print_one("breakpoints", text);
	printf("\n");
	return !programs || !maps || !text;
}
