/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Which processes are of interest. Pure: the texts of settings against what is known of a process.
 *
 * Each list is of values separated by commas; "" and NULL are no restriction. Of one list any value has
 * to fit, of several lists each. A glob is fnmatch(3)'s, and its * is anything, slashes too.
 */
struct selection {
	const char *pids;
	const char *commands; /* globs; of the name of the main thread, or the executable's file */
	const char *services; /* globs */
	const char *containers; /* the first hexadecimal digits of an id */
	const char *cgroups;	/* globs */
};

/* NULL: not known, and fits nothing. */
struct process_facts {
	uint32_t pid;
	const char *comm, *exe, *service;
	const char *cgroup; /* as /proc/PID/cgroup is: a line for each hierarchy */
};

/* The longest value of a list that is looked at; there is nothing to compare longer ones with. */
#define SELECTION_VALUE_MAX 256

bool selection_is_empty(const struct selection *s);

/* What does not fit, as bits; 0: the process is of interest. */
enum {
	MISFIT_PID = 1 << 0,
	MISFIT_COMMAND = 1 << 1,
	MISFIT_SERVICE = 1 << 2,
	MISFIT_PLACE = 1 << 3, /* containers, cgroups */
};
unsigned int selection_misfits(const struct selection *s, const struct process_facts *f);

/* Whether @text is a list of such values: what the command line may hold. */
bool selection_is_pids(const char *text);
bool selection_is_globs(const char *text);
bool selection_is_containers(const char *text);
