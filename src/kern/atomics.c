// SPDX-License-Identifier: Apache-2.0
#include <linux/bpf.h>

#include <bpf/libbpf.h>

#include "kern/private.h"

/*
 * Kernels before 5.12 have atomic addition and nothing else, and refuse a program that holds any
 * other atomic instruction, reachable or not. Only sn_raise() (bpf/lib/record.bpf.h) has one: the
 * compare-and-exchange that keeps minimum and maximum exact. There it becomes the plain store of the
 * new value; register 0 keeps the expected value, so that the exchange is taken to have succeeded.
 * One instruction for one: no jump, relocation or line changes.
 */
void kern_replace_cmpxchg(struct bpf_program *p)
{
	/* The instructions are the object's own copy until it is loaded. */
	struct bpf_insn *insn = (struct bpf_insn *)(uintptr_t)bpf_program__insns(p);
	size_t n = bpf_program__insn_cnt(p);

	for (size_t i = 0; i < n; i++) {
		if (insn[i].code == (BPF_LD | BPF_IMM | BPF_DW)) {
			i++; /* its second half is data */
			continue;
		}
		if (insn[i].code != (BPF_STX | BPF_ATOMIC | BPF_DW) || insn[i].imm != BPF_CMPXCHG)
			continue;
		insn[i].code = BPF_STX | BPF_MEM | BPF_DW;
		insn[i].imm = 0;
	}
}
