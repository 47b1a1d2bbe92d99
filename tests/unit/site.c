// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "elf/site.h"

#define CODE(...) \
	.code = (const uint8_t[]){ __VA_ARGS__ }, .len = sizeof((uint8_t[]){ __VA_ARGS__ })

struct entry {
	const char *what;
	const uint8_t *code;
	size_t len;
	enum site_kind kind;
	uint32_t offset;
	const char *insn;
};

/* clang-format off */
/* The first bytes of functions as the named toolchains compile them. */
static const struct entry entries[] = {
	{ "1.19 finishRequest: check, then sub",
	  CODE(0x49, 0x3b, 0x66, 0x10, 0x0f, 0x86, 0xb7, 0x00, 0x00, 0x00, 0x48, 0x83, 0xec, 0x18),
	  SITE_JCC, 4, "jbe 0x10c1" },
	{ "1.19 ServeHTTP: medium frame",
	  CODE(0x4c, 0x8d, 0x64, 0x24, 0xd8, 0x4d, 0x3b, 0x66, 0x10, 0x0f, 0x86, 0x54, 0x03, 0x00, 0x00,
	       0x48, 0x81, 0xec, 0xa8, 0x00, 0x00, 0x00),
	  SITE_JCC, 9, "jbe 0x1363" },
	{ "1.19 getproccount: large frame, two jumps",
	  CODE(0x49, 0x89, 0xe4, 0x49, 0x81, 0xec, 0xa8, 0x1f, 0x00, 0x00, 0x0f, 0x82, 0xdd, 0x00, 0x00,
	       0x00, 0x4d, 0x3b, 0x66, 0x10, 0x0f, 0x86, 0xd3, 0x00, 0x00, 0x00, 0x48, 0x81, 0xec, 0x28),
	  SITE_JCC, 20, "jbe 0x10ed" },
	{ "1.19 casgstatus: no check, no push",
	  CODE(0x48, 0x83, 0xec, 0x40, 0x48, 0x89, 0x6c, 0x24, 0x38, 0x48, 0x8d, 0x6c, 0x24, 0x38, 0x48,
	       0x89, 0x44, 0x24, 0x48, 0x89, 0x5c, 0x24, 0x50),
	  SITE_NONE, 0, "" },
	{ "1.22 and 1.24 ServeHTTP: near jump",
	  CODE(0x49, 0x3b, 0x66, 0x10, 0x0f, 0x86, 0x8a, 0x00, 0x00, 0x00, 0x55, 0x48, 0x89, 0xe5),
	  SITE_PUSH, 10, "push rbp" },
	{ "1.24 small function: short jump",
	  CODE(0x49, 0x3b, 0x66, 0x10, 0x76, 0x30, 0x55, 0x48, 0x89, 0xe5),
	  SITE_PUSH, 6, "push rbp" },
	{ "1.24 conn.serve: medium frame, long displacement",
	  CODE(0x4c, 0x8d, 0xa4, 0x24, 0x28, 0xfe, 0xff, 0xff, 0x4d, 0x3b, 0x66, 0x10, 0x0f, 0x86, 0x99,
	       0x13, 0x00, 0x00, 0x55, 0x48, 0x89, 0xe5),
	  SITE_PUSH, 18, "push rbp" },
	{ "1.27 getCPUCount: large frame",
	  CODE(0x49, 0x89, 0xe4, 0x49, 0x81, 0xec, 0xa8, 0x1f, 0x00, 0x00, 0x0f, 0x82, 0xb7, 0x00, 0x00,
	       0x00, 0x4d, 0x3b, 0x66, 0x10, 0x0f, 0x86, 0xad, 0x00, 0x00, 0x00, 0x55, 0x48, 0x89, 0xe5),
	  SITE_PUSH, 26, "push rbp" },
	{ "1.27 casgstatus: a push and no check, so nothing tells a repeated hit",
	  CODE(0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x58), SITE_NONE, 0, "" },
	{ "a check cut off behind its jump",
	  CODE(0x49, 0x3b, 0x66, 0x10, 0x76, 0x30),
	  SITE_JCC, 4, "jbe 0x1036" },
	{ "a check cut off before its jump",
	  CODE(0x49, 0x3b, 0x66, 0x10), SITE_NONE, 0, "" },
	{ "a check with another jump",
	  CODE(0x49, 0x3b, 0x66, 0x10, 0x74, 0x30, 0x55), SITE_NONE, 0, "" },
	{ "another field of the goroutine",
	  CODE(0x49, 0x3b, 0x66, 0x18, 0x76, 0x30, 0x55), SITE_NONE, 0, "" },
	{ "stack arguments (ABI0): the goroutine is loaded into rcx",
	  CODE(0x64, 0x48, 0x8b, 0x0c, 0x25, 0xf8, 0xff, 0xff, 0xff, 0x48, 0x3b, 0x61, 0x10, 0x76, 0x30,
	       0x55),
	  SITE_NONE, 0, "" },
	{ "an argument is overwritten before the push",
	  CODE(0x31, 0xc0, 0x55), SITE_NONE, 0, "" },
	{ "half of an argument is overwritten before the push",
	  CODE(0x41, 0xb0, 0x01, 0x55), SITE_NONE, 0, "" },
	{ "the function returns before the push",
	  CODE(0xc3, 0x55), SITE_NONE, 0, "" },
	{ "a jump before the push",
	  CODE(0xeb, 0x00, 0x55), SITE_NONE, 0, "" },
	{ "a jump on carry that belongs to no check",
	  CODE(0x72, 0x00, 0x55), SITE_NONE, 0, "" },
	{ "no instruction", CODE(0x06, 0x06, 0x06), SITE_NONE, 0, "" },
};
/* clang-format on */

static void chooses_the_place(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		const struct entry *c = &entries[i];
		struct site s;

		site_choose_go_x86(c->code, c->len, 0x1000, &s);
		if (s.kind != c->kind || s.function_offset != c->offset ||
		    strcmp(s.insn, c->insn) != 0)
			fail_msg("%s: got %s at %u, '%s'", c->what, site_kind_name(s.kind),
				 s.function_offset, s.insn);
		assert_int_equal(s.why[0] != '\0', c->kind == SITE_NONE);
	}
}

/* Whatever is cut off, what is left gives the same place, an earlier one, or none. */
static void cut_code_never_gives_a_later_place(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		for (size_t len = 0; len < entries[i].len; len++) {
			struct site s;

			site_choose_go_x86(entries[i].code, len, 0x1000, &s);
			assert_true(s.function_offset <= entries[i].offset);
			assert_true(s.kind == SITE_NONE || s.function_offset < len);
		}
	}
}

static void kinds_have_names(void **state)
{
	assert_string_equal(site_kind_name(SITE_NONE), "none");
	assert_string_equal(site_kind_name(SITE_PUSH), "push");
	assert_string_equal(site_kind_name(SITE_CALL), "call");
	assert_string_equal(site_kind_name((enum site_kind)99), "unknown");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(chooses_the_place),
		cmocka_unit_test(cut_code_never_gives_a_later_place),
		cmocka_unit_test(kinds_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
