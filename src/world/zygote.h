/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "elf/gobin.h"
#include "world/inspector.h"

/*
 * The helper process of world/inspector.h, and what it says over its socket (SOCK_SEQPACKET). A
 * request carries the file's descriptor (SCM_RIGHTS); each has one reply, and the first reply, of
 * sequence 0, tells that the helper is ready or why not.
 */
#define ZYGOTE_NAME_BYTES 256

/* Where the helper keeps its socket; one that is started by exec finds it there. */
#define ZYGOTE_SOCKET_FD 3

struct zygote_request {
	uint32_t sequence; /* from 1 */
	uint32_t n_names;
	char names[GOBIN_MAX_FUNCTIONS][ZYGOTE_NAME_BYTES];
};

struct zygote_reply {
	uint32_t sequence;
	int32_t result; /* 0 or a negative errno */
	struct err error;
	struct gobin gobin;
};

/* A parsing child hands it over in one write to a pipe, which is whole or not at all up to this. */
_Static_assert(sizeof(struct zygote_reply) <= PIPE_BUF, "the reply must fit one write to a pipe");

/* The life of the helper, which is @parent's child: serves @socket until its other end is closed. */
void zygote_run(int socket, pid_t parent, inspector_parser parser, unsigned int wall_ms)
	__attribute__((noreturn));
