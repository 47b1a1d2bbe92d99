// SPDX-License-Identifier: Apache-2.0
#include "elf/site.h"

#include <elf.h>
#include <stdio.h>

const char *site_kind_name(enum site_kind kind)
{
	switch (kind) {
	case SITE_NONE:
		return "none";
	case SITE_PUSH:
		return "push";
	case SITE_NOP:
		return "nop";
	case SITE_JCC:
		return "jcc";
	case SITE_JMP:
		return "jmp";
	case SITE_CALL:
		return "call";
	case SITE_BCOND:
		return "b.cond";
	}
	return "unknown";
}

void site_choose_go(uint16_t machine, const uint8_t *code, size_t len, uint64_t address,
		    struct site *ret)
{
	switch (machine) {
	case EM_X86_64:
		site_choose_go_x86(code, len, address, ret);
		break;
	case EM_AARCH64:
		site_choose_go_arm64(code, len, address, ret);
		break;
	default:
		*ret = (struct site){ .kind = SITE_NONE };
		snprintf(ret->why, sizeof(ret->why),
			 "places in code of this machine are not known");
	}
}
