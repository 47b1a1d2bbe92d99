/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/err.h"

/*
 * The commands of `inside`, each in a file of its own. What they find they print, a line each, in the
 * form that tests/kernels/test.sh passes on. They return what the program exits with.
 */
int inside_programs(int argc, char **argv);
int inside_sites(int argc, char **argv);
int inside_kill(int argc, char **argv);
int inside_entries(int argc, char **argv);
int inside_shift(int argc, char **argv);
int inside_veth(int argc, char **argv);
int inside_netem(int argc, char **argv);
int inside_ends(int argc, char **argv);
int inside_leave(int argc, char **argv);

/*
 * The next BPF program or map of the kernel's, in the order of their ids and behind *@id (0 at first),
 * whose name begins with @prefix. Its file descriptor is the caller's; -1 when there is no more.
 */
enum inside_kind { INSIDE_PROGRAM, INSIDE_MAP };
int inside_next_object(enum inside_kind kind, uint32_t *id, const char *prefix);

/* An instruction to probe, in a function that computes 3 * x + 1; the list ends with a NULL name. */
struct inside_site {
	const char *name; /* without blanks */
	long (*function)(long x);
	const void *address;
};
extern const struct inside_site inside_site_list[]; /* sites_<architecture>.S */
