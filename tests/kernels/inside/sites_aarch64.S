/* SPDX-License-Identifier: Apache-2.0 */
/* The instructions that the kernel treats differently when they are probed (inside.h). */
#include "sites.h"

	.macro result
	add x0, x0, x0, lsl #1
	add x0, x0, #1
	ret
	.endm

	.data
	.balign 8
	.global inside_site_list
inside_site_list:

	entry b
probe_b:
	b 1f
	udf #0
1:	result
	done b

	entry bl
	mov x9, x30
probe_bl:
	bl 1f
	mov x30, x9
	add x0, x0, #1
	ret
1:	add x0, x0, x0, lsl #1
	ret
	done bl

	/* Where Go's stack check ends. */
	entry b_cond_taken
	cmp x0, x0
probe_b_cond_taken:
	b.ls 1f
	udf #0
1:	result
	done b_cond_taken

	entry b_cond_not_taken
	cmp x0, x0
probe_b_cond_not_taken:
	b.ne 1f
	result
1:	udf #0
	done b_cond_not_taken

	entry cbz
	mov x9, #0
probe_cbz:
	cbz x9, 1f
	udf #0
1:	result
	done cbz

	entry tbz
	mov x9, #0
probe_tbz:
	tbz x9, #3, 1f
	udf #0
1:	result
	done tbz

	entry adr
probe_adr:
	adr x9, 1f
	br x9
	udf #0
1:	result
	done adr

	entry ret
	add x0, x0, x0, lsl #1
	add x0, x0, #1
probe_ret:
	ret
	done ret

	entry nop
probe_nop:
	nop
	result
	done nop

	entry mov_stepped
probe_mov_stepped:
	mov x9, x0
	add x0, x9, x9, lsl #1
	add x0, x0, #1
	ret
	done mov_stepped

	/* How most C functions begin. */
	entry stp
probe_stp:
	stp x29, x30, [sp, #-16]!
	add x0, x0, x0, lsl #1
	add x0, x0, #1
	ldp x29, x30, [sp], #16
	ret
	done stp

	.data
	.quad 0, 0, 0
	.section .note.GNU-stack, "", %progbits
