// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * tcp - how long the machine's TCP exchanges take, at both of their ends.
 *
 * An exchange is a run of sends followed by a run of reads. For the end that asks (client) its
 * duration is last send to first byte read; for the end that answers (server) it is residence: the
 * arrival of the oldest request byte to the first send. The receive-queue wait, at either end, is
 * arrival to first read. Each is recorded at the moment it is known, never later: after a half-close
 * there is no later.
 *
 * Five hooks see a socket: send, arrival and read (hot), change of state and destruction (once). How
 * each of the hot three is hooked differs by kernel; src/probe/tcp.c lists the tiers. All tiers end
 * in the same three functions, on_send(), on_arrival() and on_read().
 */
#include "lib/kernel.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "lib/process.bpf.h"
#include "lib/record.bpf.h"
#include "lib/seq.bpf.h"
#include "lib/test.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * Set before loading. State lives in socket storage, unless the kernel has none for tracing
 * programs (before 5.11) or one of the hooks is a kprobe (which may not use it): then in a hash.
 */
const volatile bool sn_use_hash = false;

enum phase { IDLE, SENT, READ };

/* What we remember of a socket. Written by its owner's calls and by the arrival of its segments. */
struct sn_tcp_sock {
	__u64 sent;	    /* start of the last send */
	__u64 arrived;	    /* of the oldest byte not yet read; 0: none is waiting */
	__u64 arrived_last; /* of the newest segment */
	__u64 request;	    /* arrival of the oldest byte of the run being read; 0: unknown */
	__u64 read;	    /* first read of that run */
	__u32 tx_seq;	    /* write_seq up to which sent bytes are in a series */
	__u32 rx_seq;	    /* copied_seq that the last read left */
	__u32 rx_pending;   /* bytes read and not yet in a series */
	__u8 phase;
	__u8 tx_closed; /* write_seq counts no bytes: before the handshake, or our FIN is out */
	__u8 ready;	/* key is filled in */
	__u8 pad;
	struct sn_tcp_key key;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct sn_tcp_sock);
} sn_tcp_storage SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct sn_tcp_sock);
} sn_tcp_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct sn_tcp_key);
	__type(value, struct sn_tcp_value);
} sn_tcp_series SEC(".maps");

/* Ports that had a listener when sonde started: the server's end of the sockets that were there. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct sn_tcp_listen_key);
	__type(value, __u8);
} sn_tcp_listen SEC(".maps");

static const struct sn_tcp_value zero_value;
static const struct sn_tcp_sock zero_sock;
static const struct sn_tcp_key overflow_key[] = {
	[SN_TCP_UNKNOWN] = { .role = SN_TCP_UNKNOWN },
	[SN_TCP_CLIENT] = { .role = SN_TCP_CLIENT },
	[SN_TCP_SERVER] = { .role = SN_TCP_SERVER },
};

/* Bytes are put into their series with each exchange, and at the latest when so many have come. */
#define FLUSH_BYTES (64 * 1024)

/* The fields of a socket that every hook looks at. */
struct view {
	struct sock *sk;
	__u32 rcv_nxt, copied_seq, write_seq;
	__u8 shutdown;
};

/*
 * Reads @sk into @v; false if it is no TCP socket. Programs that get their socket as a BTF pointer
 * (@typed) read it with plain loads; kprobes have to ask for a copy of each field.
 */
static __always_inline bool view_sock(struct view *v, struct sock *sk, const bool typed)
{
	struct tcp_sock *tp;

	v->sk = sk;
	if (typed) {
		tp = (struct tcp_sock *)bpf_skc_to_tcp_sock(sk);
		if (!tp)
			return false;
		v->rcv_nxt = tp->rcv_nxt;
		v->copied_seq = tp->copied_seq;
		v->write_seq = tp->write_seq;
		v->shutdown = tp->inet_conn.icsk_inet.sk.sk_shutdown;
		return true;
	}
	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP ||
	    BPF_CORE_READ(sk, sk_type) != SOCK_STREAM)
		return false;
	tp = (struct tcp_sock *)sk;
	v->rcv_nxt = BPF_CORE_READ(tp, rcv_nxt);
	v->copied_seq = BPF_CORE_READ(tp, copied_seq);
	v->write_seq = BPF_CORE_READ(tp, write_seq);
	v->shutdown = BPF_CORE_READ(sk, sk_shutdown);
	return true;
}

static __always_inline __u32 bytes_copied(const struct view *v)
{
	return sn_seq_copied(v->rcv_nxt, v->copied_seq, v->shutdown & RCV_SHUTDOWN);
}

