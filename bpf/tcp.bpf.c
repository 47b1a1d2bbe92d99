// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * tcp - how long the machine's TCP exchanges take, at both of their ends.
 *
 * An exchange is a run of sends followed by a run of reads. For the end that asks (client) its
 * duration is last send to first byte read; for the end that answers (server) it is residence: the
 * arrival of the oldest request byte to the first send. The receive-queue wait, at either end, is
 * arrival to first read.
 *
 * Five hooks see a socket: send, arrival and read (hot), change of state and destruction (once). How
 * each of the hot three is hooked differs by kernel; src/probe/tcp.c lists the tiers. All tiers end
 * in the same three functions, on_send(), on_arrival() and on_read() (lib/tcp_exchange.bpf.h); what
 * happens once is in lib/tcp_state.bpf.h.
 */
#include "lib/kernel.bpf.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "lib/tcp_exchange.bpf.h"
#include "lib/tcp_state.bpf.h"
#include "lib/test.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* ---- once in the life of a socket: the same tracepoints on every kernel, typed if it has BTF ---- */

SEC("?tp_btf/inet_sock_set_state")
int BPF_PROG(sn_tcp_state, struct sock *sk, int oldstate, int newstate)
{
	return on_state(sk, oldstate, newstate, true);
}

SEC("?raw_tp/inet_sock_set_state")
int BPF_PROG(sn_tcp_state_rt, struct sock *sk, int oldstate, int newstate)
{
	return on_state(sk, oldstate, newstate, false);
}

SEC("?tp_btf/tcp_destroy_sock")
int BPF_PROG(sn_tcp_destroy, struct sock *sk)
{
	return on_destroy(sk, true);
}

SEC("?raw_tp/tcp_destroy_sock")
int BPF_PROG(sn_tcp_destr_rt, struct sock *sk)
{
	return on_destroy(sk, false);
}

/*
 * Behind the one before, and apart from it: a program that would interrupt itself is left out, and this
 * one is so short that it hardly ever would. An entry that stayed would stay for good.
 */
SEC("?raw_tp/tcp_destroy_sock")
int sn_tcp_forget(__u64 *ctx)
{
	__u64 key = ctx[0];

	if (sn_use_hash)
		bpf_map_delete_elem(&sn_tcp_hash, &key);
	return 0;
}

/* ---- tier 1: BTF tracepoints ---- */

SEC("?tp_btf/tcp_sendmsg_locked")
int BPF_PROG(sn_tcp_send_tp, struct sock *sk, struct msghdr *msg)
{
	return on_send(sk, msg, KNOWN_SEND, true);
}

SEC("?tp_btf/sk_data_ready")
int BPF_PROG(sn_tcp_arr_tp, struct sock *sk)
{
	return on_arrival(sk, true);
}

SEC("?tp_btf/sock_recv_length")
int BPF_PROG(sn_tcp_read_tp, struct sock *sk, int ret)
{
	return ret > 0 ? on_read(sk, true) : 0;
}

/* ---- tier 2: fentry and fexit ---- */

SEC("?fentry/tcp_sendmsg_locked")
int BPF_PROG(sn_tcp_send_fe, struct sock *sk)
{
	return on_send(sk, NULL, KNOWN_SEND, true);
}

/* sendfile and splice go around tcp_sendmsg_locked before 6.5. */
SEC("?fentry/tcp_sendpage")
int BPF_PROG(sn_tcp_page_fe, struct sock *sk)
{
	return on_send(sk, NULL, KNOWN_SENDFILE, true);
}

SEC("?fentry/sock_def_readable")
int BPF_PROG(sn_tcp_arr_fe, struct sock *sk)
{
	return on_arrival(sk, true);
}

SEC("?fexit/tcp_recvmsg")
int BPF_PROG(sn_tcp_read_fe, struct sock *sk)
{
	return on_read(sk, true);
}

/* ---- tier 3: kprobes ---- */

SEC("?kprobe/tcp_sendmsg_locked")
int BPF_KPROBE(sn_tcp_send_kp, struct sock *sk)
{
	return on_send(sk, NULL, KNOWN_SEND, false);
}

SEC("?kprobe/tcp_sendpage")
int BPF_KPROBE(sn_tcp_page_kp, struct sock *sk)
{
	return on_send(sk, NULL, KNOWN_SENDFILE, false);
}

SEC("?kprobe/sock_def_readable")
int BPF_KPROBE(sn_tcp_arr_kp, struct sock *sk)
{
	return on_arrival(sk, false);
}

/* Called behind each copy to the owner, in every kernel; it is in another file than its callers, so
 * it is never inlined. */
SEC("?kprobe/tcp_rcv_space_adjust")
int BPF_KPROBE(sn_tcp_read_kp, struct sock *sk)
{
	return on_read(sk, false);
}

/* ---- details: the same tracepoints on every kernel ---- */

static __always_inline enum sn_tcp_retransmit retransmit_kind(const struct view *v)
{
	struct inet_connection_sock *icsk = &v->tp->inet_conn;

	if (v->state == TCP_SYN_SENT || v->state == TCP_SYN_RECV)
		return SN_TCP_SYN;
	/* The timer of a probe is armed with every segment: what goes on comes first. */
	switch (BPF_CORE_READ_BITFIELD(icsk, icsk_ca_state)) {
	case TCP_CA_LOSS:
		return SN_TCP_TIMEOUT;
	case TCP_CA_RECOVERY:
		return SN_TCP_FAST;
	default:
		return icsk->icsk_pending == ICSK_TIME_LOSS_PROBE ? SN_TCP_TAIL_PROBE : SN_TCP_FAST;
	}
}

