/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

/*
 * What the tcp programs know of a socket, and where they keep that. How it gets from there into a
 * series is in tcp_record.bpf.h.
 */
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "lib/process.bpf.h"
#include "lib/stats.bpf.h"
#include "lib/seq.bpf.h"
#include "lib/tcp_filter.bpf.h"

/*
 * Set before loading. State lives in socket storage, unless the kernel has none for tracing
 * programs (before 5.11) or one of the hooks gets its socket without a type, as kprobes and raw
 * tracepoints do, which may not use it: then in a hash.
 */
const volatile bool sn_use_hash = false;

/* Set before loading: whether the life of connections (tcp_life.bpf.h) and where the time of exchanges
 * goes (tcp_stage.bpf.h) are of interest. */
const volatile bool sn_detail = false;

/* Set before loading: what is told singly (tcp_single.bpf.h), and whether anything is at all. */
const volatile bool sn_singles = false, sn_tell_exchanges = false, sn_tell_failures = false,
		    sn_tell_ends = false;

/* Whether sockets have room for sn_tcp_sock.more: the verifier takes out what asks in vain. */
#define WANTS_MORE (sn_detail || sn_singles)

/* enum sn_stage, set by user space while programs run: hooks come and go one by one, and what one
 * sees while another is not there yet would be made into exchanges that nobody had. */
__u32 sn_stage = SN_STAGE_STARTING;

enum phase { IDLE, SENT, READ };

/* Flags of a socket: a window that is used up, a send that Nagle's algorithm holds back, a series that
 * began while another process than its owner ran, as a reset may come, and a handshake that was seen. */
enum { SHUT_BY_US = 1, SHUT_BY_PEER = 2, NAGLE_HELD = 4, NAMELESS = 8, BEGUN = 16 };

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct sn_tcp_brief);
} sn_tcp_storage SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct sn_tcp_sock);
} sn_tcp_full SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct sn_tcp_sock);
} sn_tcp_hash SEC(".maps");

/* Ports that had a listener when sonde started: the server's end of the sockets that were there. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct sn_tcp_listen_key);
	__type(value, __u8);
} sn_tcp_listen SEC(".maps");

static const struct sn_tcp_sock zero_sock;

/* The fields of a socket that every hook looks at. */
struct view {
	struct sock *sk;
	struct tcp_sock *tp;
	__u32 rcv_nxt, copied_seq, write_seq;
	__u8 state;
	bool fin; /* the peer's has come, and is in rcv_nxt */
};

/*
 * Reads @sk into @v; false if it is no TCP socket. Programs that get their socket as a BTF pointer
 * (@typed) read it with plain loads, which no lockdown forbids; the others have to ask for a copy of
 * each field.
 */
static __always_inline bool view_sock(struct view *v, struct sock *sk, const bool typed)
{
	struct tcp_sock *tp;

	if (*(volatile __u32 *)&sn_stage == SN_STAGE_STARTING)
		return false;
	v->sk = sk;
	if (typed) {
		tp = (struct tcp_sock *)bpf_skc_to_tcp_sock(sk);
		if (!tp)
			return false;
		v->tp = tp;
		v->rcv_nxt = tp->rcv_nxt;
		v->copied_seq = tp->copied_seq;
		v->write_seq = tp->write_seq;
		v->fin = tp->inet_conn.icsk_inet.sk.__sk_common.skc_flags >> SOCK_DONE & 1;
		v->state = sk->__sk_common.skc_state;
		return true;
	}
	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP ||
	    BPF_CORE_READ(sk, sk_type) != SOCK_STREAM)
		return false;
	tp = (struct tcp_sock *)sk;
	v->tp = tp;
	v->rcv_nxt = BPF_CORE_READ(tp, rcv_nxt);
	v->copied_seq = BPF_CORE_READ(tp, copied_seq);
	v->write_seq = BPF_CORE_READ(tp, write_seq);
	v->fin = BPF_CORE_READ(sk, __sk_common.skc_flags) >> SOCK_DONE & 1;
	v->state = BPF_CORE_READ(sk, __sk_common.skc_state);
	return true;
}

