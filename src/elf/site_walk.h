/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <capstone/capstone.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/site.h"

/* What the choosers of all machines (site_x86.c, site_arm64.c) share: a walk over instructions. */
struct site_walk {
	csh capstone;
	const uint8_t *code;
	size_t left;
	uint64_t start, address;
	cs_insn *insn; /* the present one, in full detail; valid until site_walk_next() */
	struct site *ret;
};

/*
 * Sets *@ret by @choose, which walks from @code on and is to take a place or to refuse; refuses by
 * itself when the disassembler cannot be had. file_offset is left 0.
 */
void site_walk(cs_arch arch, cs_mode mode, const uint8_t *code, size_t len, uint64_t address,
	       void (*choose)(struct site_walk *w), struct site *ret);

/* False at the end of the code, and at what is no instruction. */
bool site_walk_next(struct site_walk *w);

/* The present instruction is the place, unless a later one is taken. */
void site_walk_take(struct site_walk *w, enum site_kind kind);

void site_walk_refuse(struct site_walk *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
