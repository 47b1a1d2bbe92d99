// SPDX-License-Identifier: Apache-2.0
/*
 * tcp_scenes SCENE [--turns N] [--delay US] [--cpus 1]: plays a scene between two processes on
 * loopback, with --cpus each on a processor of its own, and prints one JSON object: the port, and of
 * each end its exchanges, waits and bytes as it has seen them itself. Without a scene: their names.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scene.h"

#define PAUSE_US 1000 /* of the client, before each turn */

long delay_us;

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("tcp_scenes: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputs(".\n", stderr);
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

void sleep_us(long us)
{
	struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

	while (us > 0 && nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

#define STEPS 8 /* in a turn, at most */

void step_wait(struct end *e, long step)
{
	for (int i = 0; i < 100000; i++) {
		if (__atomic_load_n(&e->notes->step, __ATOMIC_ACQUIRE) >= e->turn * STEPS + step)
			return;
		sleep_us(100);
	}
	die("turn %ld has not come to step %ld", e->turn, step);
}

void step_done(struct end *e, long step)
{
	__atomic_store_n(&e->notes->step, e->turn * STEPS + step, __ATOMIC_RELEASE);
}

void usual_ask(struct end *e)
{
	send_message(e, e->scene->request);
	read_message(e, e->scene->response);
}

void usual_answer(struct end *e)
{
	read_message(e, e->scene->request);
	sleep_us(delay_us);
	send_message(e, e->scene->response);
}

/* ---- sockets ---- */

static int open_listener(const struct scene *scene, int *ret_port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct sockaddr *addr = scene->mapped ? (struct sockaddr *)&six : (struct sockaddr *)&four;
	socklen_t len = scene->mapped ? sizeof(six) : sizeof(four);
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, addr, len) < 0)
		die("no port to listen at: %s", strerror(errno));
	if (scene->apart &&
	    setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &(int){ 16 }, sizeof(int)) < 0)
		die("TCP_FASTOPEN: %s", strerror(errno));
	if (listen(fd, 16) < 0 || getsockname(fd, addr, &len) < 0)
		die("listen: %s", strerror(errno));
	*ret_port = ntohs(scene->mapped ? six.sin6_port : four.sin_port);
	return fd;
}

static int usual_connect(int port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die("connect to port %d: %s", port, strerror(errno));
	return fd;
}

/* A network where Fast Open is allowed at both ends, which it is not by default. */
static void go_apart(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		die("no network of its own: %s", strerror(errno));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		die("lo: %s", strerror(errno));
	close(fd);
	fd = open("/proc/sys/net/ipv4/tcp_fastopen", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "3", 1) != 1)
		die("tcp_fastopen: %s", strerror(errno));
	close(fd);
}

/* ---- the two ends ---- */

static void end_begin(struct end *e, int fd)
{
	e->fd = fd;
	e->armed = false;
	e->ledger->sends = 0;
	e->ledger->reading = false;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	if (e->scene->prepare)
		e->scene->prepare(e);
}

static void end_over(struct end *e)
{
	ring_done(e);
	if (e->fd >= 0 && close(e->fd) < 0)
		die("close: %s", strerror(errno));
	e->fd = -1;
}

static void play_turns(struct end *e, long turns)
{
	void (*turn)(struct end *) = e->server ? e->scene->answer : e->scene->ask;

	for (long i = 0; i < turns; i++, e->turn++) {
		/* What waits where it should not would wait that long. */
		if (!e->server)
			sleep_us(PAUSE_US);
		if (turn)
			turn(e);
		else if (e->server)
			usual_answer(e);
		else
			usual_ask(e);
	}
}

static void run_server(struct end *e, int listener, long turns)
{
	long at_once = e->scene->each ? 1 : turns;

	for (long i = 0; i < turns; i += at_once) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			die("accept: %s", strerror(errno));
		end_begin(e, fd);
		(e->scene->play ? e->scene->play : play_turns)(e, at_once);
		end_over(e);
	}
}

static void run_client(struct end *e, int port, long turns)
{
	long at_once = e->scene->each ? 1 : turns;

	for (long i = 0; i < turns; i += at_once) {
		end_begin(e, (e->scene->connect ? e->scene->connect : usual_connect)(port));
		play_turns(e, at_once);
		end_over(e);
	}
}

static struct end end_of(struct notes *notes, const struct scene *scene, bool server)
{
	return (struct end){
		.fd = -1,
		.server = server,
		.notes = notes,
		.ledger = server ? &notes->server : &notes->client,
		.out = server ? notes->answers : notes->requests,
		.in = server ? notes->requests : notes->answers,
		.scene = scene,
		.epoll_fd = -1,
		.file = -1,
		.pipe_in = -1,
		.pipe_out = -1,
	};
}

/* Neither end waits for the other's to let it run. */
static void go_to_cpu(const struct end *e)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(e->server ? 0 : n - 1, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		die("no processor of its own: %s", strerror(errno));
}

static void run(const struct scene *scene, long turns, bool cpus)
{
	struct notes *notes = mmap(NULL, sizeof(*notes), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int listener, port, status = 0;
	struct end e;
	pid_t server;

	if (notes == MAP_FAILED)
		die("no memory: %s", strerror(errno));
	if (scene->apart)
		go_apart();
	listener = open_listener(scene, &port);
	server = fork();
	if (server < 0)
		die("fork: %s", strerror(errno));
	e = end_of(notes, scene, server == 0);
	if (cpus)
		go_to_cpu(&e);
	if (server == 0) {
		run_server(&e, listener, turns);
		exit(0);
	}
	close(listener);
	run_client(&e, port, turns);
	if (waitpid(server, &status, 0) < 0 || status)
		die("the server failed");
	printf("{\"scene\": \"%s\", \"port\": %d, ", scene->name, port);
	notes_print(notes, scene);
	puts("}");
}

static long number(const char *text, long min, long max)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (end == text || *end || value < min || value > max)
		die("'%s' is not a number from %ld to %ld", text, min, max);
	return value;
}

int main(int argc, char **argv)
{
	const struct scene *scene = NULL;
	long turns = 20, cpus = 0;

	for (size_t i = 0; i < n_scenes; i++) {
		if (argc < 2)
			puts(scenes[i].name);
		else if (!strcmp(argv[1], scenes[i].name))
			scene = &scenes[i];
	}
	if (argc < 2)
		return 0;
	if (!scene)
		die("there is no scene '%s'", argv[1]);
	for (int i = 2; i < argc; i += 2) {
		if (i + 1 < argc && !strcmp(argv[i], "--turns"))
			turns = number(argv[i + 1], 1, MAX_MESSAGES / 16);
		else if (i + 1 < argc && !strcmp(argv[i], "--delay"))
			delay_us = number(argv[i + 1], 0, 10000000);
		else if (i + 1 < argc && !strcmp(argv[i], "--cpus"))
			cpus = number(argv[i + 1], 0, 1);
		else
			die("after the scene there can be --turns N, --delay US and --cpus 1, not '%s'",
			    argv[i]);
	}
	run(scene, turns, cpus);
	return 0;
}
