/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/strbuf.h"
#include "export/mesh_read.h"

/* Reads all of a file of at most 64 MB, or of a pipe, into @out. -errno with a sentence. */
int source_read(const char *path, struct strbuf *out, struct err *e);

/*
 * The mesh's figures from @source: a file, or the URL of a Prometheus server, which is asked twice:
 * for the end of an interval of wall time and for its beginning. A file holds what was counted since
 * its proxies started. *@said is half a sentence about that. The caller frees *@ret. -errno with a
 * sentence.
 */
int mesh_source(const char *source, uint64_t start_ns, uint64_t end_ns, struct mesh **ret,
		struct strbuf *said, struct err *e);
