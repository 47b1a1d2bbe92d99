/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a terminal may be shown of text from elsewhere. The UTF-8 character at @s, which is not at its
 * end, and its length in bytes; a byte that is part of none is a control character, NUL.
 */
size_t printable_next(const char *s, uint32_t *ret);

/* Whether a reader sees @c, and it neither commands the terminal nor moves what is around it. */
bool printable_is(uint32_t c);
