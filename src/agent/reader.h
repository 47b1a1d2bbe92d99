/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "elf/gobin.h"
#include "world/inspector.h"

/*
 * The inspector, started again when it is gone: an out-of-memory killer may choose it, or a person.
 * Three times a minute at most, because what ends it may go on to do so. Belongs to the worker, as
 * discovery does; what it tells may be read between two jobs.
 */
struct reader {
	struct inspector *inspector; /* borrowed */
	uint64_t window_ns;	 /* in which it is started again READER_RESTARTS times at most */
	unsigned int n_restarts; /* since the beginning */
	bool is_away;		 /* and will not be started again before the window is over */
	char why[160];		 /* of the last end */
	uint64_t began_ns;	 /* of the window */
	unsigned int n_window;	 /* attempts in it */
};

#define READER_RESTARTS	 3
#define READER_WINDOW_NS (60 * NSEC_PER_SEC)

/*
 * inspector_gobin() (world/inspector.h), but -EPIPE says: not now, ask again some time. A file on
 * which two helpers in a row ended is -EBADMSG: it is not tried on a third.
 */
int reader_gobin(struct reader *r, int fd, const char *const *names, uint32_t n_names,
		 struct gobin *ret, struct err *e);
