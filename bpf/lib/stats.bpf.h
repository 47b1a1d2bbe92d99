/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

#include <bpf/bpf_helpers.h>

#include "abi/abi.h"

/* The fates of this object's events; read by kern_stats_read() as "sn_stats". */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SN_STAT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} sn_stats SEC(".maps");

/*
 * Counts @by events. The addition is atomic although the slot is this CPU's own: uprobe programs can
 * be preempted by another one on the same CPU.
 */
static __always_inline void sn_count_by(enum sn_stat stat, __u64 by)
{
	__u32 key = stat;
	__u64 *n = bpf_map_lookup_elem(&sn_stats, &key);

	if (n)
		__sync_fetch_and_add(n, by);
}

static __always_inline void sn_count(enum sn_stat stat)
{
	sn_count_by(stat, 1);
}
