// SPDX-License-Identifier: Apache-2.0
/*
 * The functions of the kernel half that can be called by themselves: one table of cases, run natively
 * and in the kernel, with equal results. Root is needed for the second half, and a kernel that runs
 * SEC("syscall") programs (5.14); without them it is skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "abi/abi.h"
#include "base/cleanup.h"
#include "bpf/lib/method.bpf.h"
#include "bpf/lib/seq.bpf.h"
#include "bpf/lib/tcp_filter.bpf.h"
#include "bpf/lib/test.bpf.h"
#include "kern/object.h"
#include "probe/tcp_filter.h"

KERN_IMAGE_DECLARE(tcp);
KERN_IMAGE_DECLARE(http);

static __s64 slot(const __u64 *a)
{
	return sn_hist_slot(a[0]);
}

static __s64 method(const __u64 *a)
{
	return sn_http_method_of(a[0], a[1]);
}

static __s64 copied(const __u64 *a)
{
	return sn_seq_copied((__u32)a[0], (__u32)a[1], (int)a[2]);
}

static __s64 waiting(const __u64 *a)
{
	return sn_seq_waiting((__u32)a[0], (__u32)a[1], (int)a[2]);
}

/* The rules that the cases of sn_t_filter are about. */
static const struct sn_tcp_filter *rules(void)
{
	static struct sn_tcp_filter f;

	assert_int_equal(tcp_filter_ports("80,8000-8100,65535", &f), 0);
	assert_int_equal(tcp_filter_peers("10.1.0.0/16,192.168.7.9,fd00::/9,2001:db8::1,::/64", &f),
			 0);
	tcp_filter_finish(TCP_SHARE_ALL, SN_TCP_SERVER, &f);
	return &f;
}

static __s64 filter(const __u64 *a)
{
	struct sn_tcp_key key = { .port = (__u16)a[2], .role = (__u8)a[3] };

	memcpy(key.peer, a, sizeof(key.peer));
	return sn_filter_wants(rules(), &key);
}

/* The halves of an address as bytes lie in memory; both of our architectures are little-endian. */
#define HALF(a, b, c, d)                                            \
	(__builtin_bswap16(a) | (__u64)__builtin_bswap16(b) << 16 | \
	 (__u64)__builtin_bswap16(c) << 32 | (__u64)__builtin_bswap16(d) << 48)
#define V4(a, b, c, d) 0, HALF(0, 0xffff, (a) << 8 | (b), (c) << 8 | (d))

#define WORD(s)	       SN_METHOD_WORD(s[0], s[1], s[2], s[3], s[4], s[5], s[6])

/* clang-format off */
static const struct function {
	const char *program;
	bool in_http;
	__s64 (*native)(const __u64 *args);
	struct { __u64 args[4]; __s64 result; } cases[24];
	size_t n;
} functions[] = {
	{ "sn_t_slot", false, slot, {
		{ { 0 }, -1 },
		{ { 1 }, -1 },
		{ { 953 }, -1 },			/* 2^-20 s is 953.67 ns: still zero */
		{ { 954 }, 0 },
		{ { 1000000 }, 80 },			/* 1 ms: log2(2^20 / 1000) * 8 = 80.3 */
		{ { 1000000000 / 1024 }, 79 },		/* a whole octave ends its bucket */
		{ { 1000000000 / 1024 + 1 }, 80 },
		{ { 1000000000 }, 159 },		/* 1 s = 2^0 */
		{ { 1000000001 }, 160 },
		{ { 2000000000 }, 167 },
		{ { 2000000001 }, 168 },
		{ { 64000000000ULL }, 207 },
		{ { 64000000001ULL }, 208 },
		{ { 255999999999ULL }, 223 },
		{ { 256000000000ULL }, 223 },
		{ { 256000000001ULL }, 223 },		/* beyond the range: the last bucket */
		{ { ~0ULL }, 223 },
	}, 17 },
	{ "sn_t_method", true, method, {
		{ { WORD("GET\0\0\0"), 3 }, SN_HTTP_GET },
		{ { WORD("GET /xx"), 3 }, SN_HTTP_GET },	/* what lies behind does not matter */
		{ { WORD("GET\0\0\0"), 4 }, SN_HTTP_OTHER },
		{ { WORD("get\0\0\0"), 3 }, SN_HTTP_OTHER },
		{ { WORD("PUT\0\0\0"), 3 }, SN_HTTP_PUT },
		{ { WORD("HEAD\0\0"), 4 }, SN_HTTP_HEAD },
		{ { WORD("POST\0\0"), 4 }, SN_HTTP_POST },
		{ { WORD("PATCH\0"), 5 }, SN_HTTP_PATCH },
		{ { WORD("TRACE\0"), 5 }, SN_HTTP_TRACE },
		{ { WORD("DELETE"), 6 }, SN_HTTP_DELETE },
		{ { WORD("CONNECT"), 7 }, SN_HTTP_CONNECT },
		{ { WORD("OPTIONS"), 7 }, SN_HTTP_OPTIONS },
		{ { WORD("OPTIONS"), 8 }, SN_HTTP_OTHER },
		{ { WORD("OPTIONS"), 1ULL << 40 }, SN_HTTP_OTHER },
		{ { WORD("GET\0\0\0"), 0 }, SN_HTTP_OTHER },
	}, 15 },
	{ "sn_t_copied", false, copied, {
		{ { 100, 100, 0 }, 100 },
		{ { 101, 101, 1 }, 100 },		/* the FIN was read */
		{ { 101, 90, 1 }, 90 },			/* not yet */
		{ { 0, 0, 1 }, 0xffffffff },		/* around the wrap */
	}, 4 },
	{ "sn_t_waiting", false, waiting, {
		{ { 100, 100, 0 }, 0 },
		{ { 100, 90, 0 }, 10 },
		{ { 101, 90, 1 }, 10 },
		{ { 101, 100, 1 }, 0 },			/* a FIN alone is no byte */
		{ { 101, 101, 1 }, 0 },
		{ { 5, 0xfffffffb, 0 }, 10 },		/* around the wrap */
	}, 6 },
	{ "sn_t_filter", false, filter, {
		{ { V4(10, 1, 2, 3), 80, SN_TCP_SERVER }, 1 },
		{ { V4(10, 1, 2, 3), 80, SN_TCP_CLIENT }, 0 },
		{ { V4(10, 1, 2, 3), 81, SN_TCP_SERVER }, 0 },
		{ { V4(10, 1, 2, 3), 7999, SN_TCP_SERVER }, 0 },
		{ { V4(10, 1, 2, 3), 8000, SN_TCP_SERVER }, 1 },
		{ { V4(10, 1, 2, 3), 8100, SN_TCP_SERVER }, 1 },
		{ { V4(10, 1, 2, 3), 8101, SN_TCP_SERVER }, 0 },
		{ { V4(10, 1, 2, 3), 65535, SN_TCP_SERVER }, 1 },
		{ { V4(10, 2, 2, 3), 80, SN_TCP_SERVER }, 0 },
		{ { V4(192, 168, 7, 9), 80, SN_TCP_SERVER }, 1 },
		{ { V4(192, 168, 7, 8), 80, SN_TCP_SERVER }, 0 },	/* in ::/64, were it IPv6 */
		{ { HALF(0xfd7f, 1, 2, 3), HALF(4, 5, 6, 7), 80, SN_TCP_SERVER }, 1 },
		{ { HALF(0xfd80, 1, 2, 3), HALF(4, 5, 6, 7), 80, SN_TCP_SERVER }, 0 },
		{ { HALF(0x2001, 0xdb8, 0, 0), HALF(0, 0, 0, 1), 80, SN_TCP_SERVER }, 1 },
		{ { HALF(0x2001, 0xdb8, 0, 0), HALF(0, 0, 0, 2), 80, SN_TCP_SERVER }, 0 },
		{ { 0, HALF(0, 0, 0, 1), 80, SN_TCP_SERVER }, 1 },
		{ { 0, 0, 80, SN_TCP_SERVER }, 1 },
	}, 17 },
};
/* clang-format on */

