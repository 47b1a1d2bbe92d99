/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>

#include "export/export.h"

/*
 * What the files that write the JSON document share. It is put together from parts: a report can have
 * ten thousand connections, whose tree would take tens of megabytes.
 */

/* Numbers that are not defined (nothing measured yet) are null. */
json_t *json_number(double v);

/*
 * Adds a member to the object that @out ends in, and takes @value over; NULL, for want of memory, makes
 * @out fail. @key is written as it is: no quotes, no backslashes, no control characters.
 */
void json_put(struct strbuf *out, const char *key, json_t *value);

/* What the figures say in words. NULL without memory. */
json_t *json_findings(const struct findings *all);

/* Adds the members that are about TCP exchanges. -ENOMEM. */
int json_put_connections(const struct report *r, struct strbuf *out);
