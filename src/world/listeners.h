/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/err.h"

/*
 * Calls @each for every listening TCP port of every network namespace that has a process in it:
 * namespace inode number and port in host order; a port may come more than once. Reads
 * PROC/PID/net/tcp and tcp6 of one process for each namespace, so nothing has to be entered. A
 * namespace that vanishes meanwhile is skipped. The result of @each ends the walk if it is not 0.
 */
int listeners_walk(const char *proc, int (*each)(uint32_t netns, uint16_t port, void *arg),
		   void *arg, struct err *e);

/*
 * The port of a line of /proc/net/tcp or tcp6 if that socket listens, else -1.
 * Exposed for the tests: the line comes from the kernel and is checked all the same.
 */
int listeners_parse_line(const char *line);
