/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

#include "abi/abi.h"

/* Pure: compiled into the kernel half and into its tests (tests/bpf). */

#define SN_METHOD_WORD(a, b, c, d, e, f, g)                                                      \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 | \
	 (__u64)(f) << 40 | (__u64)(g) << 48)

/*
 * The method that is spelled by the first @len bytes of @word (little-endian, as read from memory);
 * SN_HTTP_OTHER for what HTTP semantics (RFC 9110, RFC 5789) do not name. Case matters there.
 */
static inline __attribute__((always_inline)) __u8 sn_http_method_of(__u64 word, __u64 len)
{
	if (len < 3 || len > 7)
		return SN_HTTP_OTHER;
	word &= ~0ULL >> (64 - 8 * len);
	if (!(word >> (8 * (len - 1)))) /* a NUL at the end is no end: Go strings hold any byte */
		return SN_HTTP_OTHER;
	switch (word) {
	case SN_METHOD_WORD('C', 'O', 'N', 'N', 'E', 'C', 'T'):
		return SN_HTTP_CONNECT;
	case SN_METHOD_WORD('D', 'E', 'L', 'E', 'T', 'E', 0):
		return SN_HTTP_DELETE;
	case SN_METHOD_WORD('G', 'E', 'T', 0, 0, 0, 0):
		return SN_HTTP_GET;
	case SN_METHOD_WORD('H', 'E', 'A', 'D', 0, 0, 0):
		return SN_HTTP_HEAD;
	case SN_METHOD_WORD('O', 'P', 'T', 'I', 'O', 'N', 'S'):
		return SN_HTTP_OPTIONS;
	case SN_METHOD_WORD('P', 'A', 'T', 'C', 'H', 0, 0):
		return SN_HTTP_PATCH;
	case SN_METHOD_WORD('P', 'O', 'S', 'T', 0, 0, 0):
		return SN_HTTP_POST;
	case SN_METHOD_WORD('P', 'U', 'T', 0, 0, 0, 0):
		return SN_HTTP_PUT;
	case SN_METHOD_WORD('T', 'R', 'A', 'C', 'E', 0, 0):
		return SN_HTTP_TRACE;
	default:
		return SN_HTTP_OTHER;
	}
}
