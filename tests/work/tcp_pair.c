// SPDX-License-Identifier: Apache-2.0
/*
 * A client and a server that exchange requests and responses over TCP and time each exchange on
 * their own clocks: what sonde says about them is compared with what they say. Prints one JSON
 * object; all times are nanoseconds of CLOCK_MONOTONIC.
 *
 *   client.connect         start of connect() -> its return
 *   client.opening         the same -> return of the first recv() on that connection
 *   client.exchange        start of the request's last send() -> return of the first recv()
 *   server.residence       the request seen by poll() -> start of the response's first send()
 *   server.application     return of the request's last recv() -> the same
 *   *.receive_queue        seen by poll() -> start of the first recv(); --solo: -> its return
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "figure.h"

#define MAX_CONNECTIONS 1024
#define MAX_MESSAGE	(1 << 20)

struct side {
	struct figure exchange, receive_queue, application, connect, opening;
	uint64_t sent_bytes, received_bytes;
};

static struct {
	const char *host, *server_net, *client_net;
	int family, port;
	long exchanges; /* on each connection */
	int connections;
	size_t request, response;
	long delay_us, delay_step_us, read_delay_us, client_read_delay_us, hold_ms;
	const char *wait_for, *until; /* paths */
	bool samples, solo, sendfile, server_only, client_only;
} opt = { .family = AF_INET, .exchanges = 1, .connections = 1, .request = 100, .response = 1000 };

static char buffer[MAX_MESSAGE];
static int answer_fd = -1; /* a file of that many bytes, if answers come from there */

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("tcp_pair: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputs(".\n", stderr);
	exit(1);
}

static void sleep_us(long us)
{
	struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

	while (us > 0 && nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

/* Until @path is there, if one is given. */
static void await(const char *path)
{
	while (path && access(path, F_OK) < 0)
		sleep_us(10000);
}

static void stay(const char *role)
{
	if (opt.until)
		fprintf(stderr, "%s has closed\n", role);
	await(opt.until);
}

/* ---- figures ---- */

static void begin(struct figure *f, const char *name)
{
	uint64_t room = opt.samples ? (uint64_t)opt.exchanges * opt.connections : 0;

	if (figure_init(f, name, room) < 0)
		die("no memory for %ld samples", opt.exchanges * opt.connections);
}

static void side_init(struct side *s, const char *exchange)
{
	*s = (struct side){ 0 };
	begin(&s->exchange, exchange);
	begin(&s->receive_queue, "receive_queue");
	begin(&s->application, "application");
	begin(&s->connect, "connect");
	begin(&s->opening, "opening");
}

static void side_print(const struct side *s, FILE *out)
{
	fprintf(out, "{\"pid\": %d, \"port\": %d, \"connections\": %d, ", getpid(), opt.port,
		opt.connections);
	figure_print(&s->exchange, out);
	figure_print(&s->receive_queue, out);
	if (s->application.count)
		figure_print(&s->application, out);
	if (s->connect.count) {
		figure_print(&s->connect, out);
		figure_print(&s->opening, out);
	}
	fprintf(out, "\"sent_bytes\": %lu, \"received_bytes\": %lu}", s->sent_bytes,
		s->received_bytes);
}

/* ---- bytes ---- */

/* Returns the start of the first send(), and that of the last in *@ret_last; from @file if >= 0. */
static uint64_t send_all(int fd, size_t len, int file, struct side *s, uint64_t *ret_last)
{
	uint64_t first = 0, start;
	ssize_t n;

	for (size_t done = 0; done < len; done += n) {
		start = now_ns();
		first = first ? first : start;
		*ret_last = start;
		n = file < 0 ? send(fd, buffer, len - done, MSG_NOSIGNAL)
			     : sendfile(fd, file, &(off_t){ (off_t)done }, len - done);
		if (n < 0)
			die("send: %s", strerror(errno));
		s->sent_bytes += n;
	}
	return first;
}

/* Returns when the first recv() returned, or 0 at the end of the stream. */
static uint64_t recv_all(int fd, size_t len, long delay_us, struct side *s)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	uint64_t seen, began, first = 0;
	ssize_t n;

	if (delay_us && poll(&wait, 1, -1) < 0)
		die("poll: %s", strerror(errno));
	seen = now_ns();
	sleep_us(delay_us);
	began = now_ns();
	for (size_t done = 0; done < len; done += n) {
		n = recv(fd, buffer, len - done, 0);
		if (n < 0)
			die("recv: %s", strerror(errno));
		if (n == 0)
			return 0;
		first = first ? first : now_ns();
		s->received_bytes += n;
	}
	if (delay_us)
		figure_add(&s->receive_queue, began - seen);
	return first;
}

static void no_delay(int fd)
{
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
}

static socklen_t address(struct sockaddr_storage *ret)
{
	const char *host = opt.host ? opt.host : opt.family == AF_INET6 ? "::1" : "127.0.0.1";
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *four = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*ret));
	ret->ss_family = opt.family;
	if (opt.family == AF_INET6) {
		six->sin6_port = htons(opt.port);
		if (inet_pton(AF_INET6, host, &six->sin6_addr) != 1)
			die("%s is not an IPv6 address", host);
		return sizeof(*six);
	}
	four->sin_port = htons(opt.port);
	if (inet_pton(AF_INET, host, &four->sin_addr) != 1)
		die("%s is not an IPv4 address", host);
	return sizeof(*four);
}

