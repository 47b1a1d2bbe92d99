// SPDX-License-Identifier: Apache-2.0
#include "world/listeners.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "world/process.h"

#define TCP_LISTEN 10

/* More namespaces than anyone runs; beyond it we look at the rest once more than needed. */
#define MAX_NAMESPACES 1024

struct walk {
	const char *proc;
	int (*each)(uint32_t netns, uint16_t port, void *arg);
	void *arg;
	ino_t seen[MAX_NAMESPACES];
	size_t n_seen;
};

int listeners_parse_line(const char *line)
{
	unsigned int port, state;

	/* "  0: 0100007F:1F90 00000000:0000 0A ...", addresses of 8 or 32 hexadecimal digits. */
	if (sscanf(line, " %*d: %*32[0-9A-Fa-f]:%4x %*32[0-9A-Fa-f]:%*4x %2x", &port, &state) != 2)
		return -1;
	return state == TCP_LISTEN ? (int)port : -1;
}

static int read_table(struct walk *w, pid_t pid, const char *name, ino_t netns)
{
	char path[PATH_MAX], line[512];
	FILE *f;
	int r = 0;

	snprintf(path, sizeof(path), "%s/%d/net/%s", w->proc, pid, name);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (!r && fgets(line, sizeof(line), f)) {
		int port = listeners_parse_line(line);

		if (port > 0)
			r = w->each((uint32_t)netns, (uint16_t)port, w->arg);
	}
	fclose(f);
	return r;
}

static int visit(pid_t pid, void *arg)
{
	struct walk *w = arg;
	char path[PATH_MAX];
	struct stat st;
	int r;

	snprintf(path, sizeof(path), "%s/%d/ns/net", w->proc, pid);
	if (stat(path, &st) < 0)
		return 0;
	for (size_t i = 0; i < w->n_seen; i++)
		if (w->seen[i] == st.st_ino)
			return 0;
	if (w->n_seen < MAX_NAMESPACES)
		w->seen[w->n_seen++] = st.st_ino;
	r = read_table(w, pid, "tcp", st.st_ino);
	return r ? r : read_table(w, pid, "tcp6", st.st_ino);
}

int listeners_walk(const char *proc, int (*each)(uint32_t netns, uint16_t port, void *arg),
		   void *arg, struct err *e)
{
	cleanup(cleanup_free) struct walk *w = calloc(1, sizeof(*w));

	if (!w)
		return err_set(e, -ENOMEM, "out of memory");
	w->proc = proc;
	w->each = each;
	w->arg = arg;
	return process_walk(proc, visit, w, e);
}
