/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * A Go executable of 4 KB, made by hand: three functions, and every table that elf/ reads, for
 * x86-64 or arm64. Unit tests spoil single fields of it; the fuzzer starts from it. All of it is one
 * segment.
 */
#define IMAGE_BASE 0x400000ULL
#define IMAGE_SIZE 0x1000

enum {
	/*
	 * 32 bytes each: main.main, with a push behind the check on x86-64; main.work, with the check's
	 * jump alone; main.idle, with nothing.
	 */
	AT_CODE = 0x200,
	AT_BUILDINFO = 0x300,
	AT_PCLNTAB = 0x400,
	AT_NAMES = 0x48, /* from here to AT_ENTRIES: relative to AT_PCLNTAB */
	AT_ENTRIES = 0xa0,
	AT_DESCRIPTIONS = 0x20, /* relative to the entries */
	AT_MODULE = 0x600,
	AT_RELA = 0x700,
	AT_SYMTAB = 0x780,
	AT_STRTAB = 0x800,
	AT_NOTE = 0x880,
	AT_SECTION_NAMES = 0x900,
	AT_SECTIONS = 0xa00,
};

enum image_section {
	SECTION_NULL,
	SECTION_TEXT,
	SECTION_BUILDINFO,
	SECTION_PCLNTAB,
	SECTION_MODULE,
	SECTION_RELA,
	SECTION_SYMTAB,
	SECTION_STRTAB,
	SECTION_NOTE,
	SECTION_NAMES,
	N_SECTIONS,
};

/* Where the address of the code is to be found. */
enum image_text { TEXT_IN_TABLE, TEXT_RELOCATED, TEXT_IN_MODULE, TEXT_IN_MODULE_RELOCATED };

struct image {
	uint8_t data[IMAGE_SIZE];
	uint32_t names_len; /* of the section names */
};

static inline void image_put(struct image *i, uint64_t at, uint64_t value, size_t size)
{
	memcpy(i->data + at, &value, size);
}

static inline uint64_t image_header_field(enum image_section s, size_t field)
{
	return AT_SECTIONS + (uint64_t)s * sizeof(Elf64_Shdr) + field;
}

static inline void image_add_section(struct image *i, enum image_section index, const char *name,
				     uint32_t type, uint64_t at, uint64_t size, uint64_t entry)
{
	Elf64_Shdr s = { .sh_name = i->names_len,
			 .sh_type = type,
			 .sh_flags = index < SECTION_SYMTAB ? SHF_ALLOC : 0,
			 .sh_addr = index < SECTION_SYMTAB ? IMAGE_BASE + at : 0,
			 .sh_offset = at,
			 .sh_size = size,
			 .sh_link = index == SECTION_SYMTAB ? SECTION_STRTAB : 0,
			 .sh_entsize = entry };

	memcpy(i->data + AT_SECTIONS + index * sizeof(s), &s, sizeof(s));
	memcpy(i->data + AT_SECTION_NAMES + i->names_len, name, strlen(name));
	i->names_len += (uint32_t)strlen(name) + 1;
}

static inline void image_add_headers(struct image *i, uint16_t type, uint16_t machine)
{
	Elf64_Ehdr h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			 .e_type = type,
			 .e_machine = machine,
			 .e_version = EV_CURRENT,
			 .e_phoff = sizeof(h),
			 .e_shoff = AT_SECTIONS,
			 .e_ehsize = sizeof(h),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 1,
			 .e_shentsize = sizeof(Elf64_Shdr),
			 .e_shnum = N_SECTIONS,
			 .e_shstrndx = SECTION_NAMES };
	Elf64_Phdr load = { .p_type = PT_LOAD,
			    .p_flags = PF_R | PF_X,
			    .p_vaddr = IMAGE_BASE,
			    .p_filesz = IMAGE_SIZE,
			    .p_memsz = IMAGE_SIZE };

	memcpy(i->data, &h, sizeof(h));
	memcpy(i->data + sizeof(h), &load, sizeof(load));
}

static inline void image_add_code_arm64(struct image *i)
{
	/* ldr x16, [x28, #16]; then cmp sp, x16, or sub x17, sp, #48; cmp x17, x16; then b.ls */
	static const uint32_t small[] = { 0xf9400b90, 0xeb3063ff, 0x54000089 };
	static const uint32_t medium[] = { 0xf9400b90, 0xd100c3f1, 0xeb10023f, 0x54000069 };

	for (uint64_t at = 0; at < 96; at += 4)
		image_put(i, AT_CODE + at, 0xd65f03c0, 4); /* ret */
	memcpy(i->data + AT_CODE, small, sizeof(small));
	memcpy(i->data + AT_CODE + 32, medium, sizeof(medium));
}

static inline void image_add_code_x86(struct image *i)
{
	static const uint8_t pushes[] = { 0x49, 0x3b, 0x66, 0x10, 0x76, 0x10, 0x55 };
	static const uint8_t jumps[] = {
		0x49, 0x3b, 0x66, 0x10, 0x76, 0x10, 0x48, 0x83, 0xec, 0x18
	};

	memset(i->data + AT_CODE, 0xc3, 96);
	memcpy(i->data + AT_CODE, pushes, sizeof(pushes));
	memcpy(i->data + AT_CODE + 32, jumps, sizeof(jumps));
}

