/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a program measures of itself: times in nanoseconds of CLOCK_MONOTONIC, and their JSON. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct figure {
	const char *name;
	uint64_t count, sum, min, max;
	uint64_t *samples; /* NULL unless asked for; never freed */
	uint64_t room;	   /* for so many; those beyond are added up alone */
};

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* @room: how many values are kept singly, too; less than 0 when there is no memory for them. */
static inline int figure_init(struct figure *f, const char *name, uint64_t room)
{
	*f = (struct figure){ .name = name, .min = UINT64_MAX, .room = room };
	if (room)
		f->samples = calloc(room, sizeof(*f->samples));
	return room && !f->samples ? -1 : 0;
}

static inline void figure_add(struct figure *f, uint64_t ns)
{
	if (f->count < f->room)
		f->samples[f->count] = ns;
	f->count++;
	f->sum += ns;
	f->min = ns < f->min ? ns : f->min;
	f->max = ns > f->max ? ns : f->max;
}

/* A member of a JSON object, and the comma behind it. */
static inline void figure_print(const struct figure *f, FILE *out)
{
	fprintf(out,
		"\"%s\": {\"count\": %" PRIu64 ", \"sum_ns\": %" PRIu64 ", \"min_ns\": %" PRIu64
		", \"max_ns\": %" PRIu64,
		f->name, f->count, f->sum, f->count ? f->min : 0, f->max);
	for (uint64_t i = 0; i < f->room && i < f->count; i++)
		fprintf(out, "%s%" PRIu64, i ? ", " : ", \"samples_ns\": [", f->samples[i]);
	fputs(f->room && f->count ? "]}, " : "}, ", out);
}
