// SPDX-License-Identifier: Apache-2.0
#include "elf/pclntab.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "elf/cur.h"
#include "elf/nametab.h"

#define MAGIC_1_18 0xfffffff0
#define MAGIC_1_20 0xfffffff1

/* struct runtime.pcHeader: magic, 2 bytes of 0, instruction quantum, pointer size, 8 words. */
#define HEADER_LEN	  72
#define HEADER_TEXT_START 24
#define ALIGNMENT	  8

/* struct runtime.moduledata, the same in Go 1.18 to 1.27 up to this field. */
#define MODULEDATA_TEXT 176

/* Chromium-sized programs have half a million functions. */
#define MAX_FUNCTIONS (2u << 20)

static int parse_header(struct pclntab *t, const uint8_t *raw, uint64_t *ret_text_start)
{
	struct cur c = cur_of(raw, HEADER_LEN);
	uint32_t magic = cur_u32(&c);
	uint8_t zero1 = cur_u8(&c), zero2 = cur_u8(&c);
	uint8_t quantum = cur_u8(&c), pointer = cur_u8(&c);
	uint64_t cu, files, pcs;

	if ((magic != MAGIC_1_18 && magic != MAGIC_1_20) || zero1 || zero2 || pointer != 8 ||
	    (quantum != 1 && quantum != 2 && quantum != 4))
		return -ENODATA;
	t->n_functions = cur_u64(&c);
	cur_u64(&c); /* number of files */
	*ret_text_start = cur_u64(&c);
	t->names_offset = cur_u64(&c);
	cu = cur_u64(&c);
	files = cur_u64(&c);
	pcs = cur_u64(&c);
	t->functions_offset = cur_u64(&c);
	if (t->names_offset < HEADER_LEN || t->names_offset > cu || cu > files || files > pcs ||
	    pcs > t->functions_offset || t->functions_offset > t->size)
		return -EBADMSG;
	t->names_size = cu - t->names_offset;
	/* Each entry is two numbers; one more number ends the list. */
	if (t->n_functions == 0 || t->n_functions > (t->size - t->functions_offset) / 8)
		return -EBADMSG;
	return 0;
}

/*
 * The external linker merges a position-independent program's table into a larger section: look for
 * a header that holds together.
 */
static int find_inside(struct elf *elf, const char *section, struct pclntab *ret,
		       uint64_t *ret_text_start, struct err *e)
{
	cleanup(elf_window_done) struct elf_window w = {};
	const struct elf_section *s = elf_find_section(elf, section);
	int r;

	if (!s)
		return -ENODATA;
	r = elf_window_init(&w, elf, s->offset, s->size, e);
	if (r < 0)
		return r;
	for (uint64_t at = 0; s->size >= HEADER_LEN && at <= s->size - HEADER_LEN;
	     at += ALIGNMENT) {
		const uint8_t *raw = elf_window_at(&w, at, HEADER_LEN);

		if (!raw)
			return w.error;
		*ret = (struct pclntab){ .offset = s->offset + at,
					 .size = s->size - at,
					 .address = s->address + at };
		if (parse_header(ret, raw, ret_text_start) == 0)
			return 0;
	}
	return -ENODATA;
}

static int find_table(struct elf *elf, struct pclntab *ret, uint64_t *ret_text_start, struct err *e)
{
	static const char *const own[] = { ".gopclntab", ".data.rel.ro.gopclntab" };
	static const char *const shared[] = { ".data.rel.ro", ".rodata" };
	uint8_t raw[HEADER_LEN];
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		const struct elf_section *s = elf_find_section(elf, own[i]);

		if (!s)
			continue;
		*ret = (struct pclntab){ .offset = s->offset,
					 .size = s->size,
					 .address = s->address };
		if (s->size < HEADER_LEN)
			return err_set(e, -EBADMSG, "its Go function table is too short");
		r = elf_read(elf, s->offset, raw, sizeof(raw), e);
		if (r < 0)
			return r;
		if (parse_header(ret, raw, ret_text_start) < 0)
			return err_set(e, -EBADMSG, "its Go function table has an unknown form");
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(shared); i++) {
		r = find_inside(elf, shared[i], ret, ret_text_start, e);
		if (r != -ENODATA)
			return r;
	}
	return err_set(e, -ENODATA, "it has no Go function table");
}

static bool is_relative(const struct elf *elf, uint64_t info)
{
	return ELF64_R_TYPE(info) ==
	       (elf->machine == EM_X86_64 ? R_X86_64_RELATIVE : R_AARCH64_RELATIVE);
}

/*
 * What the dynamic linker will put at @address, relative to where it loads the program: 1 and the
 * value, or 0: it puts nothing there. (Packed relocations, RELR, keep the value in place.)
 */
static int relocated_word(struct elf *elf, uint64_t address, uint64_t *ret, struct err *e)
{
	for (uint32_t i = 0; i < elf->n_sections; i++) {
		cleanup(elf_window_done) struct elf_window w = {};
		const struct elf_section *s = &elf->sections[i];
		int r;

		if (s->type != SHT_RELA || !(s->flags & SHF_ALLOC) ||
		    s->entry_size != sizeof(Elf64_Rela))
			continue;
		r = elf_window_init(&w, elf, s->offset, s->size, e);
		if (r < 0)
			return r;
		for (uint64_t at = 0; at + sizeof(Elf64_Rela) <= s->size;
		     at += sizeof(Elf64_Rela)) {
			const uint8_t *raw = elf_window_at(&w, at, sizeof(Elf64_Rela));
			Elf64_Rela rela;

			if (!raw)
				return w.error;
			memcpy(&rela, raw, sizeof(rela));
			if (rela.r_offset == address && is_relative(elf, rela.r_info)) {
				*ret = (uint64_t)rela.r_addend;
				return 1;
			}
		}
	}
	return 0;
}

