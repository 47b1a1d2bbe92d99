// SPDX-License-Identifier: Apache-2.0
#include "elf/symtab.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "elf/nametab.h"

#define MAX_SYMBOLS (4u << 20)

static int scan(struct elf *elf, const struct elf_section *symtab, const struct nametab *names,
		struct function *ret, struct err *e)
{
	cleanup(elf_window_done) struct elf_window w = {};
	uint64_t n = symtab->size / sizeof(Elf64_Sym);
	int found = 0;
	int r;

	if (n > MAX_SYMBOLS)
		return err_set(e, -E2BIG, "it has more than %u symbols", MAX_SYMBOLS);
	r = elf_window_init(&w, elf, symtab->offset, symtab->size, e);
	if (r < 0)
		return r;
	for (uint64_t i = 0; i < n; i++) {
		const uint8_t *raw = elf_window_at(&w, i * sizeof(Elf64_Sym), sizeof(Elf64_Sym));
		Elf64_Sym symbol;
		int name;

		if (!raw)
			return w.error;
		memcpy(&symbol, raw, sizeof(symbol));
		name = nametab_lookup(names, symbol.st_name);
		if (name < 0 || ELF64_ST_TYPE(symbol.st_info) != STT_FUNC ||
		    symbol.st_shndx == SHN_UNDEF || symbol.st_value == 0 || ret[name].address != 0)
			continue;
		ret[name].address = symbol.st_value;
		ret[name].size = symbol.st_size;
		found++;
	}
	return found;
}

int symtab_find(struct elf *elf, const char *const *names, uint32_t n_names, struct function *ret,
		struct err *e)
{
	const struct elf_section *symtab = elf_find_section(elf, ".symtab");
	const struct elf_section *strtab;
	struct nametab found;
	int r;

	memset(ret, 0, n_names * sizeof(*ret));
	if (!symtab)
		return err_set(e, -ENODATA, "it has no symbols");
	if (symtab->entry_size != sizeof(Elf64_Sym) || symtab->link >= elf->n_sections)
		return err_set(e, -EBADMSG, "its symbols have an unknown form");
	strtab = &elf->sections[symtab->link];
	if (strtab->type != SHT_STRTAB)
		return err_set(e, -EBADMSG, "its symbols have no names");
	r = nametab_find(elf, strtab->offset, strtab->size, names, n_names, &found, e);
	if (r < 0)
		return r;
	return scan(elf, symtab, &found, ret, e);
}
