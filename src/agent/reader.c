// SPDX-License-Identifier: Apache-2.0
#include "agent/reader.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"

static bool may_restart(struct reader *r)
{
	uint64_t now = clock_boot_ns();

	if (now - r->began_ns >= r->window_ns) {
		r->began_ns = now;
		r->n_window = 0;
	}
	if (r->n_window == READER_RESTARTS)
		return false;
	r->n_window++;
	return true;
}

static void note_end(struct reader *r, const struct err *e)
{
	snprintf(r->why, sizeof(r->why), "%.*s", (int)sizeof(r->why) - 1, e->msg);
}

static int restart(struct reader *r, struct err *e)
{
	int err;

	r->is_away = !may_restart(r);
	if (r->is_away) {
		/* One that hangs would be waited for, file after file. */
		inspector_end(r->inspector);
		return -EPIPE;
	}
	err = inspector_restart(r->inspector, e);
	if (err < 0) {
		note_end(r, e);
		r->is_away = true;
		r->n_window =
			READER_RESTARTS; /* what keeps it from starting may pass; not at once */
		return -EPIPE;
	}
	r->n_restarts++;
	return 0;
}

int reader_gobin(struct reader *r, int fd, const char *const *names, uint32_t n_names,
		 struct gobin *ret, struct err *e)
{
	struct err why = {};
	int err = inspector_gobin(r->inspector, fd, names, n_names, ret, &why);

	if (err == -EPIPE) {
		if (!r->is_away)
			note_end(r, &why);
		if (restart(r, &why) < 0)
			return err_set(e, -EPIPE, "%s", r->why);
		err = inspector_gobin(r->inspector, fd, names, n_names, ret, &why);
		if (err == -EPIPE)
			return err_set(e, -EBADMSG, "%s, twice on this file", why.msg);
	}
	return err < 0 ? err_set(e, err, "%s", why.msg) : 0;
}
