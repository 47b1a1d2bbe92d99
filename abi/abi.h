/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

/*
 * Every byte that crosses the kernel line: compiled by bpf/, src/ and tests/. No pointers, no
 * bit-fields, explicit padding, sizes asserted. Includers provide __u8 ... __u64 (bpf/lib/kernel.bpf.h
 * on the kernel side, <linux/types.h> elsewhere).
 */
#ifndef __bpf__
#include <linux/types.h>
#endif

#include "abi/hist.h"

#define SN_COMM_LEN 16

/*
 * Fates of an event, per CPU, in one array per BPF object. At any quiet moment
 *     produced = aggregated + shipped + dropped
 * holds exactly, where aggregated is the sum of the histogram counts. What landed in the overflow
 * series is aggregated too: its attributes are lost, its value is not.
 */
enum sn_stat {
	SN_STAT_PRODUCED,	 /* an event that a probe decided to report */
	SN_STAT_SHIPPED,	 /* put in a ring buffer */
	SN_STAT_DROP_NO_SERIES,	 /* neither its series nor the overflow series could be had */
	SN_STAT_DROP_UNREADABLE, /* a field of the target could not be read, or was not plausible */
	SN_STAT_DROP_RING_FULL,	 /* no room in the ring buffer */
	SN_STAT_OVERFLOW,	 /* of the aggregated: recorded in the overflow series */
	SN_STAT_STATE_FULL,	 /* a start that could not be remembered: its end will be missing */
	SN_STAT_UNMATCHED,	 /* an end without a start: began before sonde did */
	SN_STAT_STALE,		 /* a start whose end never came, overwritten by the next start */
	SN_STAT_UNSUPPORTED,	 /* seen and not covered (an HTTP/2 request) */
	SN_STAT_MAX,
};

/*
 * How the kernel half tells a process by its name and its start: by the kernel's own types, by reading
 * memory where they say it is, or, where nothing describes them or reading is forbidden, by the name
 * of its main thread, if it is that one.
 */
enum sn_task_access { SN_TASK_COMM, SN_TASK_READ, SN_TASK_TYPED };

/* A process that appears in a series. Keyed by tgid; written once, at its first series. */
struct sn_process {
	__u64 start_ns; /* boot time of its start; tells a reused pid from the first owner */
	char comm[SN_COMM_LEN];
};

/* ---- process.bpf.c ---- */

enum sn_process_event_type { SN_PROCESS_EXEC, SN_PROCESS_EXIT };

struct sn_process_event {
	__u32 type;
	__u32 tgid;
};

/* ---- tcp.bpf.c ---- */

enum sn_tcp_role { SN_TCP_UNKNOWN, SN_TCP_CLIENT, SN_TCP_SERVER };

/* One series of TCP figures. tgid 0 is the overflow series of its role. */
struct sn_tcp_key {
	__u8 peer[16]; /* IPv6, or IPv4 mapped into it */
	__u32 tgid;
	__u16 port; /* service port, host order: the local one of a server, the remote of a client */
	__u8 role;
	__u8 error; /* enum sn_tcp_error; of sn_tcp_life alone, else 0 */
};

struct sn_tcp_value {
	struct sn_hist exchange; /* client: last send to first byte read; server: residence */
	struct sn_hist receive_queue;
	__u64 tx_bytes, rx_bytes;
	__u64 ambiguous; /* of a client's exchanges: behind several sends, of which the last was taken */
};

/* How a connection came to nothing, or to its end. */
enum sn_tcp_error {
	SN_TCP_NO_ERROR,
	SN_TCP_REFUSED,
	SN_TCP_TIMED_OUT,
	SN_TCP_HOST_UNREACHABLE,
	SN_TCP_NET_UNREACHABLE,
	SN_TCP_RESET,
	SN_TCP_CANCELLED, /* by its own side, before it stood */
	SN_TCP_OTHER,
	SN_TCP_ERROR_MAX,
};

enum sn_tcp_retransmit {
	SN_TCP_FAST,
	SN_TCP_TIMEOUT,
	SN_TCP_TAIL_PROBE,
	SN_TCP_SYN,
	SN_TCP_RETRANSMIT_MAX,
};

