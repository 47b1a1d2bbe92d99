// SPDX-License-Identifier: Apache-2.0
#include "http/gzip.h"

#include <errno.h>
#include <limits.h>
#include <zlib.h>

/* Added to the window's size it asks zlib for the gzip format. */
#define GZIP_FORMAT 16

int gzip_compress(const void *data, size_t len, struct strbuf *out)
{
	unsigned char chunk[16384];
	z_stream z = {};
	int r;

	if (len > UINT_MAX)
		return -E2BIG;
	if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + GZIP_FORMAT, 8,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	z.next_in = (unsigned char *)data;
	z.avail_in = (unsigned)len;
	do {
		z.next_out = chunk;
		z.avail_out = sizeof(chunk);
		r = deflate(&z, Z_FINISH);
		strbuf_add(out, chunk, sizeof(chunk) - z.avail_out);
	} while (r == Z_OK);
	deflateEnd(&z);
	return r == Z_STREAM_END && !strbuf_failed(out) ? 0 : -ENOMEM;
}
