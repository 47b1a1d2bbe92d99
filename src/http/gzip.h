/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/strbuf.h"

/* Appends @data, compressed in the gzip format at the cheapest level, to @out. -ENOMEM. */
int gzip_compress(const void *data, size_t len, struct strbuf *out);
