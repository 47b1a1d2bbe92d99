/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "model/snapshot.h"

/*
 * A document that json_encode() wrote, read back. It may have come from anywhere: nothing of it is
 * believed unchecked, and what it takes is bounded. Keys that are not known are passed over, and so
 * are metrics of a kind that is not.
 */
struct document {
	/*
	 * As it was taken, from start_ns = 0 on: metrics in the document's order, their series
	 * sorted by snap_order(), attributes by their keys. Series have no start of their own.
	 */
	struct snapshot snapshot;
	const char *version; /* of the sonde that wrote it */
	const char *time;    /* as it stands there */
	uint64_t wall_ns;    /* the same since the epoch */
};

/* The caller frees. -EINVAL and -EFBIG with a sentence that follows the name of a file; -ENOMEM. */
int document_read(const char *data, size_t len, struct document **ret, struct err *e);
void document_free(struct document *d);

DEFINE_CLEANUP(struct document, document_free)
