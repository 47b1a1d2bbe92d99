/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "elf/elf.h"

/* A function as a table of the file has it. Zero address: the table does not have it. */
struct function {
	uint64_t address;
	uint64_t size; /* 0: the table does not tell */
};

/*
 * Looks @n_names functions up in .symtab and writes as many entries of @ret. Of several of one name
 * the first counts. How many were found; -ENODATA: the file has no .symtab; nametab.h's errors.
 */
int symtab_find(struct elf *elf, const char *const *names, uint32_t n_names, struct function *ret,
		struct err *e);
