/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * One process, as /proc shows it. Processes end while they are looked at: every function here says
 * -ESRCH then, and no caller takes that for an error. @proc is the directory to read, "/proc" but in
 * tests.
 */
#define SERVICE_NAME_MAX 128

/*
 * The service that a process belongs to, by its own OTEL_SERVICE_NAME, the service.name of its
 * OTEL_RESOURCE_ATTRIBUTES, or the file name of its executable, in this order. The name is the
 * target's and may hold any bytes but NUL.
 */
int process_service_name(const char *proc, pid_t pid, char ret[SERVICE_NAME_MAX]);

/* What the kernel calls it: the name of its main thread, which the process can set. */
#define PROCESS_COMM_MAX 64 /* that of a kernel thread is longer than others' 16 */
int process_comm(const char *proc, pid_t pid, char ret[PROCESS_COMM_MAX]);

/* The file name of its executable, cut to @size; -ESRCH also for kernel threads. */
int process_exe_name(const char *proc, pid_t pid, char *ret, size_t size);

/* /proc/PID/cgroup as it is, its first @size - 1 bytes. */
int process_cgroup(const char *proc, pid_t pid, char *ret, size_t size);

/* Identity of an executable: survives renames, tells a replaced file from its predecessor. */
struct file_id {
	uint64_t dev, ino;
	int64_t born_ns; /* time of its birth, in case an inode number is used again; 0: not told */
};

static inline bool file_id_equal(const struct file_id *a, const struct file_id *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->born_ns == b->born_ns;
}

/*
 * Opens the executable that @pid runs, whatever has happened to its path (container, deleted,
 * replaced): the file descriptor is the caller's. @path (at least 256 bytes, may be NULL) is how it
 * is called inside the process's own root, for people. -ESRCH also for kernel threads.
 */
int process_open_exe(const char *proc, pid_t pid, struct file_id *id, char *path, size_t size);

/* Identity alone, without opening the file. */
int process_exe_id(const char *proc, pid_t pid, struct file_id *id);

/* Calls @each for every process; a non-zero result ends the walk and is returned. */
int process_walk(const char *proc, int (*each)(pid_t pid, void *arg), void *arg, struct err *e);

bool process_alive(const char *proc, pid_t pid);
