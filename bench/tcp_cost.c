// SPDX-License-Identifier: Apache-2.0
/*
 * tcp_cost - what the tcp probe adds to an exchange, in CPU time, next to as many empty programs on
 * the same hooks. One thread holds both ends of a loopback connection and plays both roles in turn, so
 * that the thread's own CPU clock sees all the work and no scheduling: request sent, read, response
 * sent, read. Bare, empty and sonde take turns; medians of the differences in each round.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/loopback.h"
#include "empty.h"
#include "probe/run.h"

#define ROUNDS	  15
#define EXCHANGES 50000

static int die(const char *what)
{
	perror(what);
	exit(1);
}

static void play(const struct loopback *l, int exchanges)
{
	for (int i = 0; i < exchanges; i++)
		if (!loopback_exchange(l))
			die("exchange");
}

/* CPU time of one exchange, nanoseconds. */
static double measure(void)
{
	struct timespec begin, end;
	struct loopback l;

	errno = -loopback_open(&l);
	if (errno)
		die("loopback");
	play(&l, 1000);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	play(&l, EXCHANGES);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	loopback_close(&l);
	return ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) /
	       EXCHANGES;
}

static double with_empty(void)
{
	struct empty m;
	struct err e = {};
	double ns;

	if (empty_open(&m, &e) < 0) {
		fprintf(stderr, "tcp_cost: %s\n", e.msg);
		exit(1);
	}
	ns = measure();
	empty_close(&m);
	return ns;
}

static double with_sonde(const struct probe_env *env)
{
	struct probe_run *run;
	struct err e = {};
	double ns;

	if (probe_run_open(probe_find("tcp"), env, &run, &e) < 0) {
		fprintf(stderr, "tcp_cost: %s\n", e.msg);
		exit(1);
	}
	ns = measure();
	probe_run_close(run);
	return ns;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

int main(void)
{
	double bare[ROUNDS], empty[ROUNDS], sonde[ROUNDS], ratio, e, s, b;
	struct probe_env env = { .registry = registry_new(1000),
				 .processes = processes_new("/proc"),
				 .proc = "/proc" };

	registry_register(env.registry, probe_run_metrics);
	registry_register(env.registry, probe_find("tcp")->metrics);
	for (int i = 0; i < ROUNDS; i++) {
		bare[i] = measure();
		empty[i] = with_empty() - bare[i];
		sonde[i] = with_sonde(&env) - bare[i];
	}
	/* An exchange passes each of the three hooks twice, once for each side. */
	b = median(bare, ROUNDS);
	e = median(empty, ROUNDS) / 2;
	s = median(sonde, ROUNDS) / 2;
	ratio = s / e;
	printf("bare exchange, both sides: %.0f ns of CPU\n", b);
	printf("three empty programs:      +%.0f ns per exchange and side (%.0f .. %.0f)\n", e,
	       empty[0] / 2, empty[ROUNDS - 1] / 2);
	printf("sonde, tcp:                +%.0f ns per exchange and side (%.0f .. %.0f)\n", s,
	       sonde[0] / 2, sonde[ROUNDS - 1] / 2);
	printf("ratio: %.2f (bar: at most 5)\n", ratio);
	processes_free(env.processes);
	registry_free(env.registry);
	return 0;
}
