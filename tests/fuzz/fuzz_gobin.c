// SPDX-License-Identifier: Apache-2.0

/* gobin_read() on any bytes at all. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "elf/gobin.h"

static const char *const names[] = {
	"main.main",
	"main.work",
	"main.idle",
	"net/http.serverHandler.ServeHTTP",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct gobin *g, size_t size)
{
	if (g->n_functions != ARRAY_SIZE(names) || !memchr(g->version, 0, sizeof(g->version)) ||
	    !memchr(g->build_id, 0, sizeof(g->build_id)))
		abort();
	for (uint32_t i = 0; i < g->n_functions; i++) {
		const struct site *s = &g->functions[i].site;

		if ((s->kind == SITE_NONE) != (s->file_offset == 0) ||
		    (s->kind == SITE_NONE) != (s->why[0] != '\0') || s->file_offset >= size)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct gobin g;
	struct err e = {};
	int r;

	if (fd < 0)
		fd = memfd_create("input", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	r = gobin_read(fd, names, ARRAY_SIZE(names), &g, &e);
	if ((r == 0) != (e.msg[0] == '\0'))
		abort();
	if (r == 0)
		check(&g, size);
	return 0;
}
