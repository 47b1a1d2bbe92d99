// SPDX-License-Identifier: Apache-2.0
#include "ui/text.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"

/* ---- text ---- */

static const struct range {
	uint32_t first, last;
} wide[] = {
	/* clang-format off */
	{ 0x1100, 0x115e }, { 0x2e80, 0x303e }, { 0x3041, 0xa4cf }, { 0xa960, 0xa97c },
	{ 0xac00, 0xd7a3 }, { 0xf900, 0xfaff }, { 0xfe30, 0xfe6f }, { 0xff00, 0xff60 },
	{ 0xffe0, 0xffe6 }, { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f900, 0x1faff },
	{ 0x20000, 0x3fffd },
}, combining[] = {
	{ 0x300, 0x36f }, { 0x483, 0x489 }, { 0x591, 0x5bd }, { 0x610, 0x61a }, { 0x64b, 0x65f },
	{ 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x20d0, 0x20ff }, { 0xfe20, 0xfe2f },
	/* clang-format on */
};

#define IN(table, c) in_ranges(table, sizeof(table) / sizeof((table)[0]), c)

static bool in_ranges(const struct range *r, size_t n, uint32_t c)
{
	for (size_t i = 0; i < n; i++)
		if (c >= r[i].first && c <= r[i].last)
			return true;
	return false;
}

/* The next character of @s: bytes read, what to write in *@ret_len bytes at *@ret, its columns. */
static size_t next(const char *s, bool utf8, const char **ret, size_t *ret_len, size_t *ret_columns)
{
	uint32_t c;
	size_t len = printable_next(s, &c);
	bool good = utf8 ? printable_is(c) : c >= 0x20 && c < 0x7f;

	*ret = good ? s : "?";
	*ret_len = good ? len : 1;
	*ret_columns = !good ? 1 : IN(wide, c) ? 2 : !IN(combining, c);
	return len;
}

size_t text_width(const char *s, bool utf8)
{
	size_t total = 0, len, columns;
	const char *bytes;

	for (; *s; total += columns)
		s += next(s, utf8, &bytes, &len, &columns);
	return total;
}

size_t text_add(struct strbuf *out, const char *s, size_t width, bool utf8)
{
	bool cut = text_width(s, utf8) > width;
	size_t used = 0, len, columns;
	const char *bytes;

	if (cut && !width)
		return 0;
	while (*s) {
		s += next(s, utf8, &bytes, &len, &columns);
		if (used + columns > width - cut)
			break;
		strbuf_add(out, bytes, len);
		used += columns;
	}
	if (!cut)
		return used;
	strbuf_puts(out, utf8 ? "\xe2\x80\xa6" : "~");
	return used + 1;
}

void text_cell(struct strbuf *out, const char *s, size_t width, bool right, bool utf8)
{
	size_t used = text_width(s, utf8), pad = used < width ? width - used : 0;

	used = 0;
	for (; right && used < pad; used++)
		strbuf_putc(out, ' ');
	for (used += text_add(out, s, width, utf8); used < width; used++)
		strbuf_putc(out, ' ');
}

/* ---- figures ---- */

struct scale {
	double above; /* values that round to less than this are told in this unit */
	double factor;
	const char *name;
};

/* @digits significant ones, two or three, without an exponent. */
static const char *scaled(double v, const struct scale *scales, int digits, char *buf)
{
	int decimals;

	if (isnan(v)) {
		snprintf(buf, UNIT_TEXT_MAX, "-");
		return buf;
	}
	while (v >= scales->above)
		scales++;
	v *= scales->factor;
	decimals = digits - (v < 9.995 ? 1 : v < 99.95 ? 2 : 3);
	if (digits == 2 && v >= 9.95)
		decimals = 0;
	snprintf(buf, UNIT_TEXT_MAX, "%.*f%s", decimals > 0 && v > 0 ? decimals : 0, v,
		 scales->name);
	return buf;
}

const char *unit_seconds(double s, bool utf8, char buf[UNIT_TEXT_MAX])
{
	static const struct scale scales[] = {
		{ 999.5e-6, 1e6, " us" },
		{ 999.5e-3, 1e3, " ms" },
		{ 99.5, 1, " s" },
		{ INFINITY, 1. / 60, " min" },
	}, scales_utf8[] = {
		{ 999.5e-6, 1e6, " \xc2\xb5s" },
		{ 999.5e-3, 1e3, " ms" },
		{ 99.5, 1, " s" },
		{ INFINITY, 1. / 60, " min" },
	};

	return scaled(s, utf8 ? scales_utf8 : scales, 2, buf);
}

const char *unit_rate(double per_s, char buf[UNIT_TEXT_MAX])
{
	static const struct scale scales[] = {
		{ 999.5, 1, " /s" },
		{ 999.5e3, 1e-3, " k/s" },
		{ INFINITY, 1e-6, " M/s" },
	};

	return scaled(per_s, scales, 3, buf);
}

const char *unit_bytes_rate(double per_s, char buf[UNIT_TEXT_MAX])
{
	static const struct scale scales[] = {
		{ 999.5, 1, " B/s" },
		{ 999.5e3, 1e-3, " kB/s" },
		{ 999.5e6, 1e-6, " MB/s" },
		{ INFINITY, 1e-9, " GB/s" },
	};

	return scaled(per_s, scales, 2, buf);
}

const char *unit_bytes(double n, char buf[UNIT_TEXT_MAX])
{
	static const struct scale scales[] = {
		{ 999.5e3, 1e-3, " kB" },
		{ 999.5e6, 1e-6, " MB" },
		{ INFINITY, 1e-9, " GB" },
	};

	/* Whole bytes are told whole. */
	if (n >= 999.5)
		return scaled(n, scales, 2, buf);
	snprintf(buf, UNIT_TEXT_MAX, "%.0f B", n);
	return buf;
}

const char *unit_count(double n, char buf[UNIT_TEXT_MAX])
{
	static const struct scale scales[] = {
		{ 999.5e3, 1e-3, " k" },
		{ 999.5e6, 1e-6, " M" },
		{ INFINITY, 1e-9, " G" },
	};

	if (n >= 9999.5)
		return scaled(n, scales, 3, buf);
	snprintf(buf, UNIT_TEXT_MAX, "%.0f", n);
	return buf;
}

const char *unit_elapsed(double s, char buf[UNIT_TEXT_MAX])
{
	unsigned long long t = s > 0 ? (unsigned long long)s : 0;

	if (t < 60)
		snprintf(buf, UNIT_TEXT_MAX, "%llus", t);
	else if (t < 3600)
		snprintf(buf, UNIT_TEXT_MAX, "%llum%02llus", t / 60, t % 60);
	else if (t < 86400)
		snprintf(buf, UNIT_TEXT_MAX, "%lluh%02llum", t / 3600, t / 60 % 60);
	else
		snprintf(buf, UNIT_TEXT_MAX, "%llud%02lluh", t / 86400, t / 3600 % 24);
	return buf;
}
