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
#include "lib/tcp_single.bpf.h"
#include "lib/test.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

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