/* What happens once in the life of a connection, or should not happen at all. */
struct sn_tcp_life {
	/* A client's from SYN to ESTABLISHED, or to failure; a server's from SYN-ACK to ACK. */
	struct sn_hist handshake;
	struct sn_hist duration; /* ESTABLISHED to CLOSE */
	struct sn_hist rtt;	 /* the kernel's smoothed round-trip time, looked at now and then */
	__u64 retransmits[SN_TCP_RETRANSMIT_MAX]; /* segments */
	__u64 resets_sent, resets_received;
};

/* A listening port of one network namespace: what tells the server's end of an older socket. */
struct sn_tcp_listen_key {
	__u32 netns; /* inode number */
	__u16 port;  /* host order */
	__u16 pad;
};

/* ---- types.bpf.c ---- */

enum sn_types_moment { SN_TYPES_ESTABLISHED, SN_TYPES_SHUT, SN_TYPES_MOMENTS };

/* What a program finds in a socket when its state changes, by the types that it was fitted to. */
struct sn_types_sock {
	__u32 seen; /* how often */
	__u32 netns;
	__u16 family, type, protocol;
	__u8 shutdown;
	__u8 state_is_old;	     /* the state is what the tracepoint says that it was */
	__u16 local_port, peer_port; /* host order */
	__u32 rcv_nxt, copied_seq, write_seq, srtt_us;
	__u8 peer4[4], peer6[16];
};

/* ---- http.bpf.c ---- */

enum sn_http_method {
	SN_HTTP_OTHER,
	SN_HTTP_CONNECT,
	SN_HTTP_DELETE,
	SN_HTTP_GET,
	SN_HTTP_HEAD,
	SN_HTTP_OPTIONS,
	SN_HTTP_PATCH,
	SN_HTTP_POST,
	SN_HTTP_PUT,
	SN_HTTP_TRACE,
	SN_HTTP_METHOD_MAX,
};

enum sn_http_scheme { SN_HTTP_PLAIN, SN_HTTP_TLS };

/* One series of HTTP figures. tgid 0 is the overflow series. */
struct sn_http_key {
	__u32 tgid;
	__u16 status; /* 100..599 */
	__u8 method;
	__u8 scheme; /* enum sn_http_scheme */
};

/* Attach cookies of the one program that does for all sites of a Go program (sn_http). */
enum sn_http_site { SN_HTTP_SITE_START, SN_HTTP_SITE_END, SN_HTTP_SITE_END_127 };

/*
 * A goroutine that serves requests. All requests of a connection have the same, so its entry is made
 * once, is found in the cache, and is taken away by user space when it has been idle for long. The
 * runtime never frees a g, but uses it again: what an entry says is checked against the *response.
 */
struct sn_http_start_key {
	__u64 g; /* address of the runtime.g */
	__u32 tgid;
	__u32 pad;
};

/*
 * Its request in progress. User space looks at nothing but the times; the rest is where the programs
 * put what they read, because their stack must stay small.
 */
struct sn_http_start {
	__u64 began;	/* boot time; 0: between two requests */
	__u64 used;	/* boot time of the last begin or end */
	__u64 response; /* address of the net/http.response */
	__u64 request;	/* address of its *Request */
	__u64 head[6];	/* the first words of the *Request */
	__u64 word;	/* what was read last */
	struct sn_http_key key;
};

_Static_assert(sizeof(struct sn_http_start) == 96, "abi: sn_http_start");
_Static_assert(sizeof(struct sn_process) == 24, "abi: sn_process");
_Static_assert(sizeof(struct sn_process_event) == 8, "abi: sn_process_event");
_Static_assert(sizeof(struct sn_tcp_key) == 24, "abi: sn_tcp_key");
_Static_assert(sizeof(struct sn_tcp_value) == 2 * sizeof(struct sn_hist) + 24, "abi: sn_tcp_value");
_Static_assert(sizeof(struct sn_tcp_life) == 3 * sizeof(struct sn_hist) + 48, "abi: sn_tcp_life");
_Static_assert(sizeof(struct sn_tcp_listen_key) == 8, "abi: sn_tcp_listen_key");
_Static_assert(sizeof(struct sn_http_key) == 8, "abi: sn_http_key");
_Static_assert(sizeof(struct sn_http_start_key) == 16, "abi: sn_http_start_key");
