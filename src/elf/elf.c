// SPDX-License-Identifier: Apache-2.0
#include "elf/elf.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* Far above what linkers make; a file beyond them is not worth the memory. */
#define MAX_SEGMENTS 256
#define MAX_SECTIONS 4096
#define MAX_NAMES    (256 << 10)

_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "the structures of <elf.h> are used as they lie");

int elf_read(struct elf *elf, uint64_t offset, void *buf, size_t len, struct err *e)
{
	uint8_t *p = buf;

	if (offset > elf->file_size || len > elf->file_size - offset)
		return err_set(e, -EBADMSG, "a table lies beyond the end of the file");
	if (len > elf->budget)
		return err_set(e, -E2BIG, "more than %llu MB of it would have to be read",
			       ELF_READ_BUDGET >> 20);
	elf->budget -= len;
	while (len > 0) {
		ssize_t n = pread(elf->fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, -errno, "read: %m");
		if (n == 0)
			return err_set(e, -EBADMSG, "the file shrank while it was read");
		p += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_segments(struct elf *elf, const Elf64_Ehdr *header, struct err *e)
{
	cleanup(cleanup_free) Elf64_Phdr *raw = NULL;
	uint32_t n = header->e_phnum;
	int r;

	if (n == 0)
		return 0;
	if (n > MAX_SEGMENTS)
		return err_set(e, -E2BIG, "it has more than %d segments", MAX_SEGMENTS);
	if (header->e_phentsize != sizeof(*raw))
		return err_set(e, -EBADMSG, "its segments have an unknown form");
	raw = calloc(n, sizeof(*raw));
	elf->segments = calloc(n, sizeof(*elf->segments));
	if (!raw || !elf->segments)
		return err_set(e, -ENOMEM, "out of memory");
	r = elf_read(elf, header->e_phoff, raw, n * sizeof(*raw), e);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n; i++)
		elf->segments[i] = (struct elf_segment){
			.type = raw[i].p_type,
			.flags = raw[i].p_flags,
			.address = raw[i].p_vaddr,
			.offset = raw[i].p_offset,
			.file_size = raw[i].p_filesz,
		};
	elf->n_segments = n;
	return 0;
}

/* Points every section at its name; a section whose name is out of bounds stays nameless. */
static int read_names(struct elf *elf, const Elf64_Shdr *raw, uint32_t index, struct err *e)
{
	uint64_t size = index < elf->n_sections ? raw[index].sh_size : 0;
	int r;

	if (size > MAX_NAMES)
		return err_set(e, -E2BIG, "its section names take more than %d KB",
			       MAX_NAMES >> 10);
	elf->names = calloc(1, size + 1);
	if (!elf->names)
		return err_set(e, -ENOMEM, "out of memory");
	if (size > 0) {
		r = elf_read(elf, raw[index].sh_offset, elf->names, size, e);
		if (r < 0)
			return r;
	}
	for (uint32_t i = 0; i < elf->n_sections; i++)
		elf->sections[i].name = raw[i].sh_name < size ? elf->names + raw[i].sh_name : "";
	return 0;
}

static int read_sections(struct elf *elf, const Elf64_Ehdr *header, struct err *e)
{
	cleanup(cleanup_free) Elf64_Shdr *raw = NULL;
	uint32_t n = header->e_shnum;
	int r;

	/* A count of 0 with a table means 65280 sections or more: the true count is in the table. */
	if (n > MAX_SECTIONS || (n == 0 && header->e_shoff != 0))
		return err_set(e, -E2BIG, "it has more than %d sections", MAX_SECTIONS);
	if (n == 0)
		return 0;
	if (header->e_shentsize != sizeof(*raw))
		return err_set(e, -EBADMSG, "its sections have an unknown form");
	raw = calloc(n, sizeof(*raw));
	elf->sections = calloc(n, sizeof(*elf->sections));
	if (!raw || !elf->sections)
		return err_set(e, -ENOMEM, "out of memory");
	r = elf_read(elf, header->e_shoff, raw, n * sizeof(*raw), e);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n; i++)
		elf->sections[i] = (struct elf_section){
			.name = "",
			.type = raw[i].sh_type,
			.link = raw[i].sh_link,
			.flags = raw[i].sh_flags,
			.address = raw[i].sh_addr,
			.offset = raw[i].sh_offset,
			.size = raw[i].sh_size,
			.entry_size = raw[i].sh_entsize,
		};
	elf->n_sections = n;
	return read_names(elf, raw, header->e_shstrndx, e);
}

