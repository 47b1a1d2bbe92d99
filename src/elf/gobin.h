/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "elf/site.h"

/*
 * What a Go executable says about itself: its toolchain's version, and where given functions can be
 * probed. Works on stripped binaries: functions are found in .symtab if there is one, otherwise in
 * the table that Go's own runtime walks (.gopclntab), which cannot be stripped.
 *
 * Flat and without pointers on purpose: it crosses a socket from the child that parses
 * (world/inspector.h).
 */
#define GOBIN_MAX_FUNCTIONS 16

struct gobin_function {
	uint64_t address; /* of its first instruction; 0: the program does not have it */
	uint64_t size;	  /* bytes; 0: not known */
	struct site
		site; /* where to probe it; site.file_offset 0: nowhere, site.why says the reason */
};

enum gobin_source { GOBIN_SYMTAB, GOBIN_PCLNTAB };

struct gobin {
	char version[32];      /* "go1.24.3"; "" when the binary does not tell */
	uint16_t major, minor; /* 1, 24; 0, 0 when the binary does not tell */
	uint16_t machine;      /* EM_X86_64, EM_AARCH64 */
	uint8_t source;	       /* enum gobin_source */
	bool stripped, pie;
	char build_id[41]; /* hex of the GNU build id, else of a hash of Go's own; may be "" */
	uint32_t n_functions;
	struct gobin_function functions[GOBIN_MAX_FUNCTIONS];
};

/*
 * Reads the executable behind @fd (any offset, not changed; only pread is used, never mmap) and looks
 * up @n_names functions by their full Go names, such as "net/http.serverHandler.ServeHTTP".
 * 0; -ENOEXEC: not an ELF executable of a machine we know; -ENODATA: not a Go program; -EBADMSG: a
 * Go program that contradicts itself, or of a form that we do not know (Go before 1.18, stripped);
 * -E2BIG: a table beyond our bounds; -EINVAL: too many names, or an empty one, or one of more than
 * 255 bytes; -ENOMEM; a read's -errno.
 * *@ret is written on success only. Bounded in time and memory whatever the file holds: under 10 ms
 * and 1 MB for real programs (an 80 MB one: 5 ms), at most 256 MB read from a hostile one.
 */
int gobin_read(int fd, const char *const *names, uint32_t n_names, struct gobin *ret,
	       struct err *e);
