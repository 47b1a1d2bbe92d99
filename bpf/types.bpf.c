// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * types - whether a file describes this kernel: a program that finds its way by the file compares what
 * it reads with what the kernel says by its helpers. It is an object of its own, because fitting an
 * object to the kernel's types takes the loader a good while.
 */
#include "lib/kernel.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Run by user space, in its own context; never attached. */
SEC("?raw_tp/sched_process_exec")
int sn_types_right(void *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u64 id = bpf_get_current_pid_tgid(), now = bpf_ktime_get_boot_ns(), start;
	__s32 tgid = (__s32)(id >> 32);
	char comm[16] = {}, read[16] = {};

	if (BPF_CORE_READ(task, pid) != (__s32)id || BPF_CORE_READ(task, tgid) != tgid ||
	    BPF_CORE_READ(task, group_leader, tgid) != tgid)
		return 0;
	start = BPF_CORE_READ(task, start_boottime);
	if (!start || start > now || BPF_CORE_READ(task, signal, live.counter) < 1)
		return 0;
	bpf_get_current_comm(comm, sizeof(comm));
	BPF_CORE_READ_STR_INTO(&read, task, comm);
	for (int i = 0; i < (int)sizeof(comm) && comm[i]; i++)
		if (comm[i] != read[i])
			return 0;
	return 1;
}
