/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

/*
 * Gives up every capability but those that sonde goes on needing (BPF and PERFMON to load and attach,
 * SYS_PTRACE and DAC_READ_SEARCH to read what other users' processes run, SYS_ADMIN only where the
 * kernel has no uprobe_multi), and all ways to get any back. Before there are threads. Kernels before
 * 5.11 charge BPF memory to RLIMIT_MEMLOCK: it is raised first. What was not there to begin with is
 * no error: what it is needed for will say so.
 */
int privileges_reduce(struct err *e);

/* Whether this process may load BPF programs; for a good first sentence. */
int privileges_check(struct err *e);
