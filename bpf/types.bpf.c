// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * types - whether a file describes this kernel: programs that find their way by the file read what user
 * space and the kernel's helpers know from elsewhere (src/kern/types_check.c). Each structure that
 * other programs read is read here.
 */
#include "lib/kernel.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "abi/abi.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set before loading: sockets that are connected to this port are looked at. Host order. */
const volatile __u16 sn_types_port = 0;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SN_TYPES_MOMENTS);
	__type(key, __u32);
	__type(value, struct sn_types_sock);
} sn_types_socks SEC(".maps");

/* Run by user space, in its own context; never attached. 1: all is as the helpers say. */
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
	/* It is run while sonde has one thread. */
	if (!start || start > now || BPF_CORE_READ(task, signal, live.counter) != 1)
		return 0;
	bpf_get_current_comm(comm, sizeof(comm));
	BPF_CORE_READ_STR_INTO(&read, task, comm);
	for (int i = 0; i < (int)sizeof(comm) && comm[i]; i++)
		if (comm[i] != read[i])
			return 0;
	return 1;
}

SEC("?raw_tp/inet_sock_set_state")
int BPF_PROG(sn_types_state, struct sock *sk, int oldstate, int newstate)
{
	__u32 moment = newstate == TCP_ESTABLISHED ? SN_TYPES_ESTABLISHED : SN_TYPES_SHUT;
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	struct sn_types_sock *seen;

	if (newstate != TCP_ESTABLISHED && newstate != TCP_FIN_WAIT1)
		return 0;
	if (bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport)) != sn_types_port)
		return 0;
	seen = bpf_map_lookup_elem(&sn_types_socks, &moment);
	if (!seen)
		return 0;
	seen->seen++;
	seen->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	seen->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	seen->type = BPF_CORE_READ(sk, sk_type);
	seen->protocol = BPF_CORE_READ(sk, sk_protocol);
	seen->flags = BPF_CORE_READ(sk, __sk_common.skc_flags);
	seen->state_is_old = BPF_CORE_READ(sk, __sk_common.skc_state) == oldstate;
	seen->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	seen->peer_port = sn_types_port;
	seen->source_port = bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
	seen->rcv_nxt = BPF_CORE_READ(tp, rcv_nxt);
	seen->copied_seq = BPF_CORE_READ(tp, copied_seq);
	seen->write_seq = BPF_CORE_READ(tp, write_seq);
	seen->srtt_us = BPF_CORE_READ(tp, srtt_us);
	seen->rtt_min_us = BPF_CORE_READ(tp, rtt_min.s[0].v);
	if (bpf_core_field_exists(tp->tcp_clock_cache))
		seen->clock_ns = BPF_CORE_READ(tp, tcp_clock_cache);
	*(__be32 *)seen->peer4 = BPF_CORE_READ(sk, __sk_common.skc_daddr);
	BPF_CORE_READ_INTO((struct in6_addr *)seen->peer6, sk, __sk_common.skc_v6_daddr);
	*(__be32 *)seen->local4 = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
	BPF_CORE_READ_INTO((struct in6_addr *)seen->local6, sk, __sk_common.skc_v6_rcv_saddr);
	return 0;
}
