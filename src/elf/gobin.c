// SPDX-License-Identifier: Apache-2.0
#include "elf/gobin.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "elf/elf.h"
#include "elf/gobuild.h"
#include "elf/pclntab.h"
#include "elf/symtab.h"

/* Enough for the longest stack check and what follows it. */
#define ENTRY_BYTES 64

_Static_assert(GOBIN_MAX_FUNCTIONS <= 16, "nametab.h looks for 16 names at once");

static void refuse(struct site *ret, const char *why)
{
	*ret = (struct site){ .kind = SITE_NONE };
	snprintf(ret->why, sizeof(ret->why), "%s", why);
}

static int choose_site(struct elf *elf, struct gobin_function *f, struct err *e)
{
	uint8_t code[ENTRY_BYTES];
	uint64_t offset, len;
	int r;

	if (f->address == 0) {
		refuse(&f->site, "the program has no such function");
		return 0;
	}
	if (!elf_file_offset(elf, f->address, PF_X, &offset, &len))
		return err_set(e, -EBADMSG, "a Go function lies outside the program's code");
	if (f->size != 0 && f->size < len)
		len = f->size;
	if (len > sizeof(code))
		len = sizeof(code);
	r = elf_read(elf, offset, code, len, e);
	if (r < 0)
		return r;
	site_choose_go(elf->machine, code, len, f->address, &f->site);
	if (f->site.kind != SITE_NONE)
		f->site.file_offset = offset + f->site.function_offset;
	return 0;
}

static int find_in_pclntab(struct elf *elf, const char *const *names, uint32_t n_names,
			   struct function *functions, struct err *e)
{
	struct pclntab table;
	int r;

	r = pclntab_open(elf, &table, e);
	if (r == -ENODATA)
		return err_set(e, -EBADMSG, "a Go program whose function table is missing");
	if (r < 0)
		return r;
	return pclntab_find(elf, &table, names, n_names, functions, e);
}

/*
 * .symtab when it knows any of the functions. One that knows none may have been cut down to the C
 * half of the program, so the runtime's own table is asked too, and need not be one that we can read.
 */
static int find_functions(struct elf *elf, const char *const *names, uint32_t n_names,
			  struct function *functions, struct gobin *ret, struct err *e)
{
	int r = 0;

	ret->stripped = !elf_find_section(elf, ".symtab");
	ret->source = ret->stripped ? GOBIN_PCLNTAB : GOBIN_SYMTAB;
	if (n_names == 0)
		return 0;
	if (ret->stripped)
		return find_in_pclntab(elf, names, n_names, functions, e);
	r = symtab_find(elf, names, n_names, functions, e);
	if (r != 0)
		return r;
	r = find_in_pclntab(elf, names, n_names, functions, NULL);
	if (r > 0)
		ret->source = GOBIN_PCLNTAB;
	else
		memset(functions, 0, n_names * sizeof(*functions));
	return 0;
}

static int check_program(const struct elf *elf, uint32_t n_names, struct err *e)
{
	if (n_names > GOBIN_MAX_FUNCTIONS)
		return err_set(e, -EINVAL, "more than %d functions at once", GOBIN_MAX_FUNCTIONS);
	if (elf->machine != EM_X86_64 && elf->machine != EM_AARCH64)
		return err_set(e, -ENOEXEC, "a program for another machine (ELF machine %u)",
			       elf->machine);
	return 0;
}

/* Fills in everything but the functions. -ENODATA: nothing says that this is a Go program. */
static int read_identity(struct elf *elf, struct gobin *ret, struct err *e)
{
	int r;

	if (elf_find_section(elf, ".go.buildinfo")) {
		r = gobuild_version(elf, ret->version, sizeof(ret->version), e);
		if (r < 0)
			return r;
	} else if (!elf_find_section(elf, ".gopclntab")) {
		return err_set(e, -ENODATA, "not a Go program");
	}
	gobuild_parse_version(ret->version, &ret->major, &ret->minor);
	gobuild_id(elf, ret->build_id);
	ret->machine = elf->machine;
	ret->pie = elf->type == ET_DYN;
	return 0;
}

int gobin_read(int fd, const char *const *names, uint32_t n_names, struct gobin *ret, struct err *e)
{
	cleanup(elf_freep) struct elf *elf = NULL;
	struct function functions[GOBIN_MAX_FUNCTIONS];
	struct gobin found = { .n_functions = n_names };
	int r;

	r = elf_view_open(fd, &elf, e);
	if (r < 0)
		return r;
	r = check_program(elf, n_names, e);
	if (r < 0)
		return r;
	r = read_identity(elf, &found, e);
	if (r < 0)
		return r;
	r = find_functions(elf, names, n_names, functions, &found, e);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n_names; i++) {
		found.functions[i].address = functions[i].address;
		found.functions[i].size = functions[i].size;
		r = choose_site(elf, &found.functions[i], e);
		if (r < 0)
			return r;
	}
	*ret = found;
	return 0;
}
