// SPDX-License-Identifier: Apache-2.0
/*
 * Whether the types that programs are fitted to are those of the kernel that runs. Versions and
 * checksums do not say: two builds of one version can differ in a field. So what our programs read is
 * read, and compared with what is known of it from elsewhere.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "abi/abi.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "kern/map.h"
#include "kern/object.h"
#include "kern/private.h"

KERN_IMAGE_DECLARE(types);

/* Bytes of the connection: each of its sequence numbers moves by another number. */
enum { TO_PEER = 5000, KEPT_BACK = 10, TO_US = 100, READ_BY_US = 60 };

/*
 * Of the lowest four flags of a socket (dead, the peer is done, urgent bytes in line, keep alive) the
 * latter two are set: all of them are then known.
 */
enum { LOW_FLAGS = 0xf, FLAGS_SET = 0xc };

struct pair {
	int listener, client, peer;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address; /* of the listener */
	socklen_t len;
	uint16_t port, client_port;
	uint32_t rtt_us[2]; /* before and after the end of what we send */
	uint32_t rtt_min_us[2];
	uint64_t began_ns; /* monotonic */
};

static void pair_close(struct pair *p)
{
	cleanup_fd(&p->client);
	cleanup_fd(&p->peer);
	cleanup_fd(&p->listener);
}

static int pair_listen(struct pair *p, int family)
{
	const struct timeval second = { .tv_sec = 1 };

	*p = (struct pair){ .listener = -1, .client = -1, .peer = -1, .address.any = { family } };
	if (family == AF_INET6) {
		p->address.v6.sin6_addr = in6addr_loopback;
		p->len = sizeof(p->address.v6);
	} else {
		p->address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		p->len = sizeof(p->address.v4);
	}
	p->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->listener < 0 ||
	    setsockopt(p->listener, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)) < 0 ||
	    bind(p->listener, &p->address.any, p->len) < 0 || listen(p->listener, 1) < 0 ||
	    getsockname(p->listener, &p->address.any, &p->len) < 0)
		return -errno;
	/* At the same place in both forms. */
	p->port = ntohs(p->address.v4.sin_port);
	return 0;
}

static void look_at_rtt(struct pair *p, int i)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	if (getsockopt(p->client, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return;
	p->rtt_us[i] = info.tcpi_rtt;
	p->rtt_min_us[i] = info.tcpi_min_rtt;
}

static bool pass(int from, int to, size_t sent, size_t received, int flags)
{
	char buf[TO_PEER] = {};

	return send(from, buf, sent, MSG_NOSIGNAL) == (ssize_t)sent &&
	       recv(to, buf, received, flags | MSG_WAITALL) == (ssize_t)received;
}

/* Lives through what is looked at. Nobody waits longer than a second for loopback. */
static int pair_run(struct pair *p)
{
	const struct timeval second = { .tv_sec = 1 };
	const int on = 1;
	struct sockaddr_in6 own;
	socklen_t len = sizeof(own);
	char buf[READ_BY_US];

	p->began_ns = clock_monotonic_ns();
	p->client = socket(p->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->client < 0 || setsockopt(p->client, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) < 0 ||
	    setsockopt(p->client, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0 ||
	    setsockopt(p->client, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second)) < 0 ||
	    setsockopt(p->client, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)) < 0 ||
	    connect(p->client, &p->address.any, p->len) < 0 ||
	    getsockname(p->client, (struct sockaddr *)&own, &len) < 0)
		return -errno;
	p->client_port = ntohs(own.sin6_port);
	p->peer = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
	if (p->peer < 0 ||
	    setsockopt(p->peer, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)) < 0)
		return -errno;
	/* Some of what came is left unread, so that arrived and read are two numbers. */
	if (!pass(p->client, p->peer, TO_PEER, TO_PEER, 0) ||
	    !pass(p->peer, p->client, TO_US, TO_US, MSG_PEEK) ||
	    recv(p->client, buf, sizeof(buf), 0) != sizeof(buf))
		return -EIO;
	/* Written and not yet pushed out: that is another number too. */
	if (send(p->client, buf, KEPT_BACK, MSG_MORE | MSG_NOSIGNAL) != KEPT_BACK)
		return -EIO;
	look_at_rtt(p, 0);
	if (shutdown(p->client, SHUT_WR) < 0)
		return -errno;
	look_at_rtt(p, 1);
	return 0;
}

static bool are_addresses(const struct pair *p, const struct sn_types_sock *s)
{
	/* Over loopback both ends have the same address. */
	if (p->address.any.sa_family == AF_INET6)
		return memcmp(s->peer6, &p->address.v6.sin6_addr, sizeof(s->peer6)) == 0 &&
		       memcmp(s->local6, s->peer6, sizeof(s->local6)) == 0;
	return memcmp(s->peer4, &p->address.v4.sin_addr, sizeof(s->peer4)) == 0 &&
	       memcmp(s->local4, s->peer4, sizeof(s->local4)) == 0;
}

