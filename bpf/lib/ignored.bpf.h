/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

#include <bpf/bpf_helpers.h>

#include "abi/abi.h"

/* Set before loading: some processes are not measured. */
const volatile bool sn_by_process = false;

/*
 * Those that user space has found to be such, by tgid. Who is not in it, for want of room or because it
 * has yet to be looked at, is measured, and left out of the figures by user space. One map for all
 * objects: what takes a process out when it becomes another program is not what asks for it. Made as a
 * whole, because kernels mistrust tracing programs with maps that grow.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u8);
} sn_ignored SEC(".maps");
