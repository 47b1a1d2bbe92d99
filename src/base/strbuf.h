/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * A growing byte buffer, always NUL-terminated behind its length. A failed allocation is sticky:
 * later calls do nothing, and strbuf_failed() says so once, at the end, as with a parsing cursor.
 * Zero-initialise; strbuf_done() frees.
 */
struct strbuf {
	char *data;
	size_t len, size;
	bool failed;
};

void strbuf_done(struct strbuf *b);
void strbuf_clear(struct strbuf *b); /* keeps the memory */
void strbuf_add(struct strbuf *b, const void *data, size_t len);
void strbuf_puts(struct strbuf *b, const char *s);
void strbuf_putc(struct strbuf *b, char c);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The text; "" while nothing was added. Valid until the next call that changes @b. */
const char *strbuf_str(const struct strbuf *b);

static inline bool strbuf_failed(const struct strbuf *b)
{
	return b->failed;
}