/* ---- server ---- */

static int open_listener(void)
{
	struct sockaddr_storage addr;
	socklen_t len = address(&addr);
	int fd = socket(opt.family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(fd, (struct sockaddr *)&addr, len) < 0 || listen(fd, MAX_CONNECTIONS) < 0)
		die("port %d: %s", opt.port, strerror(errno));
	if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		die("getsockname: %s", strerror(errno));
	opt.port = ntohs(opt.family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
						: ((struct sockaddr_in *)&addr)->sin_port);
	return fd;
}

/* Answers one request; false when the client has closed. */
static bool serve_one(int fd, uint64_t seen, struct side *s)
{
	uint64_t got, start, last;

	if (!recv_all(fd, opt.request, opt.read_delay_us, s))
		return false;
	got = now_ns();
	sleep_us(opt.delay_us + opt.delay_step_us * (long)s->exchange.count);
	start = send_all(fd, opt.response, answer_fd, s, &last);
	figure_add(&s->exchange, start - seen);
	figure_add(&s->application, start - got);
	return true;
}

static void serve(int listener, struct side *s)
{
	struct pollfd fds[MAX_CONNECTIONS];
	uint64_t seen;
	int open = 0;

	side_init(s, "residence");
	if (opt.sendfile) {
		answer_fd = memfd_create("answer", MFD_CLOEXEC);
		if (answer_fd < 0 || ftruncate(answer_fd, (off_t)opt.response) < 0)
			die("no file to send: %s", strerror(errno));
	}
	for (; open < opt.connections; open++) {
		fds[open] = (struct pollfd){ .fd = accept(listener, NULL, NULL), .events = POLLIN };
		if (fds[open].fd < 0)
			die("accept: %s", strerror(errno));
		no_delay(fds[open].fd);
	}
	while (open > 0) {
		if (poll(fds, opt.connections, -1) < 0)
			die("poll: %s", strerror(errno));
		seen = now_ns();
		for (int i = 0; i < opt.connections; i++) {
			if (!fds[i].revents || serve_one(fds[i].fd, seen, s))
				continue;
			close(fds[i].fd);
			fds[i].fd = -1; /* poll() passes it over */
			open--;
		}
	}
	stay("server");
}

/* ---- client ---- */

