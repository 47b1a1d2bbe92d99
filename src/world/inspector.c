// SPDX-License-Identifier: Apache-2.0
#include "world/inspector.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "world/zygote.h"

/* On top of the parser's own limit: for the helper to kill it, and for a busy machine. */
#define GRACE_MS 1000

struct inspector {
	int socket; /* -1: there is no helper */
	pid_t pid;
	inspector_parser parser;
	unsigned int wall_ms;
	uint32_t sequence;
	struct zygote_request request; /* 4 KB each, and the worker's stack may be small */
	struct zygote_reply reply;
};

static int gone(struct err *e)
{
	return err_set(e, -EPIPE, "the process that reads foreign files has ended");
}

/* Waits for the reply to the current request. Older ones, to requests given up, are passed over. */
static int wait_reply(struct inspector *i, struct err *e)
{
	uint64_t end = clock_boot_ns() + (i->wall_ms + GRACE_MS) * NSEC_PER_MSEC;

	for (;;) {
		uint64_t now = clock_boot_ns();
		struct pollfd p = { .fd = i->socket, .events = POLLIN };
		ssize_t n;

		if (now >= end)
			return err_set(e, -EPIPE,
				       "the process that reads foreign files does not answer");
		if (poll(&p, 1, (int)((end - now) / NSEC_PER_MSEC) + 1) <= 0)
			continue;
		n = recv(i->socket, &i->reply, sizeof(i->reply), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(i->reply))
			return gone(e);
		if (i->reply.sequence == i->sequence)
			return 0;
	}
}

/* The first reply, to no request. */
static int wait_ready(struct inspector *i, struct err *e)
{
	int r = wait_reply(i, e);

	if (r == 0 && i->reply.result < 0)
		r = err_set(e, i->reply.result, "prepare the process that reads foreign files: %s",
			    i->reply.error.msg);
	return r;
}

struct inspector *inspector_new_with(inspector_parser parser, unsigned int wall_ms, struct err *e)
{
	cleanup(inspector_freep) struct inspector *i = calloc(1, sizeof(*i));
	pid_t parent = getpid();
	int sockets[2];

	if (!i) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	i->socket = -1;
	i->parser = parser;
	i->wall_ms = wall_ms;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
		err_set(e, -errno, "socketpair: %m");
		return NULL;
	}
	i->pid = fork();
	if (i->pid == 0)
		zygote_run(sockets[1], parent, parser, wall_ms);
	close(sockets[1]);
	i->socket = sockets[0];
	if (i->pid < 0) {
		err_set(e, -errno, "fork: %m");
		return NULL;
	}
	return wait_ready(i, e) < 0 ? NULL : take_ptr(i);
}

struct inspector *inspector_new(struct err *e)
{
	return inspector_new_with(gobin_read, INSPECTOR_WALL_MS, e);
}

void inspector_end(struct inspector *i)
{
	if (i->socket >= 0)
		close(i->socket);
	i->socket = -1;
	if (i->pid > 0) {
		kill(i->pid, SIGKILL);
		while (waitpid(i->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	i->pid = -1;
}

void inspector_free(struct inspector *i)
{
	if (!i)
		return;
	inspector_end(i);
	free(i);
}

/* As argv[0]: not what anybody calls a program that he wants to measure with. */
static char helper_name[] = "sonde-inspect";

static int spawn(int socket, pid_t *ret)
{
	char parent[16], *argv[] = { helper_name, parent, NULL }, *env[] = { NULL };
	posix_spawn_file_actions_t files;
	int r;

	snprintf(parent, sizeof(parent), "%d", getpid());
	r = posix_spawn_file_actions_init(&files);
	if (r)
		return -r;
	/* The only one that is not closed on the way. */
	r = posix_spawn_file_actions_adddup2(&files, socket, ZYGOTE_SOCKET_FD);
	if (!r)
		r = posix_spawn(ret, "/proc/self/exe", &files, NULL, argv, env);
	posix_spawn_file_actions_destroy(&files);
	return -r;
}

int inspector_restart(struct inspector *i, struct err *e)
{
	int sockets[2], r;

	if (i->parser != gobin_read)
		return err_set(e, -ENOTSUP, "only the standard parser can be started again");
	inspector_end(i);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return err_set(e, -errno, "socketpair: %m");
	i->socket = sockets[0];
	i->sequence = 0;
	r = spawn(sockets[1], &i->pid);
	close(sockets[1]);
	if (r < 0) {
		i->pid = -1;
		err_set(e, r, "start the process that reads foreign files again: %s", strerror(-r));
	} else {
		r = wait_ready(i, e);
	}
	if (r < 0)
		inspector_end(i);
	return r;
}

void inspector_main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[0], helper_name) == 0)
		zygote_run(ZYGOTE_SOCKET_FD, (pid_t)strtol(argv[1], NULL, 10), gobin_read,
			   INSPECTOR_WALL_MS);
}

