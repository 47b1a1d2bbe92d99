/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "abi/abi.h"

/*
 * Who owns the series of this object: written when a process gets its first one, so that a process
 * that is gone before user space looks still has a name. Who was remembered longest ago makes room: most
 * are processes that ended and whose figures went where no name is asked for.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct sn_process);
} sn_processes SEC(".maps");

/* enum sn_task_access, set before loading. */
const volatile __u32 sn_task_access = SN_TASK_READ;

/*
 * Remembers @tgid, if it is the current process; who is forgotten loses a name alone ("pid 812"), never
 * a value. False if it is not.
 */
static __always_inline bool sn_remember_process(__u32 tgid)
{
	struct sn_process process = {};
	struct task_struct *leader;

	/* 0 is nobody, even where the idle task is interrupted. */
	if (!tgid || tgid != bpf_get_current_pid_tgid() >> 32)
		return false;
	if (sn_task_access == SN_TASK_TYPED) {
		leader = bpf_get_current_task_btf()->group_leader;
		process.start_ns = leader->start_boottime;
		process.parent = leader->real_parent->tgid;
		__builtin_memcpy(process.comm, leader->comm, sizeof(process.comm));
	} else if (sn_task_access == SN_TASK_READ) {
		leader = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), group_leader);
		process.start_ns = BPF_CORE_READ(leader, start_boottime);
		process.parent = BPF_CORE_READ(leader, real_parent, tgid);
		BPF_CORE_READ_STR_INTO(&process.comm, leader, comm);
	} else if ((__u32)bpf_get_current_pid_tgid() == tgid) {
		bpf_get_current_comm(process.comm, sizeof(process.comm));
	}
	bpf_map_update_elem(&sn_processes, &tgid, &process, BPF_ANY);
	return true;
}
