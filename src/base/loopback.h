/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Both ends of a TCP connection over 127.0.0.1, for one thread that plays both roles. Bytes go out at
 * once, and no call waits longer than a second.
 */
struct loopback {
	int listener, client, server;
};

/* 0, or -errno of what could not be had; nothing is open then, and loopback_close() does nothing. */
int loopback_open(struct loopback *l);
void loopback_close(struct loopback *l);

/* A request and its answer, of 64 bytes each; false if one did not get there. */
bool loopback_exchange(const struct loopback *l);
