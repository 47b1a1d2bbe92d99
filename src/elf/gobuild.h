/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "elf/elf.h"

/*
 * The toolchain's version from .go.buildinfo, cut to fit @size, anything unprintable replaced by
 * '?'. Go before 1.18 keeps a pointer there instead of the text: then "" . -ENODATA: the file has no
 * build information; -EBADMSG: it contradicts itself; elf.h's errors.
 */
int gobuild_version(struct elf *elf, char *ret, size_t size, struct err *e);

/*
 * The numbers in "go1.24.3", "go1.27rc1", "go1.22 X:boringcrypto" or "devel go1.28-3a1b2c"; zeroes
 * for anything else.
 */
void gobuild_parse_version(const char *version, uint16_t *ret_major, uint16_t *ret_minor);

/*
 * Lower-case hex of the GNU build id (its first 20 bytes), else of a 64-bit hash of Go's own id,
 * else "". A note that cannot be read is no note.
 */
void gobuild_id(struct elf *elf, char ret[41]);
