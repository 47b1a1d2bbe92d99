// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <string.h>

#include "base/cleanup.h"
#include "kern/features.h"
#include "kern/map.h"
#include "probe/probe.h"
#include "probe/tcp_series.h"
#include "world/listeners.h"

KERN_IMAGE_DECLARE(tcp);

static const char *const exchange_attrs[] = { "network.peer.address", "server.port", NULL };
static const char *const stage_attrs[] = { "network.peer.address", "server.port", "tcp.stage",
					   NULL };
static const char *const io_attrs[] = { "network.peer.address", "server.port", "tcp.role",
					"network.io.direction", NULL };

static const char *const handshake_attrs[] = { "network.peer.address", "server.port",
					       "network.tcp.handshake.role", "error.type", NULL };
static const char *const connection_attrs[] = { "network.peer.address", "server.port", "tcp.role",
						"error.type", NULL };
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
			"Exchanges of a client that had several sends, of which the last counts as "
			"their "
			"beginning.",
			exchange_attrs },
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
	{},
};

/* Best first. The first two tracepoints are the same everywhere. */
static const struct kern_hook hooks[] = {
	{ "state", KERN_TIER_BTF, "sn_tcp_state", "inet_sock_set_state" },
	{ "state", KERN_TIER_RAW, "sn_tcp_state_rt", "inet_sock_set_state" },
	{ "close", KERN_TIER_BTF, "sn_tcp_destroy", "tcp_destroy_sock" },
	{ "close", KERN_TIER_RAW, "sn_tcp_destr_rt", "tcp_destroy_sock" },
	{ "arrival", KERN_TIER_BTF, "sn_tcp_arr_tp", "sk_data_ready" },
	{ "arrival", KERN_TIER_FENTRY, "sn_tcp_arr_fe", "sock_def_readable" },
	{ "arrival", KERN_TIER_KPROBE, "sn_tcp_arr_kp", "sock_def_readable" },
	{ "read", KERN_TIER_BTF, "sn_tcp_read_tp", "sock_recv_length" },
	{ "read", KERN_TIER_FENTRY, "sn_tcp_read_fe", "tcp_recvmsg" },
	{ "read", KERN_TIER_KPROBE, "sn_tcp_read_kp", "tcp_rcv_space_adjust" },
	{ "send", KERN_TIER_BTF, "sn_tcp_send_tp", "tcp_sendmsg_locked" },
	{ "send", KERN_TIER_FENTRY, "sn_tcp_send_fe", "tcp_sendmsg_locked" },
	{ "send", KERN_TIER_KPROBE, "sn_tcp_send_kp", "tcp_sendmsg_locked" },
	{ "sendfile", KERN_TIER_FENTRY, "sn_tcp_page_fe", "tcp_sendpage", .optional = true },
	{ "sendfile", KERN_TIER_KPROBE, "sn_tcp_page_kp", "tcp_sendpage", .optional = true },
	{ "retransmit", KERN_TIER_BTF, "sn_tcp_retrans", "tcp_retransmit_skb" },
	{ "reset in", KERN_TIER_BTF, "sn_tcp_rst_in", "tcp_receive_reset" },
	{ "reset out", KERN_TIER_BTF, "sn_tcp_rst_out", "tcp_send_reset" },
};

#define N_DETAIL_HOOKS 3

static const struct sn_tcp_key overflow_keys[] = {
	{ .role = SN_TCP_CLIENT },
	{ .role = SN_TCP_SERVER },
};

/* Attached, or refused because there was no hash for it. */
static bool any_untyped(const struct kern_hook_state *states)
{
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++)
		if ((states[i].attached || states[i].failed) &&
		    (hooks[i].tier == KERN_TIER_KPROBE || hooks[i].tier == KERN_TIER_RAW))
			return true;
	return false;
}

/* State can be in the sockets unless a hook gets its socket without a type: it may not look there. */
static int configure(struct kern_object *o, const struct probe_env *env, int attempt, struct err *e)
{
	int r;
	bool use_hash = attempt > 0 || env->tier == KERN_TIER_KPROBE || !kern_has(KERN_SK_STORAGE);

	kern_object_omit(o, use_hash ? "sn_tcp_storage" : "sn_tcp_hash");
	/* Programs name the map, used or not. */
	if (!env->detail)
		kern_object_resize(o, "sn_tcp_lives", 1);
	r = kern_object_set(o, "sn_detail", &env->detail, sizeof(env->detail), e);
	return r ? r : kern_object_set(o, "sn_use_hash", &use_hash, sizeof(use_hash), e);
}

