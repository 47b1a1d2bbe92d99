/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/*
 * A counter of the network namespace that we are in, from PROC/self/net/netstat: @group is "TcpExt",
 * @name "ListenOverflows". -ENOENT if the kernel has none of that name; another negative errno if it
 * cannot be read.
 */
int netstat_read(const char *proc, const char *group, const char *name, uint64_t *ret);
