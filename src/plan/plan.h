/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/gobin.h"
#include "world/process.h"

/*
 * Deciding is apart from doing: from the executables that run and from what the probes want of them
 * comes a list of attachments, and from two such lists what has to be done to get from one to the
 * other. No system call is made here; `sonde plan` prints the list, the agent carries it out.
 */

/* An executable that runs, as found: the input. */
struct plan_file {
	struct file_id id;
	const char *path;	/* inside the root of its process; for people */
	int32_t pid;		/* one process that runs it; for people */
	const struct gobin *go; /* NULL: not a Go program */
	const char *error;	/* why it could not be read; NULL when it was */
};

/* What a probe wants of Go programs that have all of the functions it names. */
struct plan_want {
	const char *probe;
	/* The function that makes a program worth looking at: without it nothing is said at all. */
	const char *mark;
	/*
	 * Rows end with a NULL symbol. A row whose version range does not hold the program's Go is
	 * passed over; versions are 1.minor, both ends included.
	 */
	struct plan_want_site {
		const char *symbol;
		const char *program; /* in the probe's BPF object */
		uint16_t min_minor, max_minor;
		uint64_t cookie; /* by which the combined program knows the row */
	} const *sites;
	/* One program that does for all rows, where one link can hold all sites of a file; or NULL. */
	const char *combined;
	uint16_t min_minor; /* the oldest Go that is supported */
};

/* One program at one place of one file, decided but not made. */
struct plan_site {
	struct file_id file;
	const char *probe, *program, *symbol;
	uint64_t file_offset, cookie;
	uint32_t function_offset;
	uint16_t kind; /* enum site_kind */
	char insn[24];
};

/* A file on which a probe has an opinion: attached to, or refused with a sentence. */
struct plan_verdict {
	struct file_id file;
	const char *probe;
	char path[256];
	char version[32];
	int32_t pid;
	uint8_t source; /* enum gobin_source */
	bool stripped;
	bool attached;
	char why[192]; /* refused: why, and what can be done */
};

struct plan {
	struct plan_site *sites; /* sites of one file stand together */
	size_t n_sites;
	struct plan_verdict *verdicts;
	size_t n_verdicts;
	uint16_t machine; /* whose kernel would run the programs: elf_own_machine() */
};

/*
 * Adds to @p what @want wants of @f. A file gets all of a probe's sites or none; none when it is
 * built for another machine than @p is for, whose registers are not those that the programs read.
 * Names of symbols are those of the order in which gobin_read() was asked: @symbols, @n_symbols.
 * -ENOMEM.
 */
int plan_add(struct plan *p, const struct plan_want *want, const struct plan_file *f,
	     const char *const *symbols, size_t n_symbols);

void plan_done(struct plan *p);

/*
 * The sites of the same file and probe as @s, a site of @p: none (0) unless @s is the first of them. They
 * are attached, and go, together.
 */
size_t plan_group(const struct plan *p, const struct plan_site *s);

/*
 * Calls @detach for each site of @have that is not in @want, then @attach for each site of @want that
 * is not in @have. Either may be NULL. A non-zero result ends it and is returned.
 */
int plan_diff(const struct plan *have, const struct plan *want,
	      int (*detach)(const struct plan_site *s, void *arg),
	      int (*attach)(const struct plan_site *s, void *arg), void *arg);
