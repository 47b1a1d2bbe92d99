/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "elf/elf.h"

/*
 * Where wanted names are in a table of NUL-terminated strings (.strtab, Go's function names). Found
 * in one pass over the table, so that symbols are then matched by number and no string is read
 * twice. Linkers let a name share the tail of a longer one, so the ends of longer strings count as
 * well.
 */
#define NAMETAB_MAX_NAMES 16
#define NAMETAB_MAX_NAME  255 /* bytes of one name */
#define NAMETAB_MAX_HITS  64

struct nametab {
	uint64_t first,
		last; /* the range of the hits' offsets, to pass over most symbols quickly */
	uint32_t n_hits;
	struct {
		uint64_t offset; /* in the table */
		uint32_t name;	 /* index of the wanted name */
	} hits[NAMETAB_MAX_HITS];
};

/* 0; -EINVAL: a name that is empty or too long, or too many of them; and elf.h's errors. */
int nametab_find(struct elf *elf, uint64_t offset, uint64_t size, const char *const *names,
		 uint32_t n_names, struct nametab *ret, struct err *e);

/* Index of the name that starts at @offset of the table, or -1. */
int nametab_lookup(const struct nametab *t, uint64_t offset);
