// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * features - programs that answer a question by being loaded, or refused (src/kern/features.c).
 * None of them ever runs for long, and none of them does anything.
 */
#include "lib/kernel.bpf.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} sn_f_storage SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} sn_f_array SEC(".maps");

/* Since 5.11 (3ca1032ab7ab). */
SEC("?raw_tp/sched_process_exit")
int sn_f_task(void *ctx)
{
	return bpf_get_current_task_btf() == NULL;
}

/* Forbidden by lockdown=confidentiality. */
SEC("?raw_tp/sched_process_exit")
int sn_f_read(void *ctx)
{
	__u64 word;

	return (int)bpf_probe_read_kernel(&word, sizeof(word), ctx);
}

/* Since 5.11 (8e4597c627fb). */
SEC("?tp_btf/inet_sock_set_state")
int BPF_PROG(sn_f_storage_tp, struct sock *sk)
{
	bpf_sk_storage_get(&sn_f_storage, sk, NULL, 0);
	return 0;
}

/* Since 5.12 (5ffa25502b5a). */
SEC("?raw_tp/sched_process_exit")
int sn_f_cmpxchg(void *ctx)
{
	__u32 key = 0;
	__u64 *v = bpf_map_lookup_elem(&sn_f_array, &key);

	return v && __sync_val_compare_and_swap(v, 1, 2) == 3;
}

/* Since 6.6 (89ae89f53d20). */
SEC("?uprobe.multi")
int sn_f_multi(struct pt_regs *ctx)
{
	return 0;
}

/*
 * On x86-64 since 5.5, on arm64 since 6.0; refused where the kernel has no function tracer. The
 * function is one that the kernel keeps for its own tests: nobody runs through it while it is patched.
 */
SEC("?fentry/bpf_fentry_test1")
int BPF_PROG(sn_f_fentry)
{
	return 0;
}

SEC("?kprobe/bpf_fentry_test1")
int sn_f_kprobe(struct pt_regs *ctx)
{
	return 0;
}
