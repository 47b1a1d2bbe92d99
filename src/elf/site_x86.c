// SPDX-License-Identifier: Apache-2.0
#include "elf/site_walk.h"

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

/* Behind the cmp of the stack check: its jump, and then perhaps a push. */
static void choose_behind_check(struct site_walk *w)
{
	if (!site_walk_next(w) || w->insn->id != X86_INS_JBE) {
		site_walk_refuse(w, "its stack check does not end in a jump");
		return;
	}
	site_walk_take(w, SITE_JCC);
	if (site_walk_next(w) && w->insn->id == X86_INS_PUSH)
		site_walk_take(w, SITE_PUSH);
}

static void choose(struct site_walk *w)
{
	unsigned int previous = X86_INS_INVALID;

	for (int i = 0; i < MAX_INSTRUCTIONS && site_walk_next(w); i++, previous = w->insn->id) {
		const cs_insn *insn = w->insn;
		const char *lost;

		if (is_stack_check(insn)) {
			choose_behind_check(w);
			return;
		}
		if (insn->id == X86_INS_PUSH) {
			/* The programs judge each hit by the flags of the check (GO_WILL_RESTART). */
			site_walk_refuse(
				w, "it has no stack check, by which a repeated hit could be told");
			return;
		}
		if (prepares_check(insn, previous))
			continue;
		lost = overwrites(w->capstone, insn);
		if (lost) {
			site_walk_refuse(
				w, "%s is overwritten before any place that is cheap to probe",
				lost);
			return;
		}
		if (cs_insn_group(w->capstone, insn, CS_GRP_JUMP) ||
		    cs_insn_group(w->capstone, insn, CS_GRP_CALL) ||
		    cs_insn_group(w->capstone, insn, CS_GRP_RET))
			break;
	}
	site_walk_refuse(w, "it has neither a stack check nor a push where it begins");
}

void site_choose_go_x86(const uint8_t *code, size_t len, uint64_t address, struct site *ret)
{
	site_walk(CS_ARCH_X86, CS_MODE_64, code, len, address, choose, ret);
}
