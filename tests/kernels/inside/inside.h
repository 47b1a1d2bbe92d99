/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

/*
 * The commands of `inside`, each in a file of its own. What they find they print, a line each, in the
 * form that tests/kernels/test.sh passes on. They return what the program exits with.
 */
int inside_programs(int argc, char **argv);
int inside_sites(int argc, char **argv);
int inside_kill(int argc, char **argv);

/* An instruction to probe, in a function that computes 3 * x + 1; the list ends with a NULL name. */
struct inside_site {
	const char *name; /* without blanks */
	long (*function)(long x);
	const void *address;
};
extern const struct inside_site inside_site_list[]; /* sites_<architecture>.S */
