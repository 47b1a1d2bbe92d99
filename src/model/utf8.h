/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/strbuf.h"

/* Longer strings of a watched process are cut: no name that a person reads is longer. */
#define UTF8_STRING_MAX 1024

/*
 * Appends @s to @out as valid UTF-8 of at most @max bytes: each byte that does not belong to a
 * well-formed character becomes U+FFFD, and the text is cut between two characters. Strings that
 * come out of a watched process pass through here before anything else sees them.
 */
void utf8_scrub(struct strbuf *out, const char *s, size_t max);
