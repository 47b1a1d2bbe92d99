// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "base/cleanup.h"
#include "kern/features.h"
#include "kern/map.h"
#include "probe/probe.h"
#include "probe/tcp_series.h"
#include "probe/tcp_singles.h"
#include "world/listeners.h"

KERN_IMAGE_DECLARE(tcp);

/* Best first. The first two tracepoints are the same everywhere. */
static const struct kern_hook hooks[] = {
	{ "state", KERN_TIER_BTF, "sn_tcp_state", "inet_sock_set_state" },
	{ "state", KERN_TIER_RAW, "sn_tcp_state_rt", "inet_sock_set_state" },
	{ "close", KERN_TIER_BTF, "sn_tcp_destroy", "tcp_destroy_sock" },
	{ "close", KERN_TIER_RAW, "sn_tcp_destr_rt", "tcp_destroy_sock" },
	{ "forget", KERN_TIER_RAW, "sn_tcp_forget", "tcp_destroy_sock", .untyped = true },
	{ "arrival", KERN_TIER_BTF, "sn_tcp_arr_tp", "sk_data_ready", .hot = true },
	{ "arrival", KERN_TIER_FENTRY, "sn_tcp_arr_fe", "sock_def_readable", .hot = true },
	{ "arrival", KERN_TIER_KPROBE, "sn_tcp_arr_kp", "sock_def_readable", .hot = true },
	{ "read", KERN_TIER_BTF, "sn_tcp_read_tp", "sock_recv_length", .hot = true },
	{ "read", KERN_TIER_FENTRY, "sn_tcp_read_fe", "tcp_recvmsg", .hot = true },
	{ "read", KERN_TIER_KPROBE, "sn_tcp_read_kp", "tcp_rcv_space_adjust", .hot = true },
	{ "send", KERN_TIER_BTF, "sn_tcp_send_tp", "tcp_sendmsg_locked", .hot = true },
	{ "send", KERN_TIER_FENTRY, "sn_tcp_send_fe", "tcp_sendmsg_locked", .hot = true },
	{ "send", KERN_TIER_KPROBE, "sn_tcp_send_kp", "tcp_sendmsg_locked", .hot = true },
	{ "sendfile", KERN_TIER_FENTRY, "sn_tcp_page_fe", "tcp_sendpage", .optional = true },
	{ "sendfile", KERN_TIER_KPROBE, "sn_tcp_page_kp", "tcp_sendpage", .optional = true },
	{ "retransmit", KERN_TIER_BTF, "sn_tcp_retrans", "tcp_retransmit_skb" },
	{ "reset in", KERN_TIER_BTF, "sn_tcp_rst_in", "tcp_receive_reset" },
	{ "reset out", KERN_TIER_BTF, "sn_tcp_rst_out", "tcp_send_reset" },
	{ "syn-ack", KERN_TIER_BTF, "sn_tcp_synack", "tcp_retransmit_synack" },
};

#define N_DETAIL_HOOKS 4

/* State, close and forget: a socket that ends while the others are taken off is told all the same. */
#define N_END_HOOKS 5

static const struct sn_tcp_key overflow_keys[] = {
	{ .role = SN_TCP_CLIENT },
	{ .role = SN_TCP_SERVER },
};

/* Attached, or refused because there was no hash for it. */
static bool any_untyped(const struct kern_hook_state *states)
{
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++)
		if (!hooks[i].untyped && (states[i].attached || states[i].failed) &&
		    (hooks[i].tier == KERN_TIER_KPROBE || hooks[i].tier == KERN_TIER_RAW))
			return true;
	return false;
}

/* Of a report: ends of connections for half a second at 50,000 a second, if we are kept from running. */
#define SINGLES_BYTES (1024 * 1024)
#define ENDS_BYTES    (8 * 1024 * 1024)

/* Programs name all maps, used or not. */
static void size_maps(struct kern_object *o, const struct probe_env *env)
{
	if (!env->detail) {
		kern_object_resize(o, "sn_tcp_lives", 1);
		kern_object_resize(o, "sn_tcp_stages", 1);
		kern_object_resize(o, "sn_tcp_pairs", 1);
	}
	if (!env->by_process)
		kern_object_resize(o, "sn_ignored", 1);
	if (!probe_wants_singles(env))
		kern_object_resize(o, "sn_tcp_singles", (uint32_t)sysconf(_SC_PAGESIZE));
	else if (env->connections)
		kern_object_resize(o, "sn_tcp_singles", ENDS_BYTES);
}

