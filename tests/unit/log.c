// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/log.h"

static char said[1024];

static void keep(enum log_level level, const char *line, void *arg)
{
	snprintf(said, sizeof(said), "%s", line);
}

/* Names from elsewhere do not speak to the terminal, whatever they are made of. */
static void names_are_printable(void **state)
{
	static const struct {
		const char *name, *shown;
	} cases[] = {
		{ "caf\xc3\xa9 \xe6\xb1\x89", "caf\xc3\xa9 \xe6\xb1\x89" },
		{ "a\x1b[31m\x7f", "a?[31m?" },
		{ "a\x9b"
		  "31m",
		  "a?31m" }, /* a control character of its own in Latin-1 */
		{ "a\xc2\x9b"
		  "31m",
		  "a??31m" },
		{ "a\xe2\x80\xae"
		  "b",
		  "a???b" }, /* from right to left */
		{ "cut \xe6\xb1", "cut ??" },
	};

	log_set_sink(keep, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		log_error("%s", cases[i].name);
		assert_string_equal(said, cases[i].shown);
	}
	log_set_sink(NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(names_are_printable) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
