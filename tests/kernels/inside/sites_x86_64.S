/* SPDX-License-Identifier: Apache-2.0 */
/* The instructions that the kernel treats differently when they are probed (inside.h). */
#include "sites.h"

	.data
	.balign 8
	.global inside_site_list
inside_site_list:

	entry push
probe_push:
	push %rbp
	lea 1(%rdi, %rdi, 2), %rax
	pop %rbp
	ret
	done push

	entry nop
probe_nop:
	nop
	lea 1(%rdi, %rdi, 2), %rax
	ret
	done nop

	/* A leaf function may keep what it likes in the 128 bytes below its stack pointer. */
	entry nop_red_zone
	mov %rdi, -8(%rsp)
	mov %rdi, -64(%rsp)
	mov %rdi, -128(%rsp)
probe_nop_red_zone:
	nop
	mov -8(%rsp), %rax
	add -64(%rsp), %rax
	add -128(%rsp), %rax
	inc %rax
	ret
	done nop_red_zone

	entry jmp
probe_jmp:
	jmp 1f
	ud2
1:	lea 1(%rdi, %rdi, 2), %rax
	ret
	done jmp

	entry call
probe_call:
	call 1f
	inc %rax
	ret
1:	lea (%rdi, %rdi, 2), %rax
	ret
	done call

	entry jcc_taken
	cmp %rdi, %rdi
probe_jcc_taken:
	jbe 1f
	ud2
1:	lea 1(%rdi, %rdi, 2), %rax
	ret
	done jcc_taken

	entry jcc_not_taken
	cmp %rdi, %rdi
probe_jcc_not_taken:
	jne 1f
	lea 1(%rdi, %rdi, 2), %rax
	ret
1:	ud2
	done jcc_not_taken

	entry mov_stepped
probe_mov_stepped:
	mov %rdi, %rax
	lea 1(%rax, %rax, 2), %rax
	ret
	done mov_stepped

	.data
	.quad 0, 0, 0
	.section .note.GNU-stack, "", @progbits
