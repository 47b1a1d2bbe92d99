// SPDX-License-Identifier: Apache-2.0
#include "elf/site.h"

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
	}
	return "unknown";
}
