// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * http - requests served by Go's net/http, two probe hits each.
 *
 * A request begins at serverHandler.ServeHTTP and ends at (*response).finishRequest, both at the
 * first cheap instruction behind the stack check, where the arguments are still in their registers
 * (elf/site.h). Both run on the goroutine of the connection. Everything that is reported hangs from the
 * *response and the *Request: heap objects, which do not move.
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

/* A request that never ends (a panic, a hijacked connection) is aged out by user space. */
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
static const struct sn_http_start zero_start;
static const struct sn_http_key overflow_key;

/*
 * Offsets in net/http's types, the same from Go 1.19 on but for the status: read from the DWARF of
 * eight toolchains (docs/probes/http.md). The status has two places, hence two programs: a table by
 * file would need attach cookies, which kernels before 5.15 lack.
 */
#define REQUEST_TLS	    208
#define RESPONSE_STATUS	    120 /* Go 1.19 to 1.26 */
#define RESPONSE_STATUS_127 128 /* Go 1.27 */

/* Words of the head of a Request: Method (string), URL, Proto (string), ProtoMajor. */
enum { HEAD_METHOD = 0, HEAD_METHOD_LEN = 1, HEAD_PROTO_MAJOR = 5 };

static __always_inline void drop_unreadable(void)
{
	sn_count(SN_STAT_PRODUCED);
	sn_count(SN_STAT_DROP_UNREADABLE);
}

static __always_inline struct sn_http_start *goroutine(struct pt_regs *ctx, bool create)
{
	struct sn_http_start_key key = { .g = GO_G(ctx) };
	struct sn_http_start *r;

	key.tgid = bpf_get_current_pid_tgid() >> 32;
	r = bpf_map_lookup_elem(&sn_http_starts, &key);
	if (r || !create)
		return r;
	if (bpf_map_update_elem(&sn_http_starts, &key, &zero_start, BPF_NOEXIST))
		sn_count(SN_STAT_STATE_FULL);
	return bpf_map_lookup_elem(&sn_http_starts, &key);
}

/* serverHandler.ServeHTTP(rw ResponseWriter, req *Request): receiver, rw (itab, data), req. */
static __always_inline int on_start(struct pt_regs *ctx)
{
	struct sn_http_start *r;

	if (GO_WILL_RESTART(ctx))
		return 0;
	r = goroutine(ctx, true);
	if (!r)
		return 0;
	/* The request that this goroutine, or an earlier one, had before never ended. */
	if (r->began)
		sn_count(SN_STAT_STALE);
	r->began = 0;
	if (bpf_probe_read_user(r->head, sizeof(r->head), (const void *)GO_ARG3(ctx))) {
		drop_unreadable();
		return 0;
	}
	if (r->head[HEAD_PROTO_MAJOR] != 1) {
		sn_count(SN_STAT_UNSUPPORTED);
		return 0;
	}
	r->response = GO_ARG2(ctx);
	r->request = GO_ARG3(ctx);
	r->used = bpf_ktime_get_boot_ns();
	r->began = r->used;
	return 0;
}

static __always_inline long read_word(struct sn_http_start *r, __u64 address)
{
	return bpf_probe_read_user(&r->word, sizeof(r->word), (const void *)address);
}

static __always_inline bool read_method(struct sn_http_start *r)
{
	__u64 text = r->head[HEAD_METHOD], len = r->head[HEAD_METHOD_LEN];

	/* Eight bytes at once; a string at the very end of its page is read as it is. */
	if (len >= 3 && len <= 7 && read_word(r, text)) {
		/* The compiler knows that the mask changes nothing, old verifiers do not. */
		barrier_var(len);
		if (bpf_probe_read_user(&r->word, len & 7, (const void *)text))
			return false;
	}
	r->key.method = sn_http_method_of(r->word, len);
	return true;
}

/* What a series of requests has in common, from the target; false if it cannot be believed. */
static __always_inline bool read_request(struct sn_http_start *r, const int status_offset)
{
	if (read_word(r, r->response + status_offset))
		return false;
	/* finishRequest begins by writing 200 if the handler has not written a status. */
	if (!r->word)
		r->word = 200;
	if (r->word < 100 || r->word > 599)
		return false;
	r->key.status = r->word;
	if (!read_method(r) || read_word(r, r->request + REQUEST_TLS))
		return false;
	r->key.scheme = r->word ? SN_HTTP_TLS : SN_HTTP_PLAIN;
	return true;
}

/* (*response).finishRequest(). */
static __always_inline int on_finish(struct pt_regs *ctx, const int status_offset)
{
	bool is_new = false, is_overflow = false;
	struct sn_http_start *r;
	struct sn_hist *h;

	if (GO_WILL_RESTART(ctx))
		return 0;
	r = goroutine(ctx, false);
	if (!r || !r->began || r->response != GO_ARG0(ctx)) {
		sn_count(SN_STAT_UNMATCHED);
		return 0;
	}
	r->used = bpf_ktime_get_boot_ns();
	r->key.tgid = bpf_get_current_pid_tgid() >> 32;
	if (read_request(r, status_offset)) {
		h = sn_series(&sn_http_series, &r->key, &zero_hist, &overflow_key, &is_new,
			      &is_overflow);
		if (is_new)
			sn_remember_process(r->key.tgid);
		if (h)
			sn_hist_record(h, r->used - r->began);
		sn_count_recorded(h, is_overflow, 1);
	} else {
		drop_unreadable();
	}
	r->began = 0;
	return 0;
}

/*
 * One program for all sites of a file, told apart by their cookies, where one link can hold them: what
 * the kernel does to take a link down takes as long for one site as for many.
 */
SEC("?uprobe.multi")
int sn_http(struct pt_regs *ctx)
{
	switch (bpf_get_attach_cookie(ctx)) {
	case SN_HTTP_SITE_START:
		return on_start(ctx);
	case SN_HTTP_SITE_END:
		return on_finish(ctx, RESPONSE_STATUS);
	case SN_HTTP_SITE_END_127:
		return on_finish(ctx, RESPONSE_STATUS_127);
	}
	return 0;
}

/* One each for kernels without such links, the oldest of which have no cookies either. */
SEC("?uprobe.multi")
int sn_http_start(struct pt_regs *ctx)
{
	return on_start(ctx);
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
