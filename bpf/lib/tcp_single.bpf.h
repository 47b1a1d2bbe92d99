/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

/* What is told singly: exchanges as they end, connections that came to nothing or are over. */
#include "lib/tcp_stage.bpf.h"

/* Set before loading: exchanges that were faster are in the series alone. */
const volatile __u64 sn_slower_than_ns = 0;

#define SINGLES_BYTES (1024 * 1024)

/* Set before loading: so many bytes wait when user space is woken, half of what the ring holds. */
const volatile __u64 sn_wakeup_bytes = SINGLES_BYTES / 2;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SINGLES_BYTES);
} sn_tcp_singles SEC(".maps");

/* User space looks fifty times a second; it is woken only when that will not do. */
static __always_inline __u64 wakeup(void)
{
	return bpf_ringbuf_query(&sn_tcp_singles, BPF_RB_AVAIL_DATA) > sn_wakeup_bytes
		       ? BPF_RB_FORCE_WAKEUP
		       : BPF_RB_NO_WAKEUP;
}

static __always_inline void *single_reserve(__u64 size)
{
	void *room = bpf_ringbuf_reserve(&sn_tcp_singles, size, 0);

	sn_count(SN_STAT_PRODUCED);
	if (!room)
		sn_count(SN_STAT_DROP_RING_FULL);
	return room;
}

static __always_inline void single_submit(void *room)
{
	bpf_ringbuf_submit(room, wakeup());
	sn_count(SN_STAT_SHIPPED);
}

static __always_inline struct sn_tcp_single *single_new(const struct sn_tcp_sock *st,
							const struct view *v, __u32 type, __u64 now,
							__u64 ns, const bool typed)
{
	struct sn_tcp_single *e = single_reserve(sizeof(*e));
	__u32 least;

	if (!e)
		return NULL;
	least = rtt_min(v, typed);
	e->type = type;
	e->time_ns = now;
	e->duration_ns = ns;
	e->srtt_us = srtt(v, typed);
	e->rtt_min_us = least == RTT_UNKNOWN ? 0 : least;
	e->local_port = st->more.local_port;
	e->peer_port = st->more.peer_port;
	__builtin_memcpy(e->local, st->more.local, sizeof(e->local));
	e->key = st->key;
	return e;
}

/* In the call of its owner. */
static __always_inline void single_exchange(const struct sn_tcp_sock *st, const struct view *v,
					    volatile struct known *k, __u64 now, const bool typed)
{
	__u64 exchange = k->exchange;
	struct sn_tcp_single *e;

	if (!sn_tell_exchanges || exchange == SN_TCP_NO_TIME || exchange < sn_slower_than_ns)
		return;
	e = single_new(st, v, SN_TCP_EXCHANGE, now, exchange, typed);
	if (!e)
		return;
	e->key.error = k->method;
	e->wait_ns = k->wait;
	e->total_ns = k->total;
	e->network_ns = k->network;
	e->remote_ns = k->remote;
	e->application_ns = k->application;
	e->sends = st->sends;
	e->request_bytes = st->key.role == SN_TCP_CLIENT
				   ? v->write_seq - st->tx_closed - st->more.run_tx
				   : st->rx_seq - st->more.run_rx;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	single_submit(e);
}

/* What only the open socket knows. */
static __always_inline void single_closed(struct sn_tcp_sock *st, const struct view *v,
					  const bool typed)
{
	struct tcp_sock *tp = v->tp;

	if (!sn_singles)
		return;
	st->more.srtt_us = srtt(v, typed);
	st->more.rtt_min_us = rtt_min(v, typed);
	st->more.retransmits = typed ? tp->total_retrans : BPF_CORE_READ(tp, total_retrans);
	if (!st->more.local_port)
		read_local(st, v, typed);
}

/* A connection came to nothing; in whoever's call, or in none. */
static __always_inline void single_failed(const struct sn_tcp_sock *st, const struct view *v,
					  __u64 now, const bool typed)
{
	struct sn_tcp_single *e;

	if (!sn_tell_failures || !st->more.began || st->more.established)
		return;
	e = single_new(st, v, SN_TCP_FAILED, now, now - st->more.began, typed);
	if (!e)
		return;
	e->key.error = st->more.error;
	e->wait_ns = e->total_ns = e->network_ns = e->remote_ns = e->application_ns =
		SN_TCP_NO_TIME;
	e->sends = e->request_bytes = 0;
	__builtin_memset(e->comm, 0, sizeof(e->comm));
	single_submit(e);
}

/* Whether what a socket came to is told for the first time: by its end, or by the last look. */
static __always_inline bool tell_first(struct sn_tcp_sock *st)
{
	return __sync_val_compare_and_swap(&st->more.told, 0, 1) == 0;
}

/* A socket is done with, or begins anew. */
static __always_inline void single_ended(struct sn_tcp_sock *st, __u64 now)
{
	struct sn_tcp_connection *e;

	if (!sn_tell_ends || (!st->more.established && !st->exchanges && !st->open) ||
	    !tell_first(st))
		return;
	e = single_reserve(sizeof(*e));
	if (!e)
		return;
	e->type = SN_TCP_ENDED;
	e->time_ns = now;
	e->state = TCP_CLOSE;
	__builtin_memset(e->pad, 0, sizeof(e->pad));
	e->sock = *st;
	single_submit(e);
}