static inline void image_add_pclntab(struct image *i, uint16_t machine, uint32_t magic,
				     uint64_t text)
{
	static const char names[] = "\0main.main\0main.work\0main.idle";
	const uint64_t entries = AT_PCLNTAB + AT_ENTRIES;

	image_put(i, AT_PCLNTAB, magic, 4);
	image_put(i, AT_PCLNTAB + 6, machine == EM_AARCH64 ? 4 : 1, 1);
	image_put(i, AT_PCLNTAB + 7, 8, 1);
	image_put(i, AT_PCLNTAB + 8, 3, 8);
	image_put(i, AT_PCLNTAB + 24, text, 8);
	image_put(i, AT_PCLNTAB + 32, AT_NAMES, 8);
	for (int field = 40; field < 64; field += 8)
		image_put(i, AT_PCLNTAB + (uint64_t)field, AT_NAMES + sizeof(names), 8);
	image_put(i, AT_PCLNTAB + 64, AT_ENTRIES, 8);
	memcpy(i->data + AT_PCLNTAB + AT_NAMES, names, sizeof(names));
	for (uint64_t f = 0; f < 3; f++) {
		image_put(i, entries + f * 8, f * 32, 4);
		image_put(i, entries + f * 8 + 4, AT_DESCRIPTIONS + f * 8, 4);
		image_put(i, entries + AT_DESCRIPTIONS + f * 8, f * 32, 4);
		image_put(i, entries + AT_DESCRIPTIONS + f * 8 + 4, 1 + f * 10, 4);
	}
	image_put(i, entries + 24, 96, 4);
}

static inline void image_add_symbols(struct image *i)
{
	static const char names[] = "\0main.idle\0main.main\0main.work\0file.c";

	memcpy(i->data + AT_STRTAB, names, sizeof(names));
	for (uint64_t f = 0; f < 3; f++) {
		Elf64_Sym s = { .st_name = (uint32_t)(1 + (f + 1) % 3 * 10),
				.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
				.st_shndx = SECTION_TEXT,
				.st_value = IMAGE_BASE + AT_CODE + f * 32,
				.st_size = 30 };

		memcpy(i->data + AT_SYMTAB + (f + 1) * sizeof(s), &s, sizeof(s));
	}
}

static inline void image_add_text_pointer(struct image *i, uint16_t machine, enum image_text text)
{
	uint64_t code = IMAGE_BASE + AT_CODE;
	uint64_t type = machine == EM_AARCH64 ? R_AARCH64_RELATIVE : R_X86_64_RELATIVE;
	Elf64_Rela rela = { .r_info = ELF64_R_INFO(0, type), .r_addend = (int64_t)code };

	if (text == TEXT_IN_MODULE)
		image_put(i, AT_MODULE + 176, code, 8);
	rela.r_offset = IMAGE_BASE + (text == TEXT_RELOCATED ? AT_PCLNTAB + 24 : AT_MODULE + 176);
	if (text == TEXT_RELOCATED || text == TEXT_IN_MODULE_RELOCATED)
		memcpy(i->data + AT_RELA + sizeof(rela), &rela, sizeof(rela));
}

static inline void image_make_for(struct image *i, uint16_t machine, uint32_t magic,
				  enum image_text text, bool stripped)
{
	static const uint8_t note[] = { 4, 0, 0,   0,	4,   0, 0,    0,    3,	  0,
					0, 0, 'G', 'N', 'U', 0, 0xde, 0xad, 0xbe, 0xef };
	bool module = text == TEXT_IN_MODULE || text == TEXT_IN_MODULE_RELOCATED;

	memset(i, 0, sizeof(*i));
	image_add_headers(i, text == TEXT_IN_TABLE ? ET_EXEC : ET_DYN, machine);
	if (machine == EM_AARCH64)
		image_add_code_arm64(i);
	else
		image_add_code_x86(i);
	memcpy(i->data + AT_BUILDINFO, "\xff Go buildinf:\x08\x02", 16);
	memcpy(i->data + AT_BUILDINFO + 32, "\x08go1.24.3\0", 10);
	image_add_pclntab(i, machine, magic, text == TEXT_IN_TABLE ? IMAGE_BASE + AT_CODE : 0);
	image_add_text_pointer(i, machine, text);
	image_add_symbols(i);
	memcpy(i->data + AT_NOTE, note, sizeof(note));

	image_add_section(i, SECTION_NULL, "", SHT_NULL, 0, 0, 0);
	image_add_section(i, SECTION_TEXT, ".text", SHT_PROGBITS, AT_CODE, 96, 0);
	image_add_section(i, SECTION_BUILDINFO, ".go.buildinfo", SHT_PROGBITS, AT_BUILDINFO, 48, 0);
	image_add_section(i, SECTION_PCLNTAB, ".gopclntab", SHT_PROGBITS, AT_PCLNTAB, 0x100, 0);
	image_add_section(i, SECTION_MODULE, module ? ".go.module" : ".data", SHT_PROGBITS,
			  AT_MODULE, 0x100, 0);
	image_add_section(i, SECTION_RELA, ".rela.dyn", SHT_RELA, AT_RELA, 72, sizeof(Elf64_Rela));
	image_add_section(i, SECTION_SYMTAB, stripped ? ".stripped" : ".symtab", SHT_SYMTAB,
			  AT_SYMTAB, 96, sizeof(Elf64_Sym));
	image_add_section(i, SECTION_STRTAB, ".strtab", SHT_STRTAB, AT_STRTAB, 0x40, 0);
	image_add_section(i, SECTION_NOTE, ".note.gnu.build-id", SHT_NOTE, AT_NOTE, sizeof(note),
			  0);
	image_add_section(i, SECTION_NAMES, ".shstrtab", SHT_STRTAB, AT_SECTION_NAMES, 0x100, 0);
}

static inline void image_make(struct image *i, uint32_t magic, enum image_text text, bool stripped)
{
	image_make_for(i, EM_X86_64, magic, text, stripped);
}

/* A descriptor of @len bytes in memory, or -1. */
static inline int image_open(const void *data, size_t len)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, data, len) != (ssize_t)len) {
		close(fd);
		return -1;
	}
	return fd;
}
