// SPDX-License-Identifier: Apache-2.0
#include "model/utf8.h"

/*
 * The length of the well-formed character at @s (Unicode 15, table 3-7: no overlong forms, no
 * surrogates, nothing above U+10FFFF), or 0. The terminating NUL is no continuation byte, so
 * nothing behind it is read.
 */
static size_t utf8_length(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

void utf8_scrub(struct strbuf *out, const char *s, size_t max)
{
	static const char replacement[] = "\xef\xbf\xbd";
	size_t used = 0, n, put;

	while (*s) {
		n = utf8_length((const unsigned char *)s);
		put = n ? n : sizeof(replacement) - 1;
		if (used + put > max)
			return;
		strbuf_add(out, n ? s : replacement, put);
		used += put;
		s += n ? n : 1;
	}
}
