/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * The instruction decides what a uprobe costs: on x86-64 the kernel emulates push, nop, jmp, call
 * and jcc (about 0.35 us a hit), on arm64 all branches; anything else it single-steps out of line
 * (about ten times that).
 */
enum site_kind {
	SITE_NONE, /* no place found that is both cheap and safe */
	SITE_PUSH,
	SITE_NOP,
	SITE_JCC,
	SITE_JMP,
	SITE_CALL,
	SITE_BCOND, /* arm64: b.ls and the like */
	SITE_KIND_LAST = SITE_BCOND,
};

struct site {
	uint64_t file_offset;	  /* in the executable, as a uprobe wants it; 0 with SITE_NONE */
	uint32_t function_offset; /* bytes from the function's first instruction */
	uint16_t kind;		  /* enum site_kind */
	char insn[24];		  /* as a person reads it: "push rbp" */
	char why[96];		  /* with SITE_NONE: the reason, fit for a person; otherwise "" */
};

const char *site_kind_name(enum site_kind kind);

/*
 * Chooses where to probe the entry of a Go function, given its first @len bytes of code and the
 * @address of the first. Sites are only taken where the argument registers still hold the arguments
 * and the function cannot be restarted by the growth of its stack without the program being able to
 * tell: behind the comparison of the stack check, whose flags say at a hit whether it will be
 * repeated (GO_WILL_RESTART in bpf/lib/regs.bpf.h). Sets everything of *@ret but file_offset.
 * @machine is the file's (EM_X86_64, EM_AARCH64), whatever runs here; others are refused.
 */
void site_choose_go(uint16_t machine, const uint8_t *code, size_t len, uint64_t address,
		    struct site *ret);

/*
 * x86-64: at the first push right behind the stack check (Go 1.21 and newer), else at the check's
 * own conditional jump (older). Repeated: below or equal (CF or ZF set).
 */
void site_choose_go_x86(const uint8_t *code, size_t len, uint64_t address, struct site *ret);

/* arm64: at the conditional jump of the check. Repeated: lower or same (C clear or Z set). */
void site_choose_go_arm64(const uint8_t *code, size_t len, uint64_t address, struct site *ret);
