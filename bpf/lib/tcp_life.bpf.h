/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

/*
 * The life of a connection: how it was made, or why not, how it ended, what had to be sent again. None
 * of it is in the hot path, and none of it is there unless details are asked for.
 */
#include "lib/tcp_record.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, struct sn_tcp_key);
	__type(value, struct sn_tcp_life);
} sn_tcp_lives SEC(".maps");

static const struct sn_tcp_life zero_life;

static __always_inline __u8 life_error(int err)
{
	switch (err) {
	case 0:
		return SN_TCP_NO_ERROR;
	case ECONNREFUSED:
		return SN_TCP_REFUSED;
	case ETIMEDOUT:
		return SN_TCP_TIMED_OUT;
	case EHOSTUNREACH:
		return SN_TCP_HOST_UNREACHABLE;
	case ENETUNREACH:
		return SN_TCP_NET_UNREACHABLE;
	case ECONNRESET:
	case EPIPE:
		return SN_TCP_RESET;
	default:
		return SN_TCP_OTHER;
	}
}

static __always_inline struct sn_tcp_life *life_series(const struct sn_tcp_sock *st, __u8 error,
						       bool *overflow)
{
	struct sn_tcp_key key = st->key;
	struct sn_tcp_life *life;
	bool is_new = false;

	key.error = error;
	life = sn_series(&sn_tcp_lives, &key, &zero_life,
			 &overflow_key[key.role == SN_TCP_SERVER ? SN_TCP_SERVER : SN_TCP_CLIENT],
			 &is_new, overflow);
	if (is_new)
		sn_remember_process(key.tgid);
	return life;
}

static __always_inline void life_handshake(const struct sn_tcp_sock *st, __u64 ns, __u8 error)
{
	bool overflow = false;
	struct sn_tcp_life *life = life_series(st, error, &overflow);

	if (life)
		sn_hist_record(&life->handshake, ns);
	sn_count_recorded(life, overflow, 1);
}

/* Who owns a server's socket is known at its first use; its handshake waited for that. */
static __always_inline void life_owned(struct sn_tcp_sock *st)
{
	if (!sn_detail || !st->more.handshake)
		return;
	life_handshake(st, st->more.handshake, SN_TCP_NO_ERROR);
	st->more.handshake = 0;
}

static __always_inline void life_established(struct sn_tcp_sock *st, __u32 srtt_us, __u64 now)
{
	st->flags |= BEGUN;
	if (WANTS_MORE)
		st->more.established = now;
	if (!sn_detail)
		return;
	if (st->key.role == SN_TCP_CLIENT && st->more.began)
		life_handshake(st, now - st->more.began, SN_TCP_NO_ERROR);
	else if (st->key.role == SN_TCP_SERVER)
		st->more.handshake = (__u64)srtt_us * 125; /* 0: the kernel has no measure of it */
}

/* Once a second is enough of a figure that the kernel smooths itself. */
#define RTT_EVERY_NS 1000000000ULL

/* In eighths of a microsecond; 0: the kernel has no measure yet. */
static __always_inline void life_rtt(struct sn_tcp_sock *st, __u32 srtt_us, __u32 rtt_min_us,
				     __u64 now)
{
	struct sn_tcp_life *life;
	bool overflow = false;

	st->more.rtt_seen = now;
	if (!srtt_us)
		return;
	life = life_series(st, SN_TCP_NO_ERROR, &overflow);
	if (life)
		sn_hist_record(&life->rtt, (__u64)srtt_us * 125);
	if (life && rtt_min_us != RTT_UNKNOWN)
		sn_raise(&life->rtt_min_inv_ns, ~((__u64)rtt_min_us * 1000));
	sn_count_recorded(life, overflow, 1);
}

static __always_inline void life_looked(struct sn_tcp_sock *st, const struct view *v, __u64 now,
					const bool typed)
{
	if (sn_detail && now - st->more.rtt_seen >= RTT_EVERY_NS)
		life_rtt(st, srtt(v, typed), rtt_min(v, typed), now);
}