static __always_inline __u32 bytes_waiting(const struct view *v)
{
	return sn_seq_waiting(v->rcv_nxt, v->copied_seq, v->shutdown & RCV_SHUTDOWN);
}

static __always_inline struct sn_tcp_sock *sock_state(struct sock *sk, const bool typed,
						      bool create)
{
	__u64 key = (__u64)sk;
	struct sn_tcp_sock *st;

	if (!sn_use_hash && typed)
		return bpf_sk_storage_get(&sn_tcp_storage, sk, NULL,
					  create ? BPF_SK_STORAGE_GET_F_CREATE : 0);
	st = bpf_map_lookup_elem(&sn_tcp_hash, &key);
	if (st || !create)
		return st;
	if (bpf_map_update_elem(&sn_tcp_hash, &key, &zero_sock, BPF_NOEXIST))
		sn_count(SN_STAT_STATE_FULL);
	return bpf_map_lookup_elem(&sn_tcp_hash, &key);
}

/*
 * Fills in who talks to whom. @role is known when we saw the handshake; a socket that is older than
 * sonde is a server's if its local port had a listener when sonde started.
 */
static __always_inline void sock_identify(struct sn_tcp_sock *st, const struct view *v, __u8 role)
{
	struct sock_common *skc = &v->sk->__sk_common;
	__u16 port = BPF_CORE_READ(skc, skc_num);

	if (role == SN_TCP_UNKNOWN) {
		struct sn_tcp_listen_key listen = {
			.netns = BPF_CORE_READ(skc, skc_net.net, ns.inum),
			.port = port,
		};

		role = bpf_map_lookup_elem(&sn_tcp_listen, &listen) ? SN_TCP_SERVER : SN_TCP_CLIENT;
	}
	if (role == SN_TCP_CLIENT)
		port = bpf_ntohs(BPF_CORE_READ(skc, skc_dport));
	if (BPF_CORE_READ(skc, skc_family) == AF_INET6) {
		BPF_CORE_READ_INTO((struct in6_addr *)st->key.peer, skc, skc_v6_daddr);
	} else {
		*(__u32 *)&st->key.peer[8] = bpf_htonl(0xffff);
		*(__u32 *)&st->key.peer[12] = BPF_CORE_READ(skc, skc_daddr);
	}
	st->key.port = port;
	st->key.role = role;
	st->ready = true;
}

/* From here on sequence numbers are bytes: the connection stands, or stood before we came. */
static __always_inline void sock_open(struct sn_tcp_sock *st, const struct view *v)
{
	st->tx_seq = v->write_seq;
	st->rx_seq = bytes_copied(v);
	st->tx_closed = false;
}

static __always_inline struct sn_tcp_sock *sock_known(const struct view *v, const bool typed)
{
	struct sn_tcp_sock *st = sock_state(v->sk, typed, true);

	if (st && !st->ready) {
		sock_identify(st, v, SN_TCP_UNKNOWN);
		sock_open(st, v);
	}
	return st;
}

/* The series of @st; when it is new, its owner is remembered by name. */
static __always_inline struct sn_tcp_value *sock_series(struct sn_tcp_sock *st, bool *overflow)
{
	struct sn_tcp_key key = st->key;
	struct sn_tcp_value *value;
	bool is_new = false;

	value = sn_series(&sn_tcp_series, &key, &zero_value,
			  &overflow_key[key.role == SN_TCP_SERVER ? SN_TCP_SERVER : SN_TCP_CLIENT],
			  &is_new, overflow);
	if (is_new)
		sn_remember_process(key.tgid);
	return value;
}

/* Moves the bytes that @st has seen since the last time into @value. */
static __always_inline void flush_bytes(struct sn_tcp_sock *st, struct sn_tcp_value *value,
					__u32 write_seq)
{
	__u32 tx = st->tx_closed ? 0 : write_seq - st->tx_seq;

	if (tx)
		__sync_fetch_and_add(&value->tx_bytes, tx);
	if (st->rx_pending)
		__sync_fetch_and_add(&value->rx_bytes, st->rx_pending);
	st->tx_seq += tx;
	st->rx_pending = 0;
}

/*
 * Records what is known of an exchange in one visit to its series: its duration if it has one
 * (@exchange), the wait of its bytes in the receive queue if their arrival was seen.
 */
