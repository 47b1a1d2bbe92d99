/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

/*
 * Registers at a probe, by architecture: the only place of bpf/ that knows one from another. What
 * struct pt_regs looks like is the kernel's user ABI and never changes.
 *
 * Go's own calling convention (ABIInternal, amd64 since Go 1.17): integer and pointer arguments in
 * this order, the receiver first; a string takes two, an interface two (itab, data), a slice three. The
 * goroutine, *runtime.g, has a register of its own.
 */
#if defined(__TARGET_ARCH_x86)

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};

#define GO_ARG0(ctx) ((ctx)->ax)
#define GO_ARG1(ctx) ((ctx)->bx)
#define GO_ARG2(ctx) ((ctx)->cx)
#define GO_ARG3(ctx) ((ctx)->di)
#define GO_G(ctx)    ((ctx)->r14)

/*
 * Go functions begin with a check of the stack; when it fails, because the stack must grow or because
 * the goroutine is to make room for another, the function is entered a second time. Our sites are at,
 * or right behind, the conditional jump of that check (elf/site.h): "below or equal" means that this is
 * the first of two hits.
 */
#define GO_WILL_RESTART(ctx) ((ctx)->flags & (0x01 | 0x40)) /* carry, zero */

#elif defined(__TARGET_ARCH_arm64)

struct user_pt_regs {
	__u64 regs[31];
	__u64 sp, pc, pstate;
};
struct pt_regs {
	__u64 regs[31];
	__u64 sp, pc, pstate;
};

#define GO_ARG0(ctx)	     ((ctx)->regs[0])
#define GO_ARG1(ctx)	     ((ctx)->regs[1])
#define GO_ARG2(ctx)	     ((ctx)->regs[2])
#define GO_ARG3(ctx)	     ((ctx)->regs[3])
#define GO_G(ctx)	     ((ctx)->regs[28])

/* b.ls: carry clear or zero set. */
#define GO_WILL_RESTART(ctx) (!((ctx)->pstate & (1ULL << 29)) || ((ctx)->pstate & (1ULL << 30)))

#else
#error "unknown architecture: add its registers here"
#endif