/* The first field that is not what it must be, or NULL. */
static const char *wrong_field(const struct pair *p, const struct sn_types_sock s[SN_TYPES_MOMENTS])
{
	const struct sn_types_sock *begin = &s[SN_TYPES_ESTABLISHED], *end = &s[SN_TYPES_SHUT];
	struct stat netns;

	if (begin->seen != 1 || end->seen != 1)
		return "the peer's port of a socket";
	if (stat("/proc/self/ns/net", &netns) == 0 &&
	    (begin->netns != netns.st_ino || end->netns != netns.st_ino))
		return "the network namespace of a socket";
	if (begin->family != p->address.any.sa_family || begin->type != SOCK_STREAM ||
	    begin->protocol != IPPROTO_TCP)
		return "the kind of a socket";
	if (!begin->state_is_old || !end->state_is_old)
		return "the state of a socket";
	if ((begin->flags & LOW_FLAGS) != FLAGS_SET || (end->flags & LOW_FLAGS) != FLAGS_SET)
		return "what is set of a socket";
	if (begin->local_port != p->client_port || begin->source_port != p->client_port ||
	    !are_addresses(p, begin))
		return "the address of a socket";
	if (end->write_seq - begin->write_seq != TO_PEER + KEPT_BACK)
		return "the bytes that were sent";
	if (end->rcv_nxt - begin->rcv_nxt != TO_US)
		return "the bytes that came";
	if (begin->copied_seq != begin->rcv_nxt ||
	    end->copied_seq - begin->copied_seq != READ_BY_US)
		return "the bytes that were read";
	if (end->srtt_us >> 3 != p->rtt_us[0] && end->srtt_us >> 3 != p->rtt_us[1])
		return "the round-trip time";
	if (end->rtt_min_us != p->rtt_min_us[0] && end->rtt_min_us != p->rtt_min_us[1])
		return "the least round-trip time";
	/* 0: it knows of none, and the programs do without. */
	if (end->clock_ns && (end->clock_ns < p->began_ns || end->clock_ns > clock_monotonic_ns()))
		return "the clock of a socket";
	return NULL;
}

/* Fields that the file does not know, or knows at impossible places, end here. */
static int load(struct kern_object *o, const char *name, struct kern_program **ret, struct err *e)
{
	int r = kern_program_load(o, name, ret, e);

	return r < 0 && r != -EPERM && r != -ENOMEM ? -EBADMSG : r;
}

static int watch(struct kern_object *o, struct pair *p, struct sn_types_sock *seen, struct err *e)
{
	struct kern_link *link = NULL;
	struct kern_program *program;
	int r, fd = kern_object_map(o, "sn_types_socks");

	r = load(o, "sn_types_state", &program, e);
	if (!r)
		r = kern_program_attach(program, &link, e);
	if (!r) {
		r = pair_run(p);
		if (r < 0)
			err_set(e, r, "no connection over loopback: %s", strerror(-r));
	}
	for (uint32_t i = 0; !r && i < SN_TYPES_MOMENTS; i++)
		r = kern_map_get(fd, &i, &seen[i]);
	kern_link_free(link);
	return r;
}

static int open_object(uint16_t port, struct kern_object **ret, struct err *e)
{
	static const struct kern_image image = KERN_IMAGE(types);
	int r = kern_object_open(&image, ret, e);

	if (!r)
		r = kern_object_set(*ret, "sn_types_port", &port, sizeof(port), e);
	return r ? r : kern_object_create(*ret, e);
}

static int check_socket(int family, struct err *e)
{
	struct sn_types_sock seen[SN_TYPES_MOMENTS] = {};
	struct kern_object *o = NULL;
	const char *wrong;
	struct pair p;
	int r = pair_listen(&p, family);

	/* Machines without IPv6 have no such sockets to be wrong about. */
	if (r < 0) {
		pair_close(&p);
		return family == AF_INET6
			       ? 0
			       : err_set(e, r, "no socket over loopback: %s", strerror(-r));
	}
	r = open_object(p.port, &o, e);
	if (!r)
		r = watch(o, &p, seen, e);
	if (!r) {
		wrong = wrong_field(&p, seen);
		if (wrong)
			r = err_set(e, -EBADMSG, "%s is not where it says", wrong);
	}
	kern_object_close(o);
	pair_close(&p);
	return r;
}

static int check_task(struct err *e)
{
	struct kern_object *o = NULL;
	struct kern_program *p;
	uint64_t unused[1] = {};
	uint32_t right = 0;
	int r = open_object(0, &o, e);

	if (!r)
		r = load(o, "sn_types_right", &p, e);
	if (!r)
		r = kern_program_test_run(p, unused, sizeof(unused), &right, e);
	kern_object_close(o);
	if (!r && !right)
		r = err_set(e, -EBADMSG, "a task's name and number are not where it says");
	return r;
}

/* Once more if it fails: on a busy machine others may connect to that port, or from one like it. */
static int check_family(int family, struct err *e)
{
	int r = check_socket(family, e);

	if (r < 0) {
		*e = (struct err){};
		r = check_socket(family, e);
	}
	return r;
}

int kern_types_check(struct err *e)
{
	int r = check_task(e);

	if (!r)
		r = check_family(AF_INET, e);
	return r ? r : check_family(AF_INET6, e);
}
