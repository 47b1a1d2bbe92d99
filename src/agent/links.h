/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

struct kern_link;

/*
 * kern_link_free() for all of @links at once. Each waits for the kernel to be sure that no probe is
 * still at work, some 50 ms; those that wait together wait as long as one. Blocks until all are
 * gone: for the worker.
 */
void links_free(struct kern_link *const *links, size_t n);
