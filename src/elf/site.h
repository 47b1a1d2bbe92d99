/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * The instruction decides what a uprobe costs: the kernel emulates push, nop, jmp, call and jcc
 * (about 0.35 us a hit); anything else it single-steps out of line (about ten times that).
 */
enum site_kind {
	SITE_NONE, /* no place found that is both cheap and safe */
	SITE_PUSH,
	SITE_NOP,
	SITE_JCC,
	SITE_JMP,
	SITE_CALL,
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
 * Chooses where to probe the entry of a Go function for x86-64, given its first @len bytes of code.
 * Sites are only taken where the argument registers still hold the arguments and the function
 * cannot be restarted by the growth of its stack without the program being able to tell: at the
 * first push right behind the stack check (Go 1.21 and newer), else at the check's own conditional
 * jump (older), where a hit with the jump about to be taken (CF or ZF set) is one that will be
 * repeated and is to be ignored. Sets everything of *@ret but file_offset.
 */
void site_choose_go_x86(const uint8_t *code, size_t len, uint64_t address, struct site *ret);
