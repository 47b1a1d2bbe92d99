// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/config_file.h"
#include "base/strbuf.h"

/* Writes what it is given as "key=value@origin;", lists in brackets, no value as "nothing". */
static int record(void *arg, const struct config_entry *entry, struct err *e)
{
	(void)e;
	strbuf_printf(arg, "%s=%s%s%s@%s;", entry->key, entry->is_list ? "[" : "",
		      entry->value ? entry->value : "nothing", entry->is_list ? "]" : "",
		      entry->origin);
	return 0;
}

static int fail_with_eperm(void *arg, const struct config_entry *entry, struct err *e)
{
	(void)arg;
	return err_set(e, -EPERM, "not %s", entry->key);
}

/* clang-format off */
static const struct { const char *text; int r; const char *entries, *sentence; } cases[] = {
	{ "", 0, "", NULL },
	{ "# only words\n", 0, "", NULL },
	{ "---\n", 0, "", NULL },
	{ "a: 1\nb: two words # but not these\n", 0, "a=1@f:1;b=two words@f:2;", NULL },
	{ "o:\n  e: http://x:1/y\n  t: 3s\n", 0, "o.e=http://x:1/y@f:2;o.t=3s@f:3;", NULL },
	{ "o.e: x", 0, "o.e=x@f:1;", NULL },
	{ "o: { e: x, p: { q: y } }", 0, "o.e=x@f:1;o.p.q=y@f:1;", NULL },
	{ "l: [a, 'b c']\nm:\n- d\nn: []\n", 0, "l=[a,b c]@f:1;m=[d]@f:3;n=[]@f:4;", NULL },
	{ "a:\nb: ~\nc: null\nd: ''\ne: '~'\n", 0,
	  "a=nothing@f:1;b=nothing@f:2;c=nothing@f:3;d=@f:4;e=~@f:5;", NULL },
	{ "{}", 0, "", NULL },
	{ "just text", -EINVAL, "", "f:1: expected settings, one 'key: value' a line" },
	{ "- a\n", -EINVAL, "", "f:1: expected settings, one 'key: value' a line" },
	{ "a: 1\n? [b]\n: 2\n", -EINVAL, "a=1@f:1;", "f:2: expected text" },
	{ "a: &x 1\n", -EINVAL, "", "f:1: tags and anchors are not supported" },
	{ "a: *x\n", -EINVAL, "", "f:1: aliases (*name) are not supported" },
	{ "a: !!int 1\n", -EINVAL, "", "f:1: tags and anchors are not supported" },
	{ "a: [[b]]\n", -EINVAL, "", "f:1: expected text" },
	{ "a: [{b: c}]\n", -EINVAL, "", "f:1: expected text" },
	{ "a: \"x\\0y\"\n", -EINVAL, "", "f:1: control characters are not supported, nor text of "
	  "more than one line" },
	{ "a: |\n  x\n  y\n", -EINVAL, "", "f:1: control characters are not supported, nor text "
	  "of more than one line" },
	{ "a: 1\n---\nb: 2\n", -EINVAL, "a=1@f:1;", "f:2: a second document is not supported" },
	{ "a: {b: {c: {d: {e: 1}}}}\n", -EINVAL, "", "f:1: maps are nested too deeply" },
	{ "a: 1\n\tb: 2\n", -EINVAL, "", NULL },
	{ "a: [1\n", -EINVAL, "", NULL },
	{ "a: \xff\n", -EINVAL, "", NULL },
};
/* clang-format on */

static void files_read_as_documented(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct strbuf got = {};
		struct err e = {};
		int r = config_parse(cases[i].text, strlen(cases[i].text), "f", record, &got, &e);

		assert_int_equal(r, cases[i].r);
		assert_true(!r == !e.msg[0]);
		if (cases[i].sentence)
			assert_string_equal(e.msg, cases[i].sentence);
		if (!r || cases[i].sentence)
			assert_string_equal(strbuf_str(&got), cases[i].entries);
		strbuf_done(&got);
	}
}

static void bounds_hold(void **state)
{
	static char large[CONFIG_FILE_MAX + 1];
	char key[CONFIG_KEY_MAX + 8];
	struct strbuf got = {};
	struct err e;

	(void)state;
	memset(large, '#', sizeof(large));
	assert_int_equal(config_parse(large, sizeof(large), "f", record, &got, &e), -EFBIG);
	assert_int_equal(config_parse(large, sizeof(large) - 1, "f", record, &got, &e), 0);
	memset(large, '[', sizeof(large));
	assert_int_equal(config_parse(large, sizeof(large) - 1, "f", record, &got, &e), -EINVAL);
	memset(key, 'k', sizeof(key));
	memcpy(key + sizeof(key) - 4, ": 1", 3);
	assert_int_equal(config_parse(key, sizeof(key) - 1, "f", record, &got, &e), -EINVAL);
	assert_string_equal(e.msg, "f:1: a key is too long");
	assert_int_equal(got.len, 0);
	assert_int_equal(config_parse("a: 1", 4, "f", fail_with_eperm, NULL, &e), -EPERM);
	assert_string_equal(e.msg, "not a");
	assert_int_equal(config_read("/nonexistent", record, &got, &e), -ENOENT);
	assert_int_equal(config_read("/", record, &got, &e), -EISDIR);
	strbuf_done(&got);
}

/* Each prefix and each file with one byte changed: nothing but a clean answer is allowed. */
static void damage_is_survived(void **state)
{
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].text);

		assert_true(len < sizeof(text));
		for (size_t at = 0; at < len; at++) {
			static const char damage[] = "\0\xff:[{}]&*!|>'\"%@`-? \n\t";
			struct strbuf got = {};

			config_parse(cases[i].text, at, "f", record, &got, NULL);
			for (size_t d = 0; d < sizeof(damage); d++) {
				memcpy(text, cases[i].text, len);
				text[at] = damage[d];
				config_parse(text, len, "f", record, &got, NULL);
			}
			strbuf_done(&got);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_read_as_documented),
		cmocka_unit_test(bounds_hold),
		cmocka_unit_test(damage_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
