/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

/*
 * A view of a 64-bit little-endian ELF file through a descriptor, for files that may be hostile and
 * may change while they are read. Only pread, never mmap: a file that is truncated meanwhile is an
 * error, not a SIGBUS. Every read is checked against the file's size, and the sum of all reads
 * against a budget, so that no table, however it lies, costs more than a fraction of a second.
 *
 * The headers are read as the structures of <elf.h>, without libelf: once their counts and sizes
 * are checked nothing is left for it to do, and our own lines run under the sanitizers and the
 * fuzzer.
 *
 * Errors here: -EBADMSG: the file contradicts itself or ends too early; -E2BIG: beyond our bounds;
 * -ENOMEM; a read's own -errno.
 */
#define ELF_READ_BUDGET (256ULL << 20)

struct elf_section {
	const char *name; /* belongs to the view; "" when it has none */
	uint32_t type, link;
	uint64_t flags, address, offset, size, entry_size;
};

struct elf_segment {
	uint32_t type, flags;
	uint64_t address, offset, file_size;
};

struct elf {
	int fd; /* borrowed */
	uint16_t type, machine;
	uint64_t file_size;
	uint64_t budget; /* bytes that may still be read */
	uint32_t n_segments, n_sections;
	struct elf_segment *segments;
	struct elf_section *sections;
	char *names; /* .shstrtab, with a NUL behind it */
};

/*
 * @fd stays the caller's and must outlive the view. Accepts executables and shared objects.
 * -ENOEXEC: not a regular file, not ELF, or of a kind we do not read.
 */
int elf_view_open(int fd, struct elf **ret, struct err *e);
void elf_free(struct elf *elf);
DEFINE_CLEANUP(struct elf, elf_free)

/* "x86-64", "arm64", or "another machine": for people, of an e_machine. Static. */
const char *elf_machine_name(uint16_t machine);

/* The machine that this very program, and with it its kernel half, is built for. */
uint16_t elf_own_machine(void);

/* The first section called @name that has plain bytes in the file (not compressed), or NULL. */
const struct elf_section *elf_find_section(const struct elf *elf, const char *name);

/* Exactly @len bytes at file offset @offset. */
int elf_read(struct elf *elf, uint64_t offset, void *buf, size_t len, struct err *e);

/*
 * Where in the file the byte at virtual @address is, by the loadable segments; @flags (PF_X ...)
 * must all be set on the segment. *@ret_left, which may be NULL, is how many bytes follow in the
 * same segment, at least 1. False: no segment has it.
 */
bool elf_file_offset(const struct elf *elf, uint64_t address, uint32_t flags, uint64_t *ret_offset,
		     uint64_t *ret_left);

/*
 * A moving window over [@offset, @offset + @size) of the file, for tables that are larger than we
 * want to hold. Errors are sticky: elf_window_at() gives NULL, and @error says why from then on.
 */
struct elf_window {
	struct elf *elf;
	uint64_t offset, size;
	uint64_t base; /* of data, relative to offset */
	size_t len;
	uint8_t *data;
	int error;
	struct err *e;
};

/* Fails only with -ENOMEM, which is also left in @error. @e must outlive the window; may be NULL. */
int elf_window_init(struct elf_window *w, struct elf *elf, uint64_t offset, uint64_t size,
		    struct err *e);
void elf_window_done(struct elf_window *w);

#define ELF_WINDOW_BYTES 65536

/* @len (at most ELF_WINDOW_BYTES) bytes at @offset of the window; valid until the next call. */
const uint8_t *elf_window_at(struct elf_window *w, uint64_t offset, size_t len);
