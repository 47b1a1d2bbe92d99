// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * empty - programs that do nothing, on the hooks of the tcp probe's hot path: what a hook costs by
 * itself, and so the measure for what sonde does in it (bench/tcp_cost.c).
 */
#include "lib/kernel.bpf.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("?tp_btf/tcp_sendmsg_locked")
int BPF_PROG(sn_empty_send)
{
	return 0;
}

SEC("?tp_btf/sk_data_ready")
int BPF_PROG(sn_empty_arr)
{
	return 0;
}

SEC("?tp_btf/sock_recv_length")
int BPF_PROG(sn_empty_read)
{
	return 0;
}