/* Time in a state that is over. A server's first is nobody's until its owner uses it. */
static __always_inline void life_state(struct sn_tcp_sock *st, __u32 oldstate, __u64 now)
{
	struct sn_tcp_life *life;
	bool overflow = false;
	__u64 since;

	if (!WANTS_MORE)
		return;
	since = st->more.state_since;
	if (sn_detail && since && oldstate != TCP_LISTEN) {
		life = life_series(st, SN_TCP_NO_ERROR, &overflow);
		/* A bound that the verifier sees at the place where it counts. */
		asm volatile("" : "+r"(oldstate));
		if (life && oldstate < SN_TCP_STATES)
			__sync_fetch_and_add(&life->state_ns[oldstate], now - since);
	}
	st->more.state_since = now;
}

static __always_inline void life_closed(struct sn_tcp_sock *st, const struct view *v, int err,
					__u64 now, const bool typed)
{
	__u8 error = life_error(err);
	struct sn_tcp_life *life;
	bool overflow = false;

	if (!WANTS_MORE)
		return;
	st->more.error = error;
	if (!st->more.established) {
		/* Without a local port there is not even a SYN, and no number for it. */
		if (st->more.began && !err)
			st->more.error = v->write_seq ? SN_TCP_CANCELLED : SN_TCP_OTHER;
		if (st->more.began && sn_detail)
			life_handshake(st, now - st->more.began, st->more.error);
		return;
	}
	st->more.duration = now - st->more.established;
	if (!sn_detail)
		return;
	life_owned(st);
	life_rtt(st, srtt(v, typed), rtt_min(v, typed), now);
	life = life_series(st, error | st->closer << SN_TCP_CLOSER_SHIFT, &overflow);
	if (life)
		sn_hist_record(&life->duration, st->more.duration);
	sn_count_recorded(life, overflow, 1);
}

/* What a client's connection was good for, once nobody can use it any more. */
static __always_inline void life_used(struct sn_tcp_sock *st)
{
	struct sn_tcp_life *life;
	bool overflow = false;

	if (!sn_detail || !st->more.established || st->key.role != SN_TCP_CLIENT)
		return;
	life = life_series(st, SN_TCP_NO_ERROR, &overflow);
	if (life)
		__sync_fetch_and_add(&life->use[!st->exchanges	     ? SN_TCP_UNUSED
						: st->exchanges == 1 ? SN_TCP_USED_ONCE
								     : SN_TCP_REUSED],
				     1);
}

/*
 * The window in one direction is used up: @shut says whether it is now. Counted when it was not at the
 * last look.
 */
static __always_inline void life_window(struct sn_tcp_sock *st, __u8 by, bool shut)
{
	struct sn_tcp_life *life;
	bool overflow = false;

	if (!shut) {
		st->flags &= ~by;
		return;
	}
	if (st->flags & by)
		return;
	st->flags |= by;
	life = life_series(st, SN_TCP_NO_ERROR, &overflow);
	if (life)
		__sync_fetch_and_add(by == SHUT_BY_US ? &life->window_shut_by_us
						      : &life->window_shut_by_peer,
				     1);
}

/* The kernel has counted the segments by now. */
static __always_inline void life_retransmitted(struct sn_tcp_sock *st, __u32 total,
					       enum sn_tcp_retransmit kind)
{
	__u32 n = total - st->more.retransmits;
	struct sn_tcp_life *life;
	bool overflow = false;

	st->more.retransmits = total;
	life = life_series(st, SN_TCP_NO_ERROR, &overflow);
	if (life && kind < SN_TCP_RETRANSMIT_MAX)
		__sync_fetch_and_add(&life->retransmits[kind], n);
}

static __always_inline void life_reset(struct sn_tcp_sock *st, bool sent)
{
	struct sn_tcp_life *life;
	bool overflow = false;

	life = life_series(st, SN_TCP_NO_ERROR, &overflow);
	if (life)
		__sync_fetch_and_add(sent ? &life->resets_sent : &life->resets_received, 1);
}
