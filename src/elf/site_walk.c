// SPDX-License-Identifier: Apache-2.0
#include "elf/site_walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool site_walk_next(struct site_walk *w)
{
	return cs_disasm_iter(w->capstone, &w->code, &w->left, &w->address, w->insn);
}

void site_walk_take(struct site_walk *w, enum site_kind kind)
{
	w->ret->kind = kind;
	w->ret->function_offset = (uint32_t)(w->insn->address - w->start);
	snprintf(w->ret->insn, sizeof(w->ret->insn), "%.6s%s%.16s", w->insn->mnemonic,
		 *w->insn->op_str ? " " : "", w->insn->op_str);
}

void site_walk_refuse(struct site_walk *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->ret->why, sizeof(w->ret->why), fmt, ap);
	va_end(ap);
}

void site_walk(cs_arch arch, cs_mode mode, const uint8_t *code, size_t len, uint64_t address,
	       void (*choose)(struct site_walk *w), struct site *ret)
{
	struct site_walk w = {
		.code = code, .left = len, .start = address, .address = address, .ret = ret
	};

	memset(ret, 0, sizeof(*ret));
	if (cs_open(arch, mode, &w.capstone) != CS_ERR_OK) {
		site_walk_refuse(&w, "the disassembler could not be started");
		return;
	}
	cs_option(w.capstone, CS_OPT_DETAIL, CS_OPT_ON);
	w.insn = cs_malloc(w.capstone);
	if (w.insn) {
		choose(&w);
		cs_free(w.insn, 1);
	} else {
		site_walk_refuse(&w, "out of memory");
	}
	cs_close(&w.capstone);
}
