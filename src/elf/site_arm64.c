// SPDX-License-Identifier: Apache-2.0
#include "elf/site_walk.h"

/*
 * What Go's compiler puts before a function's body (cmd/internal/obj/arm64, stacksplit), the same in
 * Go 1.19 to 1.27:
 *     frame up to 128 bytes      ldr x16, [x28, #16]; cmp sp, x16; b.ls
 *     up to 4 KB                 ldr x16, ...; sub x17, sp, #n; cmp x17, x16; b.ls
 *     larger                     ldr x16, ...; subs x17, sp, n; b.lo; cmp x17, x16; b.ls
 * where an n that fits no instruction is put together in x27 first. x28 is the goroutine, whose
 * stack guard lies at 16; x16, x17 and x27 carry no arguments. Both jumps lead to
 * runtime.morestack, which starts the function over on a larger stack. b.ls is taken when the
 * comparison found "lower or same", unsigned: carry clear or zero set. A frame so large that b.lo
 * is taken skips b.ls, and so hits it in the second run alone.
 *
 * The kernel simulates b.ls, as it does all branches (arch/arm64/kernel/probes/decode-insn.c), and
 * single-steps what stands behind it. So the jump is the place, in every Go.
 */
#define STACK_GUARD	 16
#define MAX_INSTRUCTIONS 8
#define INSN_BYTES	 4

static bool is_reg(const cs_arm64_op *op, arm64_reg reg)
{
	return op->type == ARM64_OP_REG && op->reg == reg && op->shift.value == 0 &&
	       op->ext == ARM64_EXT_INVALID;
}

/* ldr x16, [x28, #16] */
static bool loads_guard(const cs_insn *insn)
{
	const cs_arm64 *a = &insn->detail->arm64;
	const cs_arm64_op *from = &a->operands[1];

	return insn->id == ARM64_INS_LDR && a->op_count == 2 && !a->writeback &&
	       is_reg(&a->operands[0], ARM64_REG_X16) && from->type == ARM64_OP_MEM &&
	       from->mem.base == ARM64_REG_X28 && from->mem.index == ARM64_REG_INVALID &&
	       from->mem.disp == STACK_GUARD;
}

/* A step towards a constant in x27: movz, movk, or orr with the zero register. */
static bool makes_constant(const cs_insn *insn)
{
	const cs_arm64 *a = &insn->detail->arm64;

	switch (insn->id) {
	case ARM64_INS_MOV:
	case ARM64_INS_MOVZ:
	case ARM64_INS_MOVK:
		return a->op_count == 2 && is_reg(&a->operands[0], ARM64_REG_X27) &&
		       a->operands[1].type == ARM64_OP_IMM;
	case ARM64_INS_ORR:
		return a->op_count == 3 && is_reg(&a->operands[0], ARM64_REG_X27) &&
		       is_reg(&a->operands[1], ARM64_REG_XZR) &&
		       a->operands[2].type == ARM64_OP_IMM;
	default:
		return false;
	}
}

/* Where the frame would end: x17 = sp - n; capstone calls subs by the same number as sub. */
static bool makes_end(const cs_insn *insn)
{
	const cs_arm64 *a = &insn->detail->arm64;

	return insn->id == ARM64_INS_SUB && a->op_count == 3 &&
	       is_reg(&a->operands[0], ARM64_REG_X17) && is_reg(&a->operands[1], ARM64_REG_SP) &&
	       (a->operands[2].type == ARM64_OP_IMM || is_reg(&a->operands[2], ARM64_REG_X27));
}

static bool compares(const cs_insn *insn, arm64_reg end)
{
	const cs_arm64 *a = &insn->detail->arm64;

	return insn->id == ARM64_INS_CMP && a->op_count == 2 && is_reg(&a->operands[0], end) &&
	       is_reg(&a->operands[1], ARM64_REG_X16);
}

static bool is_jump_if(const cs_insn *insn, arm64_cc condition)
{
	return insn->id == ARM64_INS_B && insn->detail->arm64.cc == condition;
}

/*
 * From the guard's load to the comparison, in the order in which Go writes them and with nothing
 * between: where so little is allowed nothing can overwrite an argument.
 */
static bool walk_check(struct site_walk *w)
{
	arm64_reg end = ARM64_REG_SP;
	bool may_wrap = false;

	if (!site_walk_next(w) || !loads_guard(w->insn))
		return false;
	for (int i = 0; i < MAX_INSTRUCTIONS && site_walk_next(w); i++) {
		const cs_insn *insn = w->insn;

		if (compares(insn, end))
			return true;
		if (end == ARM64_REG_SP && makes_constant(insn))
			continue;
		if (end == ARM64_REG_SP && makes_end(insn)) {
			end = ARM64_REG_X17;
			may_wrap = insn->detail->arm64.update_flags;
		} else if (may_wrap && is_jump_if(insn, ARM64_CC_LO)) {
			may_wrap = false;
		} else {
			return false;
		}
	}
	return false;
}

static void choose(struct site_walk *w)
{
	if (w->start % INSN_BYTES != 0)
		site_walk_refuse(w, "it does not begin where arm64 instructions can");
	else if (!walk_check(w))
		site_walk_refuse(w, "it does not begin with Go's stack check, by which a repeated "
				    "hit could be told");
	else if (!site_walk_next(w) || !is_jump_if(w->insn, ARM64_CC_LS))
		site_walk_refuse(w, "its stack check does not end in b.ls");
	else
		site_walk_take(w, SITE_BCOND);
}

void site_choose_go_arm64(const uint8_t *code, size_t len, uint64_t address, struct site *ret)
{
	site_walk(CS_ARCH_ARM64, CS_MODE_ARM, code, len, address, choose, ret);
}
