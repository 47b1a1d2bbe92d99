/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A client and a server that talk over TCP in one of many ways, and note every call on their own
 * clock (CLOCK_MONOTONIC, in nanoseconds). Both notes lie in one memory, so that what one end cannot
 * see, when its message came to the other, is bounded by both ends' calls.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MAX_MESSAGES (1 << 14)
#define MAX_MESSAGE  (8 << 20)

/* The calls around one message; 0: there was none, or it is not known. */
struct message {
	uint64_t send_first, send_first_ret; /* the first call that sent of it */
	uint64_t send_last, send_last_ret;   /* the last */
	uint64_t seen;			     /* a call that waits said that there is something */
	uint64_t read_first, read_first_ret; /* the first call that took something of it */
	bool begins_run;		     /* nothing was read since the last send */
};

/* What one end has done, and where it is in the conversation. */
struct ledger {
	struct pair {
		int request, answer;
	} pairs[MAX_MESSAGES]; /* its exchanges, as docs/probes/tcp.md defines them */
	long n_pairs, ambiguous;
	long tx, rx; /* messages */
	long run;    /* the message with which the run of reads began */
	int sends;   /* calls in the run of sends that is under way */
	bool reading;
	uint64_t sent_bytes, received_bytes;
};

struct notes {
	struct message requests[MAX_MESSAGES], answers[MAX_MESSAGES];
	struct ledger client, server;
	long step; /* scenes say here how far they are, where the socket does not */
};

struct end {
	int fd;
	bool server;
	struct notes *notes;
	struct ledger *ledger;
	struct message *out, *in;
	const struct scene *scene;
	long turn;
	/* What some ways of sending and reading need. */
	int epoll_fd, file, pipe_in, pipe_out;
	bool armed;
	void *window;
	struct ring *ring; /* NULL: none */
};

/* One turn of a scene is a message each way, unless it says otherwise. */
struct way {
	void (*send)(struct end *, size_t len); /* one message */
	void (*wait)(struct end *);		/* before each read; NULL: the read waits */
	size_t (*read)(struct end *, size_t most);
};

struct scene {
	const char *name;
	struct way client, server;
	size_t request, response;
	void (*ask)(struct end *), (*answer)(struct end *); /* a turn; NULL: the usual one */
	void (*prepare)(struct end *);			    /* each new socket that is connected */
	int (*connect)(int port);			    /* NULL: the usual one */
	void (*play)(struct end *, long turns);		    /* of the server, on one connection */
	bool each;					    /* a connection for each turn */
	bool mapped;					    /* IPv4 over IPv6 sockets */
	bool whole; /* nobody hears of a message before its last byte has come */
	bool apart; /* in a network of its own, with Fast Open */
};

/* scenes.c */
extern const struct scene scenes[];
extern const size_t n_scenes;

/* main.c */
extern long delay_us; /* the server's work */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...);
uint64_t now_ns(void);
void sleep_us(long us);
void usual_ask(struct end *e);
void usual_answer(struct end *e);
/* Until the other end has said that it is at @step of this turn, at most ten seconds. */
void step_wait(struct end *e, long step);
void step_done(struct end *e, long step);

/* notes.c: what the call that began at @began (0: unknown) and has just ended did with @n bytes */
void note_sent(struct end *e, uint64_t began, size_t n, int calls);
void note_read(struct end *e, uint64_t began, uint64_t seen, size_t n);
void note_seen(struct end *e);
void notes_print(const struct notes *notes, const struct scene *scene);

/* ways.c */
extern char buffer[MAX_MESSAGE];
const struct way *way_of(const struct end *e);
void send_message(struct end *e, size_t len);
void read_message(struct end *e, size_t len);
void send_plain(struct end *e, size_t len), send_vector(struct end *e, size_t len);
void send_many(struct end *e, size_t len), send_more(struct end *e, size_t len);
void send_corked(struct end *e, size_t len), send_file(struct end *e, size_t len);
void send_spliced(struct end *e, size_t len), send_zerocopy(struct end *e, size_t len);
void send_urgent(struct end *e, size_t len), send_urgent_last(struct end *e, size_t len);
void wait_poll(struct end *e), wait_epoll(struct end *e), wait_select(struct end *e);
size_t read_plain(struct end *e, size_t most), read_edge(struct end *e, size_t most);
size_t read_vector(struct end *e, size_t most), read_many(struct end *e, size_t most);
size_t read_peeked(struct end *e, size_t most), read_truncated(struct end *e, size_t most);
size_t read_all(struct end *e, size_t most), read_byte(struct end *e, size_t most);
size_t read_spliced(struct end *e, size_t most), read_zerocopy(struct end *e, size_t most);
size_t read_urgent(struct end *e, size_t most), read_in_turns(struct end *e, size_t most);

/* ring.c: io_uring */
void ring_prepare(struct end *e), ring_prepare_polled(struct end *e);
void ring_done(struct end *e); /* holds no socket any more; for NULL too */
void ring_send(struct end *e, size_t len), ring_send_zc(struct end *e, size_t len);
size_t ring_read(struct end *e, size_t most), ring_read_multi(struct end *e, size_t most);
