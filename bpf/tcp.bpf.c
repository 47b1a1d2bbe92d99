// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * tcp - how long the machine's TCP exchanges take, at both of their ends.
 *
 * An exchange is a run of sends followed by a run of reads. For the end that asks (client) its
 * duration is last send to first byte read; for the end that answers (server) it is residence: the
 * arrival of the oldest request byte to the first send. The receive-queue wait, at either end, is
 * arrival to first read. A duration is recorded at the moment it is known, never when the next
 * exchange begins: after a half-close there is no next one. Only a server's wait is held back until
 * its answer, or the end of the socket, so that both go into their series in one visit.
 *
 * Five hooks see a socket: send, arrival and read (hot), change of state and destruction (once). How
 * each of the hot three is hooked differs by kernel; src/probe/tcp.c lists the tiers. All tiers end
 * in the same three functions, on_send(), on_arrival() and on_read().
 */
#include "lib/kernel.bpf.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "lib/tcp_life.bpf.h"
#include "lib/test.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define READ_ONCE(x) (*(volatile typeof(x) *)&(x))

/*
 * The owner hands bytes to the socket; write_seq does not count them yet. @msg is known to a hook that
 * is in the loop of the call, and passed several times by a large one.
 */
static __always_inline int on_send(struct sock *sk, struct msghdr *msg, const bool typed)
{
	struct sn_tcp_sock *st;
	__u64 now, request;
	struct view v;
	__u32 end;

	if (!view_sock(&v, sk, typed))
		return 0;
	st = sock_known(&v, typed);
	if (!st)
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
	now = bpf_ktime_get_boot_ns();
	st->key.tgid = bpf_get_current_pid_tgid() >> 32;
	life_owned(st);
	request = READ_ONCE(st->request);
	if (st->key.role == SN_TCP_SERVER && st->phase == READ && request)
		record(st, v.write_seq, span(request, now), span(request, READ_ONCE(st->read)));
	else if (!st->tx_closed && v.write_seq - st->tx_seq >= FLUSH_BYTES)
		record_bytes(st, v.write_seq);
	/* What was read past our hook (splice, zero-copy receive) waits no more. */
	if (!bytes_waiting(&v))
		st->arrived = 0;
	st->request = 0;
	st->sends = st->phase == SENT ? st->sends + 1 : 1;
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

	if (!view_sock(&v, sk, typed) || !bytes_waiting(&v))
		return 0;
	st = sock_known(&v, typed);
	if (!st)
		return 0;
	now = bpf_ktime_get_boot_ns();
	st->arrived_last = now;
	if (!st->arrived)
		st->arrived = now;
	return 0;
}

/*
 * The first read of a run: ends the wait of its bytes, and the exchange of a client. A server's wait
 * is recorded together with its answer.
 */
static __always_inline void on_first_read(struct sn_tcp_sock *st, const struct view *v, __u64 now)
{
	__u64 arrived = READ_ONCE(st->arrived), sent = READ_ONCE(st->sent);
	struct span exchange = {}, wait = span(arrived, now);

	if (st->key.role == SN_TCP_CLIENT && st->phase == SENT)
		exchange = span(sent, now);
	st->phase = READ;
	st->request = wait.valid ? arrived : 0;
	st->read = now;
	if (!wait.valid)
		sn_count(SN_STAT_UNMATCHED);
	if (st->key.role == SN_TCP_CLIENT)
		record(st, v->write_seq, exchange, wait);
}

/* The owner took bytes out of the socket: seen by copied_seq, so a peek is none. */
static __always_inline int on_read(struct sock *sk, const bool typed)
{
	struct sn_tcp_sock *st;
	__u32 copied, n;
	struct view v;
	__u64 now;

	if (!view_sock(&v, sk, typed))
		return 0;
	st = sock_known(&v, typed);
	if (!st)
		return 0;
	copied = bytes_copied(&v);
	n = copied - st->rx_seq;
	if (!n)
		return 0;
	now = bpf_ktime_get_boot_ns();
	st->key.tgid = bpf_get_current_pid_tgid() >> 32;
	life_owned(st);
	st->rx_seq = copied;
	__sync_fetch_and_add(&st->rx_pending, n);
	if (st->phase != READ) {
		life_looked(st, &v, now, typed);
		on_first_read(st, &v, now);
	} else if (st->rx_pending >= FLUSH_BYTES) {
		record_bytes(st, v.write_seq);
	}
	/* What stays unread came no later than the newest segment: pipelined requests wait on. */
	st->arrived = bytes_waiting(&v) ? st->arrived_last : 0;
	return 0;
}

