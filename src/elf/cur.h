/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * A cursor over foreign bytes, little-endian. A read past the end sets @bad and gives zeroes from
 * then on, so that a parser checks once, at its end, and before it believes a count.
 */
struct cur {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct cur cur_of(const void *data, size_t len)
{
	const uint8_t *p = data;

	return (struct cur){ .p = p, .end = p + len };
}

/* The next @n bytes, or NULL. */
static inline const uint8_t *cur_bytes(struct cur *c, size_t n)
{
	const uint8_t *p = c->p;

	if (c->bad || (size_t)(c->end - c->p) < n) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	return p;
}

static inline uint8_t cur_u8(struct cur *c)
{
	const uint8_t *p = cur_bytes(c, 1);

	return p ? *p : 0;
}

static inline uint32_t cur_u32(struct cur *c)
{
	const uint8_t *p = cur_bytes(c, sizeof(uint32_t));
	uint32_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static inline uint64_t cur_u64(struct cur *c)
{
	const uint8_t *p = cur_bytes(c, sizeof(uint64_t));
	uint64_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

/* Go's and DWARF's variable-length unsigned integer. One that does not fit 64 bits is bad. */
static inline uint64_t cur_uvarint(struct cur *c)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint8_t byte = cur_u8(c);

		if (shift == 63 && byte > 1)
			break;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
	c->bad = true;
	return 0;
}
