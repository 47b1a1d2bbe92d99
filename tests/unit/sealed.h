/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For tests of processes that seal themselves by a filter of system calls. Include after cmocka.h. */
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/types.h>

#include <linux/seccomp.h>

/*
 * Skips the test where there are no such filters: qemu's user emulation knows none. A kernel that does
 * looks at the address, and faults.
 */
static inline void need_filters(void)
{
#ifndef __SANITIZE_ADDRESS__ /* which children do not seal themselves under: world/sandbox.c */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) < 0 && errno == EINVAL) {
		print_message("There are no system call filters here.\n");
		skip();
	}
#endif
}

/* The pid of the only child of @pid; -1, also on kernels that do not list children. */
static inline pid_t only_child(pid_t pid)
{
	char path[64];
	int child = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fscanf(f, "%d", &child) != 1)
		child = -1;
	fclose(f);
	return child;
}
