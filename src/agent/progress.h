/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/snapshot.h"

/*
 * What `sonde report` shows on a terminal while it measures, on standard error: a line every ten
 * seconds in the log, and the time that is left, in place. Elsewhere, nothing.
 */
struct progress {
	bool terminal, color, running;
	uint64_t began_ns, end_ns; /* boot time; end 0: until interrupted */
	uint64_t next_ns;	   /* of the next line */
	struct snapshot *before;   /* of the last line */
};

/* Fills *@p; takes the log over, which would tear the line that is drawn in place. */
void progress_begin(struct progress *p, bool color, uint64_t end_ns);

/* To be called once a second; takes @now over, which can be NULL. */
void progress_tick(struct progress *p, struct snapshot *now);

/* Also fine without a beginning. */
void progress_end(struct progress *p);
