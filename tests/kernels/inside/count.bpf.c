// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* count - a uprobe program that counts its hits exactly (sites.c). */
#include "lib/kernel.bpf.h"

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} sn_c_hits SEC(".maps");

SEC("?uprobe.multi")
int sn_c_hit(struct pt_regs *ctx)
{
	__u32 key = 0;
	__u64 *hits = bpf_map_lookup_elem(&sn_c_hits, &key);

	if (hits)
		__sync_fetch_and_add(hits, 1);
	return 0;
}
