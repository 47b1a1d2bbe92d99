// SPDX-License-Identifier: Apache-2.0
/* The figures of the tcp probe, their names and attributes. */
#include "probe/tcp_series.h"

static const char *const exchange_attrs[] = { "network.peer.address", "server.port", NULL };
static const char *const stage_attrs[] = { "network.peer.address", "server.port", "tcp.stage",
					   "tcp.stage.method", NULL };
static const char *const io_attrs[] = { "network.peer.address", "server.port", "tcp.role",
					"network.io.direction", NULL };

static const char *const handshake_attrs[] = { "network.peer.address", "server.port",
					       "network.tcp.handshake.role", "error.type", NULL };
static const char *const connection_attrs[] = { "network.peer.address", "server.port", "tcp.role",
						"tcp.close.initiator",	"error.type",  NULL };
static const char *const role_attrs[] = { "network.peer.address", "server.port", "tcp.role", NULL };
static const char *const state_attrs[] = { "network.peer.address", "server.port", "tcp.role",
					   "network.connection.state", NULL };
static const char *const ambiguity_attrs[] = { "network.peer.address", "server.port",
					       "tcp.exchange.ambiguity", NULL };
static const char *const delay_attrs[] = { "network.peer.address", "server.port",
					   "tcp.delay.reason", NULL };
static const char *const reused_attrs[] = { "network.peer.address", "server.port",
					    "tcp.connection.reused", NULL };
static const char *const use_attrs[] = { "network.peer.address", "server.port", "tcp.pool.use",
					 NULL };
static const char *const retransmit_attrs[] = { "network.peer.address", "server.port", "tcp.role",
						"network.tcp.retransmit.type", NULL };

const struct metric tcp_metrics[] = {
	[CLIENT_EXCHANGE] = { "tcp.client.exchange.duration", "s", METRIC_HISTOGRAM,
			      "Time from the last send of a request to the first byte read of the "
			      "response.",
			      exchange_attrs },
	[SERVER_EXCHANGE] = { "tcp.server.exchange.duration", "s", METRIC_HISTOGRAM,
			      "Time from the arrival of the first byte of a request to the first "
			      "send of the response.",
			      exchange_attrs },
	[CLIENT_STAGE] = { "tcp.client.exchange.stage.duration", "s", METRIC_HISTOGRAM,
			   "Part of a client's exchanges: receive_queue is the time from the "
			   "arrival of a response to its first read.",
			   stage_attrs },
	[SERVER_STAGE] = { "tcp.server.exchange.stage.duration", "s", METRIC_HISTOGRAM,
			   "Part of a server's exchanges: receive_queue is the time from the "
			   "arrival of a request to its first read.",
			   stage_attrs },
	[IO] = { "tcp.io", "By", METRIC_COUNTER, "Bytes that the owner of a socket sent or read.",
		 io_attrs },
	[AMBIGUOUS] = { "tcp.exchange.ambiguous", "{exchange}", METRIC_COUNTER,
			"Turns of a client that are no plain request with its response, by what "
			"is special.",
			ambiguity_attrs },
	[HANDSHAKE] = { "system.network.tcp.handshake.duration", "s", METRIC_HISTOGRAM,
			"Time to make a connection, or until that failed: for a client from its "
			"SYN, for "
			"a server from its SYN-ACK.",
			handshake_attrs },
	[CONNECTION] = { "system.network.tcp.connection.duration", "s", METRIC_HISTOGRAM,
			 "Time that connections stood which have ended.", connection_attrs },
	[RTT] = { "system.network.tcp.rtt", "s", METRIC_HISTOGRAM,
		  "Smoothed round-trip time, at most once a second for each connection that is "
		  "used, and "
		  "at its end.",
		  connection_attrs },
	[RETRANSMITS] = { "system.network.tcp.retransmits", "{segment}", METRIC_COUNTER,
			  "Segments that were sent again.", retransmit_attrs },
	[RESETS] = { "system.network.tcp.resets", "{reset}", METRIC_COUNTER,
		     "Resets that connections sent or received.", io_attrs },
	[RTT_MIN] = { "system.network.tcp.rtt.min", "s", METRIC_GAUGE,
		      "The least round-trip time that any of the connections had.", role_attrs },
	[STATE_TIME] = { "system.network.tcp.state.time", "s", METRIC_TIME,
			 "Time that connections spent in states which they have left.",
			 state_attrs },
	[ZERO_WINDOWS] = { "system.network.tcp.zero_windows", "{event}", METRIC_COUNTER,
			   "Times that a receive window was found used up: our own (receive), the "
			   "other end's (transmit).",
			   io_attrs },
	[CLIENT_TOTAL] = { "tcp.client.exchange.total.duration", "s", METRIC_HISTOGRAM,
			   "Time from the first send of a request to the first byte read of the "
			   "response.",
			   exchange_attrs },
	[DELAYED] = { "tcp.exchange.delayed", "{exchange}", METRIC_COUNTER,
		      "Exchanges whose last send was held back until those before it were "
		      "acknowledged, 40 ms later (nagle).",
		      delay_attrs },
	[POOL_IDLE] = { "tcp.pool.idle.duration", "s", METRIC_HISTOGRAM,
			"Time that a client's connection was idle before it was used again.",
			exchange_attrs },
	[POOL_EXCHANGES] = { "tcp.pool.exchanges", "{exchange}", METRIC_COUNTER,
			     "Exchanges of clients, by whether their connection had had one "
			     "before.",
			     reused_attrs },
	[POOL_ENDED] = { "tcp.pool.ended", "{connection}", METRIC_COUNTER,
			 "Connections of clients that have ended, by how often they were used.",
			 use_attrs },
	[POOL_CONNECTIONS] = { "tcp.pool.connections", "{connection}", METRIC_GAUGE,
			       "Connections that are there, by their state.", state_attrs },
	[POOL_FORGOTTEN] = { "tcp.pool.forgotten", "{connection}", METRIC_GAUGE,
			     "Connections whose other end closed ten seconds ago or longer, and "
			     "whose owner has not.",
			     role_attrs },
	[QUEUE_OVERFLOWS] = { "system.network.tcp.accept_queue.overflows", "{connection}",
			      METRIC_COUNTER,
			      "Connections that a listener of sonde's own network namespace had no "
			      "room for in its accept queue.",
			      NULL },
	{},
};
