/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/err.h"

/* Events that are shipped singly. Producers of hot events never wake us: those are drained on a timer. */
struct kern_ring;

int kern_ring_open(int map_fd, void (*each)(const void *data, size_t size, void *arg), void *arg,
		   struct kern_ring **ret, struct err *e);
void kern_ring_close(struct kern_ring *r);

/* Becomes readable when a producer asks for attention. */
int kern_ring_fd(const struct kern_ring *r);

/* Hands out all that is there; the number of events, or a negative errno. */
int kern_ring_drain(struct kern_ring *r);
