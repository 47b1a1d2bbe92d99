// SPDX-License-Identifier: Apache-2.0
#include "world/netstat.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* The field of @line by number, counted from 0; fields are separated by single blanks. */
static const char *field(const char *line, size_t n)
{
	while (n-- && line) {
		line = strchr(line, ' ');
		line = line ? line + 1 : NULL;
	}
	return line;
}

/* The number of the field that is called @name, or -1. */
static long find(const char *line, const char *name)
{
	size_t len = strlen(name);

	for (long i = 0; line; i++) {
		if (strncmp(line, name, len) == 0 && strchr(" \n", line[len]))
			return i;
		line = field(line, 1);
	}
	return -1;
}

/* Two lines for each group: names, then values in the same order, both behind "Group: ". */
static int search(FILE *f, const char *group, const char *name, uint64_t *ret)
{
	cleanup(cleanup_free) char *names = NULL, *values = NULL;
	size_t names_size = 0, values_size = 0, len = strlen(group);
	const char *value;
	long n;

	while (getline(&names, &names_size, f) > 0 && getline(&values, &values_size, f) > 0) {
		if (strncmp(names, group, len) != 0 || names[len] != ':')
			continue;
		n = find(names, name);
		value = n < 0 ? NULL : field(values, (size_t)n);
		if (!value)
			return -ENOENT;
		*ret = strtoull(value, NULL, 10);
		return 0;
	}
	return -ENOENT;
}

int netstat_read(const char *proc, const char *group, const char *name, uint64_t *ret)
{
	char path[PATH_MAX];
	FILE *f;
	int r;

	snprintf(path, sizeof(path), "%s/self/net/netstat", proc);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	r = search(f, group, name, ret);
	fclose(f);
	return r;
}
