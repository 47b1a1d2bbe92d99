// SPDX-License-Identifier: Apache-2.0
/*
 * An HTTP/1.1 client that sends one request after the other over a kept connection and counts the
 * answers by status. Prints one JSON object; durations are nanoseconds of CLOCK_MONOTONIC from the
 * start of the request's send() to its whole answer.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_STATUS 600
#define MAX_ANSWER (1 << 20)

static struct {
	const char *method, *host, *path;
	int port;
	long requests, connections, body;
} opt = { .method = "GET", .requests = 1, .connections = 1 };

static char answer[MAX_ANSWER + 1];
static uint64_t by_status[MAX_STATUS], sum_ns, min_ns = UINT64_MAX, max_ns;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("http_get: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputs(".\n", stderr);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static int dial(void)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(opt.port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(opt.port) };
	int is_six = inet_pton(AF_INET6, opt.host, &six.sin6_addr) == 1;
	int fd, r;

	if (!is_six && inet_pton(AF_INET, opt.host, &four.sin_addr) != 1)
		die("%s is not a numeric address", opt.host);
	fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	r = is_six ? connect(fd, (struct sockaddr *)&six, sizeof(six))
		   : connect(fd, (struct sockaddr *)&four, sizeof(four));
	if (r < 0)
		die("connect to %s port %d: %s", opt.host, opt.port, strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	return fd;
}

static void send_request(int fd)
{
	char head[1024], *request;
	int head_len = snprintf(head, sizeof(head),
				"%s %s HTTP/1.1\r\nHost: %s:%d\r\nContent-Length: %ld\r\n\r\n",
				opt.method, opt.path, opt.host, opt.port, opt.body);

	if (head_len >= (int)sizeof(head))
		die("the path is too long");
	request = malloc(head_len + opt.body);
	if (!request)
		die("no memory for a body of %ld bytes", opt.body);
	memcpy(request, head, head_len);
	memset(request + head_len, 'x', opt.body);
	for (ssize_t n, done = 0; done < head_len + opt.body; done += n) {
		n = send(fd, request + done, head_len + opt.body - done, MSG_NOSIGNAL);
		if (n < 0)
			die("send: %s", strerror(errno));
	}
	free(request);
}

/* The length of the whole answer whose head is in @answer, or -1 while that is incomplete. */
static ssize_t answer_len(int status)
{
	char *body = strstr(answer, "\r\n\r\n");
	char *line = strcasestr(answer, "\r\nContent-Length:");

	if (!body)
		return -1;
	body += 4;
	if (!strcmp(opt.method, "HEAD") || status == 204 || status == 304)
		return body - answer;
	if (!line || line > body)
		die("an answer without Content-Length is not understood");
	return body - answer + strtol(line + strlen("\r\nContent-Length:"), NULL, 10);
}

static int receive_answer(int fd)
{
	ssize_t n, len, got = 0;
	int status = 0;

	for (;;) {
		n = recv(fd, answer + got, MAX_ANSWER - got, 0);
		if (n <= 0)
			die("recv: %s", n ? strerror(errno) : "the server closed");
		got += n;
		answer[got] = 0;
		if (!status && sscanf(answer, "HTTP/1.%*d %3d", &status) == 1 &&
		    (status < 100 || status >= MAX_STATUS))
			die("status %d", status);
		len = answer_len(status);
		if (len >= 0 && got >= len)
			return status;
	}
}

static void run(void)
{
	int *fds = calloc(opt.connections, sizeof(*fds));
	uint64_t start, ns;

	if (!fds)
		die("no memory for %ld connections", opt.connections);
	for (long i = 0; i < opt.connections; i++)
		fds[i] = dial();
	for (long i = 0; i < opt.requests; i++) {
		start = now_ns();
		send_request(fds[i % opt.connections]);
		by_status[receive_answer(fds[i % opt.connections])]++;
		ns = now_ns() - start;
		sum_ns += ns;
		min_ns = ns < min_ns ? ns : min_ns;
		max_ns = ns > max_ns ? ns : max_ns;
	}
	for (long i = 0; i < opt.connections; i++)
		close(fds[i]);
	free(fds);
}

static void print(void)
{
	const char *separator = "";

	printf("{\"method\": \"%s\", \"requests\": %ld, \"status\": {", opt.method, opt.requests);
	for (int status = 0; status < MAX_STATUS; status++) {
		if (!by_status[status])
			continue;
		printf("%s\"%d\": %lu", separator, status, by_status[status]);
		separator = ", ";
	}
	printf("}, \"sum_ns\": %lu, \"min_ns\": %lu, \"max_ns\": %lu}\n", sum_ns,
	       opt.requests ? min_ns : 0, max_ns);
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
	int which;

	while ((which = getopt(argc, argv, "n:c:m:b:")) != -1) {
		if (which == 'n')
			opt.requests = number(optarg, 0, 100000000);
		else if (which == 'c')
			opt.connections = number(optarg, 1, 1024);
		else if (which == 'm')
			opt.method = optarg;
		else if (which == 'b')
			opt.body = number(optarg, 0, MAX_ANSWER);
		else
			argc = 0;
	}
	if (argc - optind != 3) {
		fputs("http_get [-n REQUESTS] [-c CONNECTIONS] [-m METHOD] [-b BODY-BYTES]"
		      " HOST PORT PATH\n",
		      stderr);
		return 2;
	}
	opt.host = argv[optind];
	opt.port = number(argv[optind + 1], 1, 65535);
	opt.path = argv[optind + 2];
	run();
	print();
	return 0;
}
