/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/cleanup.h"
#include "base/clock.h"
#include "model/event.h"

/* Events of every kind, with all that they can say, with nothing, and with what is hostile. */
static const struct attr client_attrs[] = {
	ATTR_STR("tcp.role", "client"),
	ATTR_NUM("process.pid", 4711),
	ATTR_STR("process.command", "checkout"),
	ATTR_STR("network.local.address", "10.0.3.17"),
	ATTR_NUM("network.local.port", 51000),
	ATTR_STR("network.peer.address", "10.0.3.9"),
	ATTR_NUM("network.peer.port", 5432),
	ATTR_NUM("server.port", 5432),
	ATTR_NUM("tcp.exchange.sends", 3),
	ATTR_NUM("tcp.request.size", 12345),
	ATTR_REAL("tcp.receive_queue.duration", 12.5e-6),
	ATTR_REAL("tcp.exchange.total.duration", 0.2),
	ATTR_REAL("tcp.network.duration", 340e-6),
	ATTR_REAL("tcp.remote.duration", 0.1511234),
	ATTR_STR("tcp.stage.method", "rtt_min"),
	ATTR_REAL("tcp.rtt", 400e-6),
	ATTR_REAL("tcp.rtt.min", 340e-6),
};

static const struct attr server_attrs[] = {
	ATTR_STR("tcp.role", "server"),
	ATTR_NUM("process.pid", 12),
	ATTR_STR("network.local.address", "10.0.3.9"),
	ATTR_NUM("network.local.port", 8080),
	ATTR_STR("network.peer.address", "10.0.3.17"),
	ATTR_NUM("network.peer.port", 51000),
	ATTR_NUM("server.port", 8080),
	ATTR_NUM("tcp.request.size", 100),
	ATTR_REAL("tcp.receive_queue.duration", 0),
	ATTR_REAL("tcp.application.duration", 1.2e-3),
};

static const struct attr failed_attrs[] = {
	ATTR_STR("tcp.role", "client"),
	ATTR_NUM("process.pid", 4711),
	ATTR_STR("network.local.address", "2001:db8:85a3::8a2e:370:7334"),
	ATTR_NUM("network.local.port", 40000),
	ATTR_STR("network.peer.address", "::1"),
	ATTR_NUM("network.peer.port", 81),
	ATTR_STR("error.type", "refused"),
};

static const struct attr ended_attrs[] = {
	ATTR_STR("tcp.role", "client"),
	ATTR_NUM("process.pid", 4711),
	ATTR_STR("network.local.address", "10.0.3.17"),
	ATTR_NUM("network.local.port", 51000),
	ATTR_STR("network.peer.address", "10.0.3.9"),
	ATTR_NUM("network.peer.port", 5432),
	ATTR_NUM("tcp.exchanges", 400),
	ATTR_NUM("tcp.sent.size", 999),
	ATTR_NUM("tcp.received.size", 4500000000),
	ATTR_NUM("tcp.retransmits", 1),
	ATTR_STR("error.type", "reset"),
	ATTR_STR("tcp.close.initiator", "remote"),
	ATTR_REAL("tcp.rtt", 400e-6),
	ATTR_REAL("tcp.rtt.min", 340e-6),
};

static const struct attr hostile_attrs[] = {
	ATTR_STR("tcp.role", "\x1b[31mserver"),
	ATTR_NUM("process.pid", 1),
	ATTR_STR("process.command", "a\xff\n"),
	ATTR_STR("network.local.address", "1\x1b[2J"),
	ATTR_STR("error.type", "\xc2\x9b"
			       "2J"),
	ATTR_REAL("tcp.receive_queue.duration", 1),
};

#define EVENT(kind, ns, who, list)                                                            \
	{                                                                                     \
		.name = kind, .time_ns = 5 * NSEC_PER_SEC, .duration_ns = ns, .service = who, \
		.attrs = list, .n_attrs = ARRAY_SIZE(list),                                   \
	}

enum { CLIENT, SERVER, FAILED, ENDED, HOSTILE, N_EVENTS };

static const struct event events[N_EVENTS] = {
	[CLIENT] = EVENT("tcp.exchange", 151463400, "checkout", client_attrs),
	[SERVER] = EVENT("tcp.exchange", 1200000, "a-service-with-a-very-long-name-indeed",
			 server_attrs),
	[FAILED] = EVENT("tcp.connect.failed", 80000, "checkout", failed_attrs),
	[ENDED] = EVENT("tcp.connection", 3661 * NSEC_PER_SEC, "checkout", ended_attrs),
	[HOSTILE] = EVENT("tcp.exchange", 1, "evil\x1b]0;t\a\n", hostile_attrs),
};
