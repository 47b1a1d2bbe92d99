/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

/*
 * Exchanges: what a send, an arrival and a read make of a socket, on every kernel. A duration is
 * recorded at the moment it is known, never when the next exchange begins: after a half-close there is
 * no next one. Only a server's wait is held back until its answer, or the end of the socket, so that
 * both go into their series in one visit.
 */
#include "lib/tcp_life.bpf.h"
#include "lib/tcp_single.bpf.h"

#define READ_ONCE(x) (*(volatile typeof(x) *)&(x))

/* Room to put down what becomes known of an exchange. */
static __always_inline struct known *known_new(__u32 hook, __u64 exchange, __u64 wait)
{
	struct known *k = bpf_map_lookup_elem(&sn_tcp_known, &hook);

	if (!k)
		return NULL;
	k->exchange = exchange;
	k->wait = wait;
	k->total = k->network = k->remote = k->application = k->idle = SN_TCP_NO_TIME;
	k->method = SN_TCP_NOT_TOLD;
	k->nagle = 0;
	return k;
}

/* It ends in its series, in those of its stages, and with whoever wants to know it singly. */
static __always_inline void on_known(struct sn_tcp_sock *st, const struct view *v,
				     volatile struct known *k, __u32 ambiguous, __u64 now,
				     const bool typed)
{
	record(st, v->write_seq, k->exchange, k->wait, ambiguous);
	if (k->exchange == SN_TCP_NO_TIME)
		return;
	if (sn_detail)
		stage_record(st, k);
	single_exchange(st, v, k, now, typed);
}

/* A server's answer begins. */
static __always_inline void on_answer(struct sn_tcp_sock *st, const struct view *v, __u64 exchange,
				      __u64 wait, const __u32 hook, __u64 now, const bool typed)
{
	struct known *k;

	if (!sn_detail && !sn_tell_exchanges) {
		record(st, v->write_seq, exchange, wait, 0);
		return;
	}
	k = known_new(hook, exchange, wait);
	if (!k)
		return;
	stage_server(st, v, k, now, typed);
	on_known(st, v, k, 0, now, typed);
}

/* A run of sends begins; @st still says what was before it. */
static __always_inline void first_send(struct sn_tcp_sock *st, const struct view *v, __u64 now)
{
	st->sends = 1;
	if (!WANTS_MORE)
		return;
	st->more.first_sent = now;
	st->more.idle = span(st->phase == READ ? st->read_last : 0, now);
	st->more.run_tx = v->write_seq;
}

/* Exchanges are counted no more, ends still are. */
static __always_inline bool ending(void)
{
	return *(volatile __u32 *)&sn_stage == SN_STAGE_ENDING;
}

/*
 * The owner hands bytes to the socket; write_seq does not count them yet. @msg is known to a hook that
 * is in the loop of the call, and passed several times by a large one.
 */
static __always_inline int on_send(struct sock *sk, struct msghdr *msg, const __u32 hook,
				   const bool typed)
{
	struct sn_tcp_sock *st;
	__u64 now, request;
	struct view v;
	__u32 end;

	if (ending() || !view_sock(&v, sk, typed))
		return 0;
	st = sock_used(&v, typed);
	if (!st || !st->open)
		return 0;
	if (msg) {
		/* What is left gets less by what write_seq gets more. */
		end = v.write_seq + (__u32)msg->msg_iter.count;
		if (st->phase == SENT && st->send_end == end) {
			if (!st->tx_closed && v.write_seq - st->tx_seq >= FLUSH_BYTES)
				record_bytes(st, v.write_seq);
			return 0;
		}
		st->send_end = end;
	}
	now = bpf_ktime_get_ns();
	st->key.tgid = bpf_get_current_pid_tgid() >> 32;
	life_owned(st);
	if (sn_detail && typed)
		life_window(st, SHUT_BY_PEER, !v.tp->snd_wnd);
	stage_sends(st, &v, typed);
	request = READ_ONCE(st->request);
	if (st->key.role == SN_TCP_SERVER && st->phase == READ && request)
		on_answer(st, &v, span(request, now), span(request, READ_ONCE(st->read)), hook, now,
			  typed);
	else if (!st->tx_closed && v.write_seq - st->tx_seq >= FLUSH_BYTES)
		record_bytes(st, v.write_seq);
	/* What was read past our hook (splice, zero-copy receive) waits no more. */
	if (!bytes_waiting(&v))
		st->arrived = 0;
	st->request = 0;
	if (st->phase != SENT)
		first_send(st, &v, now);
	else
		st->sends++;
	st->phase = SENT;
	st->sent = now;
	return 0;
}