static void ask(struct side *s)
{
	struct sockaddr_storage addr;
	socklen_t len = address(&addr);
	uint64_t last = 0, first, began[MAX_CONNECTIONS];
	int fds[MAX_CONNECTIONS];

	side_init(s, "exchange");
	for (int i = 0; i < opt.connections; i++) {
		fds[i] = socket(opt.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		began[i] = now_ns();
		if (fds[i] < 0 || connect(fds[i], (struct sockaddr *)&addr, len) < 0)
			die("connect to port %d: %s", opt.port, strerror(errno));
		figure_add(&s->connect, now_ns() - began[i]);
		no_delay(fds[i]);
	}
	await(opt.wait_for);
	for (long n = 0; n < opt.exchanges * opt.connections; n++) {
		send_all(fds[n % opt.connections], opt.request, -1, s, &last);
		first = recv_all(fds[n % opt.connections], opt.response, opt.client_read_delay_us,
				 s);
		if (!first)
			die("the server closed after %ld exchanges", n);
		figure_add(&s->exchange, first - last);
		if (n < opt.connections)
			figure_add(&s->opening, first - began[n]);
	}
	sleep_us(opt.hold_ms * 1000);
	for (int i = 0; i < opt.connections; i++)
		close(fds[i]);
	stay("client");
}

/* ---- both ---- */

/*
 * Both ends in one thread: when send() is back, the bytes are in the other end's receive queue, so
 * that its clock sees the arrival, which a process that has yet to be woken cannot.
 */
static void run_solo(void)
{
	int listener = open_listener(), client, server;
	uint64_t last, arrived, start, ignored;
	struct sockaddr_storage addr;
	socklen_t len = address(&addr);
	struct side asks, answers;

	side_init(&asks, "exchange");
	side_init(&answers, "residence");
	client = socket(opt.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client < 0 || connect(client, (struct sockaddr *)&addr, len) < 0)
		die("connect to port %d: %s", opt.port, strerror(errno));
	server = accept(listener, NULL, NULL);
	no_delay(client);
	no_delay(server);
	for (long n = 0; n < opt.exchanges; n++) {
		send_all(client, opt.request, -1, &asks, &last);
		arrived = now_ns();
		sleep_us(opt.read_delay_us);
		recv_all(server, opt.request, 0, &answers);
		figure_add(&answers.receive_queue, now_ns() - arrived);
		sleep_us(opt.delay_us);
		start = send_all(server, opt.response, -1, &answers, &ignored);
		figure_add(&answers.exchange, start - arrived);
		figure_add(&asks.exchange, recv_all(client, opt.response, 0, &asks) - last);
	}
	printf("{\"client\": ");
	side_print(&asks, stdout);
	printf(", \"server\": ");
	side_print(&answers, stdout);
	puts("}");
}

/* The network that this process is in from here on, by a file that names it; NULL: as before. */
static void enter(const char *net)
{
	int fd;

	if (!net)
		return;
	fd = open(net, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die("%s: %s", net, strerror(errno));
	close(fd);
}

static void run_pair(void)
{
	int listener, pipe_fds[2], status = 0;
	struct side side;
	pid_t server;
	FILE *out;
	int c;

	enter(opt.server_net);
	listener = open_listener();
	if (pipe(pipe_fds) < 0)
		die("pipe: %s", strerror(errno));
	server = fork();
	if (server < 0)
		die("fork: %s", strerror(errno));
	if (server == 0) {
		close(pipe_fds[0]);
		serve(listener, &side);
		out = fdopen(pipe_fds[1], "w");
		side_print(&side, out);
		exit(fclose(out) ? 1 : 0);
	}
	close(pipe_fds[1]);
	close(listener);
	enter(opt.client_net);
	ask(&side);
	printf("{\"client\": ");
	side_print(&side, stdout);
	printf(", \"server\": ");
	out = fdopen(pipe_fds[0], "r");
	while ((c = fgetc(out)) != EOF)
		putchar(c);
	puts("}");
	if (waitpid(server, &status, 0) < 0 || status)
		die("the server failed");
}

static void run_half(void)
{
	struct side side;
	int listener;

	if (opt.client_only) {
		ask(&side);
	} else {
		listener = open_listener();
		fprintf(stderr, "listening on port %d\n", opt.port);
		serve(listener, &side);
	}
	printf("{\"%s\": ", opt.client_only ? "client" : "server");
	side_print(&side, stdout);
	puts("}");
}

/* clang-format off */
static const char usage[] =
	"tcp_pair [OPTION...]                         both ends, in two processes\n"
	"tcp_pair --server-only [OPTION...]           says on stderr when and where it listens\n"
	"tcp_pair --client-only HOST PORT [OPTION...] HOST is numeric\n"
	"  -6                      IPv6 instead of IPv4\n"
	"  --host HOST             where the server is, numeric; loopback\n"
	"  --port PORT             0, the default: any that is free\n"
	"  --connections K         1\n"
	"  --exchanges N           1, on each connection\n"
	"  --request BYTES         100\n"
	"  --response BYTES        1000\n"
	"  --delay US              the server's work, between its recv() and its send()\n"
	"  --delay-step US         so much more at each exchange, not in --solo\n"
	"  --read-delay US         the server lets a request wait in the receive queue\n"
	"  --client-read-delay US  so does the client with the response\n"
	"  --wait-for FILE         after connecting, the first exchange waits until FILE exists\n"
	"  --hold MS               after the last exchange, before closing\n"
	"  --until FILE            after closing, says so and stays until FILE exists\n"
	"  --sendfile              the server answers by sendfile(), not in --solo\n"
	"  --solo                  both ends in one thread and one connection, so that none of them\n"
	"                          waits to be woken and their clock sees an arrival\n"
	"  --server-net FILE       the network of that end, in two processes; FILE as nsenter --net\n"
	"  --client-net FILE       takes it\n"
	"  --samples               every single value too\n";

enum { PORT = 256, HOST, SERVER_NET, CLIENT_NET, CONNECTIONS, EXCHANGES, REQUEST, RESPONSE,
       DELAY, DELAY_STEP, READ_DELAY, CLIENT_READ_DELAY, WAIT_FOR, HOLD, UNTIL, SENDFILE, SOLO,
       SAMPLES, SERVER, CLIENT, HELP };

static const struct option options[] = {
	{ "host",              required_argument, NULL, HOST },
	{ "port",              required_argument, NULL, PORT },
	{ "connections",       required_argument, NULL, CONNECTIONS },
	{ "exchanges",         required_argument, NULL, EXCHANGES },
	{ "request",           required_argument, NULL, REQUEST },
	{ "response",          required_argument, NULL, RESPONSE },
	{ "delay",             required_argument, NULL, DELAY },
	{ "delay-step",        required_argument, NULL, DELAY_STEP },
	{ "read-delay",        required_argument, NULL, READ_DELAY },
	{ "client-read-delay", required_argument, NULL, CLIENT_READ_DELAY },
	{ "wait-for",          required_argument, NULL, WAIT_FOR },
	{ "hold",              required_argument, NULL, HOLD },
	{ "until",             required_argument, NULL, UNTIL },
	{ "sendfile",          no_argument,       NULL, SENDFILE },
	{ "solo",              no_argument,       NULL, SOLO },
	{ "server-net",        required_argument, NULL, SERVER_NET },
	{ "client-net",        required_argument, NULL, CLIENT_NET },
	{ "samples",           no_argument,       NULL, SAMPLES },
	{ "server-only",       no_argument,       NULL, SERVER },
	{ "client-only",       no_argument,       NULL, CLIENT },
	{ "help",              no_argument,       NULL, HELP },
	{ 0 },
};
/* clang-format on */

static long number(const char *text, long min, long max)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (end == text || *end || value < min || value > max)
		die("'%s' is not a number from %ld to %ld", text, min, max);
	return value;
}

/* clang-format off */
static void take_option(int which)
{
	switch (which) {
	case '6':               opt.family = AF_INET6; break;
	case HOST:              opt.host = optarg; break;
	case PORT:              opt.port = number(optarg, 0, 65535); break;
	case CONNECTIONS:       opt.connections = number(optarg, 1, MAX_CONNECTIONS); break;
	case EXCHANGES:         opt.exchanges = number(optarg, 0, 100000000); break;
	case REQUEST:           opt.request = number(optarg, 1, MAX_MESSAGE); break;
	case RESPONSE:          opt.response = number(optarg, 1, MAX_MESSAGE); break;
	case DELAY:             opt.delay_us = number(optarg, 0, 60000000); break;
	case DELAY_STEP:        opt.delay_step_us = number(optarg, 0, 1000000); break;
	case READ_DELAY:        opt.read_delay_us = number(optarg, 0, 60000000); break;
	case CLIENT_READ_DELAY: opt.client_read_delay_us = number(optarg, 0, 60000000); break;
	case WAIT_FOR:          opt.wait_for = optarg; break;
	case HOLD:              opt.hold_ms = number(optarg, 0, 600000); break;
	case UNTIL:             opt.until = optarg; break;
	case SENDFILE:          opt.sendfile = true; break;
	case SOLO:              opt.solo = true; break;
	case SERVER_NET:        opt.server_net = optarg; break;
	case CLIENT_NET:        opt.client_net = optarg; break;
	case SAMPLES:           opt.samples = true; break;
	case SERVER:            opt.server_only = true; break;
	case CLIENT:            opt.client_only = true; break;
	case HELP:              fputs(usage, stdout); exit(0);
	default:                fputs(usage, stderr); exit(2);
	}
}
/* clang-format on */

int main(int argc, char **argv)
{
	int which;

	while ((which = getopt_long(argc, argv, "6", options, NULL)) != -1)
		take_option(which);
	if (argc - optind != (opt.client_only ? 2 : 0)) {
		fputs(usage, stderr);
		return 2;
	}
	if (opt.client_only) {
		opt.host = argv[optind];
		opt.port = number(argv[optind + 1], 1, 65535);
	}
	if (opt.host)
		opt.family = strchr(opt.host, ':') ? AF_INET6 : AF_INET;
	if (opt.client_only || opt.server_only)
		run_half();
	else if (opt.solo)
		run_solo();
	else
		run_pair();
	return 0;
}
