/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For tests of processes that seal themselves by a filter of system calls. Include after cmocka.h. */
#include <errno.h>
#include <sys/prctl.h>

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
