/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* What the files of kern/ share among themselves and show to nobody else. */

struct bpf_program;

/* Takes libbpf's own messages: to debug level, and the last warning kept for our sentences. */
void kern_log_init(void);
void kern_log_clear(void);
const char *kern_log_last(void); /* "" if there was none */

/* Whether to look for the verifier's statistics; returns what was found since the last call. */
uint32_t kern_log_count(bool on);

/* The file by which programs are fitted to this kernel's types, or NULL: the kernel's own. */
const char *kern_types_path(void);

/* A file that is enough for an object that loads no program; the kernel's takes 10 ms to read. */
const char *kern_types_path_for_maps(void);

/* See types_check.c: 0, -EBADMSG, or what kept it from being tried. */
int kern_types_check(struct err *e);

/* See rewrite.c. */
void kern_replace_cmpxchg(struct bpf_program *p);
void kern_keep_user_reads(void);
