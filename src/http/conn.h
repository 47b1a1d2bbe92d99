/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "http/server.h"

/*
 * The server's conversations with its clients: what server.h promises about bounds and time is kept
 * here. Each request that is fit to be answered is handed to @serve.
 */
struct conn_set;

struct conn_set *conn_set_new(struct event_base *base, http_handler *serve, void *arg);

/* Takes a connected, non-blocking socket over. */
void conn_set_accept(struct conn_set *set, int fd);

/* Closes all connections. NULL is fine. */
void conn_set_free(struct conn_set *set);
