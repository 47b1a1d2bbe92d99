// SPDX-License-Identifier: Apache-2.0
/* empty_hold - keeps the empty programs attached until SIGINT; says "attached" when they are. */
#include <signal.h>
#include <stdio.h>

#include "empty.h"

int main(void)
{
	struct err e = {};
	struct empty m;
	sigset_t end;
	int sig;

	sigemptyset(&end);
	sigaddset(&end, SIGINT);
	sigprocmask(SIG_BLOCK, &end, NULL);
	if (empty_open(&m, &e) < 0) {
		fprintf(stderr, "empty_hold: %s\n", e.msg);
		return 1;
	}
	puts("attached");
	fflush(stdout);
	sigwait(&end, &sig);
	empty_close(&m);
	return 0;
}
