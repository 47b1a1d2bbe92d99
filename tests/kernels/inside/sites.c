// SPDX-License-Identifier: Apache-2.0
/*
 * Probes instructions of this program itself, calls the functions that they are in, and compares:
 * hits with calls, and results with what they are without a probe.
 *     SITE name ok | SITE name FAIL why
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "elf/elf.h"
#include "inside.h"
#include "kern/map.h"
#include "kern/object.h"

#define CALLS	    2000
#define MAX_THREADS 16

KERN_IMAGE_DECLARE(count);

struct run {
	const struct inside_site *from, *to;
	uint64_t until_ns; /* 0: CALLS of each */
	atomic_ulong calls, wrong;
};

static void *call(void *arg)
{
	struct run *r = arg;
	unsigned long calls = 0, wrong = 0;

	for (long x = 0; r->until_ns ? clock_boot_ns() < r->until_ns : x < CALLS; x++)
		for (const struct inside_site *s = r->from; s < r->to; s++, calls++)
			wrong += s->function(x) != 3 * x + 1;
	atomic_fetch_add(&r->calls, calls);
	atomic_fetch_add(&r->wrong, wrong);
	return NULL;
}

static void call_by_threads(struct run *r, size_t n)
{
	pthread_t threads[MAX_THREADS];
	size_t started = 0;

	while (started < n && pthread_create(&threads[started], NULL, call, r) == 0)
		started++;
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}

/* This program is linked to fixed addresses, so a function is where the file says it is. */
static int file_offset(int fd, const void *address, uint64_t *ret, struct err *e)
{
	cleanup(elf_freep) struct elf *elf = NULL;
	int r = elf_view_open(fd, &elf, e);

	if (r < 0)
		return r;
	return elf_file_offset(elf, (uint64_t)(uintptr_t)address, 0, ret, NULL)
		       ? 0
		       : err_set(e, -1, "the address is not in the file");
}

static int attach(struct kern_program *p, const struct inside_site *s, struct kern_link **ret,
		  struct err *e)
{
	cleanup(cleanup_fd) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct kern_uprobe place = {};
	int r = file_offset(fd, s->address, &place.file_offset, e);

	return r < 0 ? r : kern_program_attach_uprobes(p, fd, &place, 1, ret, e);
}

static uint64_t hits(struct kern_object *o)
{
	uint32_t key = 0;
	uint64_t n = 0;

	kern_map_get(kern_object_map(o, "sn_c_hits"), &key, &n);
	return n;
}

/* Calls the functions of [@from, @to), all of them probed, and judges. */
static int judge(struct kern_object *o, const char *name, struct run *r, size_t threads)
{
	uint64_t before = hits(o), counted;

	call_by_threads(r, threads);
	counted = hits(o) - before;
	if (counted == r->calls && !r->wrong && r->calls) {
		printf("SITE %s ok\n", name);
		return 0;
	}
	printf("SITE %s FAIL %lu calls, %llu hits, %lu wrong results\n", name, r->calls,
	       (unsigned long long)counted, r->wrong);
	return 1;
}

static int one_by_one(struct kern_object *o, struct kern_program *p)
{
	int failed = 0;

	for (const struct inside_site *s = inside_site_list; s->name; s++) {
		struct run r = { .from = s, .to = s + 1 };
		struct kern_link *link = NULL;
		struct err e = {};

		if (attach(p, s, &link, &e) < 0) {
			printf("SITE %s FAIL %s\n", s->name, e.msg);
			failed++;
			continue;
		}
		failed += judge(o, s->name, &r, 2);
		kern_link_free(link);
	}
	return failed;
}

static int all_at_once(struct kern_object *o, struct kern_program *p, unsigned long seconds,
		       unsigned long threads)
{
	struct run r = { .from = inside_site_list, .to = inside_site_list };
	struct err e = {};

	for (; r.to->name; r.to++) {
		struct kern_link *link = NULL;

		/* They end with this program. */
		if (attach(p, r.to, &link, &e) < 0) {
			printf("SITE all FAIL %s\n", e.msg);
			return 1;
		}
	}
	r.until_ns = clock_boot_ns() + seconds * NSEC_PER_SEC;
	return judge(o, "all", &r, threads < MAX_THREADS ? threads : MAX_THREADS);
}

int inside_sites(int argc, char **argv)
{
	static const struct kern_image image = KERN_IMAGE(count);
	struct kern_object *o = NULL;
	struct kern_program *p;
	struct err e = {};
	int failed;

	if (kern_object_open(&image, &o, &e) < 0 || kern_object_create(o, &e) < 0 ||
	    kern_program_load(o, "sn_c_hit", &p, &e) < 0) {
		printf("SITE all FAIL %s\n", e.msg);
		return 1;
	}
	failed = argc < 2 ? one_by_one(o, p)
			  : all_at_once(o, p, strtoul(argv[0], NULL, 10), strtoul(argv[1], NULL, 10));
	kern_object_close(o);
	return failed != 0;
}