static __always_inline __u32 bytes_copied(const struct view *v)
{
	return sn_seq_copied(v->rcv_nxt, v->copied_seq, v->fin);
}

static __always_inline __u32 bytes_waiting(const struct view *v)
{
	return sn_seq_waiting(v->rcv_nxt, v->copied_seq, v->fin);
}

/*
 * When the segment came that wakes the owner: TCP has asked the clock for each already, which is a
 * third of what this hook would cost.
 */
static __always_inline __u64 arrival_time(const struct view *v, const bool typed)
{
	struct tcp_sock *tp = v->tp;

	if (!bpf_core_field_exists(tp->tcp_clock_cache))
		return bpf_ktime_get_ns();
	return typed ? tp->tcp_clock_cache : BPF_CORE_READ(tp, tcp_clock_cache);
}

/* The kernel's smoothed round-trip time in eighths of a microsecond; 0: none yet. */
static __always_inline __u32 srtt(const struct view *v, const bool typed)
{
	struct tcp_sock *tp = v->tp;

	return typed ? tp->srtt_us : BPF_CORE_READ(tp, srtt_us);
}

#define RTT_UNKNOWN (~0U)

/* The least round trip of the last minutes in microseconds; RTT_UNKNOWN: none yet. */
static __always_inline __u32 rtt_min(const struct view *v, const bool typed)
{
	struct tcp_sock *tp = v->tp;

	return typed ? tp->rtt_min.s[0].v : BPF_CORE_READ(tp, rtt_min.s[0].v);
}

static __always_inline struct sn_tcp_sock *sock_state(struct sock *sk, const bool typed,
						      bool create)
{
	__u64 key = (__u64)sk;
	struct sn_tcp_sock *st;

	if (!sn_use_hash && typed) {
		__u64 flags = create ? BPF_SK_STORAGE_GET_F_CREATE : 0;

		/* Not one call with the one map or the other: the one that is not there may not even
		 * be named on the way. */
		if (WANTS_MORE) {
			st = bpf_sk_storage_get(&sn_tcp_full, sk, NULL, flags);
			asm volatile("" : "+r"(st));
		} else {
			st = bpf_sk_storage_get(&sn_tcp_storage, sk, NULL, flags);
		}
		if (!st && create)
			sn_count(SN_STAT_STATE_FULL);
		return st;
	}
	st = bpf_map_lookup_elem(&sn_tcp_hash, &key);
	if (st || !create)
		return st;
	if (bpf_map_update_elem(&sn_tcp_hash, &key, &zero_sock, BPF_NOEXIST))
		sn_count(SN_STAT_STATE_FULL);
	return bpf_map_lookup_elem(&sn_tcp_hash, &key);
}

/* As if nothing had been seen of it. */
static __always_inline void sock_forget(struct sn_tcp_sock *st)
{
	__builtin_memset(st, 0, sizeof(struct sn_tcp_brief));
	if (WANTS_MORE)
		__builtin_memset(&st->more, 0, sizeof(st->more));
}

/* The peer's address, IPv4 as mapped into IPv6. */
static __always_inline void read_peer(struct sn_tcp_sock *st, struct sock_common *skc, __u16 family,
				      const bool typed)
{
	__u32 *peer = (__u32 *)st->key.peer;

	if (family != AF_INET6) {
		peer[2] = bpf_htonl(0xffff);
		peer[3] = typed ? skc->skc_daddr : BPF_CORE_READ(skc, skc_daddr);
	} else if (typed) {
		for (int i = 0; i < 4; i++)
			peer[i] = skc->skc_v6_daddr.in6_u.u6_addr32[i];
	} else {
		BPF_CORE_READ_INTO((struct in6_addr *)peer, skc, skc_v6_daddr);
	}
}

