/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct line_writer;

/*
 * Another descriptor of what @fd leads to, for line_writer_new(): of a terminal one of its own, which
 * never blocks, and leaves those of others as they are. That needs the right to write to the terminal:
 * to be called before rights are given up. The caller closes it. A negative number, and errno, on error.
 */
int line_writer_descriptor(int fd);

/*
 * Whole lines to a descriptor whose reader may be slow or go away. Never blocks the loop: what the
 * reader has no room for waits, 8 MiB of it, and goes on when there is room again.
 *
 * @gone is called once, from the loop or from line_writer_add(), when nobody reads any more (-EPIPE; of
 * a pipe that is known at once) or a write failed. @fd is borrowed. 0 or -ENOMEM.
 */
int line_writer_new(struct event_base *base, int fd, void (*gone)(void *arg, int error), void *arg,
		    struct line_writer **ret);

/* Adds lines, which are written at the end of this turn of the loop. False: there is no room. */
bool line_writer_add(struct line_writer *w, const char *lines, size_t len);

/*
 * Writes what still waits, for at most @patience_ms (-1: as long as it takes), blocking. The number of
 * lines that came to nothing; the last one written can then be a part of one.
 */
uint64_t line_writer_end(struct line_writer *w, int patience_ms);

/* NULL is fine. */
void line_writer_free(struct line_writer *w);