static void native(void **state)
{
	for (size_t f = 0; f < ARRAY_SIZE(functions); f++)
		for (size_t i = 0; i < functions[f].n; i++) {
			__s64 got = functions[f].native(functions[f].cases[i].args);

			if (got != functions[f].cases[i].result)
				fail_msg("%s, case %zu: %lld, not %lld", functions[f].program, i,
					 got, functions[f].cases[i].result);
		}
}

static void run_in_kernel(struct kern_object *o, const struct function *f)
{
	struct kern_program *p;
	struct err e = {};
	int r = kern_program_load(o, f->program, &p, &e);

	if (r == -EINVAL || r == -ENOTSUP)
		skip();
	if (r < 0)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < f->n; i++) {
		struct sn_test_call call = {};
		uint32_t ret;

		memcpy(call.args, f->cases[i].args, sizeof(f->cases[i].args));
		if (kern_program_test_run(p, &call, sizeof(call), &ret, &e) < 0)
			fail_msg("%s", e.msg);
		if (call.result != f->cases[i].result)
			fail_msg("%s in the kernel, case %zu: %lld, not %lld", f->program, i,
				 call.result, f->cases[i].result);
	}
}

static void kernel(void **state)
{
	static const struct kern_image images[] = { KERN_IMAGE(tcp), KERN_IMAGE(http) };

	for (size_t image = 0; image < ARRAY_SIZE(images); image++) {
		struct kern_object *o;
		struct err e = {};
		int r;

		assert_int_equal(kern_object_open(&images[image], &o, &e), 0);
		if (image == 0) {
			kern_object_omit(o, "sn_tcp_storage");
			assert_int_equal(
				kern_object_set(o, "sn_filter", rules(), sizeof(*rules()), &e), 0);
		}
		r = kern_object_create(o, &e);
		if (r == -EPERM)
			skip();
		if (r < 0)
			fail_msg("%s", e.msg);
		for (size_t f = 0; f < ARRAY_SIZE(functions); f++)
			if (functions[f].in_http == (image == 1))
				run_in_kernel(o, &functions[f]);
		kern_object_close(o);
	}
}

/* What a kernel before 5.12 gets in place of the exchange is exercised by booting one. */
static void every_program_loads_or_says_why(void **state)
{
	static const struct kern_image image = KERN_IMAGE(http);
	static const char *const programs[] = { "sn_http_start", "sn_http_end", "sn_http_end_127" };
	struct kern_program *p, *again;
	struct kern_object *o;
	struct err e = {};
	int r;

	assert_int_equal(kern_object_open(&image, &o, &e), 0);
	r = kern_object_create(o, &e);
	if (r == -EPERM)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		if (kern_program_load(o, programs[i], &p, &e) < 0)
			fail_msg("%s", e.msg);
		/* Once loaded it is the same program that is handed out. */
		assert_int_equal(kern_program_load(o, programs[i], &again, &e), 0);
		assert_ptr_equal(p, again);
	}
	assert_int_equal(kern_program_load(o, "no_such_program", &p, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "no_such_program"));
	kern_object_close(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(native),
		cmocka_unit_test(kernel),
		cmocka_unit_test(every_program_loads_or_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