static __always_inline void record(struct sn_tcp_sock *st, __u32 write_seq, bool exchange, __u64 ns)
{
	__u64 n = exchange + !!st->request;
	struct sn_tcp_value *value;
	bool overflow = false;

	if (!n)
		return;
	value = sock_series(st, &overflow);
	if (value) {
		flush_bytes(st, value, write_seq);
		if (exchange)
			sn_hist_record(&value->exchange, ns);
		if (st->request)
			sn_hist_record(&value->receive_queue, st->read - st->request);
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

/* The owner hands bytes to the socket; write_seq does not count them yet. */
static __always_inline int on_send(struct sock *sk, const bool typed)
{
	struct sn_tcp_sock *st;
	struct view v;
	__u64 now;

	if (!view_sock(&v, sk, typed))
		return 0;
	st = sock_known(&v, typed);
	if (!st)
		return 0;
	now = bpf_ktime_get_boot_ns();
	st->key.tgid = bpf_get_current_pid_tgid() >> 32;
	if (st->key.role == SN_TCP_SERVER && st->phase == READ && st->request)
		record(st, v.write_seq, true, now - st->request);
	else if (!st->tx_closed && v.write_seq - st->tx_seq >= FLUSH_BYTES)
		record_bytes(st, v.write_seq);
	st->request = 0;
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
	bool asked = st->phase == SENT;

	st->phase = READ;
	st->request = st->arrived;
	st->read = now;
	if (!st->arrived)
		sn_count(SN_STAT_UNMATCHED);
	if (st->key.role == SN_TCP_CLIENT)
		record(st, v->write_seq, asked, now - st->sent);
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
	st->rx_seq = copied;
	st->rx_pending += n;
	if (st->phase != READ) {
		on_first_read(st, &v, now);
	} else if (st->rx_pending >= FLUSH_BYTES) {
		record_bytes(st, v.write_seq);
	}
	/* What stays unread came no later than the newest segment: pipelined requests wait on. */
	st->arrived = bytes_waiting(&v) ? st->arrived_last : 0;
	return 0;
}

/* What was not yet in a series when the owner was done with the socket. */
static __always_inline void flush_rest(struct sn_tcp_sock *st, const struct view *v)
{
	if (!st->key.tgid)
		return;
	if (st->rx_pending || (!st->tx_closed && v->write_seq != st->tx_seq))
		record_bytes(st, v->write_seq);
}

/* ---- once in the life of a socket: the same tracepoints on every kernel ---- */

SEC("?tp_btf/inet_sock_set_state")
int BPF_PROG(sn_tcp_state, struct sock *sk, int oldstate, int newstate)
{
	struct sn_tcp_sock *st;
	struct view v;

	if (newstate != TCP_SYN_SENT && newstate != TCP_ESTABLISHED && newstate != TCP_FIN_WAIT1 &&
	    newstate != TCP_LAST_ACK)
		return 0;
	if (!view_sock(&v, sk, true))
		return 0;
	st = sock_state(sk, true, newstate == TCP_SYN_SENT || oldstate == TCP_SYN_RECV);
	if (!st)
		return 0;
	if (newstate == TCP_SYN_SENT) {
		sock_identify(st, &v, SN_TCP_CLIENT);
		st->tx_closed = true;
	} else if (newstate == TCP_ESTABLISHED) {
		if (oldstate == TCP_SYN_RECV)
			sock_identify(st, &v, SN_TCP_SERVER);
		sock_open(st, &v);
	} else {
		/* Our FIN comes next and will take a sequence number. */
		flush_rest(st, &v);
		st->tx_closed = true;
	}
	return 0;
}

SEC("?tp_btf/tcp_destroy_sock")
int BPF_PROG(sn_tcp_destroy, struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct sn_tcp_sock *st;
	struct view v;

	if (!view_sock(&v, sk, true))
		return 0;
	st = sock_state(sk, true, false);
	if (!st)
		return 0;
	/* A request that was read and never answered has waited all the same. */
	if (st->key.role == SN_TCP_SERVER && st->phase == READ)
		record(st, v.write_seq, false, 0);
	flush_rest(st, &v);
	if (sn_use_hash)
		bpf_map_delete_elem(&sn_tcp_hash, &key);
	return 0;
}

/* ---- tier 1: BTF tracepoints ---- */

SEC("?tp_btf/tcp_sendmsg_locked")
int BPF_PROG(sn_tcp_send_tp, struct sock *sk)
{
	return on_send(sk, true);
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
	return on_send(sk, true);
}

/* sendfile and splice go around tcp_sendmsg_locked before 6.5. */
SEC("?fentry/tcp_sendpage")
int BPF_PROG(sn_tcp_page_fe, struct sock *sk)
{
	return on_send(sk, true);
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
	return on_send(sk, false);
}

SEC("?kprobe/tcp_sendpage")
int BPF_KPROBE(sn_tcp_page_kp, struct sock *sk)
{
	return on_send(sk, false);
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
