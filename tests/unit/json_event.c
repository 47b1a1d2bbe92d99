// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/events.h"
#include "tests/unit/fixture.h"

/* 2026-11-21T12:34:56.000789Z */
#define WALL_NS 1795264496000789123ULL

static void objects_are_as_agreed(void **state)
{
	cleanup(strbuf_done) struct strbuf out = {};

	(void)state;
	for (size_t i = 0; i < N_EVENTS; i++)
		assert_int_equal(json_event_encode(&events[i], WALL_NS, &out), 0);
	assert_golden(&out, "tests/golden/events.json");
}

/* Whatever is in the strings, a line is one object with all that the event has. */
static void each_line_reads_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_EVENTS; i++) {
		cleanup(strbuf_done) struct strbuf out = {};
		const struct event *ev = &events[i];
		json_t *o, *attributes;
		char key[128];

		assert_int_equal(json_event_encode(ev, WALL_NS, &out), 0);
		assert_int_equal(strcspn(strbuf_str(&out), "\n"), out.len - 1);
		o = json_loads(strbuf_str(&out), JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(o);
		assert_string_equal(json_string_value(json_object_get(o, "event")), ev->name);
		assert_string_equal(json_string_value(json_object_get(o, "time")),
				    "2026-11-21T12:34:56.000789Z");
		assert_true(json_real_value(json_object_get(o, "duration_us")) * 1000 ==
			    (double)ev->duration_ns);
		attributes = json_object_get(o, "attributes");
		assert_int_equal(json_object_size(attributes), ev->n_attrs);
		for (size_t k = 0; k < ev->n_attrs; k++) {
			snprintf(key, sizeof(key), "%s%s", ev->attrs[k].key,
				 ev->attrs[k].type == ATTR_DOUBLE ? "_us" : "");
			assert_non_null(json_object_get(attributes, key));
		}
		json_decref(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_as_agreed),
		cmocka_unit_test(each_line_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
