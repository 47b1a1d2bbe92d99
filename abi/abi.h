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
 * holds exactly, where aggregated is the sum of the histogram counts, which user space tells apart into
 * those that were asked for and those that were not. What landed in the overflow
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
 * Where an object has a variable sn_stage: before all its hooks are on nothing is counted, and when the
 * first of them is about to go nothing begins or ends any more.
 */
enum sn_stage { SN_STAGE_STARTING, SN_STAGE_RUNNING, SN_STAGE_ENDING };

/*
 * How the kernel half tells a process by its name and its start: by the kernel's own types, by reading
 * memory where they say it is, or, where nothing describes them or reading is forbidden, by the name
 * of its main thread, if it is that one.
 */
enum sn_task_access { SN_TASK_COMM, SN_TASK_READ, SN_TASK_TYPED };

/* A process that appears in a series. Keyed by tgid; written once, at its first series. */
struct sn_process {
	__u64 start_ns; /* boot time of its start; tells a reused pid from the first owner */
	__u32 parent;	/* tgid of who made it; 0: not known */
	__u32 pad;
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
	__u8 error; /* of sn_tcp_life and sn_tcp_stages; else 0 */
};

/* Why a client's exchange may not be what its owner would call one. */
enum sn_tcp_ambiguity {
	SN_TCP_SEVERAL_SENDS, /* of which the last was taken */
	SN_TCP_SERVER_FIRST,  /* no exchange: the other end spoke before it was asked */
	SN_TCP_HALF_CLOSE,    /* the request was ended by closing that direction */
	SN_TCP_PUSH,	      /* no exchange: after a pause, more came unasked */
	SN_TCP_LONG_WAIT,     /* the answer took as long as only long polls do */
	SN_TCP_AMBIGUITY_MAX,
};

