/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "kern/object.h"

/* A program that the kernel runs over all sockets that have an entry in a map of socket storage. */
struct kern_iter;

int kern_iter_open(struct kern_program *p, int map_fd, struct kern_iter **ret, struct err *e);

/*
 * Runs it once over them all; calls @each with the records of @size bytes that it wrote. Sockets that
 * come or go meanwhile may be missed.
 */
int kern_iter_read(struct kern_iter *it, size_t size, void (*each)(const void *record, void *arg),
		   void *arg, struct err *e);

void kern_iter_close(struct kern_iter *it);