/* What was not yet in a series when the owner is done with the socket, or the network is. */
static __always_inline void flush_rest(struct sn_tcp_sock *st, const struct view *v)
{
	/* A request that was read and never answered has waited all the same. */
	if (st->key.role == SN_TCP_SERVER && st->phase == READ) {
		record(st, v->write_seq, (struct span){}, span(st->request, st->read));
		st->request = 0;
	}
	if (st->key.tgid && (st->rx_pending || (!st->tx_closed && v->write_seq != st->tx_seq)))
		record_bytes(st, v->write_seq);
}

static __always_inline int on_state(struct sock *sk, int oldstate, int newstate, const bool typed)
{
	bool begins = newstate == TCP_SYN_SENT ||
		      (newstate == TCP_ESTABLISHED && oldstate == TCP_SYN_RECV);
	struct sn_tcp_sock *st;
	struct tcp_sock *tp;
	struct view v;
	__u64 now;

	if (!begins && newstate != TCP_ESTABLISHED && newstate != TCP_FIN_WAIT1 &&
	    newstate != TCP_LAST_ACK && newstate != TCP_CLOSE)
		return 0;
	if (!view_sock(&v, sk, typed))
		return 0;
	tp = v.tp;
	/* Both ends of a simultaneous open are clients, and get here after their own SYN. */
	if (oldstate == TCP_SYN_RECV && begins) {
		st = sock_state(sk, typed, false);
		begins = !st || st->key.role != SN_TCP_CLIENT || !st->tx_closed || st->open;
	}
	st = sock_state(sk, typed, begins);
	if (!st)
		return 0;
	if (begins) {
		/* Sockets can be connected again, and their memory be used again. */
		*st = zero_sock;
		sock_identify(st, &v, newstate == TCP_SYN_SENT ? SN_TCP_CLIENT : SN_TCP_SERVER,
			      typed);
		st->tx_closed = true;
	}
	now = sn_detail ? bpf_ktime_get_boot_ns() : 0;
	if (newstate == TCP_ESTABLISHED) {
		sock_open(st, &v, typed);
		life_established(st, typed ? tp->srtt_us : BPF_CORE_READ(tp, srtt_us), now);
	} else if (newstate == TCP_SYN_SENT) {
		/* The call of connect(), so this is the owner; what comes of it, others may see. */
		st->key.tgid = bpf_get_current_pid_tgid() >> 32;
		st->began = now;
		if (sn_detail)
			sn_remember_process(st->key.tgid);
	} else {
		/* These two come of the owner's own call. */
		if (!st->key.tgid && (newstate == TCP_FIN_WAIT1 || newstate == TCP_LAST_ACK))
			st->key.tgid = bpf_get_current_pid_tgid() >> 32;
		/* Our FIN comes next and takes a sequence number; a reset moves them at will. */
		flush_rest(st, &v);
		st->tx_closed = true;
	}
	if (newstate == TCP_CLOSE)
		life_closed(st, v.write_seq, typed ? sk->sk_err : BPF_CORE_READ(sk, sk_err),
			    typed ? tp->srtt_us : BPF_CORE_READ(tp, srtt_us), now);
	return 0;
}

static __always_inline int on_destroy(struct sock *sk, const bool typed)
{
	__u64 key = (__u64)sk;
	struct sn_tcp_sock *st;
	struct view v;

	if (!view_sock(&v, sk, typed))
		return 0;
	st = sock_state(sk, typed, false);
	if (!st)
		return 0;
	flush_rest(st, &v);
	if (sn_use_hash)
		bpf_map_delete_elem(&sn_tcp_hash, &key);
	return 0;
}

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

/* ---- tier 1: BTF tracepoints ---- */

SEC("?tp_btf/tcp_sendmsg_locked")
int BPF_PROG(sn_tcp_send_tp, struct sock *sk, struct msghdr *msg)
{
	return on_send(sk, msg, true);
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
	return on_send(sk, NULL, true);
}

/* sendfile and splice go around tcp_sendmsg_locked before 6.5. */
SEC("?fentry/tcp_sendpage")
int BPF_PROG(sn_tcp_page_fe, struct sock *sk)
{
	return on_send(sk, NULL, true);
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
	return on_send(sk, NULL, false);
}

SEC("?kprobe/tcp_sendpage")
int BPF_KPROBE(sn_tcp_page_kp, struct sock *sk)
{
	return on_send(sk, NULL, false);
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
		st->retransmits = v.tp->total_retrans - 1;
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

/* Most resets answer segments of no connection at all; those are not told of here. */
SEC("?tp_btf/tcp_send_reset")
int BPF_PROG(sn_tcp_rst_out, struct sock *sk)
{
	struct sn_tcp_sock *st;
	struct view v;

	if (!sk || !view_sock(&v, sk, true))
		return 0;
	st = sock_state(sk, true, false);
	if (st)
		life_reset(st, true);
	return 0;
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
