/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "elf/gobin.h"

/*
 * Reads foreign executables in a child that can do no harm: a file that crashes, traps or exhausts
 * the parser costs that child, and becomes one error sentence. Behind it stands one helper process
 * for the life of the agent, without capabilities, which forks such a child for every file.
 */
struct inspector;

#define INSPECTOR_WALL_MS 5000

/*
 * Forks the helper. Call it from the thread that lives longest (when that one ends the helper is
 * killed), before there are other threads, and before the process holds secrets: children are
 * copies of what it is now. NULL: @e says why.
 */
struct inspector *inspector_new(struct err *e);

/* The same around another parser than gobin_read(), and another limit: for tests. */
typedef int (*inspector_parser)(int fd, const char *const *names, uint32_t n_names,
				struct gobin *ret, struct err *e);
struct inspector *inspector_new_with(inspector_parser parser, unsigned int wall_ms, struct err *e);

/* Ends the helper and what it may still be doing, and reaps it. */
void inspector_free(struct inspector *i);
DEFINE_CLEANUP(struct inspector, inspector_free)

/*
 * gobin_read() (elf/gobin.h) in such a child: same arguments, result and errors, names of at most
 * 255 bytes. @fd stays the caller's. Further errors: -EBADMSG also when the parser died on the
 * file; -ETIMEDOUT when it took more than INSPECTOR_WALL_MS or 2 s of processor time; -EPIPE: the
 * helper itself is gone, and all later calls will say so. What the child answers is not trusted:
 * its text is made printable, its enumerations and counts are checked.
 *
 * Blocks, for INSPECTOR_WALL_MS and a second more at worst. One thread at a time.
 */
int inspector_gobin(struct inspector *i, int fd, const char *const *names, uint32_t n_names,
		    struct gobin *ret, struct err *e);

/*
 * Ends the helper, if it is not gone already, and starts another. Other than the first it is no copy
 * of what the process is now, with its threads, maps and secrets, but this program started anew, with
 * an empty environment: its main() must begin with inspector_main(). It lives no longer than the
 * thread that calls this. -ENOTSUP behind inspector_new_with(); after an error inspector_gobin()
 * gives -EPIPE, and this may be tried again.
 */
int inspector_restart(struct inspector *i, struct err *e);

/* Ends the helper: inspector_gobin() gives -EPIPE at once from then on, until it is restarted. */
void inspector_end(struct inspector *i);

/* Serves and never returns in a process that inspector_restart() started; in others does nothing. */
void inspector_main(int argc, char **argv);