static bool accept_hooks(const struct kern_hook_state *states, int attempt)
{
	return attempt > 0 || !kern_has(KERN_SK_STORAGE) || !any_untyped(states);
}

static int add_listener(uint32_t netns, uint16_t port, void *arg)
{
	struct sn_tcp_listen_key key = { .netns = netns, .port = port };
	const int *fd = arg;
	uint8_t one = 1;

	/* A full map costs the role of some sockets that are older than sonde: taken for clients. */
	kern_map_put(*fd, &key, &one);
	return 0;
}

static int prefill(struct kern_object *o, const struct probe_env *env, struct err *e)
{
	int fd = kern_object_map(o, "sn_tcp_listen");

	return listeners_walk(env->proc, add_listener, &fd, e);
}

static uint32_t key_tgid(const void *key)
{
	return ((const struct sn_tcp_key *)key)->tgid;
}

static void add_bytes(struct registry *r, struct probe_entry *en, int slot, const char *direction,
		      uint64_t n)
{
	const struct sn_tcp_key *key = en->key;
	const struct attr more[] = {
		ATTR_STR("tcp.role", key->role == SN_TCP_SERVER ? "server" : "client"),
		ATTR_STR("network.io.direction", direction),
	};

	if (n)
		series_add(tcp_series(r, en, slot, &tcp_metrics[IO], more, ARRAY_SIZE(more)), n);
}

static bool changed(const struct sn_hist *before, const struct sn_hist *now)
{
	return memcmp(before, now, sizeof(*now)) != 0;
}

static uint64_t add(struct registry *r, struct probe_entry *en, const void *before, const void *now)
{
	static const struct attr queue = ATTR_STR("tcp.stage", "receive_queue");
	const struct sn_tcp_key *key = en->key;
	const struct sn_tcp_value *b = before, *n = now;
	bool server = key->role == SN_TCP_SERVER;
	uint64_t events = 0;
	struct series *s;

	if (changed(&b->exchange, &n->exchange)) {
		s = tcp_series(r, en, 0, &tcp_metrics[server ? SERVER_EXCHANGE : CLIENT_EXCHANGE],
			       NULL, 0);
		events += series_add_hist(s, &b->exchange, &n->exchange);
	}
	if (changed(&b->receive_queue, &n->receive_queue)) {
		s = tcp_series(r, en, 1, &tcp_metrics[server ? SERVER_STAGE : CLIENT_STAGE], &queue,
			       1);
		events += series_add_hist(s, &b->receive_queue, &n->receive_queue);
	}
	add_bytes(r, en, 2, "transmit", n->tx_bytes - b->tx_bytes);
	add_bytes(r, en, 3, "receive", n->rx_bytes - b->rx_bytes);
	if (n->ambiguous != b->ambiguous)
		series_add(tcp_series(r, en, 4, &tcp_metrics[AMBIGUOUS], NULL, 0),
			   n->ambiguous - b->ambiguous);
	return events;
}

const struct probe probe_tcp = {
	.name = "tcp",
	.summary = "response times of TCP exchanges, at the end that asks and the end that answers",
	.metrics = tcp_metrics,
	.image = KERN_IMAGE(tcp),
	.hooks = hooks,
	.n_hooks = ARRAY_SIZE(hooks),
	.n_detail_hooks = N_DETAIL_HOOKS,
	.tables = { {
			    .map = "sn_tcp_series",
			    .key_size = sizeof(struct sn_tcp_key),
			    .value_size = sizeof(struct sn_tcp_value),
			    .overflow_keys = overflow_keys,
			    .n_overflow_keys = ARRAY_SIZE(overflow_keys),
			    .tgid = key_tgid,
			    .add = add,
		    },
		    {
			    .map = "sn_tcp_lives",
			    .key_size = sizeof(struct sn_tcp_key),
			    .value_size = sizeof(struct sn_tcp_life),
			    .overflow_keys = overflow_keys,
			    .n_overflow_keys = ARRAY_SIZE(overflow_keys),
			    .tgid = key_tgid,
			    .add = tcp_life_add,
			    .detail = true,
		    } },
	.configure = configure,
	.prefill = prefill,
	.accept = accept_hooks,
};
