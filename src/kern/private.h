/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of kern/ share among themselves and show to nobody else. */

struct bpf_program;

/* Takes libbpf's own messages: to debug level, and the last warning kept for our sentences. */
void kern_log_init(void);
void kern_log_clear(void);
const char *kern_log_last(void); /* "" if there was none */

/* The file by which programs are fitted to this kernel's types, or NULL: the kernel's own. */
const char *kern_types_path(void);

/* See atomics.c. */
void kern_replace_cmpxchg(struct bpf_program *p);
