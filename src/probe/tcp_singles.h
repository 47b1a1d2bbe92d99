/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "probe/probe.h"

/* probe.single of tcp: one of the records of abi.h out of the ring sn_tcp_singles. */
bool tcp_single(const struct probe_env *env, struct kern_object *o, const void *data, size_t size);

/* The name of the process that a record belongs to; valid until the next call. NULL: it is not wanted. */
const char *tcp_single_service(const struct probe_env *env, struct kern_object *o, uint32_t tgid,
			       const char *comm);

/* Adds a connection to env->connections. */
void tcp_add_connection(const struct probe_env *env, const char *service,
			const struct sn_tcp_connection *c);

/* probe.look and probe.forget of tcp: the sockets that are there. */
int tcp_look(struct kern_object *o, const struct probe_env *env, void **state,
	     enum probe_moment when, struct err *e);
void tcp_forget(void *state);
