/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"

/*
 * Text and figures for a terminal. Names come out of watched programs, so they are hostile: what
 * is no printable character becomes one '?', byte by byte: control characters (escape sequences),
 * ill-formed UTF-8, invisible characters and those that turn the direction of writing. Without
 * @utf8 so does everything beyond ASCII.
 */

/* How lines are set apart, where colour is wanted; a line ends PLAIN. */
#define BOLD  "\x1b[1m"
#define DIM   "\x1b[2m"
#define RED   "\x1b[1;31m"
#define PLAIN "\x1b[0m"

/* Adds @s made harmless, cut to @width columns (the cut is shown); returns the columns used. */
size_t text_add(struct strbuf *out, const char *s, size_t width, bool utf8);

/* The same, with blanks up to @width columns, on the left if @right. */
void text_cell(struct strbuf *out, const char *s, size_t width, bool right, bool utf8);

/* Columns that @s takes once it is made harmless. */
size_t text_width(const char *s, bool utf8);

/* For people; "-" for NAN. All write to @buf and return it. */
#define UNIT_TEXT_MAX 32
const char *unit_seconds(double s, bool utf8, char buf[UNIT_TEXT_MAX]); /* "1.2 ms": two digits */
const char *unit_rate(double per_s, char buf[UNIT_TEXT_MAX]);		/* "12.3 k/s": three */
const char *unit_bytes_rate(double per_s, char buf[UNIT_TEXT_MAX]);	/* "3.4 kB/s" */
const char *unit_bytes(double n, char buf[UNIT_TEXT_MAX]);		/* "345 B", "3.4 kB" */
const char *unit_count(double n, char buf[UNIT_TEXT_MAX]);		/* "9876", "12.3 k" */
const char *unit_elapsed(double s, char buf[UNIT_TEXT_MAX]);		/* "2m05s", "3d04h" */
