/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/strbuf.h"
#include "model/metric.h"

/* What `sonde list` prints of one probe, or of sonde itself. Borrowed. */
struct list_entry {
	const char *name;	      /* "tcp" */
	const char *summary;	      /* half a sentence, no full stop */
	const struct metric *metrics; /* NULL-ended; NULL when there are none */
};

/*
 * Appends @entries, in their order, for a person (80 columns) or as one JSON document:
 * { "probes": [ { "name", "summary", "metrics": [ { "name", "unit", "kind", "description",
 * "attributes": [...] } ] } ] }. 0 or -ENOMEM.
 */
int list_print(const struct list_entry *entries, size_t n_entries, bool json, struct strbuf *out);
