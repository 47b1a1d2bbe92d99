/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

#include "abi/abi.h"

/*
 * Which connections and processes are measured. What is a property of the connection (ports, peers,
 * role, a random draw) is decided here, once for each. Processes are judged by user space
 * (ignored.bpf.h). The rules are pure: compiled into the kernel half and into its tests (tests/bpf).
 */

#define SN_FILTER_INLINE static inline __attribute__((always_inline))

SN_FILTER_INLINE _Bool sn_filter_has_port(const volatile struct sn_tcp_filter *f, __u16 port)
{
	for (int i = 0; i < SN_TCP_FILTER_MAX && i < f->n_ports; i++)
		if (port >= f->ports[i].first && port <= f->ports[i].last)
			return 1;
	return 0;
}

/* Within IPv6, ::/0 and the like hold IPv4 as well, where it is mapped: those peers are not meant. */
SN_FILTER_INLINE _Bool sn_filter_has_peer(const volatile struct sn_tcp_filter *f,
					  const __u8 peer[16])
{
	const __u32 *p = (const __u32 *)peer;
	_Bool is_v4 = !p[0] && !p[1] && peer[8] == 0 && peer[9] == 0 && peer[10] == 0xff &&
		      peer[11] == 0xff;

	for (int i = 0; i < SN_TCP_FILTER_MAX && i < f->n_nets; i++) {
		__u32 differs = 0;

		for (int word = 0; word < 4; word++)
			differs |= (p[word] & f->nets[i].mask[word]) ^ f->nets[i].addr[word];
		if (!differs && (!is_v4 || f->nets[i].mask[2] == 0xffffffff))
			return 1;
	}
	return 0;
}

/* Whether connections like that of @key are measured, but for the draw. */
SN_FILTER_INLINE _Bool sn_filter_wants(const volatile struct sn_tcp_filter *f,
				       const struct sn_tcp_key *key)
{
	if (f->role != SN_TCP_UNKNOWN && f->role != key->role)
		return 0;
	if (f->n_ports && !sn_filter_has_port(f, key->port))
		return 0;
	return !f->n_nets || sn_filter_has_peer(f, key->peer);
}

#ifdef __bpf__

#include "lib/ignored.bpf.h"

/* Set before loading. Where it says nothing, the verifier takes out all that asks it. */
const volatile struct sn_tcp_filter sn_filter = {};

/* Whether this connection is measured: asked once, for the draw is a new one each time. */
static __always_inline bool sn_filter_draws(const struct sn_tcp_key *key)
{
	if (!sn_filter_wants(&sn_filter, key))
		return false;
	return !sn_filter.sample_below || bpf_get_prandom_u32() < sn_filter.sample_below;
}

#endif
