// SPDX-License-Identifier: Apache-2.0
#include "export/json_parts.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/event.h"
#include "model/utf8.h"

static json_t *text(const char *s)
{
	cleanup(strbuf_done) struct strbuf clean = {};

	utf8_scrub(&clean, s, UTF8_STRING_MAX);
	return strbuf_failed(&clean) ? NULL : json_string(strbuf_str(&clean));
}

/* To the nanosecond, which is what was measured. */
static json_t *microseconds(double ns)
{
	return isfinite(ns) ? json_real(round(ns) / 1000) : json_null();
}

static json_t *attributes(const struct event *ev)
{
	json_t *o = json_object();
	char key[128];
	int bad = !o;

	for (size_t i = 0; !bad && i < ev->n_attrs; i++) {
		const struct attr *a = &ev->attrs[i];

		snprintf(key, sizeof(key), "%s%s", a->key, a->type == ATTR_DOUBLE ? "_us" : "");
		bad |= json_object_set_new(o, key,
					   a->type == ATTR_STRING   ? text(a->str)
					   : a->type == ATTR_DOUBLE ? microseconds(a->real * 1e9)
								    : json_integer(a->num));
	}
	if (!bad)
		return o;
	json_decref(o);
	return NULL;
}

int json_event_encode(const struct event *ev, uint64_t wall_ns, struct strbuf *out)
{
	cleanup(json_decrefp) json_t *o =
		json_pack("{s:o, s:s, s:o, s:o, s:o}", "time", json_time(wall_ns, 6), "event",
			  ev->name, "service", text(ev->service), "duration_us",
			  microseconds((double)ev->duration_ns), "attributes", attributes(ev));

	/*
	 * 15 digits are exact for every count of nanoseconds in eleven days. What is beyond ASCII is
	 * escaped: a terminal may be what reads it, and names of programs are not to speak to that.
	 */
	if (!o || json_dump_callback(o, json_append, out,
				     JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15)))
		return -ENOMEM;
	strbuf_putc(out, '\n');
	return strbuf_failed(out) ? -ENOMEM : 0;
}
