// SPDX-License-Identifier: Apache-2.0
#include <capstone/capstone.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "elf/site.h"

/*
 * What Go's compiler puts before a function's body (cmd/internal/obj/x86, stacksplit):
 *     frame up to 128 bytes      cmp rsp, [r14+16]; jbe
 *     up to 4 KB                 lea r12, [rsp-n]; cmp r12, [r14+16]; jbe
 *     larger                     mov r12, rsp; sub r12, n; jb; cmp r12, [r14+16]; jbe
 * r14 is the goroutine, whose stack guard lies at 16. The jumps lead to runtime.morestack, which
 * starts the function over on a larger stack. From Go 1.21 on `push rbp` follows.
 */
#define STACK_GUARD	 16
#define MAX_INSTRUCTIONS 8

struct walk {
	csh capstone;
	const uint8_t *code;
	size_t left;
	uint64_t start, address;
	cs_insn *insn;
};

static bool next_insn(struct walk *w)
{
	return cs_disasm_iter(w->capstone, &w->code, &w->left, &w->address, w->insn);
}

static bool is_reg(const cs_x86_op *op, x86_reg reg)
{
	return op->type == X86_OP_REG && op->reg == reg;
}

static bool is_stack_check(const cs_insn *insn)
{
	const cs_x86 *x = &insn->detail->x86;

	return insn->id == X86_INS_CMP && x->op_count == 2 &&
	       (is_reg(&x->operands[0], X86_REG_RSP) || is_reg(&x->operands[0], X86_REG_R12)) &&
	       x->operands[1].type == X86_OP_MEM && x->operands[1].mem.base == X86_REG_R14 &&
	       x->operands[1].mem.index == X86_REG_INVALID &&
	       x->operands[1].mem.disp == STACK_GUARD;
}

/* The part of the check that computes where the frame would end, in r12, which is nobody's. */
static bool prepares_check(const cs_insn *insn, unsigned int previous)
{
	const cs_x86 *x = &insn->detail->x86;

	switch (insn->id) {
	case X86_INS_LEA:
	case X86_INS_MOV:
	case X86_INS_SUB:
		return x->op_count == 2 && is_reg(&x->operands[0], X86_REG_R12);
	case X86_INS_JB:
		return previous == X86_INS_SUB;
	default:
		return false;
	}
}

/* clang-format off */
/* Go passes integers and pointers in these nine, by any of their widths. */
static bool is_argument(uint16_t reg)
{
	switch (reg) {
	case X86_REG_RAX: case X86_REG_EAX: case X86_REG_AX: case X86_REG_AL: case X86_REG_AH:
	case X86_REG_RBX: case X86_REG_EBX: case X86_REG_BX: case X86_REG_BL: case X86_REG_BH:
	case X86_REG_RCX: case X86_REG_ECX: case X86_REG_CX: case X86_REG_CL: case X86_REG_CH:
	case X86_REG_RDI: case X86_REG_EDI: case X86_REG_DI: case X86_REG_DIL:
	case X86_REG_RSI: case X86_REG_ESI: case X86_REG_SI: case X86_REG_SIL:
	case X86_REG_R8:  case X86_REG_R8D:  case X86_REG_R8W:  case X86_REG_R8B:
	case X86_REG_R9:  case X86_REG_R9D:  case X86_REG_R9W:  case X86_REG_R9B:
	case X86_REG_R10: case X86_REG_R10D: case X86_REG_R10W: case X86_REG_R10B:
	case X86_REG_R11: case X86_REG_R11D: case X86_REG_R11W: case X86_REG_R11B:
		return true;
	default:
		return false;
	}
}
/* clang-format on */

/* The name of an argument register that @insn overwrites, or NULL. */
static const char *overwrites(csh capstone, const cs_insn *insn)
{
	cs_regs read, written;
	uint8_t n_read, n_written;

	if (cs_regs_access(capstone, insn, read, &n_read, written, &n_written) != 0)
		return "a register";
	for (uint8_t i = 0; i < n_written; i++)
		if (is_argument(written[i]))
			return cs_reg_name(capstone, written[i]);
	return NULL;
}

static void choose(struct site *ret, const struct walk *w, const cs_insn *insn, enum site_kind kind)
{
	ret->kind = kind;
	ret->function_offset = (uint32_t)(insn->address - w->start);
	snprintf(ret->insn, sizeof(ret->insn), "%.6s%s%.16s", insn->mnemonic,
		 *insn->op_str ? " " : "", insn->op_str);
}

static void refuse(struct site *ret, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void refuse(struct site *ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ret->why, sizeof(ret->why), fmt, ap);
	va_end(ap);
}

/* Behind the cmp of the stack check: its jump, and then perhaps a push. */
static void choose_behind_check(struct walk *w, struct site *ret)
{
	if (!next_insn(w) || w->insn->id != X86_INS_JBE) {
		refuse(ret, "its stack check does not end in a jump");
		return;
	}
	choose(ret, w, w->insn, SITE_JCC);
	if (next_insn(w) && w->insn->id == X86_INS_PUSH)
		choose(ret, w, w->insn, SITE_PUSH);
}

static void walk(struct walk *w, struct site *ret)
{
	unsigned int previous = X86_INS_INVALID;

	for (int i = 0; i < MAX_INSTRUCTIONS && next_insn(w); i++, previous = w->insn->id) {
		const cs_insn *insn = w->insn;
		const char *lost;

		if (is_stack_check(insn)) {
			choose_behind_check(w, ret);
			return;
		}
		if (insn->id == X86_INS_PUSH) {
			/* The programs judge each hit by the flags of the check (GO_WILL_RESTART). */
			refuse(ret, "it has no stack check, by which a repeated hit could be told");
			return;
		}
		if (prepares_check(insn, previous))
			continue;
		lost = overwrites(w->capstone, insn);
		if (lost) {
			refuse(ret, "%s is overwritten before any place that is cheap to probe",
			       lost);
			return;
		}
		if (cs_insn_group(w->capstone, insn, CS_GRP_JUMP) ||
		    cs_insn_group(w->capstone, insn, CS_GRP_CALL) ||
		    cs_insn_group(w->capstone, insn, CS_GRP_RET))
			break;
	}
	refuse(ret, "it has neither a stack check nor a push where it begins");
}

void site_choose_go_x86(const uint8_t *code, size_t len, uint64_t address, struct site *ret)
{
	struct walk w = { .code = code, .left = len, .start = address, .address = address };

	memset(ret, 0, sizeof(*ret));
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &w.capstone) != CS_ERR_OK) {
		refuse(ret, "the disassembler could not be started");
		return;
	}
	cs_option(w.capstone, CS_OPT_DETAIL, CS_OPT_ON);
	w.insn = cs_malloc(w.capstone);
	if (w.insn) {
		walk(&w, ret);
		cs_free(w.insn, 1);
	} else {
		refuse(ret, "out of memory");
	}
	cs_close(&w.capstone);
}
