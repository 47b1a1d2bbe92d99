// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * process - programs that begin and end: what tells the agent to look at a new executable, and to
 * let go of the series of a process that is gone.
 */
#include "lib/kernel.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "lib/ignored.bpf.h"
#include "lib/stats.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} sn_events SEC(".maps");

/*
 * A new program wakes user space, which wants to look at it before it serves its first request; next
 * to an exec, a wakeup costs nothing. An end can wait for the next look; because ends are left lying,
 * the kernel's own rule (wake a reader that has caught up) would wake for nothing that comes behind.
 */
static __always_inline int ship(__u32 type, __u32 tgid, __u64 flags)
{
	struct sn_process_event *event = bpf_ringbuf_reserve(&sn_events, sizeof(*event), 0);

	sn_count(SN_STAT_PRODUCED);
	if (!event) {
		/* User space looks at all of /proc when it sees this count move. */
		sn_count(SN_STAT_DROP_RING_FULL);
		return 0;
	}
	event->type = type;
	event->tgid = tgid;
	bpf_ringbuf_submit(event, flags);
	sn_count(SN_STAT_SHIPPED);
	return 0;
}

/* Nobody has judged what runs under this tgid from now on. */
static __always_inline __u32 own_tgid_anew(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	if (sn_by_process)
		bpf_map_delete_elem(&sn_ignored, &tgid);
	return tgid;
}

/* Reads no kernel types, so it has one form for all kernels. */
SEC("?raw_tp/sched_process_exec")
int sn_proc_exec(void *ctx)
{
	return ship(SN_PROCESS_EXEC, own_tgid_anew(), BPF_RB_FORCE_WAKEUP);
}

/* One event a process, not one a thread: when its last thread ends, leader or not. */
static __always_inline int on_exit(bool others_live)
{
	if (others_live)
		return 0;
	return ship(SN_PROCESS_EXIT, own_tgid_anew(), BPF_RB_NO_WAKEUP);
}

SEC("?tp_btf/sched_process_exit")
int BPF_PROG(sn_proc_exit, struct task_struct *task)
{
	return on_exit(task->signal->live.counter);
}

SEC("?raw_tp/sched_process_exit")
int BPF_PROG(sn_proc_exit_rt, struct task_struct *task)
{
	return on_exit(BPF_CORE_READ(task, signal, live.counter));
}