/* The pointer at @address as it will be in memory: in place, or as a relocation, or 0. */
static int read_pointer(struct elf *elf, uint64_t address, uint64_t *ret, struct err *e)
{
	uint64_t offset, left;
	int r;

	*ret = 0;
	if (!elf_file_offset(elf, address, 0, &offset, &left) || left < sizeof(*ret))
		return err_set(e, -EBADMSG, "a pointer of its Go tables lies outside the program");
	r = elf_read(elf, offset, ret, sizeof(*ret), e);
	if (r < 0 || *ret != 0)
		return r;
	r = relocated_word(elf, address, ret, e);
	return r < 0 ? r : 0;
}

/*
 * Up to Go 1.25 the table itself says where the code starts. From 1.26 on only runtime.moduledata
 * does, which then has a section of its own.
 */
static int find_text(struct elf *elf, struct pclntab *t, uint64_t in_header, struct err *e)
{
	const struct elf_section *module = elf_find_section(elf, ".go.module");
	uint64_t offset;
	int r = 0;

	t->text = in_header;
	if (t->text == 0 && module)
		r = read_pointer(elf, module->address + MODULEDATA_TEXT, &t->text, e);
	else if (t->text == 0)
		r = read_pointer(elf, t->address + HEADER_TEXT_START, &t->text, e);
	if (r < 0)
		return r;
	if (t->text == 0 || !elf_file_offset(elf, t->text, PF_X, &offset, NULL))
		return err_set(e, -EBADMSG, "its Go tables do not tell where its code starts");
	return 0;
}

int pclntab_open(struct elf *elf, struct pclntab *ret, struct err *e)
{
	uint64_t text_start = 0;
	int r;

	r = find_table(elf, ret, &text_start, e);
	if (r < 0)
		return r;
	if (ret->n_functions > MAX_FUNCTIONS)
		return err_set(e, -E2BIG, "it has more than %u Go functions", MAX_FUNCTIONS);
	return find_text(elf, ret, text_start, e);
}

/* One entry of the function list: {u32 code offset, u32 offset of its description}. */
static int read_entry(struct elf_window *w, uint64_t index, uint32_t *ret_code, uint32_t *ret_desc)
{
	const uint8_t *raw = elf_window_at(w, index * 8, 8);
	struct cur c;

	if (!raw)
		return w->error;
	c = cur_of(raw, 8);
	*ret_code = cur_u32(&c);
	*ret_desc = cur_u32(&c);
	return 0;
}

/* The last function ends where the number behind the list says. */
static int read_end(struct elf_window *w, uint64_t n, uint32_t *ret)
{
	const uint8_t *raw = elf_window_at(w, n * 8, 4);
	struct cur c;

	if (!raw)
		return w->error;
	c = cur_of(raw, 4);
	*ret = cur_u32(&c);
	return 0;
}

/* A description starts {u32 code offset, i32 offset of the name}. */
static int read_name_offset(struct elf_window *w, uint32_t desc, uint32_t code, uint32_t *ret)
{
	const uint8_t *raw = elf_window_at(w, desc, 8);
	struct cur c;

	if (!raw)
		return w->error;
	c = cur_of(raw, 8);
	if (cur_u32(&c) != code)
		return err_set(w->e, -EBADMSG, "its Go function table contradicts itself");
	*ret = cur_u32(&c);
	return 0;
}

static int scan(const struct pclntab *t, const struct nametab *names, struct elf_window *entries,
		struct elf_window *descriptions, struct function *ret)
{
	uint32_t code, desc, next, next_desc = 0, name_offset = 0;
	int found = 0;
	int r;

	r = read_entry(entries, 0, &code, &desc);
	for (uint64_t i = 0; r == 0 && i < t->n_functions; i++, code = next, desc = next_desc) {
		int name;

		r = i + 1 < t->n_functions ? read_entry(entries, i + 1, &next, &next_desc)
					   : read_end(entries, i + 1, &next);
		if (r < 0)
			return r;
		if (next <= code)
			return err_set(entries->e, -EBADMSG,
				       "its Go function table is not in order");
		r = read_name_offset(descriptions, desc, code, &name_offset);
		if (r < 0)
			return r;
		name = nametab_lookup(names, name_offset);
		if (name < 0 || ret[name].address != 0)
			continue;
		if (__builtin_add_overflow(t->text, code, &ret[name].address))
			return err_set(entries->e, -EBADMSG,
				       "its Go function table points beyond all memory");
		ret[name].size = next - code;
		found++;
	}
	return r < 0 ? r : found;
}

int pclntab_find(struct elf *elf, const struct pclntab *t, const char *const *names,
		 uint32_t n_names, struct function *ret, struct err *e)
{
	cleanup(elf_window_done) struct elf_window entries = {};
	cleanup(elf_window_done) struct elf_window descriptions = {};
	uint64_t functions = t->offset + t->functions_offset;
	uint64_t size = t->size - t->functions_offset;
	struct nametab found;
	int r;

	memset(ret, 0, n_names * sizeof(*ret));
	r = nametab_find(elf, t->offset + t->names_offset, t->names_size, names, n_names, &found,
			 e);
	if (r < 0)
		return r;
	r = elf_window_init(&entries, elf, functions, size, e);
	if (r < 0)
		return r;
	r = elf_window_init(&descriptions, elf, functions, size, e);
	if (r < 0)
		return r;
	return scan(t, &found, &entries, &descriptions, ret);
}
