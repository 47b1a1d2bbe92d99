// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * http - requests served by Go's net/http, two probe hits each.
 *
 * A request begins at serverHandler.ServeHTTP and ends at (*response).finishRequest, both at the
 * first cheap instruction behind the stack check, where the arguments are still in their registers
 * (elf/site.h). Everything that is reported hangs from the *response: it keeps the request alive and,
 * being a heap object, does not move.
 *
 * Programs here run in the probed process and can be preempted: their stack stays below 64 bytes (a
 * larger one is per CPU on 6.13 and newer, and a second program would run over it), and what they
 * count they add atomically. What they need room for is kept in the map entry of the request.
 */
#include "lib/kernel.bpf.h"

#include <bpf/bpf_helpers.h>

#include "lib/method.bpf.h"
#include "lib/process.bpf.h"
#include "lib/record.bpf.h"
#include "lib/test.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Requests in progress. One that never ends (a panic, a hijacked connection) is aged out. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, struct sn_http_start_key);
	__type(value, struct sn_http_start);
} sn_http_starts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__type(key, struct sn_http_key);
	__type(value, struct sn_hist);
} sn_http_series SEC(".maps");

static const struct sn_hist zero_hist;
static const struct sn_http_key overflow_key;

/*
 * Offsets in net/http's types, the same from Go 1.19 on but for the status: read from the DWARF of
 * eight toolchains (docs/probes/http.md). The status has two places, hence two programs: a table by
 * file would need attach cookies, which kernels before 5.15 lack.
 */
#define REQUEST_METHOD	    0
#define REQUEST_PROTO_MAJOR 40
#define REQUEST_TLS	    208
#define RESPONSE_REQ	    8
#define RESPONSE_STATUS	    120 /* Go 1.19 to 1.26 */
#define RESPONSE_STATUS_127 128 /* Go 1.27 */

static __always_inline void drop_unreadable(void)
{
	sn_count(SN_STAT_PRODUCED);
	sn_count(SN_STAT_DROP_UNREADABLE);
}

/* serverHandler.ServeHTTP(rw ResponseWriter, req *Request): receiver, rw (itab, data), req. */
SEC("?uprobe.multi")
int sn_http_start(struct pt_regs *ctx)
{
	struct sn_http_start_key key = {};
	struct sn_http_start new = {}, *r;

	if (GO_WILL_RESTART(ctx))
		return 0;
	if (bpf_probe_read_user(&new.word, 8, (void *)(GO_ARG3(ctx) + REQUEST_PROTO_MAJOR))) {
		drop_unreadable();
		return 0;
	}
	if (new.word != 1) {
		sn_count(SN_STAT_UNSUPPORTED);
		return 0;
	}
	key.response = GO_ARG2(ctx);
	key.tgid = bpf_get_current_pid_tgid() >> 32;
	new.began = bpf_ktime_get_boot_ns();
	r = bpf_map_lookup_elem(&sn_http_starts, &key);
	if (r) {
		/* The request that was at this address before never ended. */
		sn_count(SN_STAT_STALE);
		r->began = new.began;
	} else if (bpf_map_update_elem(&sn_http_starts, &key, &new, BPF_NOEXIST)) {
		sn_count(SN_STAT_STATE_FULL);
	}
	return 0;
}

static __always_inline long read_word(struct sn_http_start *r, __u64 address)
{
	return bpf_probe_read_user(&r->word, sizeof(r->word), (const void *)address);
}

static __always_inline bool read_method(struct sn_http_start *r)
{
	__u64 len;

	if (read_word(r, r->address + REQUEST_METHOD + 8))
		return false;
	len = r->word;
	if (read_word(r, r->address + REQUEST_METHOD))
		return false;
	if (len >= 3 && len <= 7) {
		__u64 text = r->word;

		/* Eight bytes at once; a string at the very end of its page is read as it is. */
		if (read_word(r, text)) {
			/* The compiler knows that the mask changes nothing, old verifiers do not. */
			barrier_var(len);
			if (bpf_probe_read_user(&r->word, len & 7, (void *)text))
				return false;
		}
	}
	r->key.method = sn_http_method_of(r->word, len);
	return true;
}

/* What a series of requests has in common, from the target; false if it cannot be believed. */
static __always_inline bool read_request(struct sn_http_start *r, __u64 response,
					 const int status_offset)
{
	if (read_word(r, response + status_offset))
		return false;
	/* finishRequest begins by writing 200 if the handler has not written a status. */
	if (!r->word)
		r->word = 200;
	if (r->word < 100 || r->word > 599)
		return false;
	r->key.status = r->word;
	if (read_word(r, response + RESPONSE_REQ))
		return false;
	r->address = r->word;
	if (!read_method(r) || read_word(r, r->address + REQUEST_TLS))
		return false;
	r->key.scheme = r->word ? SN_HTTP_TLS : SN_HTTP_PLAIN;
	return true;
}

/* (*response).finishRequest(). */
static __always_inline int on_finish(struct pt_regs *ctx, const int status_offset)
{
	bool is_new = false, is_overflow = false;
	struct sn_http_start_key key = {};
	struct sn_hist *h;
	struct sn_http_start *r;

	if (GO_WILL_RESTART(ctx))
		return 0;
	key.response = GO_ARG0(ctx);
	key.tgid = bpf_get_current_pid_tgid() >> 32;
	r = bpf_map_lookup_elem(&sn_http_starts, &key);
	if (!r) {
		sn_count(SN_STAT_UNMATCHED);
		return 0;
	}
	r->began = bpf_ktime_get_boot_ns() - r->began; /* from here on: how long it took */
	r->key.tgid = key.tgid;
	if (!read_request(r, key.response, status_offset)) {
		drop_unreadable();
		goto out;
	}
	h = sn_series(&sn_http_series, &r->key, &zero_hist, &overflow_key, &is_new, &is_overflow);
	if (is_new)
		sn_remember_process(key.tgid);
	if (h)
		sn_hist_record(h, r->began);
	sn_count_recorded(h, is_overflow, 1);
out:
	bpf_map_delete_elem(&sn_http_starts, &key);
	return 0;
}

SEC("?uprobe.multi")
int sn_http_end(struct pt_regs *ctx)
{
	return on_finish(ctx, RESPONSE_STATUS);
}

SEC("?uprobe.multi")
int sn_http_end_127(struct pt_regs *ctx)
{
	return on_finish(ctx, RESPONSE_STATUS_127);
}

SEC("?syscall")
int sn_t_method(struct sn_test_call *call)
{
	call->result = sn_http_method_of(call->args[0], call->args[1]);
	return 0;
}
