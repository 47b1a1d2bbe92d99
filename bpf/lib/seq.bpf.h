/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

#include "abi/abi.h"

/*
 * TCP sequence numbers as bytes, modulo 2^32. A FIN takes a sequence number too, so once the peer's
 * has come (@fin: SOCK_DONE is set; RCV_SHUTDOWN is by a reset and by the owner as well) the last one is
 * no byte. Pure: compiled into the kernel half and into its tests (tests/bpf).
 */

/* The number behind the last byte that the owner has read. */
static inline __attribute__((always_inline)) __u32 sn_seq_copied(__u32 rcv_nxt, __u32 copied_seq,
								 int fin)
{
	return fin && copied_seq == rcv_nxt ? copied_seq - 1 : copied_seq;
}

/* Bytes that have come and are not yet read. */
static inline __attribute__((always_inline)) __u32 sn_seq_waiting(__u32 rcv_nxt, __u32 copied_seq,
								  int fin)
{
	__u32 n = rcv_nxt - copied_seq;

	return n && fin ? n - 1 : n;
}