static int set_wishes(struct kern_object *o, const struct probe_env *env, struct err *e)
{
	const uint64_t wakeup = (env->connections ? ENDS_BYTES : SINGLES_BYTES) / 2;
	const struct probe_singles *singles = &env->singles;
	bool sink = singles->sink.take;
	const struct {
		const char *variable;
		bool value;
	} wishes[] = {
		{ "sn_detail", env->detail },
		{ "sn_by_process", env->by_process },
		{ "sn_singles", probe_wants_singles(env) },
		{ "sn_tell_exchanges", sink && singles->exchanges },
		{ "sn_tell_failures", sink && singles->failures },
		{ "sn_tell_ends", env->connections || (sink && singles->ends) },
	};
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(wishes); i++)
		r = kern_object_set(o, wishes[i].variable, &wishes[i].value, sizeof(bool), e);
	if (!r)
		r = kern_object_set(o, "sn_slower_than_ns", &singles->slower_than_ns,
				    sizeof(singles->slower_than_ns), e);
	/* Half of what the ring holds. */
	if (!r)
		r = kern_object_set(o, "sn_wakeup_bytes", &wakeup, sizeof(wakeup), e);
	return r ? r
		 : kern_object_set(o, "sn_filter", &env->tcp_filter, sizeof(env->tcp_filter), e);
}

/* Of the three places where the state of a socket can be, two are not needed. */
static void omit_states(struct kern_object *o, bool use_hash, bool more)
{
	if (use_hash || more)
		kern_object_omit(o, "sn_tcp_storage");
	if (use_hash || !more)
		kern_object_omit(o, "sn_tcp_full");
	if (!use_hash)
		kern_object_omit(o, "sn_tcp_hash");
}

/* State can be in the sockets unless a hook gets its socket without a type: it may not look there. */
static int configure(struct kern_object *o, const struct probe_env *env, int attempt, struct err *e)
{
	bool use_hash = attempt > 0 || env->tier == KERN_TIER_KPROBE || !kern_has(KERN_SK_STORAGE);
	int r;

	omit_states(o, use_hash, env->detail || probe_wants_singles(env));
	size_maps(o, env);
	r = set_wishes(o, env, e);
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
		ATTR_STR("tcp.role", tcp_role(key->role)),
		ATTR_STR("network.io.direction", direction),
	};

	tcp_add_count(r, en, slot, &tcp_metrics[IO], more, ARRAY_SIZE(more), n);
}

static uint64_t add(struct registry *r, struct probe_entry *en, const void *before, const void *now)
{
	static const char *const ambiguities[SN_TCP_AMBIGUITY_MAX] = {
		[SN_TCP_SEVERAL_SENDS] = "several_sends", [SN_TCP_SERVER_FIRST] = "server_first",
		[SN_TCP_HALF_CLOSE] = "half_close",	  [SN_TCP_PUSH] = "push",
		[SN_TCP_LONG_WAIT] = "long_wait",
	};
	static const struct attr queue = ATTR_STR("tcp.stage", "receive_queue");
	const struct sn_tcp_key *key = en->key;
	const struct sn_tcp_value *b = before, *n = now;
	bool server = key->role == SN_TCP_SERVER;
	uint64_t events;

	events = tcp_add_hist(r, en, 0, &tcp_metrics[server ? SERVER_EXCHANGE : CLIENT_EXCHANGE],
			      NULL, 0, &b->exchange, &n->exchange);
	events += tcp_add_hist(r, en, 1, &tcp_metrics[server ? SERVER_STAGE : CLIENT_STAGE], &queue,
			       1, &b->receive_queue, &n->receive_queue);
	add_bytes(r, en, 2, "transmit", n->tx_bytes - b->tx_bytes);
	add_bytes(r, en, 3, "receive", n->rx_bytes - b->rx_bytes);
	for (int i = 0; i < SN_TCP_AMBIGUITY_MAX; i++) {
		const struct attr kind = ATTR_STR("tcp.exchange.ambiguity", ambiguities[i]);

		tcp_add_count(r, en, 4 + i, &tcp_metrics[AMBIGUOUS], &kind, 1,
			      n->ambiguous[i] - b->ambiguous[i]);
	}
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
	.n_end_hooks = N_END_HOOKS,
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
		    },
		    {
			    .map = "sn_tcp_stages",
			    .key_size = sizeof(struct sn_tcp_key),
			    .value_size = sizeof(struct sn_tcp_stages),
			    .overflow_keys = overflow_keys,
			    .n_overflow_keys = ARRAY_SIZE(overflow_keys),
			    .tgid = key_tgid,
			    .add = tcp_stages_add,
			    .detail = true,
		    } },
	.ring = "sn_tcp_singles",
	.single = tcp_single,
	.look = tcp_look,
	.forget = tcp_forget,
	.configure = configure,
	.prefill = prefill,
	.accept = accept_hooks,
};
