/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <jansson.h>

#include "base/err.h"

/* What is read back, in bytes and in values: a tree of that many takes some 300 MB at most. */
#define JSON_LOAD_BYTES	 (64 << 20)
#define JSON_LOAD_VALUES (4 << 20)

/*
 * Reads @len bytes of JSON from anywhere into a tree, whose reference the caller gives back. -EFBIG
 * or -EINVAL with a sentence when it is too large, not JSON, or has a key twice.
 */
int json_load_bounded(const char *data, size_t len, json_t **ret, struct err *e);