SEC("?tp_btf/tcp_retransmit_skb")
int BPF_PROG(sn_tcp_retrans, struct sock *sk)
{
	struct sn_tcp_sock *st;
	struct view v;
	bool known;

	if (!view_sock(&v, sk, true))
		return 0;
	st = sock_state(sk, true, true);
	if (!st)
		return 0;
	known = st->ready;
	st = sock_known(&v, true);
	if (!st)
		return 0;
	/* Of a socket that is older than sonde, this is the first that counts. */
	if (!known)
		st->more.retransmits = v.tp->total_retrans - 1;
	life_retransmitted(st, v.tp->total_retrans, retransmit_kind(&v));
	return 0;
}

SEC("?tp_btf/tcp_receive_reset")
int BPF_PROG(sn_tcp_rst_in, struct sock *sk)
{
	struct sn_tcp_sock *st;
	struct view v;

	if (!view_sock(&v, sk, true))
		return 0;
	st = sock_known(&v, true);
	if (st)
		life_reset(st, false);
	return 0;
}

/* Most resets answer segments of no connection at all, some of them by a listener: not told of here. */
SEC("?tp_btf/tcp_send_reset")
int BPF_PROG(sn_tcp_rst_out, struct sock *sk)
{
	struct sn_tcp_sock *st;
	struct view v;

	if (!sk || !view_sock(&v, sk, true) || v.state == TCP_LISTEN)
		return 0;
	st = sock_state(sk, true, false);
	if (st && !sock_unwanted(st))
		life_reset(st, true);
	return 0;
}

/* Of a connection that does not stand yet: it belongs to who listens. */
SEC("?tp_btf/tcp_retransmit_synack")
int BPF_PROG(sn_tcp_synack, struct sock *sk, struct request_sock *req)
{
	struct sock_common *skc = &req->__req_common;
	struct sn_tcp_sock *listener, st = {};

	listener = sock_state(sk, true, false);
	if (listener)
		st.key.tgid = listener->key.tgid;
	st.key.role = SN_TCP_SERVER;
	st.key.port = skc->skc_num;
	read_peer(&st, skc, skc->skc_family, true);
	if (sn_filter.any && !sn_filter_draws(&st.key))
		return 0;
	life_retransmitted(&st, 1, SN_TCP_SYN_ACK);
	return 0;
}

/* ---- the sockets that are there, when somebody looks ---- */

static __always_inline int look_at(struct bpf_iter__bpf_sk_storage_map *ctx, const bool once)
{
	struct sn_tcp_sock *st = ctx->value;
	struct sn_tcp_connection c = {};
	struct sock *sk = ctx->sk;
	struct view v;

	if (!sk || !st || !view_sock(&v, sk, true))
		return 0;
	if (sock_unwanted(st) && !(once && st->exchanges))
		return 0;
	c.type = SN_TCP_STILL_OPEN;
	c.state = v.state;
	c.sock = *st;
	/* Signed, for two threads can have moved the same bytes, and those to come make up for it. */
	c.sock.more.rx_bytes += (__s32)st->rx_pending;
	if (!st->tx_closed)
		c.sock.more.tx_bytes += (__s32)(v.write_seq - st->tx_seq);
	/* After its end it holds what was the last to be known. */
	if (v.state != TCP_CLOSE) {
		c.sock.more.srtt_us = v.tp->srtt_us;
		c.sock.more.rtt_min_us = rtt_min(&v, true);
		c.sock.more.retransmits = v.tp->total_retrans;
	}
	c.time_ns = bpf_ktime_get_ns();
	if (once && !tell_first(st))
		return 0;
	/* What has no room now comes again. */
	if (bpf_seq_write(ctx->meta->seq, &c, sizeof(c)) && once)
		st->more.told = 0;
	return 0;
}

SEC("?iter/bpf_sk_storage_map")
int sn_tcp_look(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	return look_at(ctx, false);
}

/*
 * Once the exchanges are not hooked any more. A socket that ends from here on was told, or is now: never
 * both. Several passes, for a pass can miss what moves while its buffer is read.
 */
SEC("?iter/bpf_sk_storage_map")
int sn_tcp_last(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	return look_at(ctx, true);
}

/* ---- for tests ---- */

SEC("?syscall")
int sn_t_slot(struct sn_test_call *call)
{
	call->result = sn_hist_slot(call->args[0]);
	return 0;
}

SEC("?syscall")
int sn_t_copied(struct sn_test_call *call)
{
	call->result = sn_seq_copied(call->args[0], call->args[1], call->args[2]);
	return 0;
}

SEC("?syscall")
int sn_t_waiting(struct sn_test_call *call)
{
	call->result = sn_seq_waiting(call->args[0], call->args[1], call->args[2]);
	return 0;
}

SEC("?syscall")
int sn_t_filter(struct sn_test_call *call)
{
	struct sn_tcp_key key = { .port = call->args[2], .role = call->args[3] };

	__builtin_memcpy(key.peer, call->args, sizeof(key.peer));
	call->result = sn_filter_wants(&sn_filter, &key);
	return 0;
}
