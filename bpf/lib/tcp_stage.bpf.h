/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

/*
 * Where the time of an exchange went: the network, the other end, the application. What the network
 * took is measured where both ends of a connection are on this machine; where only one is, the least
 * round trip that the connection had stands for it, and the series says so.
 */
#include "lib/tcp_record.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, struct sn_tcp_key);
	__type(value, struct sn_tcp_stages);
} sn_tcp_stages SEC(".maps");

/* A full map costs the measure of some connections: theirs is then an estimate, and says so. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct sn_tcp_pair_key);
	__type(value, struct sn_tcp_pair);
} sn_tcp_pairs SEC(".maps");

static const struct sn_tcp_stages zero_stages;
static const struct sn_tcp_pair zero_pair;

static __always_inline bool is_loopback(const __u8 address[16])
{
	const __u32 *words = (const __u32 *)address;

	if (words[0] || words[1])
		return false;
	if (words[2] == bpf_htonl(0xffff))
		return address[12] == 127;
	return !words[2] && words[3] == bpf_htonl(1);
}

/* The same key at both ends. Addresses of loopback mean another place in each network namespace. */
static __always_inline void pair_key(struct sn_tcp_pair_key *key, const struct sn_tcp_sock *st,
				     const struct view *v, const bool typed)
{
	struct sock_common *skc = &v->sk->__sk_common;
	bool client = st->key.role == SN_TCP_CLIENT;

	__builtin_memcpy(key->client, client ? st->more.local : st->key.peer, 16);
	__builtin_memcpy(key->server, client ? st->key.peer : st->more.local, 16);
	key->client_port = client ? st->more.local_port : st->more.peer_port;
	key->server_port = client ? st->more.peer_port : st->more.local_port;
	key->netns = 0;
	if (is_loopback(st->key.peer))
		key->netns = typed ? skc->skc_net.net->ns.inum
				   : BPF_CORE_READ(skc, skc_net.net, ns.inum);
}

/* The client's end is there first; the server's joins it if it is on this machine too. */
static __always_inline void pair_open(struct sn_tcp_sock *st, const struct view *v,
				      const bool typed)
{
	struct sn_tcp_pair_key key = {};

	if (!sn_detail)
		return;
	pair_key(&key, st, v, typed);
	if (st->key.role == SN_TCP_CLIENT)
		st->more.paired = !bpf_map_update_elem(&sn_tcp_pairs, &key, &zero_pair, BPF_ANY);
	else
		st->more.paired = !!bpf_map_lookup_elem(&sn_tcp_pairs, &key);
}

static __always_inline void pair_close(struct sn_tcp_sock *st, const struct view *v,
				       const bool typed)
{
	struct sn_tcp_pair_key key = {};

	if (!sn_detail || !st->more.paired || st->key.role != SN_TCP_CLIENT)
		return;
	pair_key(&key, st, v, typed);
	bpf_map_delete_elem(&sn_tcp_pairs, &key);
}

static __always_inline struct sn_tcp_pair *pair_find(const struct sn_tcp_sock *st,
						     const struct view *v, const bool typed)
{
	struct sn_tcp_pair_key key = {};

	if (!st->more.paired)
		return NULL;
	pair_key(&key, st, v, typed);
	return bpf_map_lookup_elem(&sn_tcp_pairs, &key);
}

/*
 * A client's exchange of one send, whose answer came in @kernel after it: how much of that was the
 * other end. With several sends it cannot be said which of them was answered.
 */
