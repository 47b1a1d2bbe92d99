// SPDX-License-Identifier: Apache-2.0
#include "world/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "world/sandbox.h"

/* Where the child keeps its way out, in the place of the helper's socket, and the file. */
#define REPLY_FD ZYGOTE_SOCKET_FD
#define FILE_FD	 (REPLY_FD + 1)

/* How long a killed child may take to go. One that is stuck in a read of a dead mount never does. */
#define REAP_NS (500 * NSEC_PER_MSEC)

static void fail(struct zygote_reply *reply, int result)
{
	reply->result = result;
	memset(&reply->gobin, 0, sizeof(reply->gobin));
}

/* The child: parses one file and leaves. */
__attribute__((noreturn)) static void parse(const struct zygote_request *request, pid_t parent,
					    inspector_parser parser, struct zygote_reply *reply)
{
	const char *names[GOBIN_MAX_FUNCTIONS];
	int r;

	for (uint32_t i = 0; i < request->n_names; i++)
		names[i] = request->names[i];
	r = sandbox_drop_privileges(parent, &reply->error);
	if (r == 0)
		r = sandbox_seal(REPLY_FD, &reply->error);
	if (r == 0)
		r = parser(FILE_FD, names, request->n_names, &reply->gobin, &reply->error);
	if (r != 0)
		fail(reply, r);
	if (write(REPLY_FD, reply, sizeof(*reply)) != sizeof(*reply))
		_exit(1);
	_exit(0);
}

static pid_t fork_child(int file, int out, const struct zygote_request *request,
			inspector_parser parser, struct zygote_reply *reply)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (dup2(out, REPLY_FD) < 0 || (file != FILE_FD && dup2(file, FILE_FD) < 0) ||
	    close_range(FILE_FD + 1, ~0U, 0) < 0)
		_exit(1);
	parse(request, parent, parser, reply);
}

/* Waits for the child's answer: 1: *@reply has it; 0: it left without one; -ETIMEDOUT. */
static int read_reply(int in, uint64_t deadline_ns, struct zygote_reply *reply)
{
	struct zygote_reply answer;

	for (;;) {
		uint64_t now = clock_boot_ns();
		struct pollfd p = { .fd = in, .events = POLLIN };
		ssize_t n;

		if (now >= deadline_ns)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)((deadline_ns - now) / NSEC_PER_MSEC) + 1) <= 0)
			continue;
		n = read(in, &answer, sizeof(answer));
		if (n != sizeof(answer))
			return 0;
		answer.sequence = reply->sequence;
		*reply = answer;
		return 1;
	}
}

/* How @pid ended, in *@ret; false when it would not end within @patience_ns. */
static bool reap(pid_t pid, uint64_t patience_ns, int *ret)
{
	uint64_t end = clock_boot_ns() + patience_ns;
	struct timespec pause = { .tv_nsec = 200 * NSEC_PER_USEC };

	while (waitpid(pid, ret, WNOHANG) == 0) {
		if (clock_boot_ns() > end)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

static void explain_death(struct zygote_reply *reply, int status)
{
	int r = -EBADMSG;

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
		r = err_set(&reply->error, -ETIMEDOUT,
			    "the parser used more than %d s of processor time on this file",
			    SANDBOX_CPU_SECONDS);
	else if (WIFSIGNALED(status))
		err_set(&reply->error, r, "the parser died on this file (signal %d)",
			WTERMSIG(status));
	else
		err_set(&reply->error, r, "the parser left this file without an answer");
	fail(reply, r);
}

static void serve(const struct zygote_request *request, int file, inspector_parser parser,
		  unsigned int wall_ms, struct zygote_reply *reply)
{
	uint64_t deadline = clock_boot_ns() + wall_ms * NSEC_PER_MSEC;
	cleanup(cleanup_fd) int in = -1;
	int pipe_fds[2];
	int status = 0;
	pid_t pid;
	int r;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		fail(reply, err_set(&reply->error, -errno, "pipe: %m"));
		return;
	}
	in = pipe_fds[0];
	pid = fork_child(file, pipe_fds[1], request, parser, reply);
	close(pipe_fds[1]);
	if (pid < 0) {
		fail(reply, err_set(&reply->error, -errno, "fork: %m"));
		return;
	}
	r = read_reply(in, deadline, reply);
	/* One that closed its end without an answer is about to end by itself: that tells how. */
	if (r == 0 && reap(pid, REAP_NS, &status)) {
		explain_death(reply, status);
		return;
	}
	kill(pid, SIGKILL);
	reap(pid, REAP_NS, &status);
	if (r != 1)
		fail(reply, err_set(&reply->error, -ETIMEDOUT,
				    "the parser took longer than %u ms on this file", wall_ms));
}

/* The next request and its file: 1; 0 when the other end is closed. */
static int receive(int socket, struct zygote_request *ret, int *ret_file)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec data = { .iov_base = ret, .iov_len = sizeof(*ret) };
	struct msghdr msg = { .msg_iov = &data,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	c = CMSG_FIRSTHDR(&msg);
	if (n != sizeof(*ret) || ret->n_names > GOBIN_MAX_FUNCTIONS || !c ||
	    c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
		return 0;
	memcpy(ret_file, CMSG_DATA(c), sizeof(*ret_file));
	return 1;
}

/*
 * No handler of the agent's runs here. The terminal's and the service manager's signals are the
 * agent's affair: we end when it does.
 */
static void set_signals(void)
{
	static const int ignored[] = {
		SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2
	};
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int prepare(int socket, pid_t parent, struct err *e)
{
	int r;

	prctl(PR_SET_NAME, "sonde-inspect");
	set_signals();
	if (socket != ZYGOTE_SOCKET_FD && dup2(socket, ZYGOTE_SOCKET_FD) < 0)
		return err_set(e, -errno, "move a socket: %m");
	r = sandbox_close_files(ZYGOTE_SOCKET_FD + 1, e);
	if (r < 0)
		return r;
	if (chdir("/") < 0)
		return err_set(e, -errno, "change to /: %m");
	return sandbox_drop_privileges(parent, e);
}

void zygote_run(int socket, pid_t parent, inspector_parser parser, unsigned int wall_ms)
{
	struct zygote_request request;
	struct zygote_reply reply = {};
	int file;

	reply.result = prepare(socket, parent, &reply.error);
	if (send(ZYGOTE_SOCKET_FD, &reply, sizeof(reply), MSG_NOSIGNAL) < 0 || reply.result < 0)
		_exit(1);
	while (receive(ZYGOTE_SOCKET_FD, &request, &file)) {
		memset(&reply, 0, sizeof(reply));
		reply.sequence = request.sequence;
		serve(&request, file, parser, wall_ms, &reply);
		close(file);
		if (send(ZYGOTE_SOCKET_FD, &reply, sizeof(reply), MSG_NOSIGNAL) < 0)
			break;
		while (waitpid(-1, NULL, WNOHANG) > 0) /* those that took too long to go */
			;
	}
	_exit(0);
}