/* The address at our end. A client's is known when its connection stands, or has failed. */
static __always_inline void read_local(struct sn_tcp_sock *st, const struct view *v,
				       const bool typed)
{
	struct inet_sock *inet = (struct inet_sock *)v->sk;
	struct sock_common *skc = &v->sk->__sk_common;
	__u32 *local = (__u32 *)st->more.local;
	struct tcp_sock *tp = v->tp;

	st->more.local_port = bpf_ntohs(typed ? tp->inet_conn.icsk_inet.inet_sport
					      : BPF_CORE_READ(inet, inet_sport));
	if ((typed ? skc->skc_family : BPF_CORE_READ(skc, skc_family)) != AF_INET6) {
		local[2] = bpf_htonl(0xffff);
		local[3] = typed ? skc->skc_rcv_saddr : BPF_CORE_READ(skc, skc_rcv_saddr);
	} else if (typed) {
		for (int i = 0; i < 4; i++)
			local[i] = skc->skc_v6_rcv_saddr.in6_u.u6_addr32[i];
	} else {
		BPF_CORE_READ_INTO((struct in6_addr *)local, skc, skc_v6_rcv_saddr);
	}
}

/*
 * Fills in who talks to whom. @role is known when we saw the handshake; a socket that is older than
 * sonde is a server's if its local port had a listener when sonde started.
 */
static __always_inline void sock_identify(struct sn_tcp_sock *st, const struct view *v, __u8 role,
					  const bool typed)
{
	struct sock_common *skc = &v->sk->__sk_common;
	struct sn_tcp_listen_key listen = {};
	__u16 family;
	__be16 port;

	if (typed) {
		listen.netns = skc->skc_net.net->ns.inum;
		listen.port = skc->skc_num;
		family = skc->skc_family;
		port = skc->skc_dport;
	} else {
		listen.netns = BPF_CORE_READ(skc, skc_net.net, ns.inum);
		listen.port = BPF_CORE_READ(skc, skc_num);
		family = BPF_CORE_READ(skc, skc_family);
		port = BPF_CORE_READ(skc, skc_dport);
	}
	if (role == SN_TCP_UNKNOWN)
		role = bpf_map_lookup_elem(&sn_tcp_listen, &listen) ? SN_TCP_SERVER : SN_TCP_CLIENT;
	read_peer(st, skc, family, typed);
	st->key.port = role == SN_TCP_CLIENT ? bpf_ntohs(port) : listen.port;
	st->key.role = role;
	if (WANTS_MORE)
		st->more.peer_port = bpf_ntohs(port);
	st->ready = true;
	if (sn_filter.any && !sn_filter_draws(&st->key))
		st->unwanted = SN_TCP_UNWANTED;
}

/* From here on sequence numbers are bytes: the connection stands, or stood before we came. */
static __always_inline void sock_open(struct sn_tcp_sock *st, const struct view *v,
				      const bool typed)
{
	struct tcp_sock *tp = v->tp;

	if (WANTS_MORE) {
		st->more.retransmits = typed ? tp->total_retrans : BPF_CORE_READ(tp, total_retrans);
		read_local(st, v, typed);
	}
	st->tx_seq = v->write_seq;
	st->rx_seq = bytes_copied(v);
	st->tx_closed = false;
	st->open = true;
}

/*
 * The state of a socket that is in use. A kernel may leave a program out that would interrupt itself,
 * so even a socket whose handshake we saw can be found not open here.
 */
static __always_inline struct sn_tcp_sock *sock_find(const struct view *v, const bool typed)
{
	struct sock *sk = v->sk;
	struct sn_tcp_sock *st = sock_state(sk, typed, true);

	if (!st || st->open)
		return st;
	if (!st->ready)
		sock_identify(st, v, SN_TCP_UNKNOWN, typed);
	/* What is called in the other two is in vain: there is no connection. */
	if (v->state != TCP_SYN_SENT && v->state != TCP_CLOSE && v->state != TCP_LISTEN) {
		sock_open(st, v, typed);
		st->state = v->state;
	}
	return st;
}
