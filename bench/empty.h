/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kern/object.h"
#include "kern/tiers.h"

#define EMPTY_HOOKS 3

/* Programs that do nothing (empty.bpf.c), on the hooks of the tcp probe's hot path. */
struct empty {
	struct kern_object *object;
	struct kern_hook_state states[EMPTY_HOOKS];
};

/* Attaches them. -errno with a sentence; then nothing is left. */
int empty_open(struct empty *m, struct err *e);
void empty_close(struct empty *m);
