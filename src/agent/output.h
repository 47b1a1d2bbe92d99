/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * The file that a document goes to. It is opened before anything is measured: whether there is a
 * place for the result is known then, and the rights to write into other users' folders are not yet
 * given up.
 *
 * A regular file, or one that is not there yet, is replaced as a whole, once the document is written
 * and on the disk: until then, and if that fails, it is as it was. Owner and mode stay. What cannot
 * be replaced is written to as it is: standard output, devices, pipes, symbolic links, files with
 * several names, mount points, and files in a folder that one may not write to.
 */
struct output {
	const char *path; /* as it was given */
	int fd;		  /* written to as it is; -1: to be replaced */
	bool ours;  /* fd is a file that is emptied first: standard output may hold what is not */
	int keeper; /* the process that replaces the file, by this socket; -1: none */
	int keeper_pid;
};

/* Leads nowhere; fine to close. */
#define OUTPUT_NONE ((struct output){ .fd = -1, .keeper = -1 })

/*
 * Fills *@o; "-" is standard output. To be called before there are threads: what replaces
 * the file is a child that keeps the right to do that, and nothing else. @path outlives @o.
 */
int output_open(const char *path, struct output *o, struct err *e);

/* Once. Without an error all of it is there. */
int output_write(struct output *o, const char *data, size_t len, struct err *e);

/* Whether it leads to where @fd leads. */
bool output_is(const struct output *o, int fd);

/* Without output_write() before it a file stays as it was, and none comes into being. */
void output_close(struct output *o);
