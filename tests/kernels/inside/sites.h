/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For sites_<architecture>.S: a function with an instruction to probe is between `entry NAME` and
 * `done NAME`, the instruction behind the label probe_NAME. Each `done` adds a row to the list (inside.h).
 */
	.macro entry name
	.text
	.balign 16
	.type site_\name, %function
site_\name:
	.cfi_startproc
	.endm

	.macro done name
	.cfi_endproc
	.size site_\name, . - site_\name
	.section .rodata
text_\name:
	.asciz "\name"
	.data
	.quad text_\name, site_\name, probe_\name
	.endm

