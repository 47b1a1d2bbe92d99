/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

/* How what a socket knows gets into its series, and whose calls count. */
#include "lib/record.bpf.h"
#include "lib/tcp_sock.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct sn_tcp_key);
	__type(value, struct sn_tcp_value);
} sn_tcp_series SEC(".maps");

static const struct sn_tcp_value zero_value;
static const struct sn_tcp_key overflow_key[] = {
	[SN_TCP_UNKNOWN] = { .role = SN_TCP_UNKNOWN },
	[SN_TCP_CLIENT] = { .role = SN_TCP_CLIENT },
	[SN_TCP_SERVER] = { .role = SN_TCP_SERVER },
};

/* Bytes are put into their series with each exchange, and at the latest when so many have come. */
#define FLUSH_BYTES (64 * 1024)

/* The series of @st; when it is new, its owner is remembered by name. */
static __always_inline struct sn_tcp_value *sock_series(struct sn_tcp_sock *st, bool *overflow)
{
	struct sn_tcp_key key = st->key;
	struct sn_tcp_value *value;
	bool is_new = false;

	value = sn_series(&sn_tcp_series, &key, &zero_value,
			  &overflow_key[key.role == SN_TCP_SERVER ? SN_TCP_SERVER : SN_TCP_CLIENT],
			  &is_new, overflow);
	if (is_new && !sn_remember_process(key.tgid))
		st->flags |= NAMELESS;
	return value;
}

/*
 * Moves the bytes that @st has seen since the last time into @value. Two threads can be at one socket,
 * and the write_seq of one be older than what the other has moved: nothing to add then, it has been.
 */
static __always_inline void flush_bytes(struct sn_tcp_sock *st, struct sn_tcp_value *value,
					__u32 write_seq)
{
	__s32 tx = st->tx_closed ? 0 : (__s32)(write_seq - st->tx_seq);
	__s32 rx = st->rx_pending;

	if (tx > 0) {
		__sync_fetch_and_add(&st->tx_seq, tx);
		__sync_fetch_and_add(&value->tx_bytes, (__u64)tx);
		if (sn_singles)
			__sync_fetch_and_add(&st->more.tx_bytes, (__u64)tx);
	}
	if (rx > 0) {
		__sync_fetch_and_add(&st->rx_pending, -rx);
		__sync_fetch_and_add(&value->rx_bytes, (__u64)rx);
		if (sn_singles)
			__sync_fetch_and_add(&st->more.rx_bytes, (__u64)rx);
	}
}

/*
 * From one moment to another in nanoseconds, if that is how they lie, else SN_TCP_NO_TIME; what the
 * caller read of them is one copy.
 */
static __always_inline __u64 span(__u64 from, __u64 to)
{
	return from && to >= from ? to - from : SN_TCP_NO_TIME;
}

/* 1 if @ns is a time, else 0; without a branch, at which the verifier would go on twice. */
static __always_inline __u64 given(__u64 ns)
{
	__u64 y = ns + 1, z = -y;

	asm volatile("" : "+r"(z));
	return (y | z) >> 63;
}

/*
 * What becomes known of an exchange on its way into the series. It is put down in memory because the
 * verifier, which follows every path with all that it knows, then knows nothing, and paths meet again.
 */
struct known {
	__u64 exchange, wait, total, network, remote, application, idle;
	__u64 ambiguous; /* a bit for each enum sn_tcp_ambiguity that is true of it */
	__u64 method;	 /* enum sn_tcp_method */
	__u64 nagle;
};

/* One for each hook that has exchanges: a program never interrupts itself on its CPU. */
enum { KNOWN_READ, KNOWN_SEND, KNOWN_SENDFILE, KNOWN_MAX };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KNOWN_MAX);
	__type(key, __u32);
	__type(value, struct known);
} sn_tcp_known SEC(".maps");

static __always_inline void count_ambiguous(struct sn_tcp_value *value, __u32 ambiguous)
{
#pragma unroll
	for (int i = 0; i < SN_TCP_AMBIGUITY_MAX; i++)
		if (ambiguous & (1U << i))
			__sync_fetch_and_add(&value->ambiguous[i], 1);
}

/* Adds an exchange to what its socket came to. Squares are of rounded figures, which leaves their
 * variance where it is, and in two sums, so that neither flows over. */