struct sn_tcp_value {
	struct sn_hist exchange; /* client: last send to first byte read; server: residence */
	struct sn_hist receive_queue;
	__u64 tx_bytes, rx_bytes;
	__u64 ambiguous[SN_TCP_AMBIGUITY_MAX];
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

/* Which end closed first; in the upper half of sn_tcp_key.error. */
enum sn_tcp_closer { SN_TCP_NOBODY, SN_TCP_LOCAL, SN_TCP_REMOTE, SN_TCP_CLOSER_MAX };
#define SN_TCP_CLOSER_SHIFT 4

enum sn_tcp_retransmit {
	SN_TCP_FAST,
	SN_TCP_TIMEOUT,
	SN_TCP_TAIL_PROBE,
	SN_TCP_SYN,
	SN_TCP_SYN_ACK,
	SN_TCP_RETRANSMIT_MAX,
};

/* How often a client's connection was used by the time of its end. */
enum sn_tcp_use { SN_TCP_UNUSED, SN_TCP_USED_ONCE, SN_TCP_REUSED, SN_TCP_USE_MAX };

#define SN_TCP_STATES 13 /* the kernel's numbers, from TCP_ESTABLISHED = 1 */

/* What happens once in the life of a connection, or should not happen at all. */
struct sn_tcp_life {
	/* A client's from SYN to ESTABLISHED, or to failure; a server's from SYN-ACK to ACK. */
	struct sn_hist handshake;
	struct sn_hist duration; /* ESTABLISHED to CLOSE */
	struct sn_hist rtt;	 /* the kernel's smoothed round-trip time, looked at now and then */
	__u64 rtt_min_inv_ns;	 /* ~ of the least that any of them had; 0: none yet */
	__u64 retransmits[SN_TCP_RETRANSMIT_MAX]; /* segments */
	__u64 resets_sent, resets_received;
	__u64 state_ns[SN_TCP_STATES]; /* time spent in states that are over */
	__u64 use[SN_TCP_USE_MAX];     /* connections, at their end */
	__u64 window_shut_by_us, window_shut_by_peer;
};

/* How the time of the network is told from that of the other end; in sn_tcp_key.error. */
enum sn_tcp_method {
	SN_TCP_NOT_TOLD,
	SN_TCP_BY_RTT_MIN, /* the network is the least round trip that this connection had */
	SN_TCP_MEASURED,   /* the other end is on this machine, and was seen */
	SN_TCP_METHOD_MAX,
};

/* Where the time of an exchange went. */
struct sn_tcp_stages {
	struct sn_hist network;	    /* of a client, where it can be told */
	struct sn_hist remote;	    /* of a client, where it can be told */
	struct sn_hist application; /* of a server: last read to first send */
	struct sn_hist total;	    /* of a client: from its first send */
	struct sn_hist idle;	    /* of a client's connection: before it was used again */
	__u64 fresh, reused;	    /* exchanges on connections that had had none, or some */
	__u64 nagle;		    /* exchanges that waited as Nagle's algorithm makes them */
};

/* Why nobody wants to know of a socket. */
enum sn_tcp_unwanted {
	SN_TCP_WANTED,
	SN_TCP_UNWANTED,    /* the connection: for good */
	SN_TCP_PASSED_OVER, /* the process that used it last */
};

/*
 * What is remembered of a socket beside its exchanges: for details, and for who wants to know single
 * connections. Without either there is no room for it.
 */
struct sn_tcp_more {
	__u64 first_sent;  /* start of the first send of the run that is under way */
	__u64 idle;	   /* how long the connection was before that; SN_TCP_NO_TIME: unknown */
	__u64 began;	   /* the SYN that we sent; 0: not seen */
	__u64 established; /* 0: not seen */
	__u64 handshake;   /* of a server, until its owner is known; 0: none */
	__u64 rtt_seen;	   /* when the round-trip time was last looked at */
	__u64 state_since; /* 0: unknown */
	__u64 duration;	   /* once it is closed; 0: unknown */
	__u64 sum_ns, min_inv_ns, max_ns; /* of its exchanges */
	/* Of squares: those below 2^33 ns in units of 2^8 ns, squared, the others of 2^16 ns. */
	__u64 sum_sq, sum_sq_long;
	__u64 tx_bytes, rx_bytes;
	__u64 told;		     /* it was handed out as what it came to, and is not again */
	__u32 bucket[6];	     /* up to 1, 5, 10, 50, 100 ms, above */
	__u32 retransmits;	     /* segments that are in a series already */
	__u32 run_tx, run_rx;	     /* write_seq and copied_seq at which the run began */
	__u32 srtt_us, rtt_min_us;   /* at its end: the first in eighths */
	__u16 local_port, peer_port; /* host order */
	__u8 local[16];
	__u8 paired; /* both ends are on this machine */
	__u8 error;  /* enum sn_tcp_error, once it is closed */
	__u8 pad[6];
};

/*
 * What we remember of a socket. Written by its owner's calls and by the arrival of its segments: two
 * threads can use one at once, without a lock that holds for us, so what decides is read once, and a
 * moment that lies behind another is not taken for one before it.
 */
struct sn_tcp_sock {
	__u64 sent;	    /* start of the last send */
	__u64 arrived;	    /* of the oldest byte not yet read; 0: none is waiting */
	__u64 arrived_last; /* of the newest segment */
	__u64 request;	    /* arrival of the oldest byte of the run being read; 0: unknown */
	__u64 read;	    /* first read of that run */
	__u64 read_last;    /* the newest read */
	__u32 tx_seq;	    /* write_seq up to which sent bytes are in a series */
	__u32 rx_seq;	    /* copied_seq that the last read left */
	__u32 rx_pending;   /* bytes read and not yet in a series */
	__u32 sends;	    /* of the run that is under way */
	__u32 send_end;	    /* write_seq behind the last of them, where a hook can tell */
	__u32 exchanges;
	__u8 phase;
	__u8 tx_closed; /* write_seq counts no bytes: before the handshake, or our FIN is out */
	__u8 ready;	/* key is filled in */
	__u8 open;	/* sequence numbers are bytes */
	__u8 unwanted;	/* enum sn_tcp_unwanted */
	__u8 closer;	/* enum sn_tcp_closer */
	__u8 flags;	/* the kernel half's own */
	__u8 state;	/* of the kernel, as it was last seen to change; 0: unknown */
	struct sn_tcp_key key;
	struct sn_tcp_more more;
};

/* The same without `more`, as socket storage holds it where nobody wants that. */
struct sn_tcp_brief {
	__u64 words[13];
};

/* ---- what is told singly, through the ring sn_tcp_singles ---- */

enum sn_tcp_single_type { SN_TCP_EXCHANGE, SN_TCP_FAILED, SN_TCP_ENDED, SN_TCP_STILL_OPEN };

#define SN_TCP_NO_TIME (~0ULL)

/* An exchange as it ends, or a connection that came to nothing. Times that are unknown: SN_TCP_NO_TIME. */
struct sn_tcp_single {
	__u32 type;
	__u32 request_bytes;
	__u64 time_ns, duration_ns;
	__u64 wait_ns, total_ns, network_ns, remote_ns, application_ns;
	__u32 sends;
	__u32 srtt_us, rtt_min_us; /* the first in eighths; 0: unknown */
	__u16 local_port, peer_port;
	__u8 local[16];
	struct sn_tcp_key
		key; /* .error: enum sn_tcp_error of a failure, sn_tcp_method of an exchange */
	char comm[SN_COMM_LEN];
};

/* A connection that is over, or that is there when somebody looks. */
struct sn_tcp_connection {
	__u32 type;
	__u8 state; /* of the kernel */
	__u8 pad[3];
	__u64 time_ns; /* monotonic */
	struct sn_tcp_sock sock;
};

/* A connection both of whose ends are on this machine: how the server's tells the client's. */
struct sn_tcp_pair_key {
	__u8 client[16], server[16];
	__u16 client_port, server_port; /* host order */
	__u32 netns;			/* of loopback addresses, else 0 */
};

struct sn_tcp_pair {
	__u64 residence;
	__u64 answered; /* when that was; 0: not yet */
};

/* A listening port of one network namespace: what tells the server's end of an older socket. */
struct sn_tcp_listen_key {
	__u32 netns; /* inode number */
	__u16 port;  /* host order */
	__u16 pad;
};

/*
 * Which connections are measured; all zero: every one. Of ports and of nets any has to hold, and all
 * that is not zero together.
 */
#define SN_TCP_FILTER_MAX 16

struct sn_tcp_ports {
	__u16 first, last; /* host order, both belong to it */
};

struct sn_tcp_net {
	__u32 addr[4], mask[4]; /* network order; IPv4 as mapped into IPv6 */
};

struct sn_tcp_filter {
	struct sn_tcp_net nets[SN_TCP_FILTER_MAX];
	struct sn_tcp_ports ports[SN_TCP_FILTER_MAX];
	__u32 sample_below; /* what a random number is below of those measured; 0: all are */
	__u8 n_nets, n_ports;
	__u8 role; /* enum sn_tcp_role; SN_TCP_UNKNOWN: either */
	__u8 any;  /* there is something to decide */
};

/* ---- types.bpf.c ---- */

enum sn_types_moment { SN_TYPES_ESTABLISHED, SN_TYPES_SHUT, SN_TYPES_MOMENTS };

/* What a program finds in a socket when its state changes, by the types that it was fitted to. */
struct sn_types_sock {
	__u32 seen; /* how often */
	__u32 netns;
	__u16 family, type, protocol;
	__u8 flags;		     /* the lowest of skc_flags */
	__u8 state_is_old;	     /* the state is what the tracepoint says that it was */
	__u16 local_port, peer_port; /* host order */
	__u16 source_port;	     /* the local one, of inet_sock */
	__u16 pad;
	__u32 rcv_nxt, copied_seq, write_seq, srtt_us, rtt_min_us;
	__u64 clock_ns; /* what TCP took for now, monotonic */
	__u8 peer4[4], peer6[16], local4[4], local6[16];
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
_Static_assert(sizeof(struct sn_process) == 32, "abi: sn_process");
_Static_assert(sizeof(struct sn_process_event) == 8, "abi: sn_process_event");
_Static_assert(sizeof(struct sn_tcp_key) == 24, "abi: sn_tcp_key");
_Static_assert(sizeof(struct sn_tcp_value) == 2 * sizeof(struct sn_hist) + 56, "abi: sn_tcp_value");
_Static_assert(sizeof(struct sn_tcp_life) == 3 * sizeof(struct sn_hist) + 208, "abi: sn_tcp_life");
_Static_assert(sizeof(struct sn_tcp_stages) == 5 * sizeof(struct sn_hist) + 24,
	       "abi: sn_tcp_stages");
_Static_assert(sizeof(struct sn_tcp_brief) == __builtin_offsetof(struct sn_tcp_sock, more),
	       "abi: sn_tcp_brief");
_Static_assert(sizeof(struct sn_tcp_sock) == 104 + 200, "abi: sn_tcp_sock");
_Static_assert(sizeof(struct sn_tcp_single) == 136, "abi: sn_tcp_single");
_Static_assert(sizeof(struct sn_tcp_connection) == 16 + sizeof(struct sn_tcp_sock),
	       "abi: sn_tcp_connection");
_Static_assert(sizeof(struct sn_tcp_pair_key) == 40, "abi: sn_tcp_pair_key");
_Static_assert(sizeof(struct sn_tcp_listen_key) == 8, "abi: sn_tcp_listen_key");
_Static_assert(sizeof(struct sn_tcp_filter) == 36 * SN_TCP_FILTER_MAX + 8, "abi: sn_tcp_filter");
_Static_assert(sizeof(struct sn_http_key) == 8, "abi: sn_http_key");
_Static_assert(sizeof(struct sn_http_start_key) == 16, "abi: sn_http_start_key");