static int fill_request(struct zygote_request *request, uint32_t sequence, const char *const *names,
			uint32_t n_names, struct err *e)
{
	memset(request, 0, sizeof(*request));
	if (n_names > GOBIN_MAX_FUNCTIONS)
		return err_set(e, -EINVAL, "more than %d functions at once", GOBIN_MAX_FUNCTIONS);
	request->sequence = sequence;
	request->n_names = n_names;
	for (uint32_t k = 0; k < n_names; k++) {
		size_t len = strlen(names[k]);

		if (len >= ZYGOTE_NAME_BYTES)
			return err_set(e, -EINVAL, "a function name of more than %d bytes",
				       ZYGOTE_NAME_BYTES - 1);
		memcpy(request->names[k], names[k], len);
	}
	return 0;
}

static int send_request(struct inspector *i, int fd, struct err *e)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec data = { .iov_base = &i->request, .iov_len = sizeof(i->request) };
	struct msghdr msg = { .msg_iov = &data,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (sendmsg(i->socket, &msg, MSG_NOSIGNAL) >= 0)
		return 0;
	if (errno == EPIPE || errno == ECONNRESET)
		return gone(e);
	return err_set(e, -errno, "hand a file to the process that reads it: %m");
}

static void scrub_text(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (char *p = text; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
}

/* A bool that another process wrote may hold any byte; read as a bool that would be undefined. */
static void scrub_bool(bool *b)
{
	unsigned char byte;

	memcpy(&byte, b, 1);
	*b = byte != 0;
}

static void scrub_site(struct site *s)
{
	scrub_text(s->insn, sizeof(s->insn));
	scrub_text(s->why, sizeof(s->why));
	if (s->kind > SITE_KIND_LAST)
		s->kind = SITE_NONE;
	if (s->kind == SITE_NONE)
		s->file_offset = 0;
}

/* False: the answer is not one to the question. */
static bool scrub_reply(struct zygote_reply *reply, uint32_t n_names)
{
	struct gobin *g = &reply->gobin;

	scrub_text(reply->error.msg, sizeof(reply->error.msg));
	scrub_text(g->version, sizeof(g->version));
	scrub_text(g->build_id, sizeof(g->build_id));
	scrub_bool(&g->stripped);
	scrub_bool(&g->pie);
	if (g->source != GOBIN_SYMTAB)
		g->source = GOBIN_PCLNTAB;
	for (uint32_t k = 0; k < GOBIN_MAX_FUNCTIONS; k++)
		scrub_site(&g->functions[k].site);
	return reply->result <= 0 && reply->result >= -4095 &&
	       (reply->result < 0 || g->n_functions == n_names);
}

int inspector_gobin(struct inspector *i, int fd, const char *const *names, uint32_t n_names,
		    struct gobin *ret, struct err *e)
{
	int r;

	if (i->socket < 0)
		return gone(e);
	r = fill_request(&i->request, ++i->sequence, names, n_names, e);
	if (r < 0)
		return r;
	r = send_request(i, fd, e);
	if (r < 0)
		return r;
	r = wait_reply(i, e);
	if (r < 0)
		return r;
	if (!scrub_reply(&i->reply, n_names))
		return err_set(e, -EBADMSG, "the parser answered nonsense on this file");
	if (i->reply.result < 0)
		return err_set(e, i->reply.result, "%s", i->reply.error.msg);
	*ret = i->reply.gobin;
	return 0;
}
