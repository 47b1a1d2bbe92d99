/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>

#include "export/export.h"

/*
 * What the files that write JSON share. The document is put together from parts: a report can have
 * ten thousand connections, whose tree would take tens of megabytes.
 */

/* Numbers that are not defined (nothing measured yet) are null. */
json_t *json_number(double v);

/* RFC 3339 in UTC, of a time since the epoch, with so many digits of a second, 1 to 9; NULL without memory. */
json_t *json_time(uint64_t wall_ns, int digits);

/* For json_dump_callback(): adds to the struct strbuf @out. */
int json_append(const char *data, size_t len, void *out);

/*
 * Adds a member to the object that @out ends in, and takes @value over; NULL, for want of memory, makes
 * @out fail. @key is written as it is: no quotes, no backslashes, no control characters.
 */
void json_put(struct strbuf *out, const char *key, json_t *value);

/* What the figures say in words. NULL without memory. */
json_t *json_findings(const struct findings *all);

/* Adds the members that are about TCP exchanges. -ENOMEM. */
int json_put_connections(const struct report *r, struct strbuf *out);
