// SPDX-License-Identifier: Apache-2.0
/*
 * Changes to instructions between our object files and the kernel, each for kernels that lack
 * something. One instruction for one: no jump, relocation or line changes.
 */
#include <linux/bpf.h>

#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "kern/features.h"
#include "kern/private.h"

/* The instructions are the object's own copy until it is loaded. */
static struct bpf_insn *insns(const struct bpf_program *p)
{
	return (struct bpf_insn *)(uintptr_t)bpf_program__insns(p);
}

/*
 * Kernels before 5.12 have atomic addition and nothing else, and refuse a program that holds any
 * other atomic instruction, reachable or not. Only sn_raise() (bpf/lib/record.bpf.h) has one: the
 * compare-and-exchange that keeps minimum and maximum exact. There it becomes the plain store of the
 * new value; register 0 keeps the expected value, so that the exchange is taken to have succeeded.
 */
void kern_replace_cmpxchg(struct bpf_program *p)
{
	struct bpf_insn *insn = insns(p);
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

/*
 * libbpf takes a kernel that refuses bpf_probe_read_kernel for one from before 5.5, and puts the old
 * bpf_probe_read in the place of that and of bpf_probe_read_user. Under lockdown=confidentiality only
 * reads of kernel memory are refused, the old helper with them: reads of a program's own memory have
 * to stay what they were. Programs reach no other reads then (enum sn_task_access).
 */
static int restore_user_reads(struct bpf_program *p, struct bpf_prog_load_opts *opts, long cookie)
{
	struct bpf_insn *insn = insns(p);
	size_t n = bpf_program__insn_cnt(p);

	if (kern_has(KERN_READ_KERNEL))
		return 0;
	for (size_t i = 0; i < n; i++)
		if (insn[i].code == (BPF_JMP | BPF_CALL) && !insn[i].src_reg &&
		    insn[i].imm == BPF_FUNC_probe_read)
			insn[i].imm = BPF_FUNC_probe_read_user;
	return 0;
}

void kern_keep_user_reads(void)
{
	enum { TRACE_UPROBE_MULTI = 48 }; /* of enum bpf_attach_type, in linux/bpf.h since 6.6 */
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = restore_user_reads);
	static bool done;

	/* Our handler of a section goes before libbpf's own, which has nothing else to do for it. */
	if (!done)
		libbpf_register_prog_handler("uprobe.multi", BPF_PROG_TYPE_KPROBE,
					     (enum bpf_attach_type)TRACE_UPROBE_MULTI, &opts);
	done = true;
}
