/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "elf/elf.h"
#include "elf/symtab.h"

/*
 * The table by which Go's runtime turns addresses into functions. Every Go program carries it, and
 * no stripping removes it. Read here: the form of Go 1.18 and 1.19 (magic 0xfffffff0) and of 1.20
 * to 1.27 (0xfffffff1).
 */
struct pclntab {
	uint64_t offset, size, address; /* in the file; of its first byte in memory */
	uint64_t n_functions;
	uint64_t text; /* address that the table's code offsets count from */
	uint64_t names_offset, names_size, functions_offset; /* relative to offset */
};

/* -ENODATA: the file has no such table; -EBADMSG: it has one that cannot be right; elf.h's errors. */
int pclntab_open(struct elf *elf, struct pclntab *ret, struct err *e);

/*
 * As symtab_find(). A function's size includes the padding behind it. Functions in assembly are
 * listed by their plain name here, and with ".abi0" behind it in .symtab.
 */
int pclntab_find(struct elf *elf, const struct pclntab *t, const char *const *names,
		 uint32_t n_names, struct function *ret, struct err *e);