static __always_inline void split(struct known *k, const struct sn_tcp_sock *st,
				  const struct view *v, __u64 kernel, const bool typed)
{
	__u64 sent = st->sent, answered, residence;
	struct sn_tcp_pair *pair;
	__u64 least;

	if (kernel == SN_TCP_NO_TIME || st->sends > 1)
		return;
	pair = pair_find(st, v, typed);
	if (pair) {
		residence = *(volatile __u64 *)&pair->residence;
		answered = *(volatile __u64 *)&pair->answered;
		if (answered >= sent && answered - sent <= kernel && residence <= kernel) {
			k->method = SN_TCP_MEASURED;
			k->remote = residence;
			k->network = kernel - residence;
			return;
		}
	}
	least = rtt_min(v, typed);
	if (least == RTT_UNKNOWN)
		return;
	least *= 1000;
	k->method = SN_TCP_BY_RTT_MIN;
	k->network = least < kernel ? least : kernel;
	k->remote = least < kernel ? kernel - least : 0;
}

/* Delayed acknowledgements come after 40 ms. */
#define DELAYED_ACK_MIN_NS 38000000ULL
#define DELAYED_ACK_MAX_NS 45000000ULL

/*
 * A small send behind one that is not acknowledged yet: Nagle's algorithm holds it back, and the other
 * end, which waits for it, delays the acknowledgement.
 */
static __always_inline void stage_sends(struct sn_tcp_sock *st, const struct view *v,
					const bool typed)
{
	struct tcp_sock *tp = v->tp;

	if (!sn_detail || !typed)
		return;
	if (st->phase == SENT && tp->snd_una != v->write_seq && tp->snd_nxt == v->write_seq &&
	    !BPF_CORE_READ_BITFIELD(tp, nonagle))
		st->flags |= NAGLE_HELD;
	else
		st->flags &= ~NAGLE_HELD;
}

static __always_inline void stage_record(struct sn_tcp_sock *st, volatile struct known *k)
{
	__u64 total = k->total, network = k->network, remote = k->remote,
	      application = k->application, idle = k->idle;
	struct sn_tcp_key key = st->key;
	bool overflow = false, is_new = false;
	struct sn_tcp_stages *value;

	key.error = k->method;
	value = sn_series(&sn_tcp_stages, &key, &zero_stages,
			  &overflow_key[key.role == SN_TCP_SERVER ? SN_TCP_SERVER : SN_TCP_CLIENT],
			  &is_new, &overflow);
	if (is_new)
		sn_remember_process(key.tgid);
	if (value) {
		if (total != SN_TCP_NO_TIME) {
			sn_hist_record(&value->total, total);
			__sync_fetch_and_add(st->exchanges > 1 ? &value->reused : &value->fresh, 1);
		}
		if (network != SN_TCP_NO_TIME)
			sn_hist_record(&value->network, network);
		if (remote != SN_TCP_NO_TIME)
			sn_hist_record(&value->remote, remote);
		if (application != SN_TCP_NO_TIME)
			sn_hist_record(&value->application, application);
		if (idle != SN_TCP_NO_TIME)
			sn_hist_record(&value->idle, idle);
		if (k->nagle)
			__sync_fetch_and_add(&value->nagle, 1);
	}
	sn_count_recorded(value, overflow,
			  given(total) + given(network) + given(remote) + given(application) +
				  given(idle));
}

/* A client's exchange has ended by a read at @now, of what had @arrived. */
static __always_inline void stage_client(const struct sn_tcp_sock *st, const struct view *v,
					 struct known *k, __u64 arrived, __u64 now,
					 const bool typed)
{
	__u64 kernel = span(st->sent, arrived);

	k->total = span(st->more.first_sent, now);
	k->idle = st->more.idle;
	k->nagle = st->flags & NAGLE_HELD && kernel >= DELAYED_ACK_MIN_NS &&
		   kernel <= DELAYED_ACK_MAX_NS;
	split(k, st, v, kernel, typed);
}

/* A server's exchange has ended by a send at @now. */
static __always_inline void stage_server(const struct sn_tcp_sock *st, const struct view *v,
					 struct known *k, __u64 now, const bool typed)
{
	struct sn_tcp_pair *pair = sn_detail ? pair_find(st, v, typed) : NULL;

	k->application = span(st->read_last, now);
	if (pair) {
		*(volatile __u64 *)&pair->residence = k->exchange;
		*(volatile __u64 *)&pair->answered = now;
	}
}
