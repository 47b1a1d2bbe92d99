/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

/* The beginning of a connection, its states, its end. */
#include "lib/tcp_life.bpf.h"
#include "lib/tcp_single.bpf.h"

/* What was not yet in a series when the owner is done with the socket, or the network is. */
static __always_inline void flush_rest(struct sn_tcp_sock *st, const struct view *v)
{
	/* A request that was read and never answered has waited all the same. */
	if (st->key.role == SN_TCP_SERVER && st->phase == READ) {
		record(st, v->write_seq, SN_TCP_NO_TIME, span(st->request, st->read), 0);
		st->request = 0;
	}
	if (st->key.tgid &&
	    ((__s32)st->rx_pending > 0 || (!st->tx_closed && v->write_seq != st->tx_seq)))
		record_bytes(st, v->write_seq);
}

/* Nobody can use the connection any more. */
static __always_inline void on_done(struct sn_tcp_sock *st, const struct view *v, __u64 now,
				    const bool typed)
{
	pair_close(st, v, typed);
	if (!sock_unwanted(st))
		life_used(st);
	/* Also what a process that is not wanted used last, for the exchanges of one that was. */
	if (!sock_unwanted(st) || st->exchanges)
		single_ended(st, now);
}

/* Sockets can be connected again, and their memory be used again. */
static __always_inline void on_begin(struct sn_tcp_sock *st, const struct view *v, int newstate,
				     __u64 now, const bool typed)
{
	if (st->ready)
		on_done(st, v, now, typed);
	sock_forget(st);
	sock_identify(st, v, newstate == TCP_SYN_SENT ? SN_TCP_CLIENT : SN_TCP_SERVER, typed);
	st->tx_closed = true;
	if (WANTS_MORE)
		st->more.state_since = now;
	if (newstate == TCP_ESTABLISHED)
		return;
	/* The call of connect() or listen(), so this is the owner; what comes of it, others may see. */
	st->key.tgid = bpf_get_current_pid_tgid() >> 32;
	if (WANTS_MORE && newstate == TCP_SYN_SENT)
		st->more.began = now;
	if (WANTS_MORE)
		sn_remember_process(st->key.tgid);
}

static __always_inline void on_closing(struct sn_tcp_sock *st, const struct view *v, int newstate)
{
	/* These two come of the owner's own call. */
	if (!st->key.tgid && (newstate == TCP_FIN_WAIT1 || newstate == TCP_LAST_ACK))
		st->key.tgid = bpf_get_current_pid_tgid() >> 32;
	/* Our FIN comes next and takes a sequence number; a reset moves them at will. */
	flush_rest(st, v);
	st->tx_closed = true;
}

/* Which end was the first, by the first state after ESTABLISHED; who gives up is neither. */
static __always_inline __u8 closer(int newstate, int err)
{
	if (newstate == TCP_FIN_WAIT1)
		return SN_TCP_LOCAL;
	if (newstate == TCP_CLOSE_WAIT || err == ECONNRESET || err == EPIPE)
		return SN_TCP_REMOTE;
	return err ? SN_TCP_NOBODY : SN_TCP_LOCAL;
}

/* Whether it is known without details, and nobody has to look at the others. */
static __always_inline bool matters(int newstate, bool begins)
{
	return WANTS_MORE || begins || newstate == TCP_ESTABLISHED || newstate == TCP_FIN_WAIT1 ||
	       newstate == TCP_LAST_ACK || newstate == TCP_CLOSE;
}

static __always_inline int on_state(struct sock *sk, int oldstate, int newstate, const bool typed)
{
	bool begins = newstate == TCP_SYN_SENT || (sn_detail && newstate == TCP_LISTEN) ||
		      (newstate == TCP_ESTABLISHED && oldstate == TCP_SYN_RECV);
	struct sn_tcp_sock *st;
	struct view v;
	__u64 now;
	int err;

	if (!matters(newstate, begins) || !view_sock(&v, sk, typed))
		return 0;
	/* Both ends of a simultaneous open are clients, and get here after their own SYN. */
	if (oldstate == TCP_SYN_RECV && begins) {
		st = sock_state(sk, typed, false);
		begins = !st || st->key.role != SN_TCP_CLIENT || !st->tx_closed || st->open;
	}
	st = sock_state(sk, typed, begins);
	if (!st)
		return 0;
	now = bpf_ktime_get_ns();
	err = typed ? sk->sk_err : BPF_CORE_READ(sk, sk_err);
	if (begins)
		on_begin(st, &v, newstate, now, typed);
	if (sock_unwanted(st) || (newstate == TCP_SYN_SENT && sock_passed_over(st, &v, typed)))
		return 0;
	if (!begins)
		life_state(st, oldstate, now);
	st->state = newstate;
	if (oldstate == TCP_ESTABLISHED)
		st->closer = closer(newstate, err);
	if (newstate == TCP_ESTABLISHED) {
		sock_open(st, &v, typed);
		life_established(st, srtt(&v, typed), now);
		pair_open(st, &v, typed);
	} else if (newstate == TCP_FIN_WAIT1 || newstate == TCP_LAST_ACK || newstate == TCP_CLOSE) {
		on_closing(st, &v, newstate);
	}
	if (newstate == TCP_CLOSE) {
		life_closed(st, &v, err, now, typed);
		single_closed(st, &v, typed);
		single_failed(st, &v, now, typed);
	}
	return 0;
}

static __always_inline int on_destroy(struct sock *sk, const bool typed)
{
	struct sn_tcp_sock *st;
	struct view v;

	if (!view_sock(&v, sk, typed))
		return 0;
	st = sock_state(sk, typed, false);
	if (!st)
		return 0;
	if (!sock_unwanted(st))
		flush_rest(st, &v);
	if (st->ready)
		on_done(st, &v, bpf_ktime_get_ns(), typed);
	/* It is the owner who closes what a reset has ended. */
	if (st->flags & NAMELESS)
		sn_remember_process(st->key.tgid);
	return 0;
}
