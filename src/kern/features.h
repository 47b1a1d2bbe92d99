/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/*
 * What this kernel can do, found by trying, never from its version. Probed once, at first use (about
 * 50 ms), from one thread.
 */
enum kern_feature {
	KERN_BTF,	   /* /sys/kernel/btf/vmlinux is there */
	KERN_TASK_BTF,	   /* programs may follow the current task's pointers */
	KERN_READ_KERNEL,  /* programs may read kernel memory by address (lockdown) */
	KERN_SK_STORAGE,   /* tracing programs may keep state in a socket */
	KERN_CMPXCHG,	   /* atomic compare-and-exchange in programs */
	KERN_UPROBE_MULTI, /* one link for many uprobes, fast to remove */
	KERN_KPROBE,	   /* kernel functions can be probed by perf event */
	KERN_FENTRY,	   /* kernel functions can be traced by BPF trampoline */
	KERN_FEATURE_MAX,
};

bool kern_has(enum kern_feature f);

/* "socket storage", for doctor. */
const char *kern_feature_name(enum kern_feature f);

/* What is lost without it, one sentence; for doctor. */
const char *kern_feature_loss(enum kern_feature f);