static int read_header(struct elf *elf, Elf64_Ehdr *ret, struct err *e)
{
	int r;

	if (elf->file_size < sizeof(*ret))
		return err_set(e, -ENOEXEC, "not an ELF file");
	r = elf_read(elf, 0, ret, sizeof(*ret), e);
	if (r < 0)
		return r;
	if (memcmp(ret->e_ident, ELFMAG, SELFMAG) != 0)
		return err_set(e, -ENOEXEC, "not an ELF file");
	if (ret->e_ident[EI_CLASS] != ELFCLASS64 || ret->e_ident[EI_DATA] != ELFDATA2LSB)
		return err_set(e, -ENOEXEC, "not a 64-bit little-endian ELF file");
	if (ret->e_type != ET_EXEC && ret->e_type != ET_DYN)
		return err_set(e, -ENOEXEC, "an ELF file, but not an executable");
	elf->type = ret->e_type;
	elf->machine = ret->e_machine;
	return 0;
}

int elf_view_open(int fd, struct elf **ret, struct err *e)
{
	cleanup(elf_freep) struct elf *elf = calloc(1, sizeof(*elf));
	Elf64_Ehdr header;
	struct stat st;
	int r;

	if (!elf)
		return err_set(e, -ENOMEM, "out of memory");
	if (fstat(fd, &st) < 0)
		return err_set(e, -errno, "stat: %m");
	if (!S_ISREG(st.st_mode))
		return err_set(e, -ENOEXEC, "not a regular file");
	elf->fd = fd;
	elf->file_size = (uint64_t)st.st_size;
	elf->budget = ELF_READ_BUDGET;
	r = read_header(elf, &header, e);
	if (r < 0)
		return r;
	r = read_segments(elf, &header, e);
	if (r < 0)
		return r;
	r = read_sections(elf, &header, e);
	if (r < 0)
		return r;
	*ret = take_ptr(elf);
	return 0;
}

void elf_free(struct elf *elf)
{
	if (!elf)
		return;
	free(elf->segments);
	free(elf->sections);
	free(elf->names);
	free(elf);
}

const char *elf_machine_name(uint16_t machine)
{
	switch (machine) {
	case EM_X86_64:
		return "x86-64";
	case EM_AARCH64:
		return "arm64";
	default:
		return "another machine";
	}
}

/* The linker's: the header of the file that it makes, as it lies in memory. */
extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

uint16_t elf_own_machine(void)
{
	return __ehdr_start.e_machine;
}

const struct elf_section *elf_find_section(const struct elf *elf, const char *name)
{
	for (uint32_t i = 0; i < elf->n_sections; i++) {
		const struct elf_section *s = &elf->sections[i];

		if (s->type != SHT_NULL && s->type != SHT_NOBITS && !(s->flags & SHF_COMPRESSED) &&
		    strcmp(s->name, name) == 0)
			return s;
	}
	return NULL;
}

bool elf_file_offset(const struct elf *elf, uint64_t address, uint32_t flags, uint64_t *ret_offset,
		     uint64_t *ret_left)
{
	for (uint32_t i = 0; i < elf->n_segments; i++) {
		const struct elf_segment *s = &elf->segments[i];
		uint64_t into = address - s->address;
		uint64_t offset;

		if (s->type != PT_LOAD || (s->flags & flags) != flags || address < s->address ||
		    into >= s->file_size || __builtin_add_overflow(s->offset, into, &offset) ||
		    offset >= elf->file_size)
			continue;
		*ret_offset = offset;
		if (ret_left) {
			uint64_t in_file = elf->file_size - offset;
			uint64_t in_segment = s->file_size - into;

			*ret_left = in_segment < in_file ? in_segment : in_file;
		}
		return true;
	}
	return false;
}

int elf_window_init(struct elf_window *w, struct elf *elf, uint64_t offset, uint64_t size,
		    struct err *e)
{
	*w = (struct elf_window){ .elf = elf, .offset = offset, .size = size, .e = e };
	w->data = malloc(ELF_WINDOW_BYTES);
	if (!w->data)
		w->error = err_set(e, -ENOMEM, "out of memory");
	return w->error;
}

void elf_window_done(struct elf_window *w)
{
	free(w->data);
	w->data = NULL;
}

const uint8_t *elf_window_at(struct elf_window *w, uint64_t offset, size_t len)
{
	uint64_t left;

	if (w->error)
		return NULL;
	if (offset >= w->base && offset - w->base <= w->len && len <= w->len - (offset - w->base))
		return w->data + (offset - w->base);
	if (len > ELF_WINDOW_BYTES || offset > w->size || len > w->size - offset) {
		w->error = err_set(w->e, -EBADMSG, "a table points beyond its own end");
		return NULL;
	}
	if (w->offset > UINT64_MAX - offset) {
		w->error = err_set(w->e, -EBADMSG, "a table lies beyond the end of the file");
		return NULL;
	}
	left = w->size - offset;
	w->base = offset;
	w->len = left < ELF_WINDOW_BYTES ? (size_t)left : ELF_WINDOW_BYTES;
	w->error = elf_read(w->elf, w->offset + offset, w->data, w->len, w->e);
	return w->error ? NULL : w->data;
}
