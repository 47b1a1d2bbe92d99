/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/types.h>

#include "base/err.h"

/*
 * What a child that reads foreign bytes gives up before it reads the first of them. All of these
 * are for a process of one thread, right after fork, and cannot be undone.
 */

/*
 * No capabilities, no new ones through exec, no core dumps; killed when @parent, the process that
 * forked it, dies (strictly: the thread that forked).
 */
int sandbox_drop_privileges(pid_t parent, struct err *e);

/* Standard input, output and error lead nowhere; every descriptor from @from on is closed. */
int sandbox_close_files(int from, struct err *e);

/*
 * From here on the process may compute, allocate (memory limit 160 MB, processor time 2 s), read
 * descriptors that it holds, write to @write_fd, and exit. Anything else kills it (SIGSYS; for the
 * time SIGXCPU). In builds with AddressSanitizer, which needs more than that, only the processor
 * time is limited.
 */
#define SANDBOX_MEMORY_BYTES (160ULL << 20)
#define SANDBOX_CPU_SECONDS  2
int sandbox_seal(int write_fd, struct err *e);