static __always_inline void account(struct sn_tcp_sock *st, __u64 ns)
{
	__u64 fine = (ns + (1 << 7)) >> 8, coarse = (ns + (1 << 15)) >> 16;
	__u32 slot = ns <= 1000000     ? 0
		     : ns <= 5000000   ? 1
		     : ns <= 10000000  ? 2
		     : ns <= 50000000  ? 3
		     : ns <= 100000000 ? 4
				       : 5;

	__sync_fetch_and_add(&st->more.sum_ns, ns);
	if (ns >> 33)
		__sync_fetch_and_add(&st->more.sum_sq_long, coarse * coarse);
	else
		__sync_fetch_and_add(&st->more.sum_sq, fine * fine);
	__sync_fetch_and_add(&st->more.bucket[slot], 1);
	sn_raise(&st->more.max_ns, ns);
	sn_raise(&st->more.min_inv_ns, ~ns);
}

/*
 * Records what is known of an exchange in one visit to its series: its duration, and the wait of its
 * bytes in the receive queue. @ambiguous has a bit for each enum sn_tcp_ambiguity that is true of it.
 */
static __always_inline void record(struct sn_tcp_sock *st, __u32 write_seq, __u64 exchange,
				   __u64 wait, __u32 ambiguous)
{
	__u64 n = given(exchange) + given(wait);
	struct sn_tcp_value *value;
	bool overflow = false;

	if (!n)
		return;
	value = sock_series(st, &overflow);
	if (value) {
		flush_bytes(st, value, write_seq);
		if (exchange != SN_TCP_NO_TIME)
			sn_hist_record(&value->exchange, exchange);
		if (ambiguous)
			count_ambiguous(value, ambiguous);
		if (wait != SN_TCP_NO_TIME)
			sn_hist_record(&value->receive_queue, wait);
	}
	if (exchange != SN_TCP_NO_TIME) {
		__sync_fetch_and_add(&st->exchanges, 1);
		if (sn_singles)
			account(st, exchange);
	}
	sn_count_recorded(value, overflow, n);
}

/* Bytes alone, for what is not made of exchanges. */
static __always_inline void record_bytes(struct sn_tcp_sock *st, __u32 write_seq)
{
	struct sn_tcp_value *value;
	bool overflow = false;

	value = sock_series(st, &overflow);
	if (value)
		flush_bytes(st, value, write_seq);
}

/* Bytes that came unasked, after a pause. */
static __always_inline void record_push(struct sn_tcp_sock *st, __u32 write_seq)
{
	struct sn_tcp_value *value;
	bool overflow = false;

	value = sock_series(st, &overflow);
	if (!value)
		return;
	flush_bytes(st, value, write_seq);
	__sync_fetch_and_add(&value->ambiguous[SN_TCP_PUSH], 1);
}

/* Whether @st is not measured, or was last used by a process that is not. */
static __always_inline bool sock_unwanted(const struct sn_tcp_sock *st)
{
	return (sn_filter.any || sn_by_process) && st->unwanted;
}

/*
 * Whether the call that we are in is one of a process that is not measured. It is passed over, and
 * leaves its mark: another process that uses the socket later, or this one as another program, begins
 * as if sonde had come between the two.
 */
static __always_inline bool sock_passed_over(struct sn_tcp_sock *st, const struct view *v,
					     const bool typed)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct tcp_sock *tp = v->tp;

	if (!sn_by_process)
		return false;
	if (bpf_map_lookup_elem(&sn_ignored, &tgid)) {
		/* What its user before had moved is that one's. */
		if (!st->unwanted && st->open && st->key.tgid)
			record_bytes(st, v->write_seq);
		st->unwanted = SN_TCP_PASSED_OVER;
		st->key.tgid = tgid;
		st->rx_seq = bytes_copied(v);
		return true;
	}
	if (st->unwanted) {
		st->unwanted = SN_TCP_WANTED;
		st->phase = IDLE;
		st->flags = 0;
		st->arrived = st->arrived_last = st->request = st->read_last = 0;
		st->rx_pending = 0;
		st->tx_seq = v->write_seq;
		if (WANTS_MORE) {
			st->more.began = st->more.established = st->more.handshake =
				st->more.state_since = 0;
			st->more.retransmits =
				typed ? tp->total_retrans : BPF_CORE_READ(tp, total_retrans);
		}
	}
	return false;
}

/* sock_find() for whoever is called by the network: NULL if nobody wants to know. */
static __always_inline struct sn_tcp_sock *sock_known(const struct view *v, const bool typed)
{
	struct sn_tcp_sock *st = sock_find(v, typed);

	return st && !sock_unwanted(st) ? st : NULL;
}

/* sock_find() for the calls of the owner: NULL if nobody wants to know. */
static __always_inline struct sn_tcp_sock *sock_used(const struct view *v, const bool typed)
{
	struct sn_tcp_sock *st = sock_find(v, typed);

	if (!st || (sn_filter.any && st->unwanted == SN_TCP_UNWANTED))
		return NULL;
	return sock_passed_over(st, v, typed) ? NULL : st;
}