/* Bytes came in from the network; in softirq as a rule, so `current` means nothing here. */
static __always_inline int on_arrival(struct sock *sk, const bool typed)
{
	struct sn_tcp_sock *st;
	struct view v;
	__u64 now;

	if (ending() || !view_sock(&v, sk, typed) || !bytes_waiting(&v))
		return 0;
	st = sock_known(&v, typed);
	if (!st)
		return 0;
	if (sn_detail && typed)
		life_window(st, SHUT_BY_US,
			    (__s32)(v.tp->rcv_wup + v.tp->rcv_wnd - v.rcv_nxt) <= 0);
	now = arrival_time(&v, typed);
	st->arrived_last = now;
	if (!st->arrived)
		st->arrived = now;
	return 0;
}

/* A client's exchange that took so long is counted as one of a long poll. */
#define LONG_WAIT_NS 10000000000ULL

/* Bytes that come so long after the others were read are no rest of the same answer. */
#define PUSH_NS 100000000ULL

/* What is special about a client's run of reads that begins, with or without an @exchange. */
static __always_inline __u32 ambiguities(const struct sn_tcp_sock *st, __u64 exchange)
{
	__u32 bits = 0;

	if (exchange == SN_TCP_NO_TIME)
		return st->phase == IDLE && st->flags & BEGUN ? 1 << SN_TCP_SERVER_FIRST : 0;
	if (st->sends > 1)
		bits |= 1 << SN_TCP_SEVERAL_SENDS;
	/* Not by sk_shutdown, which a reset sets too. */
	if (st->closer == SN_TCP_LOCAL)
		bits |= 1 << SN_TCP_HALF_CLOSE;
	if (exchange >= LONG_WAIT_NS)
		bits |= 1 << SN_TCP_LONG_WAIT;
	return bits;
}

/*
 * The first read of a run: ends the wait of its bytes, and the exchange of a client. A server's wait
 * is recorded together with its answer.
 */
static __always_inline void on_first_read(struct sn_tcp_sock *st, const struct view *v, __u64 now,
					  const bool typed)
{
	__u64 arrived = READ_ONCE(st->arrived), sent = READ_ONCE(st->sent);
	__u64 exchange = SN_TCP_NO_TIME, wait = span(arrived, now);
	__u32 ambiguous;
	struct known *k;

	if (st->key.role == SN_TCP_CLIENT && st->phase == SENT)
		exchange = span(sent, now);
	ambiguous = ambiguities(st, exchange);
	st->phase = READ;
	st->request = wait == SN_TCP_NO_TIME ? 0 : arrived;
	st->read = now;
	if (wait == SN_TCP_NO_TIME)
		sn_count(SN_STAT_UNMATCHED);
	if (st->key.role != SN_TCP_CLIENT)
		return;
	if (!sn_detail && !sn_tell_exchanges) {
		record(st, v->write_seq, exchange, wait, ambiguous);
		return;
	}
	k = known_new(KNOWN_READ, exchange, wait);
	if (!k)
		return;
	k->ambiguous = ambiguous;
	stage_client(st, v, k, arrived, now, typed);
	on_known(st, v, k, *(volatile __u64 *)&k->ambiguous, now, typed);
}

static __always_inline bool pushed(const struct sn_tcp_sock *st)
{
	__u64 pause = span(st->read_last, st->arrived);

	return pause != SN_TCP_NO_TIME && pause >= PUSH_NS;
}

/* The owner took bytes out of the socket: seen by copied_seq, so a peek is none. */
static __always_inline int on_read(struct sock *sk, const bool typed)
{
	struct sn_tcp_sock *st;
	struct view v;
	__u32 copied;
	__u64 now;
	__s32 n;

	if (ending() || !view_sock(&v, sk, typed))
		return 0;
	st = sock_used(&v, typed);
	if (!st)
		return 0;
	copied = bytes_copied(&v);
	n = (__s32)(copied - st->rx_seq);
	/* Another reader of the socket may have been here with what is newer. */
	if (!st->open || n <= 0)
		return 0;
	now = bpf_ktime_get_ns();
	st->key.tgid = bpf_get_current_pid_tgid() >> 32;
	life_owned(st);
	st->rx_seq = copied;
	__sync_fetch_and_add(&st->rx_pending, n);
	if (st->phase != READ) {
		life_looked(st, &v, now, typed);
		if (sn_singles)
			st->more.run_rx = copied - n;
		on_first_read(st, &v, now, typed);
	} else if (st->key.role == SN_TCP_CLIENT && pushed(st)) {
		record_push(st, v.write_seq);
	} else if ((__s32)st->rx_pending >= FLUSH_BYTES) {
		record_bytes(st, v.write_seq);
	}
	st->read_last = now;
	if (sn_detail && typed)
		st->flags &= ~SHUT_BY_US;
	/* What stays unread came no later than the newest segment: pipelined requests wait on. It may
	 * have come since we looked, for this is not under the lock of the socket. */
	if (typed)
		v.rcv_nxt = v.tp->rcv_nxt;
	st->arrived = bytes_waiting(&v) ? st->arrived_last : 0;
	return 0;
}
