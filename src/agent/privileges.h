/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

/*
 * Gives up every capability but those that sonde goes on needing (BPF and PERFMON to load and attach
 * to programs, SYS_PTRACE and DAC_READ_SEARCH to read what other users' processes run, SYS_ADMIN only
 * where the kernel has no uprobe_multi and attaching takes a perf event), and all ways to get any
 * back. Behind the attaching of kernel hooks, because Debian's kernels ask for SYS_ADMIN for a
 * kprobe; before there are threads and before a byte of another program is read. What was not there
 * to begin with is no error: what it is needed for will say so.
 */
int privileges_reduce(struct err *e);

/* Whether this process may load BPF programs; for a good first sentence. */
int privileges_check(struct err *e);
